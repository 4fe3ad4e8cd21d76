"""Tasks and what computes them: all that goes to a worker, here or in another process, and comes back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from models.adapters.ahead import begin
from models.adapters.finite import OVERFLOW
from models.adapters.thinking import CLOSE, OPEN
from registry.store import faults, places
from stages.engine.shards import shard_count, shard_of

log = logging.getLogger(__name__)

Curve = Callable[[str, str], AbstractContextManager[Callable[[Mapping[str, float], int], None]]]
"""Opens the curve of an item, called by a name and the item's key: what it yields takes figures by step."""


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
    """What the worker needs beside the columns and parts: references to pictures, texts, settings."""


def with_requests(task: Task, value: Mapping[str, Any]) -> Task:
    """The task of an item that says which requests it was made of, with these among its parents."""
    return replace(task, parents=tuple(dict.fromkeys((*task.parents, *value.get("requests", ())))))


@dataclass(frozen=True)
class Outcome:
    """Result of computing an item: values for its row, image bytes, or files."""

    value: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    """Files that it left, or what they hold, by name, such as weights. Its value will say their digests, as
    ``files``."""
    reason: str | None = None
    """Why the values, or a part of them, are missing; the item counts as failed, and the others are kept."""
    passes: bool = False
    """Whether a retry may mend what it failed for."""


def fault(value: Mapping[str, Any]) -> str | None:
    """Why a value is no result: a number in it is NaN or infinite, or its caption is empty or holds thoughts.

    >>> fault({"mse": 0.5, "layers": [0.1, float("nan")]})[:28]
    'layers holds NaN or infinity'
    >>> fault({"caption": " "})[:20], fault({"caption": "a cat", "ssim": None})
    ('the caption is empty', None)
    """
    for name, one in value.items():
        if not all(map(math.isfinite, _floats(one))):
            return f"{name} holds NaN or infinity; {OVERFLOW}"
    caption = value.get("caption")
    if caption is not None and not caption.strip():
        return f"the caption is empty; {OVERFLOW}"
    if caption and (OPEN in caption or CLOSE in caption):
        return "the caption holds what the model thought before it answered"
    return None


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        yield from _floats(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _floats(one)


class Worker(Protocol):
    """Computes tasks, here or in another process: it can be pickled before ``load``, and knows no study and no plan.

    One whose adapter prepares ahead of the device says so as ``prepares``, there after ``load``; one that asks a server
    as ``served``: no actor computes what needs no device, and who plans keeps to limits, counts what is spent, and
    knows what is under way. One that asks by files is ``batched``: all are under way before one is waited for.
    """

    def load(self) -> str:
        """Make ready to compute and say on which device."""

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> Sequence[Outcome]:
        """Compute an outcome for each task, in order. Where it raises, the loop tries again task by task."""


class Telling:
    """A worker whose items take long, and that tells how they go; ``curve`` is set before it is loaded."""

    curve: Curve


def attempted(
    worker: Worker,
    tasks: Sequence[Task],
    seeds: Sequence[int],
    begun: Callable[[], Sequence[Outcome]] | None = None,
) -> list[Outcome]:
    """An outcome for each task, in order; a batch that raises goes item by item, and what raises alone has failed.

    ``begun`` gives the outcomes where computing them has begun already. A full disk is no item's fault: what it raises
    passes through.
    """
    try:
        return list(begun() if begun else worker.compute(tasks, seeds))
    except Exception as error:  # whatever one picture does to a model must not stop the others
        if faults.full(error) and not isinstance(error, ConnectionError):  # which quotes a server about its own disk
            raise
        if len(tasks) > 1:
            return [attempted(worker, [task], [seed])[0] for task, seed in zip(tasks, seeds, strict=True)]
        log.debug("%s of %s failed", tasks[0].sample or "a whole", tasks[0].corpus, exc_info=True)
        return [Outcome(reason=places.hidden(f"{type(error).__name__}: {error}"), passes=faults.passes(error))]


def begun(worker: Worker, tasks: Sequence[Task], seeds: Sequence[int]) -> None:
    """Let what a ``batched`` worker asks for these tasks be under way, without an item that cannot be asked about."""
    try:
        begin(partial(worker.compute, tasks, seeds))
    except Exception:
        if len(tasks) > 1:
            for task, seed in zip(tasks, seeds, strict=True):
                begun(worker, [task], [seed])


def by_shard(tasks: Sequence[Task]) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of a corpus' samples by the shard of each, every shard in its turn."""
    count = shard_count(len(tasks))
    buckets: dict[str, list[Task]] = {f"part-{number:02d}.parquet": [] for number in range(count)}
    for task in tasks:
        buckets[shard_of(task.sample, count)].append(task)
    yield from buckets.items()
