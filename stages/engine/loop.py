"""The one loop: plan, recall, compute, remember, write, log.

A stage is a :class:`~stages.engine.node.Node`: it says what its items are and how a batch of them is computed.
:func:`execute` does the rest, shard by shard, so that memory does not grow with the corpus:

- *recall* asks the item store which keys it knows, and takes their values;
- *compute* runs over the missing ones in batches; the model is loaded only if something is missing;
- *remember* stores each finished batch at once, so that a kill loses at most one batch;
- *write* makes the stage's output complete and deterministic, from recalled and computed items alike;
- *log* writes the runs of MLflow, the run link, and the provenance beside the output.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from models.adapters import metering
from models.adapters.checkpoints import DIGESTED
from registry.store import ending, faults, places
from registry.store.axes import NONE
from registry.store.dag import IMAGE, STAGES
from registry.store.imports import without
from registry.store.items import FAILED, OK
from registry.store.keys import canonical, item_key
from registry.tracking.asking import stages_of
from registry.tracking.runs import CellLog, Tracker
from stages.engine.memory import Entry, Memory
from stages.engine.node import REASONS, Node, Plan, Together, portions, requests_of, summed
from stages.engine.provenance import write_provenance
from stages.engine.shards import DISK, digest_of, files_of, image, shard_count, shard_of, write_shard
from stages.engine.tasks import Task, with_requests

log = logging.getLogger(__name__)

PREPARED = STAGES["prepare"].folder()
EXAMPLES_A_CELL = 4
PROBLEMS = "problems.jsonl"
"""The list of what is wrong with a corpus, beside its shards."""
SHOWN_PROBLEMS = 5
REQUESTS = "requests"
"""The folder of what a method asked for, in its stage's output."""
REQUEST_FIELDS = (("kind", pa.string()), ("image", IMAGE))


@dataclass
class Tally:
    """Sums and examples of one cell (corpus × configuration), gathered row by row."""

    whole: dict[str, float] = field(default_factory=dict)
    """Values of the cell as a whole, such as corpus BLEU."""
    items: int = 0
    failed: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[Task, Mapping[str, Any]]] = field(default_factory=list)

    def add(self, task: Task, row: Mapping[str, Any], numbers: Sequence[str]) -> None:
        self.items += 1
        self.failed += row["status"] != OK
        for name in numbers:
            if row[name] is not None:
                self.sums[name] += row[name]
                self.counts[name] += 1
        if row["status"] == OK and len(self.examples) < EXAMPLES_A_CELL:
            self.examples.append((task, {**row, "image": None}))  # its digest stays

    def metrics(self) -> dict[str, float]:
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        return {"items": self.items, "failed": self.failed} | means | self.whole


def row_of(node: Node, key: str, task: Task, entry: Entry) -> dict[str, Any]:
    """The row of an item in its stage's output."""
    row = {"parts": canonical(task.parts), "value": canonical(entry.value), **light_row(node, key, task, entry)}
    if entry.digest is not None:
        row["image"] = image(entry.data, f"{task.corpus}/{task.sample}.png")
    return row


def light_row(node: Node, key: str, task: Task, entry: Entry) -> dict[str, Any]:
    """The columns of an item's row that later stages' plans may read."""
    row: dict[str, Any] = dict.fromkeys(name for name, _ in node.fields)
    row |= {"corpus": task.corpus, "sample": task.sample, "key": key}
    row["parents"] = list(with_requests(task, entry.value).parents)
    row |= {"status": FAILED if entry.reason else OK, "reason": entry.reason}
    row |= {**entry.value, **task.columns}
    if entry.digest is not None:
        row[digest_of("image")] = entry.digest
    return row


