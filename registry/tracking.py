"""MLflow: one parent run per execution of a stage, one run per cell below it. The only module that imports mlflow.

Experiments: a study's cells are in the experiment of its name (that is what people compare); the executions of its
stages are in ``<study>/stages``. Tags tell runs apart: ``study``, ``registry`` (its URL, where a run's items are under
the run's id), ``dvc.stage``, ``git.commit``; ``model`` or ``corpus`` of a stage's execution, and the axes of a cell, so
that ``tags.study = 'default' AND tags.inpainter = 'telea'`` finds what it says.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from registry import git, places
from registry.database import write_ahead
from registry.items import Execution

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PARAMS_A_BATCH = 100
PAST_RUNS = 1000
UI = "http://127.0.0.1:5000"
"""Where ``palimpsest ui`` listens."""
METRICS_A_BATCH = 1000
SECONDS = 5
"""How long a tracking server may take to say that it is there."""
LOOKS_A_POINT = 10
"""How often the system is looked at, a second apart, for each point of its metrics in MLflow."""


@dataclass(frozen=True)
class CellLog:
    """What MLflow is told about one cell: its axes, its summary metrics, and files to look at."""

    axes: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)


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


def opened() -> MlflowClient:
    """A client of the tracking store that settings name; raises ``ConnectionError`` where a server does not answer.

    An SQLite file is switched to WAL, which stays with it: cells are then logged more than twice as fast.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces every new database
    uri = places.tracking_uri()
    if uri.startswith(("http:", "https:")):  # a client would try for minutes
        try:
            http_request(get_default_host_creds(uri), "/health", "GET", max_retries=0, timeout=SECONDS)
        except MlflowException:
            raise ConnectionError(
                f"The tracking server {places.hidden(uri)} does not answer within {SECONDS} seconds; start it, or set "
                "MLFLOW_TRACKING_URI to another."
            ) from None
    elif uri.startswith("sqlite:///"):
        with closing(sqlite3.connect(places.database(uri).database)) as connection:
            write_ahead(connection)
    return MlflowClient(tracking_uri=uri)


def logged(run: str) -> dict[str, str]:
    """The parameters that a run was logged with, as dotted names; none where the tracking server does not know it."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(opened().get_run(run).data.params)
    except MlflowException:
        return {}


class Past(NamedTuple):
    """How a stage's execution went: its parameters, the device's name, the items computed and the seconds it took."""

    stage: str
    params: Mapping[str, str]
    device: str
    computed: int
    seconds: float


def past() -> list[Past]:
    """The newest executions of all studies' stages that computed anything; none where nothing is tracked yet."""
    from mlflow.exceptions import MlflowException

    client = opened()
    try:
        named = client.search_experiments(filter_string="name LIKE '%/stages'")
        found = client.search_runs(
            [one.experiment_id for one in named],
            "attributes.status = 'FINISHED' AND metrics.computed > 0 AND metrics.seconds > 0",
            max_results=PAST_RUNS,
        )
    except MlflowException as error:
        raise ConnectionError(places.hidden(f"MLflow's store cannot be read: {error}")) from None
    return [
        Past(
            run.data.tags["dvc.stage"],
            run.data.params,
            run.data.tags.get("device", "cpu"),
            int(run.data.metrics["computed"]),
            run.data.metrics["seconds"],
        )
        for run in found
    ]


def experiments() -> int:
    """How many experiments the tracking store holds; raises ``ConnectionError`` where it cannot be read."""
    from mlflow.exceptions import MlflowException

    try:
        return len(opened().search_experiments())
    except MlflowException as error:
        raise ConnectionError(str(error)) from None


def experiment_id(client: MlflowClient, name: str) -> str:
    """The id of an experiment, made when missing; a tracking server says itself where its files go."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    try:
        return client.create_experiment(name, places.artifacts_url())
    except MlflowException:  # a colleague was quicker
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        raise


def comparison_link(study: str, corpus: str | None = None) -> str | None:
    """The address of MLflow's page that compares a study's cells, as they were indexed last; of one corpus if named.

    It begins with the tracking server's address or, where runs are kept in a database, with that of ``palimpsest ui``.
    None where no cell is tracked.
    """
    client = opened()
    if (experiment := client.get_experiment_by_name(study)) is None:
        return None
    where = [experiment.experiment_id]
    cells = "tags.`dvc.stage` = 'index' AND tags.`mlflow.parentRunId` LIKE '%'"
    newest = client.search_runs(where, cells, max_results=1, order_by=["attributes.start_time DESC"])
    if not newest:
        return None
    cells = f"tags.`mlflow.parentRunId` = '{newest[0].data.tags['mlflow.parentRunId']}'"
    if corpus is not None:
        cells += f" AND tags.corpus = '{corpus}'"
    runs = client.search_runs(where, cells, order_by=["attributes.run_name"])
    uri = places.tracking_uri()
    server = places.hidden(uri).rstrip("/") if uri.startswith("http") else UI
    listed = [quote(json.dumps(ids, separators=(",", ":"))) for ids in ([run.info.run_id for run in runs], where)]
    return f"{server}/#/compare-runs?runs={listed[0]}&experiments={listed[1]}" if runs else None


def register_model(name: str, version: str, digest: str, commit: str, folder: Path) -> None:
    """Put a checkpoint's files into MLflow's model registry, once: plain files with tags, no flavour that is unpickled.

    MLflow counts versions itself; a version of ours is the tag ``palimpsest.version``, and an alias without dots.
    Raises ``ConnectionError`` where MLflow does not take it.
    """
    from mlflow.exceptions import MlflowException

    tags = {"palimpsest.version": version, "palimpsest.digest": digest, "git.commit": commit}
    client = opened()
    try:
        found = client.search_model_versions(f"name = '{name}'")
        if any(model.tags.get("palimpsest.version") == version for model in found):
            return
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        run = client.create_run(experiment_id(client, "pins"), tags=tags, run_name=f"{name}@{version}").info
        client.log_artifacts(run.run_id, str(folder), "model")
        client.set_terminated(run.run_id)
        made = client.create_model_version(name, f"{run.artifact_uri}/model", run.run_id, tags)
        client.set_registered_model_alias(name, version.replace(".", "-").replace("+", "_"), made.version)
    except MlflowException as error:
        raise ConnectionError(f"{name}@{version} is pinned, but not in MLflow's registry: {error}") from None


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

        MLflow is told the device's name; on a GPU it also hears from now on how busy the machine is (``system/...``).
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
