"""Tasks and what computes them: all that goes to a worker, here or in another process, and comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol


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
    """Result of computing an item: values for its row, image bytes, or both."""

    value: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None


class Worker(Protocol):
    """Computes tasks, here or in another process: it can be pickled before ``load``, and knows no study and no plan."""

    def load(self) -> str:
        """Make ready to compute and say on which device."""

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> Sequence[Outcome]:
        """Compute an outcome for each task, in order. Where it raises, the loop tries again task by task."""
