"""Where we differ: the page in docs/ and the report are made of one list, and its numbers are the code's."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from registry.published.departures import departures, markdown

ROOT = Path(__file__).resolve().parents[2]
LISTED = departures()
DEFAULTS = [(path, value) for some in LISTED.values() for one in some for path, value in one.defaults.items()]


def test_the_page_in_docs_is_made_of_the_list():
    made = "make it again: python -m registry.published.departures > docs/where-we-differ.md"
    assert (ROOT / "docs/where-we-differ.md").read_text(encoding="utf-8") == markdown(LISTED), made


@pytest.mark.parametrize(("path", "value"), DEFAULTS, ids=[path for path, _ in DEFAULTS])
def test_the_numbers_are_those_of_the_code(path: str, value: Any):
    module, _, names = path.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, last = names.split(".")
    for name in outer:
        holder = getattr(holder, name)
    is_settings = isinstance(holder, type) and issubclass(holder, BaseModel)
    found = holder.model_fields[last].default if is_settings else getattr(holder, last)
    assert json.loads(json.dumps(found)) == value


def test_each_is_said_once_and_whole():
    every = [one for some in LISTED.values() for one in some]
    assert len({one.paper for one in every}) == len(every)
    for one in every:
        for text in (one.paper, one.ours, one.why):
            assert text.strip() == text and text.endswith((".", ".'")), text
            assert "|" not in text and "\n" not in text, "a cell of a table"
    assert any(one.blank for one in every) and any(not one.blank for one in every)


def test_what_the_study_of_the_paper_asks_is_what_the_list_says():
    study = yaml.safe_load((ROOT / "studies/inpainting.yaml").read_text())
    said = {subject: " ".join(one.ours for one in some) for subject, some in LISTED.items()}
    for name in ("sd15", "sd2", "sd3"):
        assert f"{study['models'][name]['guidance']} for" in said["Inpainting"]
    assert all(str(one) in said["Inpainting"] for one in study["inpainters"]["sd15-readings"]["sweep"]["strength"])
    assert f"A kernel of {study['degradations']['blur']['kernel']} pixels" in said["Degradation"]
    assert study["encoders"]["vit-base"]["checkpoint"] in said["Representation"]
    assert study["quality"]["sbert"]["checkpoint"].partition("/")[2] in said["Metrics of captions"]
    assert {"alex": "AlexNet"}[study["fidelity"]["lpips"]["net"]] in said["Metrics of pictures"]
