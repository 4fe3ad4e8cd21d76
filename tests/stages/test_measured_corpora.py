"""A measure of one corpus in a study of two: CLAP hears spectrograms, and no scene."""

import copy

import pytest

from stages.care.check import check
from stages.engine.study import Study
from tests.conftest import SMALL

STUDY = copy.deepcopy(SMALL)
STUDY["corpora"] = {
    name: {"adapter": name, "path": "models/worlds", "seed": 7, "count": 3} for name in ("scenes", "spectrograms")
}
STUDY["degradations"] = {"centre-mask": {"kind": "zero"}}
STUDY["fidelity"]["clap"] = {
    "adapter": "clap",
    "checkpoint": "models/pocket/weights/clap",
    "spectrogram": {"rate": 22050, "step": 80, "window": 160, "padding": 1, "bins": 64},
    "corpora": ["spectrograms"],
}


def test_a_measure_is_asked_about_its_corpora_only(checkout):
    one = checkout(STUDY)
    one.repro("fidelity@clap", "fidelity@pixel")
    assert {path.split("/")[2] for path in one.digests() if path.startswith("fidelity/clap")} == {"spectrograms"}
    assert {path.split("/")[2] for path in one.digests() if path.startswith("fidelity/pixel")} == set(STUDY["corpora"])
    items = 3 * len(STUDY["inpainters"])
    assert one.link("fidelity@clap")["items"] == items and one.link("fidelity@pixel")["items"] == 2 * items


def test_a_measure_of_a_corpus_that_is_not_there_is_refused():
    wrong = copy.deepcopy(STUDY)
    wrong["fidelity"]["clap"]["corpora"] = ["spectrogram"]
    with pytest.raises(ValueError, match='"spectrogram"; did you mean "spectrograms"'):
        check(Study.model_validate(wrong))


def test_only_measures_choose_among_corpora():
    wrong = copy.deepcopy(STUDY)
    wrong["inpainters"]["telea"]["corpora"] = ["scenes"]
    with pytest.raises(ValueError, match='no setting of telea .* "corpora"'):
        check(Study.model_validate(wrong))