class Execution:
    """The state of one execution of a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tracker = Tracker(stages_of(node.study), node.study, node.name)
        self.memory = Memory(node.name, self.tracker)
        self.numbers = [name for name, kind in node.fields if pa.types.is_floating(kind)]
        self.began = time.monotonic()
        self.counts = Counter(items=0, recalled=0, computed=0, failed=0, passing=0)
        self.computed: Counter[tuple[str, str]] = Counter()
        """How many items of each sample were computed."""
        self.nothing = 0
        """Items that failed and have no value at all."""
        self.reasons: Counter[str] = Counter()
        self.cells: dict[tuple[str, ...], Tally] = {}
        self.answered: dict[str, Entry | None] = {}
        """What a method has found, before it is written; None for what is remembered."""
        self.requests: list[str] = []
        self.asked: dict[str, Any] = {}
        self.runs: dict[str, str] = {}
        metering.taken()  # by whoever was before
        self.spent: dict[str, Counter[str]] = {}
        """What endpoints took, by model."""
        self.progress = tqdm(total=node.total, desc=node.name, unit="item", disable=None, mininterval=1)

    def write(self) -> None:
        """Fill every shard; the output appears whole, at the end, or not at all."""
        out = self.node.out
        half = out.with_name(f".{out.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        plan = self.node.plan
        if isinstance(self.node.worker, Together):
            plan = self.answer(self.node.worker, plan)
        for path, tasks in plan:
            rows = self.fill(tasks)
            write_shard(half / path, rows, self.node.fields)
            for name, address in {pair for row in rows for pair in files_of(json.loads(row["value"])).items()}:
                (half / path).with_name(name).write_bytes(self.memory.store.objects.get(address))
        if not self.node.stage.inputs:  # whoever reads a corpus looks there, also where nothing is wrong
            lines = (json.dumps(vars(one), ensure_ascii=False, sort_keys=True) for one in self.node.problems)
            (half / PROBLEMS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.write_requests(half)
        self.progress.close()
        if self.counts["items"] and self.nothing == self.counts["items"]:
            raise RuntimeError(f"Every item of {self.node.name} failed, first with: {next(iter(self.reasons))}")
        shutil.rmtree(out, ignore_errors=True)
        half.rename(out)

    def fill(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """The rows of one shard, each item recalled or computed."""
        node = self.node
        keyed = [(item_key(node.kind, task.parts), task) for task in tasks]
        found = dict(keyed).keys() & self.answered.keys()
        entries = {key: entry for key in found if (entry := self.answered[key])}
        entries |= self.memory.recall(dict(keyed).keys() - entries.keys())
        missing = list({key: task for key, task in keyed if key not in entries}.items())
        self.progress.update(len(keyed) - len(found.union(key for key, _ in missing)))
        if isinstance(node.worker, Together):
            if missing:  # lost since it was found
                entries |= node.worker.answer(self.memory, node.kind, missing, self.progress)[0]
        else:
            batches = [missing[start : start + node.batch_size] for start in range(0, len(missing), node.batch_size)]
            for some in self.memory.compute(node.kind, node.worker, batches):
                entries |= some
                self.progress.update(len(some))
        found.update(key for key, _ in missing)
        own = [task for key, task in dict(keyed).items() if key in found and entries[key].run == self.tracker.id]
        self.computed.update((task.corpus, task.sample) for task in own)
        self.counts.update(items=len(keyed), recalled=len(keyed) - len(own), computed=len(own))
        rows = [self.row(key, task, entries[key]) for key, task in keyed]
        return sorted(rows, key=lambda row: (row["sample"], *(row[axis] or "" for axis in node.axes)))

    def answer(self, worker: Together, plan: Plan) -> Plan:
        """Compute what is missing in all shards together, so much at a time, and return a plan to go through again."""
        plan = [(path, list(tasks)) for path, tasks in plan] if isinstance(plan, Iterator) else plan
        requests: set[str] = set()
        asked: list[Mapping[str, Any]] = []
        for some in portions(self.missing(plan, requests)):
            found, counts = worker.answer(self.memory, self.node.kind, some, self.progress)
            requests.update(requests_of(found.values()))
            self.answered |= {key: entry if entry.reason else None for key, entry in found.items()}
            asked.append(counts)
        self.asked = summed(asked)
        self.requests = sorted(requests)
        return plan

    def missing(self, plan: Plan, requests: set[str]) -> Iterator[tuple[str, Task]]:
        """The tasks that nobody has computed, with their keys; ``requests`` gets what was asked for the others."""
        for _, tasks in plan:
            keyed = {item_key(self.node.kind, task.parts): task for task in tasks}
            known = self.memory.recall(keyed.keys() - self.answered.keys(), data=False)
            requests.update(requests_of(known.values()))
            yield from ((key, keyed[key]) for key in keyed if key not in known and key not in self.answered)

    def write_requests(self, half: Path) -> None:
        """Write the requests behind the items, beside their shards: of these too the registry can be rebuilt."""
        buckets = shard_count(len(self.requests))
        named: dict[str, list[str]] = {}
        for key in self.requests:
            named.setdefault(shard_of(key, buckets).replace("part", "asked"), []).append(key)
        for name, keys in named.items():
            rows: list[dict[str, Any]] = []
            kept = list(self.memory.store.kept(keys))
            read = dict(self.memory.store.objects.get_many(address for *_, address in kept if address))
            for found, run, address in kept:
                self.runs[found.key] = run
                row = {"corpus": "", "sample": "", "key": found.key, "parents": list(found.parents), "status": OK}
                row |= {"parts": canonical(found.parts), "value": canonical(found.value), "kind": found.kind}
                data = read.get(address or "")
                if isinstance(data, Exception):
                    raise data
                rows.append(row | {"image": image(data, f"{found.key}.png")})
            rows.sort(key=lambda row: row["key"])
            write_shard(half / REQUESTS / name, rows, REQUEST_FIELDS)

    def row(self, key: str, task: Task, entry: Entry) -> dict[str, Any]:
        """The row of an item, counted on its way."""
        self.runs[key] = entry.run
        if entry.reason:
            self.counts["failed"] += 1
            self.counts["passing"] += entry.passes
            self.nothing += not entry.value.keys() - {"requests", "items"}
            self.reasons[entry.reason] += 1
        row = row_of(self.node, key, task, entry)
        where = (task.corpus, *(row[axis] or NONE for axis in self.node.axes))
        tally = self.cells.setdefault(where, Tally())
        if task.sample:
            tally.add(task, row, self.numbers)
        else:
            tally.whole = {f"corpus_{name}": row[name] for name in self.numbers if row[name] is not None}
        return row

    def link(self) -> dict[str, Any]:
        """The run link: counts of this execution, the id of its MLflow run, and which files its models were then."""
        return {
            "stage": self.node.name,
            **self.counts,
            "reasons": dict(self.reasons.most_common(REASONS)),
            "problems": dict(Counter(one.kind for one in self.node.problems)),
            "seconds": round(time.monotonic() - self.began, 3),
            "device": self.memory.device or "none",
            **self.memory.computing,
            "mlflow_run_id": self.tracker.id,
            "started_at": self.tracker.started_at.isoformat(),
            "digests": dict(sorted(DIGESTED.items())),
            **({"requests": self.asked} if self.asked else {}),
            **({"spent": self.spent} if self.spent else {}),
        }

    def named(self, where: Sequence[str]) -> dict[str, str]:
        """The corpus and axes of a cell."""
        return dict(zip(("corpus", *self.node.axes), where, strict=True))

    @property
    def logged(self) -> Mapping[tuple[str, ...], Tally]:
        """The cells that get runs of their own; ``index`` logs what is only measured, all of a cell together, where
        it is measured of what others made."""
        return {} if self.node.stage.measures and not self.node.stage.axis else self.cells

    def cell_logs(self) -> Iterator[CellLog]:
        """What MLflow is told of each cell."""
        for where, tally in self.logged.items():
            shown = [row["key"] for _, row in tally.examples]
            yield CellLog(self.named(where), tally.metrics(), shown, partial(self.files, tally))

    def files(self, tally: Tally) -> dict[str, bytes]:
        """Draw a cell's contact sheet."""
        return {"sheet.png": self.node.sheet(tally.examples)} if self.node.sheet and tally.examples else {}

    def pixels(self) -> float | None:
        """Mean number of pixels of the pictures that items were computed of; None where there was none."""
        total = count = 0
        for corpus in {corpus for corpus, _ in self.computed}:
            for row in DISK.rows(PREPARED / corpus, ("sample", "width", "height")):
                if row["width"] and (times := self.computed[corpus, row["sample"]]):
                    count += times
                    total += times * row["width"] * row["height"]
        return total / count if count else None

    def log(self) -> None:
        """Log to MLflow, and write the provenance and the run link beside the output."""
        self.spent = metering.taken()
        self.tracker.spend(self.spent)
        link = self.link()
        metrics = {name: link[name] for name in ("items", "recalled", "computed", "failed", "seconds")}
        metrics["items_per_second"] = link["computed"] / max(link["seconds"], 1e-3)
        if pixels := self.pixels():
            metrics["pixels"] = pixels
        self.tracker.finish(self.node.settings, metrics, self.cell_logs())
        executions = {run.id: run for run in self.memory.store.executions(set(self.runs.values()))}
        write_provenance(self.node.name, [(key, executions[run]) for key, run in sorted(self.runs.items())])
        places.RUN_LINKS.mkdir(parents=True, exist_ok=True)
        (places.RUN_LINKS / f"{self.node.name}.json").write_text(json.dumps(link, indent=2) + "\n")


