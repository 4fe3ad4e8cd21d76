"""The recipes of the sentence embedders on a handful of captions: the loss by hand, and what is shipped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.embedders.simcse import SupervisedSimcse, UnsupervisedSimcse
from models.pocket import WEIGHTS
from models.training import data
from models.training.sbert import Sbert
from models.training.simcse import TEMPERATURE, Supervised, Unsupervised, contrast

FEW = {"scenes": 30, "radiographs": 20}
SHIPPED = {"simcse-sup": SupervisedSimcse, "simcse-unsup": UnsupervisedSimcse}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(params=[Supervised, Unsupervised])
def recipe(request: pytest.FixtureRequest, build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervised:
    monkeypatch.setattr(request.param, "counts", FEW)
    monkeypatch.setattr(request.param, "unseen", lambda self, world: data.world(world, data.HELD_OUT_SEED, 12, build))
    return request.param(build, tmp_path, [])


def test_infonce_by_hand() -> None:
    """Two anchors, their positives and one hard negative: -log of the softmax over cosines / temperature."""
    angles = [0.0, 1.0, 0.2, 0.9, 0.5]
    vectors = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])
    anchors, others = vectors[:2], vectors[2:]
    expected = 0.0
    for i in range(2):
        scores = [math.exp(math.cos(angles[i] - angles[2 + j]) / TEMPERATURE) for j in range(3)]
        expected -= math.log(scores[i] / sum(scores)) / 2
    assert contrast(anchors, others, ["a", "b"], ["c", "d", "e"]).item() == pytest.approx(expected, rel=1e-4)


def test_what_says_the_same_is_no_negative() -> None:
    """A column of an anchor's own words, or of its positive's, is as if it were not there."""
    vectors = torch.nn.functional.normalize(
        torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4))).float(), dim=1
    )
    anchors, others = vectors[:2], vectors[2:]
    without = contrast(anchors, others[:2], ["a", "b"], ["c", "d"])
    assert contrast(anchors, others, ["a", "a"], ["c", "d", "a", "a"]) == without
    assert contrast(anchors, others, ["a", "b"], ["c", "c", "c", "c"]) < without, "then each has its positive alone"
    assert contrast(anchors, others, ["a", "b"], ["c", "d", "e", "f"]) > without


def test_a_batch_has_no_meaning_twice(recipe: Supervised) -> None:
    drawn = recipe.draw(np.random.default_rng(0))
    assert {group.world for group in drawn} == set(FEW)
    assert len({id(group) for group in drawn}) == len(drawn)


def test_training_separates_what_is_meant(recipe: Supervised) -> None:
    """Ten steps: the loss falls, and what is saved is what the adapter reads."""
    losses: list[float] = []
    figures = recipe.train(lambda parts, step: losses.append(parts.get("loss", 0.0)), False, 10)
    assert set(figures) == {"alignment", "uniformity"} | {
        f"{w} {name}" for w in FEW for name in ("retrieval", "auc", "measured")
    }
    torch.manual_seed(0)
    start = np.mean([recipe.loss(recipe.build(), np.random.default_rng(i), 0)[0].item() for i in range(3)])
    assert losses[0] < start, "the mean over the steps is below the untrained model's"
    embedder = recipe.embedder(recipe.embedder.Settings(checkpoint=str(recipe.weights / recipe.folder)))
    embedder.load()
    assert embedder.embed(["a red ring"]).shape == (1, 128)
    assert "palimpsest train simcse-" in (recipe.weights / recipe.folder / "README.md").read_text()


def test_sbert_learns_from_every_world(build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sbert, "counts", FEW)
    monkeypatch.setattr("models.training.sbert.FEWEST", 50)
    recipe = Sbert(build, tmp_path, [])
    pairs = recipe.pairs.to_dict()
    assert len(pairs["anchor"]) == 50 * len(FEW)
    together = [set(group.texts) for some in recipe.wordings.values() for group in some]
    for anchor, positive in zip(pairs["anchor"], pairs["positive"], strict=True):
        assert anchor != positive
        assert any({anchor, positive} <= texts for texts in together)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_one_reads_unseen_captions(name: str, build: Path, tmp_path: Path) -> None:
    """Scenes of a seed that neither the recipes nor the cards use; thresholds lie well below the cards' figures."""
    from models.training.wordings import figures, groups
    from models.worlds import example

    made = [example("scenes", 3, index) for index in range(60)]
    scenes = data.Examples(np.zeros(0), [one.references for one in made], [one.graph for one in made])
    embedder = SHIPPED[name](SHIPPED[name].Settings(checkpoint=str(WEIGHTS / name)))
    embedder.load()
    found = figures(embedder.embed, {"scenes": groups("scenes", scenes)})
    assert sum(parameter.numel() for parameter in embedder._model.parameters()) < 450_000
    assert found["scenes measured"] > {"simcse-sup": 0.95, "simcse-unsup": 0.6}[name], "0.5 is chance"
    if name == "simcse-sup":
        assert found["scenes retrieval"] > 0.95
        assert found["scenes auc"] > 0.8
