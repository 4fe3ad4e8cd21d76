"""Runs that are over when they are logged, such as those of cells: many at once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

BATCH = 100
"""How many parameters MLflow takes at once."""
NOTE = "mlflow.note.content"
LONGEST = 6000
"""So many characters of a parameter are kept."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What is logged of one run."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    note: str = ""
    """The run's description in Markdown, ``{run}`` standing for its id."""

    def tagged(self, id: str) -> dict[str, str]:
        """Its tags, with the description."""
        return dict(self.tags) | ({NOTE: self.note.format(run=id)} if self.note else {})


@dataclass(frozen=True, slots=True)
class Logged:
    """A run in MLflow, and where its files go."""

    id: str
    files: str


def log_finished(client: MlflowClient, experiment: str, runs: Sequence[Finished]) -> list[Logged]:
    """Log runs that are over.

    Where MLflow keeps them in a database that is opened here, they are written there in one transaction, as its own
    store writes them: call by call, a run takes it 15 to 30 ms of a processor, and a study has hundreds of cells.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store
    return insert(store, experiment, runs) if isinstance(store, SqlAlchemyStore) else send(client, experiment, runs)


def send(client: MlflowClient, experiment: str, runs: Sequence[Finished]) -> list[Logged]:
    """Log runs one by one, as any tracking server takes them."""
    logged = []
    for run in runs:
        info = client.create_run(experiment, tags=dict(run.tags), run_name=run.name).info
        if run.note:
            client.set_tag(info.run_id, NOTE, run.tagged(info.run_id)[NOTE])
        log_values(client, info.run_id, run.params, run.metrics)
        client.set_terminated(info.run_id)
        logged.append(Logged(info.run_id, info.artifact_uri))
    return logged


def log_values(client: MlflowClient, run: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> None:
    """Log a run's parameters and metrics, as many at a time as MLflow takes."""
    from mlflow.entities import Metric, Param

    now = time.time_ns() // 1_000_000
    numbers = [Metric(name, value, now, 0) for name, value in metrics.items()]
    texts = [Param(name, value[:LONGEST]) for name, value in params.items()]
    for start in range(0, max(len(numbers), len(texts), 1), BATCH):
        some = slice(start, start + BATCH)
        client.log_batch(run, metrics=numbers[some], params=texts[some])


def insert(store: SqlAlchemyStore, experiment: str, runs: Sequence[Finished]) -> list[Logged]:
    """Write runs to MLflow's database; all of them are there, or none is."""
    import sqlalchemy
    from mlflow.entities import LifecycleStage, RunStatus, SourceType
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.uri import append_to_uri_path

    now = time.time_ns() // 1_000_000
    place = store.get_experiment(experiment).artifact_location
    logged = []
    rows: dict[type, list[dict[str, object]]] = {
        kind: [] for kind in (SqlRun, SqlTag, SqlParam, SqlMetric, SqlLatestMetric)
    }
    for run in runs:
        one = Logged(id := uuid.uuid4().hex, append_to_uri_path(place, id, store.ARTIFACTS_FOLDER_NAME))
        logged.append(one)
        rows[SqlRun].append(
            {
                "run_uuid": one.id,
                "name": run.name,
                "artifact_uri": one.files,
                "experiment_id": int(experiment),
                "source_type": SourceType.to_string(SourceType.UNKNOWN),
                "source_name": "",
                "entry_point_name": "",
                "source_version": "",
                "user_id": "unknown",
                "status": RunStatus.to_string(RunStatus.FINISHED),
                "start_time": now,
                "end_time": now,
                "lifecycle_stage": LifecycleStage.ACTIVE,
            }
        )
        tags = run.tagged(one.id) | {MLFLOW_RUN_NAME: run.name}
        rows[SqlTag] += ({"run_uuid": one.id, "key": key, "value": value} for key, value in tags.items())
        params = {key: value[:LONGEST] for key, value in run.params.items()}
        rows[SqlParam] += ({"run_uuid": one.id, "key": key, "value": value} for key, value in params.items())
        for key, value in run.metrics.items():
            unknown, number = store.sanitize_metric_value(value)
            row = {"run_uuid": one.id, "key": key, "value": number, "timestamp": now, "step": 0, "is_nan": unknown}
            rows[SqlMetric].append(row)
            rows[SqlLatestMetric].append(row)
    with store.ManagedSessionMaker(read_only=False) as session:
        for kind, some in rows.items():
            if some:
                session.execute(sqlalchemy.insert(kind), some)
    return logged
