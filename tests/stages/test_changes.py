"""A change costs what it changes: counted in MLflow, in the registry and in the bytes of the report."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from registry.tracking.runs import EXECUTION
from tests.conftest import Checkout

DEGRADATIONS = 2


def cells(checkout: Checkout) -> dict[str, dict[str, str]]:
    """The runs of cells in MLflow, in all experiments, with the stage that logged them and their axes."""
    with sqlite3.connect(checkout.path / ".palimpsest/mlflow.db") as database:
        rows = database.execute("SELECT run_uuid, key, value FROM tags").fetchall()
    found: dict[str, dict[str, str]] = {}
    for run, key, value in rows:
        found.setdefault(run, {})[key] = value
    return {run: tags for run, tags in found.items() if EXECUTION in tags}


def report(checkout: Checkout) -> dict[str, bytes]:
    folder = checkout.path / "data/report"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def indexed(checkout: Checkout) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """Telea as the registry's study has it, and which of its items stand where."""
    with sqlite3.connect(checkout.path / ".palimpsest/registry.db") as database:
        [[params]] = database.execute("SELECT params FROM study")
        placed = database.execute(
            "SELECT configuration.digest || placement.kind || sample.name, item.key FROM cell"
            " JOIN placement USING (configuration_id) JOIN configuration ON configuration.id = configuration_id"
            " JOIN sample ON sample.id = sample_id JOIN item ON item.id = item_id"
        )
        return json.loads(params)["inpainters"]["telea"], set(placed)


def test_a_change_and_back_again(checkout):
    """Also DVC's run cache must not keep index from running: it knows files, and not what is in the registry."""
    one = checkout()
    one.run("palimpsest", "repro")
    first, pages, placed = cells(one), report(one), indexed(one)
    assert first

    one.run("python", "-m", "stages.index")
    one.run("python", "-m", "reports")
    assert report(one) == pages and cells(one).keys() == first.keys() and indexed(one) == placed

    one.edit(lambda params: params["inpainters"]["telea"].update(radius=7))
    one.run("palimpsest", "repro")
    second = cells(one)
    new = [tags for run, tags in second.items() if run not in first]
    assert {tags["inpainter"] for tags in new if not tags["dvc.stage"].startswith("project")} == {"telea"}
    assert len([tags for tags in new if tags["dvc.stage"] == "index"]) == DEGRADATIONS
    assert report(one) != pages and indexed(one)[0] == {"adapter": "telea", "radius": 7}

    one.edit(lambda params: params["inpainters"]["telea"].pop("radius"))
    one.run("palimpsest", "repro")
    assert indexed(one) == placed
    one.run("palimpsest", "registry", "sync")
    assert indexed(one) == placed
    one.repro("--force", "--no-run-cache")
    assert cells(one).keys() == second.keys()
    assert report(one) == pages
