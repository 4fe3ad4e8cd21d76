"""MLflow: one run per execution of a stage, one run per cell of what it made. Nothing else imports mlflow.

Experiments: a study's cells are in the experiment of its name, each a row of its own (that is what people compare); the
executions of its stages are in ``<study>/stages``, and what they made below them. The tag ``palimpsest.execution`` of a
cell names the run of its execution. Tags tell runs apart: ``study``, ``registry`` (its URL, where a run's items are
under the run's id), ``dvc.stage``, ``git.commit``; ``model`` or ``corpus`` of a stage's execution, and the axes of a
cell, so that ``tags.study = 'default' AND tags.inpainter = 'telea'`` finds what it says. A cell that says what one of
an earlier execution said is not logged again: the file that the tag ``palimpsest.cells`` names lists the runs of all
cells.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registry.store import places
from registry.store.imports import without

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

CELLS = "palimpsest.cells"
"""The tag of an execution that has cells: the name of the file that lists their runs."""

SPENT = "palimpsest.spent"
"""The tag of an execution that asked endpoints: requests, tokens and their cost, by model."""

LEFT_OUT = ("pandas", "scipy")
"""Packages that MLflow imports where it finds them, and no client needs."""


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
    """A client of the tracking store that settings name.

    Raises ``ConnectionError`` where that does not answer, ``ValueError`` where settings name what is none.
    """
    uri = places.tracking_uri()
    with lightly():
        import mlflow

        from registry.tracking.reached import reached

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces every new database
        with reached(uri):
            return mlflow.MlflowClient(tracking_uri=uri)


def experiment_id(client: MlflowClient, name: str) -> str:
    """The id of an experiment, made when missing, and restored where it was deleted in MLflow's pages.

    A tracking server says itself where its files go.
    """
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is None:
        drop_empty_default(client)
        try:
            return client.create_experiment(name, places.artifacts_url())
        except MlflowException:  # a colleague was quicker
            if (found := client.get_experiment_by_name(name)) is None:
                raise
    if found.lifecycle_stage == "deleted":  # MLflow keeps its name, and takes no run for it
        log.warning("The experiment %s, which was deleted in MLflow, is restored, since runs are logged to it.", name)
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def drop_empty_default(client: MlflowClient) -> None:
    """Delete the experiment that MLflow makes in a new database file, where nobody has used it."""
    if not places.file_of(places.tracking_uri()):
        return
    found = client.get_experiment("0")
    active = (found.name, found.lifecycle_stage) == ("Default", "active")
    if active and not client.search_runs(["0"], max_results=1):
        client.delete_experiment("0")


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
