"""What MLflow is told, read back with MLflow's own client."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing

import pytest
from mlflow import MlflowClient

from registry.store import git
from registry.tracking.runs import Curve, Tracker


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
    client = MlflowClient(f"sqlite:///{checkout}/.palimpsest/mlflow.db")
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
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H200")
    tracker = Tracker("small/stages", "small", "caption@blip")
    assert tracker.execution("cuda").device == "cuda"
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
    assert tracker.execution("cpu").device == "cpu"
    tracker.finish({}, {"items": 3}, [])
    run = tracker.client.get_run(tracker.id)
    assert (run.data.tags["device"], run.data.metrics) == ("cpu", {"items": 3})
