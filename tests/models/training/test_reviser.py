"""The pocket reviser: captions with known faults, and lessons that are what transformers' own chat is."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor

from models.pocket.prompts import ANALYSIS, REVISED
from models.training import drafts
from models.training.mending import mended
from models.training.reviser import Reviser, blurred
from models.training.revising import lesson
from models.worlds.grammar import agreement, parse, relation
from models.worlds.scenes import arranged, scene


def cases(count, faults=None):
    for k in range(count):
        rng = np.random.default_rng([11, k])
        graph = arranged(rng)
        yield graph, drafts.case(graph, rng, k % 4 if faults is None else faults), rng


def twins(graph):
    """Whether two objects of a scene are told apart by one attribute at most: who is meant is then anybody's guess."""
    objects = graph["objects"]
    return any(sum(a[name] != b[name] for name in drafts.FULL) < 2 for a in objects for b in objects if a is not b)


def test_a_graph_drawn_at_random_is_the_scenes():
    assert arranged(np.random.default_rng([7, 3])) == scene(7, 3).graph


def test_captions_without_faults_say_nothing_wrong():
    for graph, one, _ in cases(300, faults=0):
        assert str(one.first) == str(one.right) and not one.faults
        assert agreement(parse(str(one.first)), graph)["precision"] == 1


def test_the_right_caption_mends_every_fault_and_breaks_nothing():
    seen = set()
    for graph, one, _ in cases(400):
        if not twins(graph):
            done, facts = mended(str(one.right), graph, one)
            assert all(facts) and all(all(hits) for hits in done.values())
            seen |= done.keys()
    assert seen == set(drafts.KINDS)


def test_the_faulty_caption_mends_nothing():
    """Each kind of fault by itself, so that none can hide behind another."""
    seen = set()
    for graph, one, _ in cases(600, faults=1):
        if one.faults and not twins(graph):
            done, facts = mended(str(one.first), graph, one)
            if one.faults == ["invented"] or all(facts):
                assert not any(any(hits) for hits in done.values()), (str(one.first), str(one.right))
                seen |= done.keys()
    assert seen == set(drafts.KINDS)


def test_what_is_missing_is_added_at_the_end():
    for _, one, _ in cases(400, faults=1):
        if one.faults == ["missing"]:
            assert len(one.right.things) == len(one.first.things) + 1
            assert one.right.things[:-1] == one.first.things


def test_a_faithful_painting_shows_what_the_caption_says():
    held, whole = [], []
    for _, one, rng in cases(200):
        painting = drafts.painted(one.shown, rng, 0.0)
        place = {thing["slot"]: k for k, thing in enumerate(painting["objects"])}
        for slot, said in enumerate(one.shown["objects"]):
            whole.append(slot in place)
            if slot in place:
                assert said.items() <= painting["objects"][place[slot]].items()
        held += [relation(painting, place[i], place[j]) == told for i, told, j in one.shown["told"]
                 if i in place and j in place]  # fmt: skip
        assert painting["background"] == one.shown["background"]
    assert np.mean(whole) > 0.97 and np.mean(held) > 0.97  # three large objects seldom have room


def test_lessons_repeat_and_end_in_the_caption():
    for two in (True, False):
        for k in range(30):
            made, again = lesson(5, two, k), lesson(5, two, k)
            assert (made.pictures == again.pictures).all() and made[1:] == again[1:]
            assert made.pictures.shape == (1 + two, 64, 64, 3)
            assert (REVISED[0] in made.reply) == ("revised caption" in made.prompt)
            assert (ANALYSIS[0] in made.reply) == ("analysis" in made.prompt)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A reviser of two steps, as saved, with its recipe."""
    from models.pocket import WEIGHTS

    root = tmp_path_factory.mktemp("reviser")
    (root / "llava-onevision").symlink_to(WEIGHTS / "llava-onevision")

    class Small(Reviser):
        counts = {"scenes": 20}
        alone = 20
        batch = (3, 3)

        def evaluate(self, model):
            return {}

    recipe = Small(root / "build", root, [])
    heard = []
    recipe.train(lambda figures, step: heard.append(figures), False, 2)
    return recipe, root / recipe.folder, heard


def test_it_trains_and_is_small(toy):
    _, folder, heard = toy
    assert {"loss", "analysis", "said"} <= heard[0].keys() and np.isfinite(heard[0]["loss"])
    assert (folder / "model.safetensors").stat().st_size < 3.9e6


@torch.no_grad()
def test_the_loss_is_that_of_the_served_chat(toy):
    """The rows of training, run as a chat through transformers' processor and model, have the same losses."""
    recipe, folder, _ = toy
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder).eval()
    processor = LlavaOnevisionProcessor.from_pretrained(folder)
    recipe.prepare(model)
    for two, (_, ids, weights) in zip((True, False), recipe.pool, strict=True):
        for k in range(3):
            one = lesson(1, two, k)
            chat = [
                {"role": "user", "content": [{"type": "image"}] * (1 + two) + [{"type": "text", "text": one.prompt}]}
            ]
            text = processor.apply_chat_template(chat, add_generation_prompt=True) + one.reply + "<|im_end|>"
            given = processor(images=[[Image.fromarray(p) for p in one.pictures]], text=[text], return_tensors="pt")
            length = given["input_ids"].shape[1]
            assert (ids[k, :length] == given["input_ids"][0]).all() and not weights[k, length:].any()
            told = int(weights[k].bool().sum())
            assert recipe.tokenizer.decode(ids[k, length - told : length - 1]).replace(" ", "") == one.reply.replace(
                " ", ""
            )
            logits = model(**given).logits[0, :-1]
            wanted = torch.nn.functional.cross_entropy(logits[-told:], given["input_ids"][0, -told:], reduction="none")
            asked = weights[k, length - told : length]
            mine = _loss(recipe, model, two, k)
            assert mine == pytest.approx(float((wanted * asked).sum() / asked.sum()), abs=1e-3)


def _loss(recipe, model, two, k):
    """The recipe's loss of one lesson alone, with undisturbed pictures."""
    from unittest import mock

    whole = [[table[k : k + 1] for table in pool] for pool in recipe.pool]
    silent = torch.zeros_like(whole[not two][2])
    pool = [[*some[:2], some[2] if number != two else silent] for number, some in enumerate(whole)]
    pool[not two][2] = whole[not two][2]
    pool[two][2] = torch.zeros_like(whole[two][2])
    with mock.patch.object(recipe, "pool", pool), mock.patch.object(type(recipe), "batch", (1, 1)), \
            mock.patch("models.training.reviser.blurred", lambda shown, *_: shown):  # fmt: skip
        return float(recipe.loss(model, np.random.default_rng(0), 0.0)[0])


def test_disturbed_pictures_stay_pictures():
    torch.manual_seed(0)
    shown = torch.rand(64, 1, 3, 64, 64) * 2 - 1
    changed = blurred(shown, 0.5, 1.0)
    assert changed.shape == shown.shape and changed.abs().max() <= 1
    same = (changed == shown).flatten(1).all(1).float().mean()
    assert 0.3 < same < 0.7
    assert blurred(shown[:, 1:], 1.0, 1.0).shape == (64, 0, 3, 64, 64)
