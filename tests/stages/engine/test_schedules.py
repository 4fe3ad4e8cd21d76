"""Who computes what on actors, in many orders: a stand-in for Ray, which takes half a minute to begin, draws them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stages.engine import actors
from stages.engine.actors import KILLER, Actors
from stages.engine.tasks import Outcome, Task


class RayError(Exception):
    """An actor is gone."""


class Call(SimpleNamespace):
    """What an actor was told to do."""

    __hash__ = object.__hash__


class Stand:
    """Does as Ray does: whatever was called ends in any order, and who computes or prepares a killer dies."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=type("RayTaskError", (RayError,), {}))

    def __init__(self, chance: random.Random, killers: set[str], prepares: bool) -> None:
        self.chance, self.killers, self.prepares = chance, killers, prepares

    def put(self, worker: Any) -> Any:
        return worker

    def made(self) -> actors.Actor:
        return actors.Actor(
            SimpleNamespace(load=SimpleNamespace(remote=lambda *_: Call()), compute=SimpleNamespace(remote=self.called))
        )

    def called(self, tasks: Sequence[Task], seeds: Sequence[int], following: Any) -> Call:
        assert self.prepares or not following
        return Call(tasks=tasks, following=following[0] if following else [])

    def wait(self, calls: list[Call], timeout: float) -> tuple[list[Call], None]:
        return [self.chance.choice(calls)], None

    def get(self, call: Call) -> Any:
        if not hasattr(call, "tasks"):
            return "cpu", "cpu", self.prepares
        met = {task.sample for task in call.tasks}
        met |= {task.sample for task in call.following if self.chance.random() < 0.8}  # there was time for them
        if met & self.killers:
            raise RayError
        return [Outcome({"caption": task.sample}) for task in call.tasks]

    def kill(self, handle: Any) -> None:
        """Nothing is left of it."""


@pytest.mark.parametrize("prepares", [False, True])
def test_every_item_is_computed_once_and_who_kills_fails_alone(prepares, monkeypatch):
    for seed in range(200):
        chance = random.Random(seed)
        tasks = [Task("toys", f"{n:064}", {}, {}) for n in range(chance.randint(1, 20))]
        killers = {task.sample for task in tasks if chance.random() < 0.12}
        ray = Stand(chance, killers, prepares)
        pool = Actors.__new__(Actors)
        pool.ray, pool.most, pool.idle, pool.told = ray, chance.randint(1, 4), [], None
        monkeypatch.setattr(pool, "_made", ray.made)
        size = chance.randint(1, 4)
        batches = [[(task.sample, task) for task in tasks[at : at + size]] for at in range(0, len(tasks), size)]
        found: list[tuple[str, str | None]] = []
        for some in (batches[::2], batches[1::2]):  # the actors stay from one to the next
            for batch, outcomes in pool.attempt(ray, some, lambda *_: None, None):
                found += [
                    (key, one.value.get("caption") or one.reason) for (key, _), one in zip(batch, outcomes, strict=True)
                ]
        said = {task.sample: KILLER if task.sample in killers else task.sample for task in tasks}
        assert sorted(found) == sorted(said.items()), seed
