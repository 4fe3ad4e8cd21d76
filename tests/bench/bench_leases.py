"""What leases cost: batches that a worker answers at once, remembered with leases and without.

    python -m tests.bench.bench_leases [batches]

Both ways take 16 items a batch into one registry, SQLite and PostgreSQL in their turn. Prints milliseconds of processor
time a batch on this side, and the ratio. A batch of a model takes 100 ms and more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace

from registry.store.items import Execution
from registry.store.keys import item_key
from registry.store.leases import Leases
from stages.engine.memory import Memory
from stages.engine.tasks import Outcome, Task
from tests.databases import KINDS, Databases

BATCH = 16


class Ready:
    """Answers at once."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [Outcome({"caption": f"item {task.sample}"}) for task in tasks]


class Free(Leases):
    """Leases that are always granted, and kept nowhere."""

    def take(self, keys: Sequence[str]) -> set[str]:
        return set(keys)

    def release(self, keys: object) -> None:
        """Nothing is kept."""


def spent(url: str, leases: type[Leases], run: str, batches: int) -> float:
    """Milliseconds a batch."""
    os.environ |= {"PALIMPSEST_REGISTRY": url, "PALIMPSEST_OBJECTS": "memory://leases", "PALIMPSEST_ENGINE": "local"}
    execution = Execution(run, "caption@bench", "c", "cpu", "local", datetime.now(UTC))
    memory = Memory("bench", SimpleNamespace(id=run, execution=lambda *_: execution))
    memory.leases = leases(memory.store.engine)
    parts = [[{"run": run, "number": BATCH * k + n} for n in range(BATCH)] for k in range(batches + 1)]
    tasks = [[(item_key("caption", each), Task("", str(each), {}, each)) for each in one] for one in parts]
    with closing(memory.leases):
        list(memory.compute("caption", Ready(), tasks[:1]))
        began = time.process_time()
        list(memory.compute("caption", Ready(), tasks[1:]))
        return 1000 * (time.process_time() - began) / batches


def main(batches: int) -> None:
    with Databases() as databases:
        for kind in KINDS:
            url = databases.new(kind, migrated=True)
            ways = {Leases: 0.0, Free: 0.0}
            for turn in range(2):
                for way in ways:
                    ways[way] += spent(url, way, f"{way.__name__}{turn}", batches) / 2
            print(f"{kind}: {ways[Leases]:.2f} ms a batch with leases, {ways[Free]:.2f} without, "
                  f"{ways[Leases] / ways[Free]:.2f} times")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
