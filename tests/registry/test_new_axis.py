"""A new axis is one line and a migration: registry, report, MLflow and lineage have it without another edit."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry.store.axes import ALWAYS, AXES
from registry.store.database import HEAD
from registry.views import VIEWS
from tests.conftest import ROOT, Checkout

AXIS = "voice"
NEXT = f"{int(HEAD) + 1:04}"
MIGRATION = f"""
import importlib

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{NEXT}", "{HEAD}", None, None
views = importlib.import_module("registry.store.migrations.versions.0003_views")


def upgrade():
    views.drop_views()
    for table in ("configuration", "published"):
        op.add_column(table, sa.Column("{AXIS}", sa.String(length=255), nullable=True))
    views.make_views({(*AXES[ALWAYS:], AXIS)!r})
"""
CAPTIONS = 8 * (1 + 3 * 4) - 1
"""In the toy study: of each original and each repainted picture, of which one failed."""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.fixture
def one(checkout: Callable[..., Checkout]) -> Checkout:
    """A checkout with another axis."""
    one = checkout()
    store = one.path / "registry/store"
    last = f"    {AXES[-1]}: str | None = None\n"
    edit(store / "axes.py", last, f"{last}    {AXIS}: str | None = None\n")
    edit(store / "database.py", f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"')
    (store / f"migrations/versions/{NEXT}_voices.py").write_text(MIGRATION)
    return one


def test_a_new_axis_is_everywhere(one: Checkout) -> None:
    path = f"PYTHONPATH={one.path}{os.pathsep}{ROOT}"
    seen = json.loads(one.run("env", path, "python", "-m", "tests.registry.voiced").stdout.splitlines()[-1])

    # The registry: tables, views, and its Python door.
    with closing(sqlite3.connect(one.path / ".palimpsest/registry.db")) as registry:
        axes = [name for _, name, *_ in registry.execute("PRAGMA table_info(configuration)") if name in (*AXES, AXIS)]
        assert axes == [*AXES, AXIS]
        for view, columns in VIEWS.items():
            with_axis = list(columns)
            with_axis.insert(with_axis.index(AXES[-1]) + 1, AXIS)
            assert [name for _, name, *_ in registry.execute(f"PRAGMA table_info({view})")] == with_axis
            if view == "v_captions":
                assert seen["columns"] == with_axis
        assert registry.execute(f"SELECT DISTINCT {AXIS} FROM v_images").fetchall() == [(None,)]
    assert seen["captions"] == {"": CAPTIONS, "loud": CAPTIONS, "soft": CAPTIONS}

    # The report: tables, a cell's name on the page of a corpus, and a choice in the gallery.
    tables = {
        path.stem: list(csv.DictReader(path.read_text().splitlines()))
        for path in (one.path / "report/tables").glob("*.csv")
    }
    assert {name for name, rows in tables.items() if rows and AXIS in rows[0]} >= {
        "captions", "captions_corpus", "correlations", "interactions", "points",
    }  # fmt: skip
    assert {row[AXIS] for row in tables["captions"]} == {"", "loud", "soft"}
    assert not {"recaptioner", "painter", "training"} & tables["captions"][0].keys(), "what no row needs is not shown"
    assert {row["factor"] for row in tables["ablations"]} >= {AXIS, "degradation", "inpainter"}
    assert "blip/none/none/none/loud" in (one.path / "report/corpus-scenes.html").read_text()
    gallery = (one.path / "report/gallery.html").read_text()
    assert set(re.findall(rf'data-{AXIS}="(\w*)"', gallery)) == {"", "loud", "soft"}

    # Lineage: by the name of a cell.
    cell = "scenes/blur/telea/blip/none/none/none/loud"
    traced = json.loads(one.run("python", "palimpsest.py", "trace", cell, "--json").stdout)
    assert (traced["name"], traced["items"]["caption"]) == (f"toy: {cell}", 6)
    example = traced["example"]["item"]
    assert (example["kind"], example["captioner"], example[AXIS]) == ("caption", "blip", "loud")

    # MLflow: a parameter and a tag of a cell's run, where the axis applies.
    client = MlflowClient(f"sqlite:///{one.path / '.palimpsest/mlflow.db'}")
    [experiment] = client.search_experiments(filter_string="name = 'toy'")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    cells = [run.data for run in runs if "corpus" in run.data.params]
    shown = 2 * (1 + 3 * 4)  # of two corpora: the originals, and three degradations by four inpainters
    assert Counter(cell.params.get(AXIS) for cell in cells) == {None: shown, "loud": shown, "soft": shown}
    assert all(cell.tags.get(AXIS) == cell.params.get(AXIS) for cell in cells)
