"""MLflow as a team has it: a tracking server on PostgreSQL with an artifact store, found by setting alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient
from sqlalchemy import make_url, select

from registry.health import tracking_store
from registry.store import database
from registry.store.database import connect
from registry.store.schema import Run
from registry.tracking.asking import comparison_links, past, took
from registry.tracking.runs import CellLog, Tracker

START = 90
"""Seconds in which MLflow makes its tables in an empty database and answers."""


@pytest.fixture
def server(new_database, tmp_path):
    """The address of a tracking server, and the folder that it keeps artifacts in."""
    backend = make_url(new_database("postgresql")).set(drivername="postgresql+psycopg")
    artifacts = tmp_path / "artifacts"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": backend.render_as_string(hide_password=False),
        "MLFLOW_ARTIFACTS_DESTINATION": str(artifacts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START
    while True:
        try:
            urlopen(f"{address}/health", timeout=5).close()
            break
        except (URLError, OSError):
            said = (tmp_path / "server.log").read_text()
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.3)
    yield address, artifacts
    process.terminate()
    process.wait(20)


def test_a_team_finds_runs_from_the_registry_and_the_registry_from_runs(server, checkout, monkeypatch):
    address, artifacts = server
    one = checkout()
    environment = one.environment | {"MLFLOW_TRACKING_URI": address}
    subprocess.run([sys.executable, "-m", "stages.prepare", "scenes"], cwd=one.path, env=environment, check=True)

    monkeypatch.chdir(one.path)
    monkeypatch.delenv("PALIMPSEST_REGISTRY", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert not (one.path / ".palimpsest/mlflow.db").exists()
    client = MlflowClient(address)
    registry = connect(f"sqlite:///{one.path}/.palimpsest/registry.db")
    with registry.connect() as connection:
        [known] = connection.scalars(select(Run.id)).all()
    registry.dispose()
    tags = client.get_run(known).data.tags
    assert (tags["study"], tags["corpus"], tags["dvc.stage"]) == ("small", "scenes", "prepare@scenes")
    assert tags["registry"] == f"sqlite:///{one.path}/.palimpsest/registry.db"
    [earlier] = past()
    assert (earlier.stage, earlier.device, earlier.computed) == ("prepare@scenes", "cpu", 6)
    assert took({known, "0" * 32}) == {known: earlier.seconds}
    assert [path for path in artifacts.rglob("sheet.png") if path.stat().st_size], "the server keeps the files"

    monkeypatch.setenv("PALIMPSEST_REGISTRY", "postgresql://ada:s3cret@db.example/team")
    assert comparison_links("small") == {}
    cells = [
        CellLog({"corpus": corpus, "inpainter": inpainter, "captioner": "blip"}, {"cider": 0.5})
        for corpus in ("scenes", "series")
        for inpainter in ("telea", "identity")
    ]
    for _ in range(2):  # the second finds its cells logged
        Tracker("small/stages", "small", "index", cells="small").finish({}, {"cells": 4}, cells)
    where = [client.get_experiment_by_name("small").experiment_id]
    telea = client.search_runs(where, "tags.study = 'small' AND tags.corpus = 'series' AND tags.inpainter = 'telea'")
    assert [run.data.params["inpainter"] for run in telea] == ["telea"]
    assert {run.data.tags["registry"] for run in client.search_runs(where)} == {"postgresql://db.example/team"}

    link = comparison_links("small")[""]
    assert link.startswith(f"{address}/#/compare-runs?")
    asked = parse_qs(urlsplit(link).fragment.partition("?")[2])
    compared = [client.get_run(run) for run in json.loads(asked["runs"][0])]
    assert json.loads(asked["experiments"][0]) == where
    assert len(compared) == 4
    assert len({run.data.tags["palimpsest.execution"] for run in compared}) == 1
    assert telea[0].info.run_id in {run.info.run_id for run in compared}
    only = json.loads(parse_qs(urlsplit(comparison_links("small")["scenes"]).fragment.partition("?")[2])["runs"][0])
    assert {client.get_run(run).data.params["corpus"] for run in only} == {"scenes"}
    assert [check.what for check in tracking_store()] == [f"{address} holds 3 experiments"]


def test_a_server_that_is_down_is_told_at_once(checkout, monkeypatch):
    monkeypatch.chdir(checkout().path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:s3cret@127.0.0.1:9")
    began = time.monotonic()
    [told] = tracking_store()
    assert (told.state, time.monotonic() - began < 10) == ("problem", True)
    assert told.what.startswith("http://127.0.0.1:9 cannot be read")
    assert "s3cret" not in str(told)


@pytest.fixture
def silent():
    """The address of a server that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_tracking_server_that_says_nothing_is_not_waited_for(silent, monkeypatch):
    monkeypatch.setattr(database, "SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:s3cret@{silent}")
    with pytest.raises(ConnectionError, match=f"The tracking server http://{silent} does not answer within 0.2 second"):
        past()


def test_a_database_that_says_nothing_is_not_waited_for(silent, monkeypatch):
    monkeypatch.setattr(database, "SECONDS", 2)  # libpq waits no less
    with pytest.raises(ConnectionError, match="timeout expired"), connect(f"postgresql://ada@{silent}/team").connect():
        pass
