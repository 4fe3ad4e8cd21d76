"""The lessons of the vision towers: what is there to be named, and what it costs to name it rightly."""

import numpy as np
import torch
from torch import nn

from models.training import data
from models.training.seeing import CLASSES, COUNT, PATCHWISE, Heads, Lessons, marks, seen
from models.worlds import WORLDS
from models.worlds.grammar import BACKGROUNDS


def lessons(build, count=12):
    return Lessons({world: data.world(world, 3, count, build) for world in WORLDS})


def all_knowing(found, name, rows):
    """Patches and views of the whole that are the very logits of the truth, and heads that pass them on."""
    marked = len(found.marks)
    whole = np.zeros((len(rows), len(BACKGROUNDS) + COUNT + marked), np.float32)
    patches = np.zeros((len(rows), 64, sum(PATCHWISE)), np.float32)
    if name in found.dense:
        labels, centres, grounds = (table[rows] for table in found.dense[name])
        starts = np.cumsum([0, *CLASSES[:-1]])
        for k, start in enumerate(starts):
            np.put_along_axis(patches, start + labels[..., k : k + 1].astype(int), 30, -1)
        patches[..., sum(CLASSES) : sum(CLASSES) + 2] = centres
        ground = sum(CLASSES) + 2 + grounds.astype(int)
        np.put_along_axis(patches, np.broadcast_to(ground[:, None, None], (len(rows), 64, 1)), 30, -1)
        whole[np.arange(len(rows)), grounds] = 30
    if name in found.heights:
        whole[:, len(BACKGROUNDS) : len(BACKGROUNDS) + COUNT] = found.heights[name][rows]
    if name in found.truth:
        whole[:, len(BACKGROUNDS) + COUNT :] = 60 * found.truth[name][0][rows] - 30
    heads = Heads(1, marked)
    heads.patches, heads.whole = nn.Identity(), nn.Identity()
    return heads, torch.from_numpy(patches), torch.from_numpy(whole)


def test_one_who_knows_everything_pays_nothing_and_sees_everything(tmp_path):
    found = lessons(tmp_path)
    for name in WORLDS:
        views = found.draw(np.random.default_rng(0), {name: 8})
        heads, patches, whole = all_knowing(found, name, views.numbers[name])
        assert found.loss(heads, views, patches, whole) < 1e-6
        heads, patches, whole = all_knowing(found, name, np.arange(12))
        figures = seen(heads, found, name, patches, whole)
        assert figures and all(abs(value - ("error" not in key)) < 1e-6 for key, value in figures.items())


def test_one_who_knows_nothing_pays_the_entropy_of_a_fair_guess(tmp_path):
    found = lessons(tmp_path)
    views = found.draw(np.random.default_rng(0), {"scenes": 8})
    heads = Heads(4, len(found.marks))
    for head in (heads.patches, heads.whole):
        nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    centres = found.dense["scenes"][1][views.numbers["scenes"]]
    covered = found.dense["scenes"][0][views.numbers["scenes"]][..., 0] > 0
    guess = np.log(CLASSES).sum() + 2 * np.log(len(BACKGROUNDS)) + 2 * np.abs(centres[covered]).sum(-1).mean()
    assert abs(found.loss(heads, views, torch.zeros(8, 64, 4), torch.zeros(8, 4)).item() - guess) < 1e-4


def test_a_batch_is_of_the_pictures_that_its_numbers_name(tmp_path):
    found = lessons(tmp_path)
    views = found.draw(np.random.default_rng(5), {"scenes": 3, "photographs": 2, "spectrograms": 4})
    assert list(views.numbers) == ["scenes", "spectrograms"] and len(views.pictures) == 7
    for name, rows in views.rows.items():
        assert np.array_equal(views.pictures[rows], found.sources[name].pictures[views.numbers[name]])


def test_unseen_examples_are_marked_in_the_order_of_those_learnt_from(tmp_path):
    learnt = Lessons({"spectrograms": data.world("spectrograms", 3, 40, tmp_path)})
    unseen = Lessons({"spectrograms": data.world("spectrograms", 3, 5, tmp_path)}, learnt.marks)
    assert unseen.marks == learnt.marks
    assert np.array_equal(unseen.truth["spectrograms"][0], learnt.truth["spectrograms"][0][:5])


def test_marks_are_words():
    assert marks({"objects": []}) == set()
    assert marks({"findings": [{"label": "nodule", "side": "left", "zone": "upper"}]}) == {"left upper nodule"}
