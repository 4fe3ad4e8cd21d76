"""What one execution recalls from the item store, computes where it is missing, and remembers batch by batch."""

from __future__ import annotations

import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any

from models.adapters.ahead import ahead
from registry.store import places
from registry.store.database import connect
from registry.store.items import Finding, ItemStore
from registry.store.keys import digest
from registry.store.leases import Leases
from registry.store.objects import ObjectStore
from registry.tracking.runs import Tracker
from stages.engine.actors import Actors, Batch, engine, seeds_of
from stages.engine.handling import card
from stages.engine.shards import files_of
from stages.engine.tasks import Outcome, Task, Telling, Worker, attempted, begun, fault

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at what others compute."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as its row will hold it, and the run that computed it."""

    run: str
    value: Mapping[str, Any]
    data: bytes | None
    reason: str | None = None
    digest: str | None = None
    """Of the data, also where these are not at hand."""
    passes: bool = False
    """Whether a retry may mend what it failed for."""


class Memory:
    """The item store as one execution uses it. A worker is made ready when the first of its items is missing: here, or
    on Ray's actors (:mod:`stages.engine.actors`)."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.tracker = tracker
        self.store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
        self.leases = Leases(self.store.engine)
        self.device: str | None = None
        self._worker: Worker | None = None
        self._actors: Actors | None = None

    @cached_property
    def engine(self) -> str:
        return engine()

    @property
    def computing(self) -> dict[str, Any]:
        """What the run link says of how it was computed: the engine, and how many actors it had, if any."""
        return {"engine": self.engine} | ({"actors": self._actors.most} if self._actors else {})

    def close(self) -> None:
        """End the actors, if there are any, whatever they are at, and let others compute what was not done."""
        if self._actors:
            self._actors.close()
        self.leases.close()
        gc.unfreeze()

    def recall(self, keys: Iterable[str], data: bool = True) -> dict[str, Entry]:
        """The known items; one that is no result, or whose image is missing or damaged, counts as unknown.

        Without ``data``, images are seen to be there and not read.
        """
        items = self.store.recall(keys)
        pictures = dict.fromkeys(known.object for known in items.values() if known.object)
        files = {key: set(files_of(known.value or {}).values()) for key, known in items.items()}
        read = dict(self.store.objects.get_many(pictures)) if data else {}
        there = self.store.objects.held((pictures.keys() - read.keys()).union(*files.values()))
        entries = {}
        for key, known in items.items():
            picture = read.get(known.object or "")
            lost = sorted({known.object or "", *files[key]} - {""} - there - read.keys())
            if reason := fault(known.value or {}):
                why = f"Of item {key} {reason}."
            elif isinstance(picture, Exception):
                why = str(picture)
            elif lost:
                why = f"Object {lost[0]} is not in the object store."
            else:
                entries[key] = Entry(known.run, known.value or {}, picture, digest=known.object)
                continue
            log.warning("%s: %s Computing it again.", self.name, why)
            self.store.lose(known, why)
        return entries

    def compute(
        self, kind: str | Mapping[str, str], worker: Worker, batches: Iterable[Batch]
    ) -> Iterator[dict[str, Entry]]:
        """Compute the items of some batches, and remember each batch as soon as it is finished.

        ``kind``: of all items, or by key; in a batch there is one.

        A batch is drawn when there is room for it, and on actors the quicker one is finished first. What another
        execution computes at the same time is left to it, and waited for behind all else.
        """
        told = False
        while batches:
            settled: list[dict[str, Entry]] = []
            theirs: list[Batch] = []
            for batch, found in self._attempts(worker, self._mine(batches, settled, theirs)):
                its = kind if isinstance(kind, str) else kind[batch[0][0]]
                entries = self.remember(its, batch, dict(zip((key for key, _ in batch), found, strict=True)))
                self.leases.release(entries.keys())
                yield entries
            yield from settled
            if theirs and not told:
                count = sum(map(len, theirs))
                log.warning("%s: another execution computes %d of its items now; waiting for them.", self.name, count)
                told = True
            if batches := theirs:
                time.sleep(POLL)

    def _mine(self, batches: Iterable[Batch], settled: list[dict[str, Entry]], theirs: list[Batch]) -> Iterator[Batch]:
        """What of some batches is for this execution to compute; ``settled`` gets what others have remembered since
        the stage recalled, and ``theirs`` what they compute now."""
        for batch in batches:
            mine = self.leases.take([key for key, _ in batch])
            known = self.recall(key for key, _ in batch)
            if known:
                self.leases.release(mine & known.keys())
                settled.append(known)
            if missing := [(key, task) for key, task in batch if key in mine - known.keys()]:
                yield missing
            if rest := [(key, task) for key, task in batch if key not in mine | known.keys()]:
                theirs.append(rest)

    def _attempts(self, worker: Worker, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Entry]]]:
        if (first := next(drawn := iter(batches), None)) is None:
            return
        batches = chain([first], drawn)
        if self.engine == "ray" and not getattr(worker, "served", False):
            self._actors = self._actors or Actors()
            for batch, outcomes in self._actors.attempt(worker, batches, self.begin, self.tracker.curve):
                yield batch, [self._entry(one) for one in outcomes]
        else:
            self._ready(worker)
            yield from self._attempts_here(worker, batches)

    def _attempts_here(self, worker: Worker, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Entry]]]:
        """Compute batches with a worker that is ready; one that ``prepares`` begins the next batch while this one is on
        the device."""
        drawn = deque[Batch]()
        if getattr(worker, "batched", False):
            batches = list(batches)
            for batch in batches:
                begun(worker, [task for _, task in batch], seeds_of(batch))

        def works() -> Iterator[Callable[[], Sequence[Outcome]]]:
            for batch in batches:
                drawn.append(batch)
                yield partial(worker.compute, [task for _, task in batch], seeds_of(batch))

        asked: AbstractContextManager[Iterable[Callable[[], Sequence[Outcome]]]] = (
            closing(ahead(works())) if getattr(worker, "prepares", False) else nullcontext(works())
        )
        with asked as results:
            for result in results:
                batch = drawn.popleft()
                yield batch, self._attempt(worker, batch, result)

    def remember(self, kind: str, batch: Sequence[tuple[str, Task]], entries: Mapping[str, Entry]) -> dict[str, Entry]:
        """Store the items of one batch, values and failures, and return what the store holds then.

        Who computed an item at the same time and was quicker has settled its value: outputs hold that one.
        """
        findings = []
        for key, task in batch:
            entry = entries[key]
            findings.append(
                Finding(key, kind, dict(task.parts), task.parents, dict(entry.value), entry.data, entry.reason)
            )
        self.store.remember(self.tracker.id, findings)
        others = {key for key, known in self.store.recall(entries).items() if known.run != self.tracker.id}
        return {**entries, **self.recall(others)}

    def begin(self, device: str, name: str = "") -> None:
        """Record that this execution computes; the first device is the one that is told, with the name of the card."""
        if self.device is None:
            self.device = device
            self.store.open_run(self.tracker.execution(device, name or device, self.engine))

    def _ready(self, worker: Worker) -> None:
        if self._worker is not worker:
            self._worker = None
            gc.collect()  # a pipeline whose forward was replaced refers to itself
            gc.freeze()  # all else stays: to look through it again with every model took a fifth of a second
            if isinstance(worker, Telling):
                worker.curve = self.tracker.curve
            device = worker.load()
            self.begin(device, card(device))
            self._worker = worker

    def _attempt(
        self, worker: Worker, batch: Batch, result: Callable[[], Sequence[Outcome]] | None = None
    ) -> list[Entry]:
        """Compute an entry for each item, in order."""
        outcomes = attempted(worker, [task for _, task in batch], seeds_of(batch), result)
        return [self._entry(one) for one in outcomes]

    def _entry(self, outcome: Outcome) -> Entry:
        """The entry of an outcome, which has failed where it is no result."""
        if reason := fault(outcome.value):
            return Entry(self.tracker.id, {}, None, reason)
        data, value = outcome.data, dict(outcome.value)
        if outcome.files:
            kept = {n: one if isinstance(one, bytes) else one.read_bytes() for n, one in outcome.files.items()}
            value["files"] = {name: self.store.objects.put(one) for name, one in kept.items()}
        address = None if data is None else digest(data)
        return Entry(self.tracker.id, value, data, outcome.reason, address, outcome.passes)
