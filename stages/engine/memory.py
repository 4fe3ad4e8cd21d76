"""What one execution recalls from the item store, computes where it is missing, and remembers batch by batch."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.adapters.ahead import ahead
from registry.store import places
from registry.store.database import connect
from registry.store.faults import passes
from registry.store.items import Finding, ItemStore
from registry.store.keys import digest, item_seed
from registry.store.objects import ObjectStore
from registry.tracking.runs import Tracker
from stages.engine.shards import files_of
from stages.engine.tasks import Outcome, Task, Worker, fault

log = logging.getLogger(__name__)


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
    """The item store as one execution uses it. A worker is made ready when the first of its items is missing."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.tracker = tracker
        self.store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
        self.device: str | None = None
        self._worker: Worker | None = None

    def recall(self, keys: Iterable[str], data: bool = True) -> dict[str, Entry]:
        """The known items; one that is no result, or whose image is missing or damaged, counts as unknown.

        Without ``data``, images are seen to be there and not read.
        """
        entries = {}
        for key, known in self.store.recall(keys).items():
            try:
                if reason := fault(known.value or {}):
                    raise ValueError(f"Of item {key} {reason}.")
                found = self._image(known.object, data) if known.object else None
                for address in files_of(known.value or {}).values():
                    self._there(address)
            except (FileNotFoundError, ValueError) as error:
                log.warning("%s: %s Computing it again.", self.name, error)
                self.store.lose(known, str(error))
                continue
            entries[key] = Entry(known.run, known.value or {}, found, digest=known.object)
        return entries

    def _image(self, address: str, data: bool) -> bytes | None:
        if data:
            return self.store.objects.get(address)
        self._there(address)
        return None

    def _there(self, address: str) -> None:
        if not self.store.objects.holds(address):
            raise FileNotFoundError(f"Object {address} is not in the object store.")

    def compute(
        self, kind: str, worker: Worker, batches: Sequence[Sequence[tuple[str, Task]]]
    ) -> Iterator[dict[str, Entry]]:
        """Compute the items of some batches and remember each; yields what is there, batch by batch.

        A worker that ``prepares`` begins the next batch while this one is on the device.
        """
        if batches:
            self._ready(worker)
        works = [partial(self._outcomes, worker, batch) for batch in batches]
        begun: AbstractContextManager[Iterable[Callable[[], Sequence[Outcome]]]] = (
            closing(ahead(works)) if getattr(worker, "prepares", False) else nullcontext(works)
        )
        with begun as results:
            for batch, result in zip(batches, results, strict=True):
                entries = dict(zip((key for key, _ in batch), self._attempt(worker, batch, result), strict=True))
                yield self.remember(kind, batch, entries)

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

    def begin(self, device: str) -> None:
        """Record that this execution computes; the first device is the one that is named."""
        if self.device is None:
            self.device = device
            self.store.open_run(self.tracker.execution(device))

    def _ready(self, worker: Worker) -> None:
        if self._worker is not worker:
            self._worker = None
            gc.collect()  # a pipeline whose forward was replaced refers to itself
            self.begin(worker.load())
            self._worker = worker

    def _attempt(
        self, worker: Worker, batch: Sequence[tuple[str, Task]], begun: Callable[[], Sequence[Outcome]] | None = None
    ) -> list[Entry]:
        """Compute an entry for each item, in order; a batch that raises, item by item; what raises alone has failed."""
        try:
            outcomes = begun() if begun else self._outcomes(worker, batch)
        except Exception as error:  # whatever one picture does to a model must not stop the others
            if len(batch) > 1:
                return [self._attempt(worker, [one])[0] for one in batch]
            log.debug("%s: %s failed", self.name, batch[0][1].sample, exc_info=True)
            reason = places.hidden(f"{type(error).__name__}: {error}")
            return [Entry(self.tracker.id, {}, None, reason, passes=passes(error))]
        return [self._entry(one) for one in outcomes]

    @staticmethod
    def _outcomes(worker: Worker, batch: Sequence[tuple[str, Task]]) -> Sequence[Outcome]:
        return worker.compute([task for _, task in batch], [item_seed(key) for key, _ in batch])

    def _entry(self, outcome: Outcome) -> Entry:
        """The entry of an outcome, which has failed where it is no result."""
        if reason := fault(outcome.value):
            return Entry(self.tracker.id, {}, None, reason)
        data, value = outcome.data, dict(outcome.value)
        if outcome.files:
            value["files"] = {name: self.store.objects.put(path.read_bytes()) for name, path in outcome.files.items()}
        return Entry(self.tracker.id, value, data, outcome.reason, None if data is None else digest(data))
