"""MLflow: one parent run per execution of a stage, one run per cell below it. Nothing else imports mlflow.

Experiments: a study's cells are in the experiment of its name (that is what people compare); the executions of its
stages are in ``<study>/stages``. Tags tell runs apart: ``study``, ``registry`` (its URL, where a run's items are under
the run's id), ``dvc.stage``, ``git.commit``; ``model`` or ``corpus`` of a stage's execution, and the axes of a cell, so
that ``tags.study = 'default' AND tags.inpainter = 'telea'`` finds what it says. A cell that says what one of an earlier
execution said is not logged again: the file that the tag ``palimpsest.cells`` names lists the runs of all cells.
"""

from __future__ import annotations

import gc
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.store import places
from registry.store.database import write_ahead
from registry.store.imports import without
from registry.tracking.files import follow

if TYPE_CHECKING:
    from mlflow import MlflowClient

CELLS = "palimpsest.cells"
"""The tag of an execution that has cells: the name of the file that lists their runs."""

LEFT_OUT = ("pandas", "scipy")
"""Packages that MLflow imports where it finds them, and no client needs."""

SECONDS = 5
"""How long a tracking server may take to say that it is there."""


@contextmanager
def lightly() -> Iterator[None]:
    """Import MLflow in two thirds of the time: as where pandas and SciPy are not installed, which no client needs.

    Unless ``MLFLOW_DISABLE_TELEMETRY`` says otherwise, MLflow does not report to its makers what it is used for.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    first, collects = "mlflow" not in sys.modules, gc.isenabled()
    gc.disable()
    try:
        with without(*LEFT_OUT):
            yield
    finally:
        if first:
            gc.freeze()  # what is imported stays, and need not be looked at for garbage
        if collects:
            gc.enable()


def opened() -> MlflowClient:
    """A client of the tracking store that settings name; raises ``ConnectionError`` where a server does not answer."""
    uri = places.tracking_uri()
    with lightly():
        import mlflow

        if uri.startswith(("http:", "https:")):  # a client would try for minutes
            await_server(uri)
        elif file := places.file_of(uri):
            prepare_sqlite(file)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces every new database
        return mlflow.MlflowClient(tracking_uri=uri)


def await_server(uri: str) -> None:
    """Ask a tracking server whether it is there; raises ``ConnectionError`` where it does not say so in time."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        http_request(get_default_host_creds(uri), "/health", "GET", max_retries=0, timeout=SECONDS)
    except MlflowException:
        raise ConnectionError(
            f"The tracking server {places.hidden(uri)} does not answer within {SECONDS} seconds; start it, or set "
            "MLFLOW_TRACKING_URI to another."
        ) from None


def prepare_sqlite(file: Path) -> None:
    """Switch an SQLite file to WAL, which stays with it: cells are then logged more than twice as fast.

    What it says of a checkout that was moved or copied since is mended.
    """
    with suppress(sqlite3.Error):  # where that cannot be, MLflow says why
        with closing(sqlite3.connect(file)) as connection:
            write_ahead(connection)
        follow(file)


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
