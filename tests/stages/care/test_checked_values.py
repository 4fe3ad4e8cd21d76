"""What the check lets through can finish; what it does not is said in one sentence that names it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from stages.care.check import check
from stages.corpora import Sample
from stages.engine.study import read_study
from stages.prepare import fitting
from tests.conftest import ROOT, SMALL

ODD: tuple[Any, ...] = (None, 0, -1, 1.5, "x", "", True, [], ["x"], {}, {"x": 1}, [[1]], float("nan"), 10**30)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a study."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))


def checked(path, params: dict[str, Any]) -> str:
    """What the check says of a study; empty where it passes."""
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        check(read_study(path))
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return ""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    return tmp_path / "params.yaml"


RICH = copy.deepcopy(SMALL)
RICH["corpora"]["scenes"] |= {"region": {"kind": "box"}}
RICH["captioners"]["blip"] |= {"batch_size": 4}
RICH["encoders"]["vit"] |= {"batch_size": 4, "corpora": ["scenes"], "projection": {"seed": 1}}
RICH["inpainters"]["telea"] |= {"sweep": {"radius": [2, 3]}}
RICH["models"] = {"one": {"adapter": "blip", "checkpoint": "models/pocket/weights/blip"}}
RICH["captioners"]["two"] = {"model": "one"}


def test_whatever_stands_somewhere_the_check_says_a_sentence(study):
    """Everything in a study replaced by every kind of YAML value: nothing but a sentence comes of it."""
    assert checked(study, RICH) == ""
    for path in places(RICH):
        for odd in ODD:
            params = copy.deepcopy(RICH)
            inner = params
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = odd
            said = checked(study, params)
            assert "\n" not in said, (path, odd)


@pytest.mark.parametrize("size", [0, -1, "x", 1.5, None, True])
@pytest.mark.parametrize(("section", "name"), [("captioners", "blip"), ("encoders", "vit"), ("fidelity", "pixel")])
def test_a_batch_has_a_size(study, section, name, size):
    params = copy.deepcopy(SMALL)
    params[section][name]["batch_size"] = size
    assert checked(study, params).startswith(f'The setting "batch_size" of {name} should be ')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpora": {}}, "The study has no corpora, so there is nothing to look at; name one under `corpora`."),
        ({"fidelity": {"pixel": {"adapter": "pixel", "corpora": 5}}},
         'The setting "corpora" of pixel should be a valid list, but is 5.'),
        ({"fidelity": {"pixel": {"adapter": ["pixel"]}}},
         'There is no adapter for measures (entry pixel) "[\'pixel\']"'),
        ({"corpora": {"mine": {"path": "models/worlds"}}}, 'There is no corpus "None"'),
        ({"inpainters": {"x" * 201: {"adapter": "telea"}}}, "should have at most 200 characters"),
        ({"inpainters": {"telea": {"adapter": "telea", "sweep": {"radius": ["1" * 300]}}}},
         "telea sweeps over so much that its variants have names of more than 255 characters"),
    ],
)  # fmt: skip
def test_what_cannot_finish_is_refused(study, change, said):
    assert said in checked(study, copy.deepcopy(SMALL) | change)


@pytest.mark.parametrize(("what", "longest"), [("sample", 255), ("split", 32)])
def test_what_no_column_can_hold_is_left_out_at_the_beginning(what, longest):
    """PostgreSQL refuses what is longer than its column, and would do so at the very end of a study."""
    sample = Sample("a", "train", {}, ("a star",), {}, lambda: None)
    assert fitting(replace(sample, **{what: "ü" * longest})).split
    problem = fitting(replace(sample, **{what: "ü" * (longest + 1)}))
    assert (problem.kind, len(problem.sample) <= 255) == ("too_long", True)
    assert f"has {longest + 1} characters, {longest} at most" in problem.message
