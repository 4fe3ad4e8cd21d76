"""A toy stage of plain tasks, whose worker can die, for tests on Ray's actors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.adapters.ahead import on_device
from models.media.images import encode_png
from registry.store import places
from registry.store.dag import STAGES
from registry.store.objects import ObjectStore
from stages.engine.node import Node
from stages.engine.pictures import Picture
from stages.engine.tasks import Outcome, Task

JOURNAL = Path("journal")
SAMPLES = 8
BATCH = 2


class Inverter:
    """Inverts pictures, and writes down where.

    Of one sample it says that it is bad, of ``killer`` it dies: always or, with ``once``, the first time. One that
    ``prepares`` dies while the batch before is on the device.
    """

    def __init__(self, pause: float = 0.0, killer: str = "", once: bool = False, prepares: bool = False) -> None:
        self.pause, self.killer, self.once, self.prepares = pause, killer, once, prepares

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        note(f"{os.environ.get('PALIMPSEST_TEST_NODE', 'head')} begins")
        if not self.prepares:
            time.sleep(self.pause)
        samples = [task.sample for task in tasks]
        if self.killer in samples and not (self.once and "dies" in JOURNAL.read_text()):
            note("dies")
            os._exit(1)
        if "s03" in samples:
            raise ValueError("a bad picture" if len(tasks) == 1 else "one of several")
        if self.prepares:
            on_device(lambda: time.sleep(self.pause))
        return [Outcome(data=encode_png(255 - task.inputs.pixels())) for task in tasks]


def note(line: str) -> None:
    with JOURNAL.open("a") as file:
        file.write(f"{line}\n")


def node(worker: Inverter, entry: str) -> Node:
    """The stage over eight pictures, in batches of two; entries share nothing."""
    store, stage = ObjectStore(places.objects_url()), STAGES["inpaint"]
    tasks = []
    for number in range(SAMPLES):
        address = store.put(encode_png(np.full((4, 4, 3), 10 * number, np.uint8)))
        columns = dict.fromkeys(stage.axes) | {"inpainter": entry}
        tasks.append(Task("toys", f"s{number:02}", columns, {"picture": address, "model": entry}, (), Picture(address)))
    return Node(
        stage=stage, entry=entry, settings={}, study="toy", total=SAMPLES,
        plan=[("toys/part-00.parquet", tasks)], worker=worker, batch_size=BATCH,
    )  # fmt: skip


if __name__ == "__main__":
    from stages.engine.loop import execute

    execute(node(Inverter(pause=0.5), sys.argv[1]))
