"""Where ``palimpsest ui`` leads: MLflow's table of a study's cells, with axes and metrics as columns.

MLflow keeps a view that is shared as a tag of the experiment, and shows it where an address has its key.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from registry.tracking import lightly, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "palimpsest"
"""The key of the view in addresses."""

VIEW = f"mlflow.sharedViewState.{KEY}"
"""The tag of an experiment that holds it."""

ASKED = f"viewStateShareKey={KEY}&workflowType=machine_learning"
"""What an address asks for: that view, among the pages about runs and not about agents."""

MOST_COLUMNS = 24

NAME = "attributes.`Run Name`"
NAME_WIDTH, AXIS_WIDTH, METRIC_WIDTH = 470, 140, 110
"""Widths of columns in pixels: names of cells and of what they stand for are not cut."""


def share_view(client: MlflowClient, experiment: str, axes: Sequence[str], metrics: Iterable[str]) -> None:
    """Keep the view of an experiment's runs: the axes and then the metrics as columns, in their order."""
    columns = [f"params.`{axis}`" for axis in axes] + [f"metrics.`{metric}`" for metric in metrics]
    columns = columns[:MOST_COLUMNS]
    widths = {one: AXIS_WIDTH if one.startswith("params.") else METRIC_WIDTH for one in columns} | {NAME: NAME_WIDTH}
    state: dict[str, Any] = {"orderByKey": columns[0], "orderByAsc": True}
    state |= {"selectedColumns": columns, "columnOrder": [NAME, *columns], "columnWidths": widths}
    text = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    client.set_experiment_tag(experiment, VIEW, f"deflate;{text}")


def addresses(server: str) -> dict[str, str]:
    """The page of each study's cells below a server's address, by study, the one that changed last first.

    Raises ``ConnectionError`` where the tracking store cannot be read.
    """
    with lightly():
        from mlflow.exceptions import MlflowException

    try:
        found = opened().search_experiments(order_by=["last_update_time DESC"])
    except MlflowException as error:
        raise ConnectionError(str(error)) from None
    return {one.name: f"{server}/#/experiments/{one.experiment_id}/runs?{ASKED}" for one in found if VIEW in one.tags}
