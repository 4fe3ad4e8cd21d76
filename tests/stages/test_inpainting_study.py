"""The study file of the inpainting paper: what it names exists, is pinned, and has every prompted model's twin."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from models.adapters.settings import validated
from stages.corpora import corpus_of
from stages.degrade import degradations_of
from stages.engine.entries import ROLES, Adapted
from stages.engine.study import Study

FILE = Path(__file__).resolve().parents[2] / "studies" / "inpainting.yaml"
READ = yaml.safe_load(FILE.read_text())
MODELS = [(section, name) for section in ROLES for name in READ[section]]


@pytest.fixture(scope="module")
def study() -> Study:
    return validated(FILE.name, Study, READ)


def test_dvc_reads_it_as_we_do():
    assert load_yaml(str(FILE)) == READ, "merge keys included"


def test_corpora_have_the_sizes_of_the_paper(study):
    """Appendix B.1, and the test split of TRUCE as it is."""
    sizes = {name: corpus_of(entry).settings.limit for name, entry in study.entries("corpora").items()}
    assert sizes == {"flickr": 4000, "refcocog": 2000, "rocov2": 1000, "indiana": 1000, "truce": None}
    regions = {name: where.kind for name in sizes for _, where in degradations_of(study, name).values()}
    assert regions == dict.fromkeys(sizes, "centre") | {"refcocog": "box", "truce": "segment"}
    assert all(len(degradations_of(study, name)) == 3 for name in sizes)


@pytest.mark.parametrize(("section", "name"), MODELS)
def test_every_model_can_be_made_and_is_pinned(study, section, name):
    adapted = Adapted(name, study.entry(section, name), section)
    assert adapted.identity["adapter"] == adapted.kind


def test_every_diffusion_model_is_there_with_and_without_prompt(study):
    grid = [
        name for name, entry in study.entries("inpainters").items() if entry["adapter"].startswith("stable-diffusion")
    ]
    made = {name: Adapted(name, study.entry("inpainters", name), "inpainters").adapter for name in grid}
    assert sorted(grid) == ["sd15", "sd15-unprompted", "sd2", "sd2-unprompted", "sd3", "sd3-unprompted"]
    for name, adapter in made.items():
        assert adapter.prompted == (not name.endswith("-unprompted"))
        assert 7.0 <= adapter.settings.guidance <= 7.5
        assert adapter.settings.strength < made["sd15"].settings.strength or not name.startswith("sd3")
        twin = adapter.settings.model_dump(exclude={"prompted"})
        assert twin == made[name.removesuffix("-unprompted")].settings.model_dump(exclude={"prompted"})
