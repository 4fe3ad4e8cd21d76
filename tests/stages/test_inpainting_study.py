"""The study file of the inpainting paper: its sizes, its readings, and every prompted model's twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.adapters.settings import validated
from stages.corpora import corpus_of
from stages.degrade import degradations_of
from stages.engine.entries import Adapted
from stages.engine.study import Study

FILE = Path(__file__).resolve().parents[2] / "studies" / "inpainting.yaml"
READ = yaml.safe_load(FILE.read_text())


@pytest.fixture(scope="module")
def study() -> Study:
    return validated(FILE.name, Study, READ)


def test_corpora_have_the_sizes_of_the_paper(study):
    """Appendix B.1, and the test split of TRUCE as it is."""
    sizes = {name: corpus_of(entry).settings.limit for name, entry in study.entries("corpora").items()}
    assert sizes == {"flickr": 4000, "refcocog": 2000, "rocov2": 1000, "indiana": 1000, "truce": None}
    regions = {name: where.kind for name in sizes for _, where in degradations_of(study, name).values()}
    assert regions == dict.fromkeys(sizes, "centre") | {"refcocog": "box", "truce": "segment"}
    assert all(len(degradations_of(study, name)) == 3 for name in sizes)


def made(study: Study, name: str) -> Any:
    return Adapted(name, study.variants("inpainters")[name], "inpainters").adapter


def test_every_diffusion_model_is_there_with_and_without_prompt(study):
    for name in ("sd15", "sd2", "sd3"):
        prompted, told_nothing = made(study, name), made(study, f"{name}-unprompted")
        assert prompted.prompted and not told_nothing.prompted
        assert 7.0 <= prompted.settings.guidance <= 7.5
        twin = prompted.settings.model_dump(exclude={"prompted"})
        assert twin == told_nothing.settings.model_dump(exclude={"prompted"})
    assert made(study, "sd3").settings.strength < made(study, "sd15").settings.strength == 1


@pytest.mark.parametrize("name", ["sd15", "sd2", "sd3"])
def test_both_readings_of_strength_stand_side_by_side_with_seeds(study, name):
    """At strength 1 nothing of a degradation is seen: three configurations are one picture; below they are three."""
    readings = [one for one in study.variants("inpainters") if one.startswith(f"{name}-readings/")]
    asked = {(made(study, one).settings.strength, made(study, one).settings.seed) for one in readings}
    assert asked == {(strength, seed) for strength in (1.0, 0.6) for seed in (0, 1, 2)}
    assert {made(study, one).sees_hole for one in readings if "strength=1.0" in one} == {False}
    assert {made(study, one).sees_hole for one in readings if "strength=0.6" in one} == {True}
    strength = made(study, name).settings.strength
    again = made(study, f"{name}-readings/strength={strength},seed=0")
    assert made(study, name).identity() == again.identity(), "one item under two names, computed once"


def test_nine_configurations_are_five_pictures_where_strength_is_one(study):
    """What README and the log say of both readings: a blind inpainter's three degradations share their items."""

    def pictures(strengths: dict[str, float]) -> int:
        found = (made(study, f"{name}-readings/strength={s},seed=0") for name, s in strengths.items())
        return sum(3 if one.sees_hole else 1 for one in found)

    assert pictures({"sd15": 1.0, "sd2": 1.0, "sd3": 0.6}) == 5
    assert pictures({"sd15": 0.6, "sd2": 0.6, "sd3": 0.6}) == 9


def test_indiana_is_frontal_as_the_file_says():
    assert READ["corpora"]["indiana"]["projection"] == "Frontal"
