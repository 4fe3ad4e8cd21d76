"""MLflow: one parent run per execution of a stage, one run per cell below it. The only module that imports mlflow.

Experiments: a study's cells are in the experiment of its name (that is what people compare); the executions of its
stages are in ``<study>/stages``.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import places
from registry.items import Execution

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PARAMS_A_BATCH = 100
METRICS_A_BATCH = 1000
LOOKS_A_POINT = 10
"""How often the system is looked at, a second apart, for each point of its metrics in MLflow."""


@dataclass(frozen=True)
class CellLog:
    """What MLflow is told about one cell: its axes, its summary metrics, and files to look at."""

    axes: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)


def git_commit() -> str:
    """The commit of the checkout, with ``+`` behind it where tracked files differ from it; ``unknown`` outside git."""
    git = ["git", "-C", str(places.root())]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ".", ":!dvc.lock"], check=False).returncode
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "unknown"
    return commit + "+" * bool(changed)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names, the form MLflow's comparison reads.

    >>> flatten({"inpainter": {"steps": 20, "prompted": True}})
    {'inpainter.steps': '20', 'inpainter.prompted': 'True'}
    """
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


class Tracker:
    """The MLflow side of one execution of a stage."""

    def __init__(self, experiment: str, study: str, stage: str) -> None:
        from mlflow import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces every new database
        self.client = MlflowClient(tracking_uri=places.tracking_uri())
        self.experiment = self._experiment(experiment)
        self.tags = {"palimpsest.study": study, "dvc.stage": stage, "git.commit": git_commit()}
        self.marker = places.home() / "running" / stage
        if interrupted := self._interrupted():
            self.tags["palimpsest.resumes"] = interrupted
        self.started_at = datetime.now(UTC).replace(microsecond=0)
        self.id = self.client.create_run(self.experiment, tags=self.tags, run_name=stage).info.run_id
        self.marker.parent.mkdir(exist_ok=True)
        self.marker.write_text(self.id)
        self.monitor: SystemMetricsMonitor | None = None

    def execution(self, device: str) -> Execution:
        """This execution, as the registry keeps it, now that it begins to compute on ``device``.

        MLflow is told the device's name; on a GPU it also hears from now on how busy the machine is (``system/...``).
        """
        name = device
        if device.startswith("cuda"):
            import torch

            name = torch.cuda.get_device_name()
            self._watch()
        self.client.set_tag(self.id, "device", name)
        return Execution(self.id, self.tags["dvc.stage"], self.tags["git.commit"], device, "local", self.started_at)

    def _experiment(self, name: str) -> str:
        """The id of an experiment, made when missing; artifacts lie beside a local tracking database."""
        if found := self.client.get_experiment_by_name(name):
            return found.experiment_id
        local = places.tracking_uri().startswith("sqlite:")
        return self.client.create_experiment(name, str(places.home() / "artifacts") if local else None)

    def _interrupted(self) -> str | None:
        """The run of an execution of this stage that was cut off here; it is closed as killed."""
        from mlflow.exceptions import MlflowException

        if not self.marker.exists():
            return None
        run = self.marker.read_text()
        try:
            self.client.set_terminated(run, "KILLED")
        except MlflowException:  # another tracking server was in use then
            return None
        return run

    def finish(self, params: Mapping[str, Any], metrics: Mapping[str, float], cells: Sequence[CellLog]) -> None:
        """Log the execution and its cells, and close their runs."""
        self._log(self.id, flatten(params), metrics, {})
        for cell in cells:
            tags = self.tags | {"mlflow.parentRunId": self.id} | {f"axis.{k}": v for k, v in cell.axes.items()}
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
