"""The one loop: plan, recall, compute, remember, write, log.

A stage is a :class:`Node`: it says what its items are and how a batch of them is computed. :func:`execute` does the
rest, shard by shard, so that memory does not grow with the corpus:

- *recall* asks the item store which keys it knows, and takes their values;
- *compute* runs over the missing ones in batches; the model is loaded only if something is missing;
- *remember* stores each finished batch at once, so that a kill loses at most one batch;
- *write* makes the stage's output complete and deterministic, from recalled and computed items alike;
- *log* tells MLflow, and leaves the run link and the provenance beside the output.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from registry.store import places
from registry.store.axes import NONE
from registry.store.database import connect
from registry.store.items import FAILED, OK, Finding, ItemStore
from registry.store.keys import canonical, item_key, item_seed
from registry.store.objects import ObjectStore
from registry.tracking.runs import CellLog, Tracker
from stages.engine.provenance import write_provenance
from stages.engine.shards import image, write_shard

log = logging.getLogger(__name__)

EXAMPLES_A_CELL = 4


@dataclass(frozen=True)
class Task:
    """One item that a stage must hold."""

    corpus: str
    sample: str
    """The id of the sample; empty where the item is about a cell as a whole."""
    columns: Mapping[str, Any]
    """What its row says that is known before computing: the axes, and values carried along."""
    parts: Mapping[str, Any]
    """What the value depends on; together with the node's kind it makes the key."""
    parents: tuple[str, ...] = ()
    inputs: Any = None
    """What the node's compute step needs."""


@dataclass(frozen=True)
class Outcome:
    """What computing an item gave: values for its row, image bytes, or both."""

    value: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None


@dataclass(frozen=True)
class Node:
    """What one stage computes.

    ``plan`` yields shards: their path below ``out`` and their tasks. ``compute`` gets tasks and their seeds and returns
    an outcome for each; where it raises, the loop asks again item by item, and those that raise again are failures.
    """

    name: str
    kind: str
    out: Path
    fields: Sequence[tuple[str, pa.DataType]]
    axes: Sequence[str]
    settings: Mapping[str, Any]
    study: str
    total: int
    plan: Iterable[tuple[str, Sequence[Task]]]
    compute: Callable[[Sequence[Task], Sequence[int]], Sequence[Outcome]]
    load: Callable[[], str] = lambda: "cpu"
    """Makes ready to compute and says on which device."""
    batch_size: int = 16
    problems: Mapping[str, int] = field(default_factory=dict)
    """What was wrong with the input, by kind: counted in the run link."""
    sheet: Callable[[Sequence[tuple[Task, Mapping[str, Any]]]], bytes] | None = None
    """Draws a cell's first items as a PNG for MLflow."""


@dataclass
class Cell:
    """What is gathered of one corpus × configuration while its shards pass by."""

    whole: dict[str, float] = field(default_factory=dict)
    """Values of the cell as a whole, such as corpus BLEU."""
    items: int = 0
    failed: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[Task, Mapping[str, Any]]] = field(default_factory=list)

    def add(self, task: Task, row: Mapping[str, Any], numbers: Sequence[str]) -> None:
        self.items += 1
        self.failed += row["status"] != "ok"
        for name in numbers:
            if row[name] is not None:
                self.sums[name] += row[name]
                self.counts[name] += 1
        if row["status"] == "ok" and len(self.examples) < EXAMPLES_A_CELL:
            self.examples.append((task, row))

    def metrics(self) -> dict[str, float]:
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        return {"items": self.items, "failed": self.failed} | means | self.whole


@dataclass(frozen=True)
class Entry:
    """An item as its row will hold it, and the run that computed it."""

    run: str
    value: Mapping[str, Any]
    data: bytes | None
    reason: str | None = None


