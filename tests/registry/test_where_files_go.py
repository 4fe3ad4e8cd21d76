"""Checkouts that are moved or copied, and paths whose characters mean something in URLs and configurations."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry import open_registry
from registry.store import places
from registry.store.objects import ObjectStore
from registry.tracking.runs import CellLog, Tracker

CELL = CellLog({"inpainter": "telea"}, {"sbert": 0.5}, files=lambda: {"sheet.png": b"a picture"})


@pytest.fixture(autouse=True)
def own_places(monkeypatch):
    for name in places.SETTINGS:
        monkeypatch.delenv(name, raising=False)


def made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dvc.yaml").touch()
    return folder


def execute(folder: Path, monkeypatch: pytest.MonkeyPatch, experiment: str = "small") -> Tracker:
    """One execution that logs one cell with a file, in a checkout."""
    monkeypatch.chdir(folder)
    tracker = Tracker(experiment, "small", "index")
    tracker.finish({}, {}, [CELL])
    return tracker


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def addresses(folder: Path) -> list[str]:
    """Every text in MLflow's database of a checkout that may be an address."""
    with closing(sqlite3.connect(folder / ".palimpsest/mlflow.db")) as database:
        columns = database.execute(
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        ).fetchall()
        found = [v for table, column in columns for (v,) in database.execute(f'SELECT "{column}" FROM "{table}"')]
    return [value for value in found if isinstance(value, str) and "/.palimpsest" in value]


@pytest.mark.parametrize(
    ("how", "where"), [(shutil.move, "second"), (shutil.copytree, "50% done"), (shutil.copytree, "first/nested")]
)
def test_a_checkout_keeps_its_files_to_itself(tmp_path, monkeypatch, how, where):
    first, second = made(tmp_path / "first"), tmp_path / where
    old = execute(first, monkeypatch)
    before = files(first)
    how(first, tmp_path / "aside")
    (tmp_path / "aside").rename(second)

    new = execute(second, monkeypatch)

    if first.exists():
        assert {name for name in files(first) if not name.startswith("nested")} == before, "nothing goes to the first"
    assert {address.partition("/.palimpsest")[0] for address in addresses(second)} == {
        second.as_uri(),
        places.file_url(second),
    }
    client = MlflowClient(places.tracking_uri())
    cells = [run for run in client.search_runs([new.experiment]) if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in cells} <= {old.id, new.id}
    for run in cells:
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["sheet.png"]


def test_what_a_colleague_keeps_in_a_database_stays_there(tmp_path, monkeypatch):
    """Who logs to another checkout's database keeps files at home, and the owner does not take them."""
    mine, other = made(tmp_path / "mine"), made(tmp_path / "other")
    execute(mine, monkeypatch)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("MLFLOW_TRACKING_URI", places.tracking_uri())
        theirs = execute(other, elsewhere, "theirs")
    execute(mine, monkeypatch)
    client = MlflowClient(places.tracking_uri())
    assert client.get_run(theirs.id).info.artifact_uri.startswith(f"{other.as_uri()}/.palimpsest/artifacts/")
    assert [file.path for file in client.list_artifacts(theirs.id)] == ["cells.json"]


@pytest.mark.parametrize("name", ["50% done? %(here)s", "a%20b::c#d", "it's grüße"])
def test_no_character_of_a_path_leads_out_of_the_checkout(tmp_path, monkeypatch, name):
    folder = made(tmp_path / name)
    run = execute(folder, monkeypatch)
    with open_registry() as registry:
        assert registry.studies() == []
    store = ObjectStore(places.objects_url())
    address = store.put(b"a page")
    assert (store.get(address), store.sizes()) == (b"a page", {address: 6})
    assert [file.path for file in MlflowClient(places.tracking_uri()).list_artifacts(run.id)] == ["cells.json"]
    assert list(tmp_path.iterdir()) == [folder]
    assert {path.name for path in folder.iterdir()} == {"dvc.yaml", ".palimpsest"}
    assert {"registry.db", "mlflow.db", "objects", "artifacts"} <= {path.name for path in places.home().iterdir()}
