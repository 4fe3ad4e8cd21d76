"""A worker on Ray's actors against itself in this process, and against ``ray.data``'s ``map_batches``.

    python -m tests.bench.bench_ray [batches] [seconds]

The worker stands for a device: it takes so many seconds for a batch of 16 tasks, by default 64 times 0.1, of which it
computes nothing, and returns 100 kB for each, as a picture has. So what is measured is the way there and back. One
cluster on this machine serves all; it is started first, and apart. Of each way: seconds until the first batch is back
(actors start, and import); those a batch of the later half takes, when all actors are there; and their ratio to those
of this process. Last, how many of the tasks come back where one raises: caught in an actor, and with
``max_errored_blocks=-1``, without which none does.
"""

from __future__ import annotations

import logging
import os
import pickle
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from stages.engine.actors import Actors, Batch, seeds_of, started
from stages.engine.tasks import Outcome, Task, attempted

SIZE = 16
BYTES = 100_000
BAD = "bad"


class Device:
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        if BAD in (task.sample for task in tasks):
            raise ValueError("a bad picture")
        time.sleep(self.seconds)
        return [Outcome(data=random.Random(seed).randbytes(BYTES)) for seed in seeds]


def work(batches: int, bad: bool = False) -> list[Batch]:
    names = [f"{n:05}" for n in range(batches * SIZE)]
    names[SIZE] = BAD if bad else names[SIZE]
    tasks = [(f"{n:064x}", Task("bench", name, {}, {})) for n, name in enumerate(names)]
    return [tasks[start : start + SIZE] for start in range(0, len(tasks), SIZE)]


Way = Callable[[Device, list[Batch]], Iterator[int]]
"""Computes batches, and says of each part that comes back how many tasks have a picture."""


def here(worker: Device, batches: list[Batch]) -> Iterator[int]:
    for batch in batches:
        yield pictures(attempted(worker, [task for _, task in batch], seeds_of(batch)))


def pictures(outcomes: Sequence[Outcome]) -> int:
    return sum(one.data is not None for one in outcomes)


def actors(count: int) -> Way:
    def way(worker: Device, batches: list[Batch]) -> Iterator[int]:
        os.environ["PALIMPSEST_ACTORS"] = str(count)
        some = Actors()
        for _, outcomes in some.attempt(worker, batches, lambda *_: None, lambda *_: nullcontext()):
            yield pictures(outcomes)
        some.close()

    return way


class Mapped:
    """What ``map_batches`` calls, as its users write it."""

    def __init__(self, worker: Device) -> None:
        self.worker = worker
        worker.load()

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        batch = [pickle.loads(one) for one in rows["task"]]
        found = self.worker.compute([task for _, task in batch], seeds_of(batch))
        return {"key": [key for key, _ in batch], "data": [one.data for one in found]}


def mapped(count: int) -> Way:
    def way(worker: Device, batches: list[Batch]) -> Iterator[int]:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars, context.max_errored_blocks = False, -1
        rows = [{"task": pickle.dumps(one)} for batch in batches for one in batch]
        pool = ray.data.ActorPoolStrategy(size=count)
        made = ray.data.from_items(rows, override_num_blocks=len(batches)).map_batches(
            Mapped, batch_size=SIZE, compute=pool, num_cpus=0.1, fn_constructor_args=[worker]
        )
        for found in made.iter_batches(batch_size=None, prefetch_batches=0):
            yield len(found["key"])

    return way


WAYS: dict[str, Way] = {
    "this process": here, "1 actor": actors(1), "2 actors": actors(2), "map_batches, 1": mapped(1),
    "map_batches, 2": mapped(2),
}  # fmt: skip


def timed(way: Way, seconds: float, batches: list[Batch]) -> tuple[float, float, int]:
    """Seconds until something is back, seconds for a part of the later half, and how many pictures there are."""
    began = time.monotonic()
    counts, times = zip(*((count, time.monotonic()) for count in way(Device(seconds), batches)), strict=True)
    half = len(times) // 2
    return times[0] - began, (times[-1] - times[half - 1]) / (len(times) - half), sum(counts)


def main(batches: int = 64, seconds: float = 0.1) -> dict[str, float]:
    """Print the figures and return the ratios to this process."""
    os.chdir(Path(__file__).parents[2])  # from where actors import
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PALIMPSEST_OBJECTS"] = folder
        began = time.monotonic()
        ray, _ = started()
        print(f"Ray {ray.__version__} started in {time.monotonic() - began:.1f} s")
        logging.disable()  # ray.data tells of its plan and of every error
        found = {name: timed(way, seconds, work(batches)) for name, way in WAYS.items()}
        usual = found["this process"][1]
        for name, (first, each, _) in found.items():
            print(f"{name:15} first batch {first:5.1f} s, then {each * 1e3:4.0f} ms a batch, {each / usual:.2f}")
        for name in ("2 actors", "map_batches, 2"):
            *_, kept = timed(WAYS[name], 0, work(8, bad=True))
            print(f"{name:15} of {8 * SIZE} tasks, of which one raises, {kept} come back")
        ray.shutdown()
    return {name: each / usual for name, (_, each, _) in found.items()}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*map(int, arguments[:1]), *map(float, arguments[1:]))
