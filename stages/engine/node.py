"""One stage of a study: its plan, the worker that computes it, and the columns of its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from registry.store.dag import Stage
from stages.engine.memory import Entry, Memory
from stages.engine.shards import Fields
from stages.engine.tasks import Task, Worker

if TYPE_CHECKING:
    from tqdm import tqdm


PORTION = 20_000
"""Cases that a method advances together, some 18 kB of memory each: a model that is loaded for a wave of them computes
for an hour."""
REASONS = 10
"""Number of reasons of failures in a run link, the most frequent first."""


class Together(ABC):
    """Computes all tasks of a stage together, by asking several models (:mod:`stages.engine.waves`)."""

    @abstractmethod
    def answer(
        self, memory: Memory, kind: str, tasks: Sequence[tuple[str, Task]], progress: tqdm
    ) -> tuple[dict[str, Entry], dict[str, Any]]:
        """Compute and remember the items of some tasks; and count the requests for them, for the run link."""


def portions(items: Iterable[tuple[str, Task]]) -> Iterator[list[tuple[str, Task]]]:
    """Tasks with their keys, so many at a time as are worth a load of each model; one portion where there are none."""
    left = iter(items)
    yield list(dict(islice(left, PORTION)).items())
    while some := dict(islice(left, PORTION)):
        yield list(some.items())


def requests_of(entries: Iterable[Entry]) -> Iterator[str]:
    """The keys of what was asked for these items."""
    return (key for entry in entries for key in entry.value.get("requests", ()))


def summed(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of several portions together, reasons among them.

    >>> summed([{"asked": 2, "reasons": {"busy": 1}}, {"asked": 1, "reasons": {"busy": 2, "odd": 1}}])
    {'asked': 3, 'reasons': {'busy': 3, 'odd': 1}}
    """
    whole: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in counts for name in one):
        some = [one[name] for one in counts]
        whole[name] = (
            sum(some) if isinstance(some[0], int) else dict(sum(map(Counter, some), Counter()).most_common(REASONS))
        )
    return whole


class Fault(Protocol):
    """Something wrong with the input of a stage, such as :class:`~stages.corpora.Problem`; a dataclass."""

    @property
    def kind(self) -> str: ...

    @property
    def message(self) -> str: ...


@dataclass(frozen=True)
class Gathered(Together):
    """Computes what is missing in all shards in batches of one worker: for who answers a large batch in one go."""

    worker: Worker
    batch_size: int
    axis: str
    """Of whose entry there is one in a batch."""

    def answer(
        self, memory: Memory, kind: str, tasks: Sequence[tuple[str, Task]], progress: tqdm
    ) -> tuple[dict[str, Entry], dict[str, Any]]:
        entries: dict[str, Entry] = {}
        groups = [list(found) for _, found in groupby(tasks, lambda one: one[1].columns.get(self.axis))]
        size = self.batch_size
        batches = (some[start : start + size] for some in groups for start in range(0, len(some), size))
        for found in memory.compute(kind, self.worker, batches):
            entries |= found
            progress.update(len(found))
        return entries, {}


Plan = Iterable[tuple[str, Sequence[Task]]]
"""Shards: their path below the stage's output, and their tasks."""


@dataclass(frozen=True)
class Again:
    """A plan that is made anew each time that it is gone through, so that nobody holds its tasks."""

    plan: Callable[[], Iterator[tuple[str, Sequence[Task]]]]

    def __iter__(self) -> Iterator[tuple[str, Sequence[Task]]]:
        return self.plan()


@dataclass(frozen=True, kw_only=True)
class Node:
    """One stage of a study, ready to be executed: its row of the table of stages, and what its entry adds."""

    stage: Stage
    entry: str = ""
    """Of the section of ``params.yaml``; empty where the stage is one for all."""
    settings: Mapping[str, Any]
    study: str
    total: int
    plan: Plan
    worker: Worker | Together
    """Computes its tasks, in batches; or asks several models about all of them together."""
    metrics: Fields = ()
    """The columns that the entry declares, behind the stage's own."""
    batch_size: int = 16
    counted: bool = True
    """Whether how many items it holds follows from corpora and axes; else it is ``total``."""
    problems: Sequence[Fault] = ()
    """What was wrong with the input: told, counted in the run link, and listed beside the shards of a corpus."""
    sheet: Callable[[Sequence[tuple[Task, Mapping[str, Any]]]], bytes] | None = None
    """Draws a cell's first items as a PNG for MLflow."""

    @property
    def name(self) -> str:
        return self.stage.addressed(self.entry)

    @property
    def kind(self) -> str:
        return self.stage.kind_of(self.entry)

    @property
    def out(self) -> Path:
        return self.stage.folder(self.entry)

    @property
    def axes(self) -> tuple[str, ...]:
        return self.stage.axes

    @property
    def fields(self) -> Fields:
        """The columns of its rows beside those of all rows."""
        return (*((axis, pa.string()) for axis in self.axes), *self.metrics, *self.stage.fields)
