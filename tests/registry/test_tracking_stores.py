"""Where MLflow may keep runs, and what is said of places where it cannot, or cannot yet."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from registry.health import tracking_store
from registry.store import places
from registry.store.database import connect, migrate_when_behind
from registry.tracking import opened
from registry.tracking.runs import Tracker
from tests.conftest import ROOT

OPEN = "import sys; import mlflow; from registry.tracking import opened; print('ready', flush=True); input(); opened()"
WRITERS = 3


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for name in places.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    waits = SimpleNamespace(sleep=lambda seconds: pytest.fail("MLflow waits, to try again"))
    monkeypatch.setattr("mlflow.store.db.utils.time", waits)
    return tmp_path


@pytest.mark.parametrize("uri", ["./mlruns", "databricks", "databricks-uc://team", "uc:oss", "nosuch://me:s3cret@host"])
def test_what_keeps_no_runs_is_refused(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ValueError, match=r"^MLFLOW_TRACKING_URI is .*, where we keep no runs; unset it, or .*\.$") as e:
        opened()
    assert "s3cret" not in str(e.value)
    [check] = tracking_store()
    assert (check.state, str(e.value) in check.what) == ("problem", True)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://me:s3cret@host/team")
    with pytest.raises(ValueError, match="^MLflow cannot use mysql://host/team: No module named 'MySQLdb'. Install"):
        opened()


@pytest.mark.parametrize("first", ["registry", "mlflow"])
def test_registry_and_mlflow_need_databases_of_their_own(here, monkeypatch, first):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url := f"sqlite:///{here}/one.db")
    if first == "registry":
        migrate_when_behind(connect(url))
        with pytest.raises(ValueError, match="is the registry's database, and MLflow needs one of its own"):
            opened()
    else:
        monkeypatch.undo()
        os.chdir(here)
        MlflowClient(url)
        with pytest.raises(ValueError, match="another program's, such as MLflow's, give the registry one of its own"):
            migrate_when_behind(connect(url))


def test_an_experiment_that_was_deleted_comes_back_with_a_word(caplog):
    first = Tracker("tiny/stages", "tiny", "prepare@mine")
    first.finish({}, {}, [])
    first.client.delete_experiment(first.experiment)
    with caplog.at_level(logging.WARNING):
        second = Tracker("tiny/stages", "tiny", "degrade")
    assert second.experiment == first.experiment
    assert "tiny/stages, which was deleted in MLflow, is restored" in caplog.text
    assert {run.info.run_id for run in second.client.search_runs([first.experiment])} == {first.id, second.id}


def test_a_database_that_is_away_is_not_tried_again_and_again(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:s3cret@127.0.0.1:9/team")
    with pytest.raises(ConnectionError, match=r"^MLflow's store postgresql://127.0.0.1:9/team cannot be used") as e:
        opened()
    assert "s3cret" not in str(e.value)
    assert str(e.value).endswith("Start the database, or set MLFLOW_TRACKING_URI to another.")


def test_a_damaged_file_is_told_as_what_it_is(here):
    (here / ".palimpsest").mkdir()
    (here / ".palimpsest/mlflow.db").write_bytes(b"no database" * 400)
    with pytest.raises(ConnectionError, match=r"file is not a database\. If it is damaged, restore a backup, or move"):
        opened()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_checkouts_begin_on_one_empty_database(new_database, tmp_path, kind):
    environment = os.environ | {"MLFLOW_TRACKING_URI": new_database(kind), "PYTHONPATH": str(ROOT)}
    begun = []
    for number in range(WRITERS):
        (folder := tmp_path / str(number)).mkdir()
        (folder / "dvc.yaml").touch()
        begun.append(
            subprocess.Popen(
                [sys.executable, "-c", OPEN],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )  # fmt: skip
        )
    for one in begun:
        assert one.stdout.readline() == "ready\n"
    for one in begun:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in begun:
        _, said = one.communicate()
        assert one.returncode == 0, said