def row_of(node: Node, key: str, task: Task, entry: Entry) -> dict[str, Any]:
    """The row of an item in its stage's output."""
    row: dict[str, Any] = dict.fromkeys(name for name, _ in node.fields)
    row |= {"corpus": task.corpus, "sample": task.sample, "key": key, "parents": list(task.parents)}
    row |= {"parts": canonical(task.parts), "status": FAILED if entry.reason else OK, "reason": entry.reason}
    row |= {"value": canonical(entry.value)} | {**entry.value, **task.columns}
    if entry.data is not None:
        row["image"] = image(entry.data, f"{task.corpus}/{task.sample}.png")
    return row


class Execution:
    """The state of one execution of a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
        self.tracker = Tracker(f"{node.study}/stages", node.study, node.name)
        self.began = time.monotonic()
        self.counts = Counter(items=0, recalled=0, computed=0, failed=0)
        self.reasons: Counter[str] = Counter()
        self.cells: dict[tuple[str, ...], Cell] = {}
        self.runs: dict[str, str] = {}
        self.device: str | None = None
        self.progress = tqdm(total=node.total, desc=node.name, unit="item", disable=None, mininterval=1)

    def write(self) -> None:
        """Fill every shard; the output appears whole, at the end, or not at all."""
        out = self.node.out
        half = out.with_name(f".{out.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for path, tasks in self.node.plan:
            write_shard(half / path, self.fill(tasks), self.node.fields)
        self.progress.close()
        if self.counts["items"] and self.counts["failed"] == self.counts["items"]:
            raise RuntimeError(f"Every item of {self.node.name} failed, first with: {next(iter(self.reasons))}")
        shutil.rmtree(out, ignore_errors=True)
        half.rename(out)

    def fill(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """The rows of one shard, each item recalled or computed."""
        keyed = [(item_key(self.node.kind, task.parts), task) for task in tasks]
        entries = self.recall({key for key, _ in keyed})
        missing = list({key: task for key, task in keyed if key not in entries}.items())
        self.progress.update(len(keyed) - len(missing))
        for start in range(0, len(missing), self.node.batch_size):
            batch = missing[start : start + self.node.batch_size]
            entries |= self.compute(batch)
            self.progress.update(len(batch))
        self.counts.update(items=len(keyed), recalled=len(keyed) - len(missing), computed=len(missing))
        rows = [self.row(key, task, entries[key]) for key, task in keyed]
        return sorted(rows, key=lambda row: (row["sample"], *(row[axis] or "" for axis in self.node.axes)))

    def recall(self, keys: Iterable[str]) -> dict[str, Entry]:
        """The known items; one whose image is missing or damaged in the object store counts as unknown."""
        entries = {}
        for key, known in self.store.recall(keys).items():
            try:
                data = self.store.objects.get(known.object) if known.object else None
            except (FileNotFoundError, ValueError) as error:
                log.warning("%s: %s Computing it again.", self.node.name, error)
                self.store.lose(known, str(error))
                continue
            entries[key] = Entry(known.run, known.value or {}, data)
        return entries

    def compute(self, batch: Sequence[tuple[str, Task]]) -> dict[str, Entry]:
        """The items of one batch, computed and remembered."""
        if self.device is None:
            self.device = self.node.load()
            self.store.open_run(self.tracker.execution(self.device))
        entries = self.attempt(batch)
        self.store.remember(
            self.tracker.id,
            [
                Finding(key, self.node.kind, dict(task.parts), task.parents, entry.value, entry.data, entry.reason)
                for (key, task), entry in zip(batch, entries, strict=True)
            ],
        )
        return {key: entry for (key, _), entry in zip(batch, entries, strict=True)}

    def attempt(self, batch: Sequence[tuple[str, Task]]) -> list[Entry]:
        """One entry an item, in order. A batch that raises is tried again one by one; who raises alone has failed."""
        tasks, seeds = [task for _, task in batch], [item_seed(key) for key, _ in batch]
        try:
            outcomes = self.node.compute(tasks, seeds)
        except Exception as error:  # whatever one picture does to a model must not stop the others
            if len(batch) > 1:
                return [self.attempt([one])[0] for one in batch]
            log.debug("%s: %s failed", self.node.name, tasks[0].sample, exc_info=True)
            return [Entry(self.tracker.id, {}, None, f"{type(error).__name__}: {error}")]
        return [Entry(self.tracker.id, outcome.value, outcome.data) for outcome in outcomes]

    def row(self, key: str, task: Task, entry: Entry) -> dict[str, Any]:
        """The row of an item, counted on its way."""
        self.runs[key] = entry.run
        if entry.reason:
            self.counts["failed"] += 1
            self.reasons[entry.reason] += 1
        row = row_of(self.node, key, task, entry)
        numbers = [name for name, kind in self.node.fields if pa.types.is_floating(kind)]
        where = (task.corpus, *(row[axis] or NONE for axis in self.node.axes))
        cell = self.cells.setdefault(where, Cell())
        if task.sample:
            cell.add(task, row, numbers)
        else:
            cell.whole = {f"corpus_{name}": row[name] for name in numbers if row[name] is not None}
        return row

    def link(self) -> dict[str, Any]:
        """The run link: what this execution did, and the MLflow run that tells more."""
        return {
            "stage": self.node.name,
            **self.counts,
            "reasons": dict(self.reasons.most_common(10)),
            "problems": dict(self.node.problems),
            "seconds": round(time.monotonic() - self.began, 3),
            "device": self.device or "none",
            "engine": "local",
            "mlflow_run_id": self.tracker.id,
            "started_at": self.tracker.started_at.isoformat(),
        }

    def log(self) -> None:
        """Tell MLflow, and leave the provenance and the run link beside the output."""
        link = self.link()
        metrics = {name: link[name] for name in ("items", "recalled", "computed", "failed", "seconds")}
        metrics["items_per_second"] = link["computed"] / max(link["seconds"], 1e-3)
        axes = ("corpus", *self.node.axes)
        cells = []
        for where, cell in self.cells.items():
            files = {"sheet.png": self.node.sheet(cell.examples)} if self.node.sheet and cell.examples else {}
            cells.append(CellLog(dict(zip(axes, where, strict=True)), cell.metrics(), files))
        self.tracker.finish(self.node.settings, metrics, cells)
        executions = {run.id: run for run in self.store.executions(set(self.runs.values()))}
        write_provenance(self.node.name, [(key, executions[run]) for key, run in sorted(self.runs.items())])
        places.RUN_LINKS.mkdir(parents=True, exist_ok=True)
        (places.RUN_LINKS / f"{self.node.name}.json").write_text(json.dumps(link, indent=2) + "\n")


def execute(node: Node) -> dict[str, Any]:
    """Run a node through the loop and return its run link.

    Raises ``SystemExit`` where an item failed and ``PALIMPSEST_STRICT`` is set, after everything has been written;
    whatever a node's ``plan`` or ``load`` raises passes through, and marks the MLflow run as failed.
    """
    execution = Execution(node)
    try:
        execution.write()
        execution.log()
    except BaseException:
        execution.tracker.fail()
        raise
    link = execution.link()
    for reason, count in execution.reasons.most_common(3):
        log.warning("%s: %d item(s) failed: %s", node.name, count, reason)
    if link["failed"] and os.environ.get("PALIMPSEST_STRICT"):
        raise SystemExit(f"{link['failed']} item(s) of {node.name} failed, and --strict allows none.")
    return link


def command(main: Callable[..., None]) -> None:
    """Run a stage from the command line; what goes wrong is one sentence (``PALIMPSEST_LOG=DEBUG`` shows where)."""
    logging.basicConfig(level=os.environ.get("PALIMPSEST_LOG", "WARNING"), format="%(message)s")
    try:
        main(*sys.argv[1:])
    except (ValueError, OSError, RuntimeError) as error:
        log.debug("", exc_info=True)
        sys.exit(str(error))
