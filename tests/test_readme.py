"""The README's examples run as they stand in the default study: the names in them are its own."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from models.adapters import catalogue
from palimpsest import app
from registry.published.papers import INPAINTING
from registry.store.dag import SECTIONS, STAGES
from stages.corpora import CATALOGUE as CORPORA
from stages.engine.study import read_study

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
LINES = [line[2:].partition("  #")[0] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("palimpsest ")]


@pytest.fixture(scope="module")
def study():
    return read_study(ROOT / "params.yaml")


@pytest.mark.parametrize(
    "line", [part for line in COMMANDS for part in re.split(r" && ", line) if "palimpsest" in part]
)
def test_every_command_takes_its_options(line):
    group, words = get_command(app), line.split()[1:]
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    known = {option for parameter in group.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_outputs_cells_and_stages_are_those_of_the_default_study(study):
    for stage, entry in re.findall(r"data/(\w+)/([\w-]+)", "\n".join(COMMANDS)):
        assert stage in STAGES, stage
        assert entry in study.entries(STAGES[stage].section) | dict.fromkeys(CORPORA), entry
    for stage, entry in re.findall(r" (\w+)@([\w-]+)", "\n".join(line for line in COMMANDS if "@v" not in line)):
        assert entry in study.entries(STAGES[stage].section), entry
    cells = re.findall(r"\b(scenes/[\w-]+/[\w-]+/[\w-]+)", README)
    assert len(cells) > 1
    for cell in cells:
        for name, section in zip(cell.split("/"), ("corpora", "degradations", "inpainters", "captioners"), strict=True):
            assert name in study.entries(section), cell


def test_entries_have_adapters_of_the_catalogue():
    known = {name for names in catalogue.CATALOGUE.values() for name in names} | set(CORPORA)
    for text in (text for kind, text in BLOCKS if kind == "yaml"):
        for section, entries in yaml.safe_load(text).items():
            if section in catalogue.CATALOGUE["recaptioners"]:  # what `palimpsest recaption` takes
                continue
            for entry in entries.values():
                assert entry.get("adapter", "folder") in known and section in {"models", *SECTIONS}
                if section == "degradations":
                    assert entry["kind"] in ("zero", "blur", "lowdim")


def test_the_sql_is_sql_of_the_views():
    from registry.views import VIEWS

    [query] = [text for kind, text in BLOCKS if kind == "sql"]
    with sqlite3.connect(":memory:") as database:
        for view, columns in VIEWS.items():
            database.execute(f"CREATE TABLE {view} ({', '.join(columns)})")
        assert database.execute(query).fetchall() == []


def test_words_and_papers_are_said():
    said = " ".join(README.split())
    for word in (
        "An **item**",
        "A **configuration**",
        "A **cell**",
        "low-dimensional",
        ".venv/bin/activate",
        "make ui",
    ):
        assert word in said
    assert all(part in said for part in INPAINTING)
    for rule in ("ui:", "plan:"):
        assert f"\n{rule} setup\n" in (ROOT / "Makefile").read_text()
