"""Sweeps: one entry stands for a variant for each combination of values, and every stage behind it knows them all."""

import copy
import json

import pytest

from stages.care.check import check
from stages.degrade import degradations_of
from stages.engine.entries import Variants
from stages.engine.study import Study, swept
from tests.conftest import SMALL

STUDY = copy.deepcopy(SMALL)
STUDY["corpora"]["scenes"]["count"] = 3
STUDY["degradations"] = {"centre": {"kind": "zero", "sweep": {"fraction": [0.25, 0.5]}}}
STUDY["inpainters"]["telea"]["sweep"] = {"radius": [2, 6]}
STUDY["captioners"]["blip"] |= {"max_tokens": 12, "sweep": {"beams": [1, 2]}, "candidates": 1}
DEGRADATIONS = ["centre/fraction=0.25", "centre/fraction=0.5"]
INPAINTERS = ["identity", "telea/radius=2", "telea/radius=6"]
CAPTIONERS = ["blip/beams=1", "blip/beams=2"]


def test_every_stage_computes_every_variant_and_the_report_shows_them(checkout):
    one = checkout(STUDY)
    one.repro()
    repainted = len(DEGRADATIONS) * len(INPAINTERS) * 3
    assert one.link("degrade")["items"] == len(DEGRADATIONS) * 3
    assert one.link("inpaint@telea")["items"] == len(DEGRADATIONS) * 2 * 3
    assert one.link("fidelity@pixel")["items"] == repainted
    assert one.link("represent@vit")["items"] == one.link("project@vit")["items"] == repainted + 3
    assert one.link("caption@blip")["items"] == len(CAPTIONERS) * (repainted + 3)
    shards = {path for path in one.digests() if path.startswith("inpaint/telea")}
    assert shards == {f"inpaint/{name}/scenes/part-00.parquet" for name in INPAINTERS[1:]}
    counts = json.loads((one.path / "data/index.json").read_text())["items"]
    assert counts["caption"] == len(CAPTIONERS) * (repainted + 3)
    page = (one.path / "data/report/index.html").read_text()
    assert all(f">{name}<" in page for name in (*DEGRADATIONS, *INPAINTERS, *CAPTIONERS))
    failed = [one.link(stage)["failed"] for stage in ("degrade", "inpaint@telea", "caption@blip", "quality@lexical")]
    assert failed == [0, 0, 0, 0]


def test_an_entry_without_a_sweep_is_itself():
    assert swept("telea", {"adapter": "telea", "radius": 3}) == {"telea": {"adapter": "telea", "radius": 3}}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"sweep": {"radius": 3}}, r"name settings and list their values, as in \{guidance: \[1, 3\]\}"),
        ({"sweep": [1, 2]}, "name settings and list their values"),
        ({"sweep": {"radius": []}}, "name settings and list their values"),
        ({"radius": 2, "sweep": {"radius": [3]}}, "sets 'radius' and sweeps over it; leave one out"),
        ({"sweep": {"radius": ["../x"]}}, "sweeps over '../x'; values become folders"),
        ({"sweep": {"radus": [3]}}, 'no setting of telea .* "radus"; did you mean "radius"'),
    ],
)
def test_a_faulty_sweep_is_refused_in_one_sentence(entry, said):
    wrong = copy.deepcopy(SMALL)
    wrong["inpainters"]["telea"] = {"adapter": "telea", **entry}
    with pytest.raises(ValueError, match=said):
        check(Study.model_validate(wrong))


def test_measures_are_not_swept():
    wrong = copy.deepcopy(SMALL)
    wrong["fidelity"]["pixel"]["sweep"] = {"window": [1]}
    with pytest.raises(ValueError, match='"sweep"'):
        check(Study.model_validate(wrong))


def test_a_degradation_takes_as_much_as_it_says():
    study = Study.model_validate(STUDY)
    assert {name: where.fraction for name, (_, where) in degradations_of(study, "scenes").items()} == dict(
        zip(DEGRADATIONS, (0.25, 0.5), strict=True)
    )
    boxes = copy.deepcopy(STUDY)
    boxes["corpora"]["scenes"]["region"] = {"kind": "box"}
    with pytest.raises(ValueError, match='"fraction"'):
        check(Study.model_validate(boxes))


def test_a_model_that_is_named_once_has_the_keys_of_one_described_in_place():
    blip = SMALL["captioners"]["blip"]
    study = Study.model_validate({**SMALL, "models": {"mine": blip}, "captioners": {"blip": {"model": "mine"}}})
    assert study.entry("captioners", "blip") == study.variants("captioners")["blip"] == blip
    one, other = (
        Variants("blip", study.entries("captioners")["blip"], "captioners", study.models),
        Variants("blip", blip, "captioners"),
    )
    assert one.entries == other.entries
    swept_over = {**SMALL, "models": {"mine": blip}, "captioners": {"blip": {"sweep": {"model": ["mine", "mime"]}}}}
    with pytest.raises(ValueError, match='no model in `models` of params.yaml "mime"; did you mean "mine"'):
        check(Study.model_validate(swept_over))
