"""What MLflow is told, read back with MLflow's own client."""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient

from registry.store import git
from registry.tracking.asking import comparison_links
from registry.tracking.finished import Finished, Logged, log_finished, send
from registry.tracking.landing import addresses, share_view
from registry.tracking.runs import CellLog, Curve, Tracker


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "PALIMPSEST_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


def test_a_training_leaves_its_curve_and_how_it_ended(checkout):
    with Curve("pocket", "blip", {"steps": 2, "model": {"width": 160}}) as curve:
        curve.log({"loss": 2.0}, 1)
        curve.log({"loss": 1.0}, 2)
    with pytest.raises(KeyboardInterrupt), Curve("pocket", "blip", {}):
        raise KeyboardInterrupt
    client = client_of(checkout)
    stopped, done = client.search_runs(client.get_experiment_by_name("pocket").experiment_id)
    losses = client.get_metric_history(done.info.run_id, "loss")
    assert [(point.step, point.value) for point in losses] == [(1, 2), (2, 1)]
    assert done.data.params == {"steps": "2", "model.width": "160"}
    assert (done.info.status, stopped.info.status) == ("FINISHED", "FAILED")
    assert not list((checkout / ".palimpsest/running").iterdir())
    with closing(sqlite3.connect(checkout / ".palimpsest/mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_commit_says_when_files_differ_from_it(checkout):
    assert git.commit() == "unknown"
    for command in (
        ["git", "init", "-q"],
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "empty"],
    ):
        subprocess.run(command, check=True)
    clean = git.commit()
    assert len(clean) == 40
    subprocess.run(["git", "add", "dvc.yaml"], check=True)
    assert git.commit() == f"{clean}+"


@pytest.mark.parametrize("ends", ["finish", "fail"])
def test_a_gpu_is_named_and_watched(checkout, monkeypatch, ends):
    """Also where a stage is over before the first point is due: its last looks make one."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.02")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "10000")
    tracker = Tracker("small/stages", "small", "caption@blip")
    assert tracker.execution("cuda", "NVIDIA H200", "local").device == "cuda"
    deadline = time.monotonic() + 10
    while not tracker.monitor.monitors[0].metrics and time.monotonic() < deadline:
        time.sleep(0.01)
    tracker.finish({}, {"items": 3}, []) if ends == "finish" else tracker.fail()
    run = tracker.client.get_run(tracker.id)
    assert run.data.tags["device"] == "NVIDIA H200"
    assert run.data.metrics["system/system_memory_usage_megabytes"] > 0
    assert "system/cpu_utilization_percentage" in run.data.metrics
    assert run.info.status == ("FINISHED" if ends == "finish" else "FAILED")


def test_a_processor_is_named_and_left_alone(checkout):
    tracker = Tracker("small/stages", "small", "inpaint@telea")
    assert tracker.execution("cpu", "cpu", "local").device == "cpu"
    tracker.finish({}, {"items": 3}, [])
    run = tracker.client.get_run(tracker.id)
    assert (run.data.tags["device"], run.data.metrics) == ("cpu", {"items": 3})


def index(cider: float, drawn: list[float], *others: CellLog) -> str:
    """An index of a cell with this CIDEr, and others; ``drawn`` is told of the sheets that are drawn."""

    def sheet():
        drawn.append(cider)
        return {"sheet.png": b"drawn"}

    tracker = Tracker("small/stages", "small", "index", cells="small")
    tracker.finish(
        {}, {"cells": 1}, [CellLog({"corpus": "scenes", "captioner": "blip"}, {"cider": cider}, [], sheet), *others]
    )
    return tracker.id


def compared() -> str:
    """The run of the execution that logged the cells which people compare."""
    [run] = json.loads(parse_qs(urlsplit(comparison_links("small")[""]).fragment.partition("?")[2])["runs"][0])
    return client_of(Path.cwd()).get_run(run).data.tags["palimpsest.execution"]


def client_of(checkout: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{checkout}/.palimpsest/mlflow.db")


def test_cells_that_say_the_same_are_logged_once_and_stand_for_later_executions(checkout, monkeypatch):
    drawn: list[float] = []
    first = index(0.5, drawn)
    again = index(0.5, drawn)
    assert (drawn, compared()) == ([0.5], first)
    client = client_of(checkout)
    assert client.get_run(again).info.status == "FINISHED"
    other = index(0.6, drawn)
    assert (drawn, compared()) == ([0.5, 0.6], other)
    index(0.5, drawn)
    assert (drawn, compared()) == ([0.5, 0.6], first), "what people compare is what was indexed last"
    monkeypatch.setenv("PALIMPSEST_REGISTRY", "sqlite:///another.db")
    assert index(0.5, drawn) == compared()
    assert drawn == [0.5, 0.6, 0.5], "the tags of cells name their registry"


def test_a_cell_that_changed_is_logged_alone(checkout):
    """The other one's run stands for it, and the comparison shows both."""
    client, drawn = client_of(checkout), []
    other = CellLog({"corpus": "series", "captioner": "blip"}, {"cider": 0.1})

    def runs() -> set[str]:
        return {run.info.run_id for run in client.search_runs([client.get_experiment_by_name("small").experiment_id])}

    index(0.5, drawn, other)
    before = runs()
    index(0.6, drawn, other)
    new = runs() - before
    assert len(new) == 1
    assert client.get_run(new.pop()).data.metrics == {"cider": 0.6}
    shown = json.loads(parse_qs(urlsplit(comparison_links("small")[""]).fragment.partition("?")[2])["runs"][0])
    assert [client.get_run(run).data.metrics["cider"] for run in shown] == [0.6, 0.1]
    before = runs()
    index(0.5, drawn, other)
    assert runs() == before, "what was logged once is found again, whatever was between"


def test_runs_written_at_once_are_those_of_the_client(checkout):
    """MLflow's own client is the witness: what it reads of both differs in ids and times alone."""
    client = MlflowClient(f"sqlite:///{checkout}/mlflow.db")
    experiment = client.create_experiment("small", str(checkout / "artifacts"))
    one = Finished(
        "scenes · blip", {"corpus": "scenes", "study": "small"}, {"corpus": "s" * 7000}, {"a": 0.5, "b": math.nan}
    )
    bare = Finished("bare", {}, {}, {})
    [*sent, _], [*written, _] = send(client, experiment, [one, bare]), log_finished(client, experiment, [one, bare])

    def read(logged: Logged) -> dict:
        run = client.get_run(logged.id)
        assert logged.files == run.info.artifact_uri == f"{checkout}/artifacts/{logged.id}/artifacts"
        data = run.to_dictionary()
        history = client.get_metric_history(logged.id, "a")
        for name in ("run_id", "artifact_uri", "start_time", "end_time"):
            assert data["info"].pop(name)
        return {**data, "history": [(point.value, point.step) for point in history]}

    assert str(read(*sent)) == str(read(*written))  # a NaN equals none, and its text does
    found = client.search_runs([experiment], "metrics.a = 0.5 AND tags.corpus = 'scenes'")
    assert {run.info.run_id for run in found} == {sent[0].id, written[0].id}


def test_cells_of_an_execution_that_was_cut_off_are_no_ones(checkout):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tracker("small", "small", "index").finish({}, {}, [CellLog({"corpus": "scenes"}, {}, files=interrupted)])
    whole = Tracker("small", "small", "index")
    whole.finish({}, {}, [CellLog({"corpus": "scenes"}, {})])
    client = client_of(checkout)
    where = [client.get_experiment_by_name("small").experiment_id]
    assert len(client.search_runs(where, f"tags.`mlflow.parentRunId` = '{whole.id}'")) == 1


def test_files_of_cells_are_found_by_mlflow(checkout, monkeypatch):
    plain = index(0.5, [])
    monkeypatch.setenv("PALIMPSEST_ARTIFACTS", (checkout / "a folder").as_uri())
    tracker = Tracker("elsewhere", "elsewhere", "index")
    tracker.finish({}, {}, [CellLog({"corpus": "scenes"}, {}, files=lambda: {"sheet.png": b"drawn"})])
    client = client_of(checkout)
    for experiment, execution in (("small", plain), ("elsewhere", tracker.id)):
        where = [client.get_experiment_by_name(experiment).experiment_id]
        [cell] = client.search_runs(where, f"tags.`palimpsest.execution` = '{execution}'")
        assert Path(client.download_artifacts(cell.info.run_id, "sheet.png")).read_bytes() == b"drawn"


def test_a_client_needs_neither_pandas_nor_scipy(checkout):
    """MLflow imports them where it finds them; a program of ours finds them itself afterwards."""
    program = """
import sys
from registry.tracking.runs import Tracker
tracker = Tracker("small", "small", "degrade")
tracker.finish({}, {"items": 1}, [])
assert not {"pandas", "scipy"} & sys.modules.keys()
import pandas, scipy.sparse
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_landing_page_has_cells_as_rows_and_axes_and_metrics_as_columns(checkout):
    index(0.5, [])
    client = client_of(checkout)
    assert {one.name for one in client.search_experiments()} == {"small", "small/stages"}, "no empty Default"
    cells = client.get_experiment_by_name("small").experiment_id
    [cell] = client.search_runs([cells])
    assert "mlflow.parentRunId" not in cell.data.tags and cell.data.metrics == {"cider": 0.5}
    share_view(client, cells, ["corpus", "captioner"], ["cider"])
    state = client.get_experiment(cells).tags["mlflow.sharedViewState.palimpsest"]
    shown = json.loads(zlib.decompress(base64.b64decode(state.removeprefix("deflate;"))))
    assert shown["selectedColumns"] == ["params.`corpus`", "params.`captioner`", "metrics.`cider`"]
    assert addresses("http://127.0.0.1:5001") == {
        "small": f"http://127.0.0.1:5001/#/experiments/{cells}/runs?viewStateShareKey=palimpsest&workflowType=machine_learning"
    }


def test_the_page_of_a_cell_shows_its_sheet(checkout):
    index(0.5, [])
    client = client_of(checkout)
    [cell] = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    note = cell.data.tags["mlflow.note.content"]
    assert f"(get-artifact?path=sheet.png&run_uuid={cell.info.run_id})" in note
    assert [file.path for file in client.list_artifacts(cell.info.run_id)] == ["sheet.png"]


def test_a_default_experiment_that_is_used_stays(checkout):
    client = client_of(checkout)
    client.create_run("0")
    index(0.5, [])
    assert "Default" in {one.name for one in client.search_experiments()}