def execute(node: Node) -> dict[str, Any]:
    """Run a node through the loop and return its run link.

    Raises ``SystemExit`` where an item failed, or something is wrong with the input, and ``PALIMPSEST_STRICT`` is set,
    after everything has been written; whatever a node's ``plan`` or ``load`` raises passes through, and marks the
    MLflow run as failed.
    """
    execution = Execution(node)
    for problem in node.problems[:SHOWN_PROBLEMS]:
        log.warning("%s: %s", node.name, problem.message)
    try:
        execution.write()
        execution.log()
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        execution.tracker.fail(status, execution.spent or metering.taken())
        raise
    finally:
        execution.memory.close()
    link = execution.link()
    for reason, count in execution.reasons.most_common(3):
        log.warning("%s: %d item(s) failed: %s", node.name, count, reason)
    for reason, count in list(execution.asked.get("reasons", {}).items())[:3]:
        log.warning("%s: %d request(s) without a reply: %s", node.name, count, reason)
    if link["failed"]:
        log.warning("%s: `palimpsest repro --retry-failed` tries failed items again.", node.name)
    if os.environ.get("PALIMPSEST_STRICT"):
        if link["failed"]:
            raise SystemExit(f"{link['failed']} item(s) of {node.name} failed, and --strict allows none.")
        if node.problems:
            raise SystemExit(f"{len(node.problems)} problem(s) in the input of {node.name}, and --strict allows none.")
    return link


def command(main: Callable[..., None]) -> None:
    """Run a stage from the command line, or for the entry that DVC's name of the stage ends in.

    What goes wrong is one sentence (``PALIMPSEST_LOG=DEBUG`` shows where). Where this process is told to end, and all
    is closed, it waits for no thread, which may try for minutes to reach a bucket, and says so by the signal's code,
    which Ray takes out of ``SystemExit``.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(faults.Discreet("%(message)s"))
    logging.basicConfig(level=os.environ.get("PALIMPSEST_LOG", "WARNING"), handlers=[handler])
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for the next piece slow down all others
    ending.on_signals()
    with without("pandas"):
        pa.array([None])  # where pyarrow looks for pandas, once, and a stage has no use for it
    try:
        main(*(sys.argv[1:] or filter(None, [os.environ.get("DVC_STAGE", "").partition("@")[2]])))
    except Exception as error:
        log.debug("", exc_info=True)
        sys.exit(faults.told(error))
    finally:
        if ending.told:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(ending.told)
