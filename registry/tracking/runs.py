"""The runs of one execution, written: the execution's own, one for each of its cells, and the curve of a training."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.store import git, places
from registry.store.items import Execution
from registry.store.keys import canonical, digest
from registry.tracking import CELLS, SPENT, experiment_id, flatten, opened
from registry.tracking.asking import CELLS_FILE, Cells, newest_cells
from registry.tracking.files import folder_of
from registry.tracking.finished import Finished, Logged, log_finished, log_values

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

log = logging.getLogger(__name__)

MOST_RUNS = 50_000
"""So many MLflow gives at once."""

EXECUTION = "palimpsest.execution"
"""The tag of a cell that names the run of the execution that logged it."""

SHEET = "sheet.png"
"""The file of a cell's contact sheet."""

LOOKS_A_POINT = 10
"""How often the system is looked at, a second apart, for each point of its metrics in MLflow."""


@dataclass(frozen=True)
class CellLog:
    """Contents of one cell's MLflow run: its axes, its summary metrics, and files to look at.

    ``shown`` is what the files are drawn from, as JSON can hold it: with axes and metrics, it is all that a cell says.
    """

    axes: Mapping[str, str]
    metrics: Mapping[str, float]
    shown: Any = None
    files: Callable[[], Mapping[str, bytes]] = dict
    """Draws the files, once the cell is to be logged."""

    @property
    def name(self) -> str:
        return " · ".join(self.axes.values())

    @property
    def note(self) -> str:
        """What MLflow's page of the run shows first: the contact sheet, where one is drawn."""
        shown = f"![The contact sheet of this cell](get-artifact?path={SHEET}&run_uuid={{run}})"
        return "" if self.files is dict else shown


