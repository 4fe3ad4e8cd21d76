"""What MLflow knows of runs: asked, and never written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from registry.store import places
from registry.tracking import CELLS, SPENT, lightly, opened
from registry.tracking.files import folder_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAST_RUNS = 1000
CELLS_FILE = "cells.json"

UI = "http://127.0.0.1:5000"
"""Where ``palimpsest ui`` listens."""


def stages_of(study: str) -> str:
    """The experiment of the executions of a study's stages.

    >>> stages_of("default")
    'default/stages'
    """
    return f"{study}/stages"


def logged(run: str) -> dict[str, str]:
    """The parameters that a run was logged with, as dotted names; none where the tracking server does not know it."""
    with lightly():
        from mlflow.exceptions import MlflowException

    try:
        return dict(opened().get_run(run).data.params)
    except MlflowException:
        return {}


class Past(NamedTuple):
    """A past execution of a stage: its parameters, the device's name, the items computed and the seconds it took.

    ``pixels`` is the mean number of a picture's, None where the run does not say; ``spent`` what endpoints took, by
    model.
    """

    stage: str
    params: Mapping[str, str]
    device: str
    computed: int
    seconds: float
    pixels: float | None = None
    spent: Mapping[str, Mapping[str, float]] = MappingProxyType({})


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
            run.data.metrics.get("pixels"),
            json.loads(run.data.tags.get(SPENT, "{}")),
        )
        for run in found
    ]


def took(runs: Collection[str]) -> dict[str, float]:
    """Seconds of those executions that MLflow knows: of none where it is not reached, or keeps no file yet."""
    found: dict[str, float] = {}
    try:
        file = places.file_of(places.tracking_uri())
        if not runs or (file and not file.exists()):
            return {}
        with lightly():
            from mlflow.exceptions import MlflowException

        client = opened()
        for run in sorted(runs):
            with suppress(MlflowException):
                found[run] = client.get_run(run).data.metrics.get("seconds", 0.0)
    except (ConnectionError, FileNotFoundError):
        return {}
    return found


def experiments() -> int:
    """Number of experiments in the tracking store; raises ``ConnectionError`` where it cannot be read."""
    with lightly():
        from mlflow.exceptions import MlflowException

    try:
        return len(opened().search_experiments())
    except MlflowException as error:
        raise ConnectionError(str(error)) from None


class Cells(NamedTuple):
    """The runs of an execution's cells, with their axes; and of all cells so far, by digest of what they say."""

    standing: dict[str, dict[str, str]]
    known: dict[str, str]


def newest_cells(client: MlflowClient, experiment: str, stage: str) -> Cells:
    """The cells of the newest execution of a stage that finished and has any."""
    listed = f"attributes.status = 'FINISHED' AND tags.`dvc.stage` = '{stage}' AND tags.`{CELLS}` = '{CELLS_FILE}'"
    found = client.search_runs([experiment], listed, max_results=1, order_by=["attributes.start_time DESC"])
    if not found:
        return Cells({}, {})
    run = found[0].info
    folder = folder_of(run.artifact_uri)
    path = folder / CELLS_FILE if folder else Path(client.download_artifacts(run.run_id, CELLS_FILE))
    return Cells(**json.loads(path.read_text())) if path.exists() else Cells({}, {})


def comparison_links(study: str) -> dict[str, str]:
    """The addresses of MLflow's pages that compare the cells of each corpus of a study, and under ``""`` of all.

    They begin with the tracking server's address or, where runs are kept in a database, with that of ``palimpsest ui``.
    """
    client = opened()
    if (experiment := client.get_experiment_by_name(study)) is None:
        return {}
    where = [experiment.experiment_id]
    runs = defaultdict(list)
    executions = client.get_experiment_by_name(stages_of(study))
    cells = newest_cells(client, executions.experiment_id, "index").standing if executions else {}
    for run, axes in sorted(cells.items(), key=lambda cell: tuple(cell[1].values())):
        runs[""].append(run)
        runs[axes["corpus"]].append(run)
    uri = places.tracking_uri()
    server = places.hidden(uri).rstrip("/") if uri.startswith("http") else UI
    listed = {corpus: quote(json.dumps(ids, separators=(",", ":"))) for corpus, ids in runs.items()}
    experiments = quote(json.dumps(where, separators=(",", ":")))
    return {corpus: f"{server}/#/compare-runs?runs={ids}&experiments={experiments}" for corpus, ids in listed.items()}
