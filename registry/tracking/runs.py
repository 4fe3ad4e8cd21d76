"""The runs of one execution, written: the execution's own, one for each of its cells, and the curve of a training."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.store import git, places
from registry.store.items import Execution
from registry.tracking import experiment_id, flatten, opened

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PARAMS_A_BATCH = 100
LOOKS_A_POINT = 10
"""How often the system is looked at, a second apart, for each point of its metrics in MLflow."""


@dataclass(frozen=True)
class CellLog:
    """Contents of one cell's MLflow run: its axes, its summary metrics, and files to look at."""

    axes: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)


class Tracker:
    """The MLflow side of one execution of a stage."""

    def __init__(self, experiment: str, study: str, stage: str) -> None:
        self.client = opened()
        self.experiment = experiment_id(self.client, experiment)
        self.tags = {"study": study, "dvc.stage": stage, "git.commit": git.commit()}
        self.tags["registry"] = places.hidden(places.registry_url())
        node, _, entry = stage.partition("@")
        if entry:
            self.tags["corpus" if node == "prepare" else "model"] = entry
        self.marker = places.home() / "running" / stage
        if interrupted := self._interrupted():
            self.tags["palimpsest.resumes"] = interrupted
        self.started_at = datetime.now(UTC).replace(microsecond=0)
        self.id = self.client.create_run(self.experiment, tags=self.tags, run_name=stage).info.run_id
        self.marker.parent.mkdir(exist_ok=True)
        self.marker.write_text(f"{self.id} {os.getpid()}")
        self.monitor: SystemMetricsMonitor | None = None

    def execution(self, device: str) -> Execution:
        """This execution, as the registry keeps it, now that it begins to compute on ``device``.

        MLflow gets the device's name and, on a GPU, from now on the load of the machine (``system/...``).
        """
        name = device
        if device.startswith("cuda"):
            import torch

            name = torch.cuda.get_device_name()
            self._watch()
        self.client.set_tag(self.id, "device", name)
        return Execution(self.id, self.tags["dvc.stage"], self.tags["git.commit"], device, "local", self.started_at)

    def _interrupted(self) -> str | None:
        """The run of an execution of this stage that was cut off here; it is closed as killed."""
        from mlflow.exceptions import MlflowException

        if not self.marker.exists():
            return None
        run = self.marker.read_text().partition(" ")[0]
        try:
            self.client.set_terminated(run, "KILLED")
        except MlflowException:  # another tracking server was in use then
            return None
        return run

    def finish(self, params: Mapping[str, Any], metrics: Mapping[str, float], cells: Sequence[CellLog]) -> None:
        """Log the execution and its cells, and close their runs."""
        self._log(self.id, flatten(params), metrics, {})
        for cell in cells:
            tags = self.tags | {"mlflow.parentRunId": self.id} | dict(cell.axes)
            name = " · ".join(cell.axes.values())
            run = self.client.create_run(self.experiment, tags=tags, run_name=name).info.run_id
            self._log(run, cell.axes, cell.metrics, cell.files)
            self.client.set_terminated(run)
        self._end("FINISHED")

    def fail(self) -> None:
        """Close this execution's run as failed."""
        self._end("FAILED")

    def _end(self, status: str) -> None:
        if self.monitor:
            self.monitor.finish()
            if rest := self.monitor.aggregate_metrics():  # a short stage has no other point
                self.monitor.publish_metrics(rest)
                self.monitor.mlflow_logger.flush()
        self.client.set_terminated(self.id, status)
        self.marker.unlink(missing_ok=True)

    def _watch(self) -> None:
        """Log the load of processors, memory and GPUs to this execution's run, from a thread of MLflow's own."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # it announces its start and its end
        self.monitor = SystemMetricsMonitor(self.id, 1, LOOKS_A_POINT, tracking_uri=places.tracking_uri())
        self.monitor.start()

    def _log(
        self, run: str, params: Mapping[str, str], metrics: Mapping[str, float], files: Mapping[str, bytes]
    ) -> None:
        from mlflow.entities import Metric, Param

        now = int(datetime.now(UTC).timestamp() * 1000)
        numbers = [Metric(name, value, now, 0) for name, value in metrics.items()]
        texts = [Param(name, value[:6000]) for name, value in params.items()]
        for start in range(0, max(len(numbers), len(texts), 1), PARAMS_A_BATCH):
            some = slice(start, start + PARAMS_A_BATCH)
            self.client.log_batch(run, metrics=numbers[some], params=texts[some])
        if files:
            self._log_files(run, files)

    def _log_files(self, run: str, files: Mapping[str, bytes]) -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            self.client.log_artifacts(run, folder)


class Curve:
    """A training's MLflow run: its parameters, and its losses and figures by step.

    Used as a context; an exception marks the run as failed and passes through.
    """

    def __init__(self, experiment: str, name: str, params: Mapping[str, Any]) -> None:
        self.tracker = Tracker(experiment, experiment, f"train@{name}")
        self.params = params

    def __enter__(self) -> Curve:
        return self

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(datetime.now(UTC).timestamp() * 1000)
        self.tracker.client.log_batch(
            self.tracker.id, [Metric(name, value, now, step) for name, value in metrics.items()]
        )

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.tracker.finish(self.params, {}, [])
        else:
            self.tracker.fail()