class Tracker:
    """The MLflow side of one execution of a stage."""

    def __init__(self, experiment: str, study: str, stage: str, cells: str | None = None) -> None:
        """``cells``: the experiment that they go to, where that is not the execution's own."""
        self.client = opened()
        self.experiment = experiment_id(self.client, experiment)
        self.cells = experiment_id(self.client, cells) if cells else self.experiment
        self.tags = {"study": study, "dvc.stage": stage, "git.commit": git.commit()}
        self.tags["registry"] = places.hidden(places.registry_url())
        node, _, entry = stage.partition("@")
        if entry:
            self.tags["corpus" if node == "prepare" else "model"] = entry
        self.marker = places.home() / "running" / stage
        if interrupted := self._interrupted():
            self.tags["palimpsest.resumes"] = interrupted
        self.started_at = datetime.now(UTC).replace(microsecond=0)
        run = self.client.create_run(self.experiment, tags=self.tags, run_name=stage).info
        self.id, self.files = run.run_id, run.artifact_uri
        self.marker.parent.mkdir(exist_ok=True)
        self.marker.write_text(f"{self.id} {os.getpid()}")
        self.monitor: SystemMetricsMonitor | None = None

    def execution(self, device: str, name: str, engine: str) -> Execution:
        """This execution, as the registry keeps it, now that it begins to compute on ``device``.

        MLflow gets the device's name and, on a GPU of this machine, from now on its load (``system/...``).
        """
        if device.startswith("cuda") and engine == "local":
            self._watch()
        for tag, said in {"device": name, "engine": engine}.items():
            self.client.set_tag(self.id, tag, said)
        return Execution(self.id, self.tags["dvc.stage"], self.tags["git.commit"], device, engine, self.started_at)

    def _interrupted(self) -> str | None:
        """The run of an execution of this stage that was cut off here; it is closed as killed.

        The cells that it had logged go with it: this execution logs all of them.
        """
        from mlflow.exceptions import MlflowException

        if not self.marker.exists():
            return None
        run = self.marker.read_text().partition(" ")[0]
        try:
            for cell in self._cells(run):
                self.client.delete_run(cell)
            self.client.set_terminated(run, "KILLED")
        except MlflowException:  # another tracking server was in use then
            return None
        return run

    def _cells(self, run: str) -> list[str]:
        """The runs of the cells that the execution of a run logged."""
        logged = f"tags.`{EXECUTION}` = '{run}'"
        return [cell.info.run_id for cell in self.client.search_runs([self.cells], logged, max_results=MOST_RUNS)]

    def finish(self, params: Mapping[str, Any], metrics: Mapping[str, float], cells: Iterable[CellLog]) -> None:
        """Log the execution and its cells, and close their runs.

        A cell that says what one of an earlier execution of this stage said has its run already: that one stands for
        it, and nothing is drawn or logged. ``cells.json`` in the run's files names the run of every cell.
        """
        log_values(self.client, self.id, flatten(params), metrics)
        if said := {self._digest(cell): cell for cell in cells}:
            known = newest_cells(self.client, self.experiment, self.tags["dvc.stage"]).known
            known |= self._log_cells({one: cell for one, cell in said.items() if one not in known})
            standing = {known[one]: dict(cell.axes) for one, cell in said.items()}
            self._keep(Logged(self.id, self.files), {CELLS_FILE: canonical(Cells(standing, known)._asdict()).encode()})
            self.client.set_tag(self.id, CELLS, CELLS_FILE)
        self._end("FINISHED")

    def spend(self, spent: Mapping[str, Mapping[str, float]]) -> None:
        """Log what endpoints took, by model; the sums, but for that of requests, are metrics."""
        if spent:
            self.client.set_tag(self.id, SPENT, canonical(spent))
            whole = sum((Counter(one) for one in spent.values()), Counter[str]())
            del whole["requests"]
            log_values(self.client, self.id, {}, whole)

    def _digest(self, cell: CellLog) -> str:
        """What tells cells apart: what they say, and their tags but for the execution's own."""
        tags = {name: tag for name, tag in self.tags.items() if name not in ("git.commit", "palimpsest.resumes")}
        return digest(canonical([tags, cell.axes, cell.metrics, cell.shown]).encode())

    def _log_cells(self, cells: Mapping[str, CellLog]) -> dict[str, str]:
        """Log cells below this execution; returns their runs, by what they say."""
        tags = self.tags | {EXECUTION: self.id}
        if self.cells == self.experiment:
            tags["mlflow.parentRunId"] = self.id  # a parent elsewhere would be shown as a row without numbers
        runs = [
            Finished(cell.name, tags | dict(cell.axes), cell.axes, cell.metrics, cell.note) for cell in cells.values()
        ]
        logged = log_finished(self.client, self.cells, runs)
        for run, cell in zip(logged, cells.values(), strict=True):
            if files := cell.files():
                self._keep(run, files)
        return {one: run.id for one, run in zip(cells, logged, strict=True)}

    def fail(self, status: str = "FAILED", spent: Mapping[str, Mapping[str, float]] | None = None) -> None:
        """Close this execution's run, without its cells, which are not all there; what MLflow says to that is logged.

        Of one that was killed the marker stays, so that the next execution is known to resume it.
        """
        try:
            self.spend(spent or {})
            for cell in self._cells(self.id):
                self.client.delete_run(cell)
            self._end(status)
        except Exception as error:  # the first error is what a person must hear of
            log.warning("MLflow does not take that %s ended: %s", self.tags["dvc.stage"], error)

    @contextmanager
    def curve(self, name: str, item: str) -> Iterator[Callable[[Mapping[str, float], int], None]]:
        """The run of an item that takes long, below this execution: takes figures by step.

        An item that fails, or is killed, leaves its run so; the next try has a run of its own.
        """
        tags = self.tags | {"mlflow.parentRunId": self.id, "palimpsest.item": item}
        run = self.client.create_run(self.experiment, tags=tags, run_name=name).info.run_id
        status = "KILLED"
        try:
            yield partial(log_step, self.client, run)
            status = "FINISHED"
        except Exception:
            status = "FAILED"
            raise
        finally:
            self.client.set_terminated(run, status)

    def _end(self, status: str) -> None:
        if self.monitor:
            self.monitor.finish()
            if rest := self.monitor.aggregate_metrics():  # a short stage has no other point
                self.monitor.publish_metrics(rest)
                self.monitor.mlflow_logger.flush()
        self.client.set_terminated(self.id, status)
        if status != "KILLED":
            self.marker.unlink(missing_ok=True)

    def _watch(self) -> None:
        """Log the load of processors, memory and GPUs to this execution's run, from a thread of MLflow's own."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # it announces its start and its end
        self.monitor = SystemMetricsMonitor(self.id, 1, LOOKS_A_POINT, tracking_uri=places.tracking_uri())
        self.monitor.start()

    def _keep(self, run: Logged, files: Mapping[str, bytes]) -> None:
        """Keep files as a run's artifacts; on this disk without MLflow, which would ask its database for the folder."""
        from tempfile import TemporaryDirectory

        folder = folder_of(run.files)
        with nullcontext(str(folder)) if folder else TemporaryDirectory() as place:
            Path(place).mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (Path(place) / name).write_bytes(data)
            if not folder:
                self.client.log_artifacts(run.id, place)


def log_step(client: MlflowClient, run: str, metrics: Mapping[str, float], step: int) -> None:
    """Log figures of one step."""
    from mlflow.entities import Metric

    now = int(datetime.now(UTC).timestamp() * 1000)
    client.log_batch(run, [Metric(name, value, now, step) for name, value in metrics.items()])


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
        log_step(self.tracker.client, self.tracker.id, metrics, step)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.tracker.finish(self.params, {}, [])
        else:
            self.tracker.fail()
