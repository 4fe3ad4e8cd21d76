"""What MLflow knows of runs: asked, and never written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from registry.store import places
from registry.tracking import CELLS, lightly, opened

PAST_RUNS = 1000
MOST_RUNS = 50_000
"""So many MLflow gives at once."""

UI = "http://127.0.0.1:5000"
"""Where ``palimpsest ui`` listens."""


def logged(run: str) -> dict[str, str]:
    """The parameters that a run was logged with, as dotted names; none where the tracking server does not know it."""
    with lightly():
        from mlflow.exceptions import MlflowException

    try:
        return dict(opened().get_run(run).data.params)
    except MlflowException:
        return {}


class Past(NamedTuple):
    """A past execution of a stage: its parameters, the device's name, the items computed and the seconds it took."""

    stage: str
    params: Mapping[str, str]
    device: str
    computed: int
    seconds: float


def past() -> list[Past]:
    """The newest executions of all studies' stages that computed anything; none where nothing is tracked yet."""
    with lightly():
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
    """Number of experiments in the tracking store; raises ``ConnectionError`` where it cannot be read."""
    with lightly():
        from mlflow.exceptions import MlflowException

    try:
        return len(opened().search_experiments())
    except MlflowException as error:
        raise ConnectionError(str(error)) from None


def comparison_links(study: str) -> dict[str, str]:
    """The addresses of MLflow's pages that compare the cells of each corpus of a study, and under ``""`` of all.

    They begin with the tracking server's address or, where runs are kept in a database, with that of ``palimpsest ui``.
    """
    client = opened()
    if (experiment := client.get_experiment_by_name(study)) is None:
        return {}
    where = [experiment.experiment_id]
    indexed = "tags.`dvc.stage` = 'index' AND attributes.run_name = 'index' AND attributes.status = 'FINISHED'"
    newest = client.search_runs(where, indexed, max_results=1, order_by=["attributes.start_time DESC"])
    if not newest:
        return {}
    cells = f"tags.`mlflow.parentRunId` = '{newest[0].data.tags.get(CELLS, newest[0].info.run_id)}'"
    runs = defaultdict(list)
    for run in client.search_runs(where, cells, max_results=MOST_RUNS, order_by=["attributes.run_name"]):
        runs[""].append(run.info.run_id)
        runs[run.data.tags["corpus"]].append(run.info.run_id)
    uri = places.tracking_uri()
    server = places.hidden(uri).rstrip("/") if uri.startswith("http") else UI
    listed = {corpus: quote(json.dumps(ids, separators=(",", ":"))) for corpus, ids in runs.items()}
    experiments = quote(json.dumps(where, separators=(",", ":")))
    return {corpus: f"{server}/#/compare-runs?runs={ids}&experiments={experiments}" for corpus, ids in listed.items()}
