"""What `palimpsest plan` says before a study with recaptioners ran is what its stages hold afterwards."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.adapters import catalogue
from models.adapters.roles import Reply, Turn
from registry.store.dag import STAGES
from stages import recaption
from stages.care.counting import paintings
from stages.care.plan import forecast
from stages.engine.loop import execute
from stages.engine.study import Study, read_study
from tests.conftest import ROOT, SMALL
from tests.stages.engine import toys

PAINTER, REVISER = ({"adapter": f"toy-{one}", "name": one, "journal": "journal"} for one in ("painter", "echo"))
RICO = {"method": "rico", "painter": PAINTER, "reviser": REVISER}
ENTRIES: dict[str, dict[str, Any]] = {
    "none": {},
    "all": {"rico": RICO},
    "some": {
        "swept": {**RICO, "repainted": True, "captioners": ["one"], "sweep": {"rounds": [1, 2]}},
        "told": {**RICO, "references": True, "captioner": REVISER, "corpora": ["scenes"]},
    },
}


MORE: dict[str, dict[str, Any]] = {
    "training": {"lora": {"kind": "toy", "painter": {"adapter": "toy", "checkpoint": "somewhere"},
                          "captions": "rico", "corpus": "scenes"}},
    "answerers": {"asked": {**REVISER, "corpora": ["others"], "benchmarks": {"pope": {}}}},
}  # fmt: skip
"""Stages that read what was rewritten, and what is known of pictures."""


class Echo(toys.Toy):
    """Revises the caption that it is asked about by a word, and chooses yes."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        said = [one[-1].text.partition("The caption is: ")[2].partition("\n")[0] for one in conversations]
        return [[Reply(f"<revised_caption>{caption} indeed</revised_caption>", "stop")] for caption in said]

    def choose(self, conversations: Sequence[Sequence[Turn]], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        return [np.array([float(one == "yes") for one in some]) for some in choices]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "models").symlink_to(ROOT / "models")
    toys.register()
    STAGES["recaption"] = recaption.STAGE
    catalogue.CATALOGUE["chat"]["toy-echo"] = f"{__name__}:Echo"
    for role, kind in {"painters": "Painter", "trainers": "Toy"}.items():
        catalogue.CATALOGUE[role]["toy"] = f"tests.stages.test_train:{kind}"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_foretold_is_what_is_there(name: str) -> None:
    captioner = {**SMALL["captioners"]["blip"], "beams": 1, "candidates": 1}
    scenes = {"adapter": "scenes", "path": "models/worlds", "count": 2}
    study = Study.model_validate({
        **SMALL,
        "corpora": {"scenes": {**scenes, "seed": 7}, "others": {**scenes, "seed": 8}},
        "inpainters": {"identity": {"adapter": "identity"}},
        "captioners": {"one": captioner, "two": {**captioner, "candidates": 2, "beams": 2}},
        "recaptioners": ENTRIES[name],
        **(MORE if name == "all" else {}),
        "encoders": {}, "fidelity": {},
    })  # fmt: skip
    before = forecast(study)
    held = {}
    for stage, entry in study.stages():
        link = execute(importlib.import_module(f"stages.{stage.name}").node(study, entry))
        held[link["stage"]] = link["items"]
    assert {one.stage: one.items for one in before} == held
    assert [(one.stage, one.known) for one in forecast(study)] == list(held.items())


def test_paintings_of_the_prompts_that_a_measure_concerns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = read_study(Path("studies/precision-recall-small.yaml"))
    study.prompts["more"] = {"adapter": "scenes", "path": "models/worlds", "seed": 4, "count": 7}
    models = 1 + len(study.variants("training"))
    study.quality["truth"]["corpora"] = ["more"]
    assert paintings(study, STAGES["quality"], "truth") == 7 * models
    assert paintings(study, STAGES["paint"], *study.entries("painters")) == 107 * models
