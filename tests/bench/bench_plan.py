"""``palimpsest plan`` of a corpus as it grows: seconds and memory, where nothing is known and where everything is.

    python -m tests.bench.bench_plan [--samples 1000 10000] [--known]

A generated corpus, degraded in three ways, repainted by two models, captioned by one, and measured: 30 items a sample.
With ``--known`` all of them stand in the registry (SQLite), with values made up for them. Each plan runs in a process
of its own. Prints seconds of processors, and the most memory that the process took beyond what its imports do.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from registry.store import places
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from stages.care.plan import forecast, stages
from stages.engine.loop import light_row
from stages.engine.memory import Entry
from stages.engine.shards import Planned
from stages.engine.study import Study
from tests.bench.bench_scale import Unkept

RUN = Execution("0" * 32, "all", "0" * 40, "cpu", "local", datetime(2026, 1, 1, tzinfo=UTC))
MADE_UP = {"width": 64, "height": 64, "drift": 0.0, "caption": "a red star", "candidates": ["a red star"], "mask": None}


def study(samples: int) -> Study:
    weights = str(Path(__file__).parents[2] / "models/pocket/weights/blip")
    return Study.model_validate(
        {section: {} for section in Study.model_fields}
        | {"study": "large", "corpora": {"scenes": {"adapter": "scenes", "path": "models/worlds", "count": samples}}}
        | {"degradations": {"centre": {"kind": "zero"}, "blur": {"kind": "blur"}, "lowdim": {"kind": "lowdim"}}}
        | {"inpainters": {"identity": {"adapter": "identity"}, "telea": {"adapter": "telea"}}}
        | {"captioners": {"blip": {"adapter": "blip", "checkpoint": weights}}}
        | {"fidelity": {"pixel": {"adapter": "pixel"}}, "quality": {"lexical": {"adapter": "lexical"}}}
    )


def remember_all(asked: Study) -> int:
    """Remember every item of a study, with a value that nobody computed; returns how many there are."""
    store, count = ItemStore(connect(places.registry_url()), Unkept("memory://plan")), 0
    store.open_run(RUN)
    with Planned() as outputs:
        for stage in stages(asked, outputs):
            node = stage.node
            pictured = any(name == "image" for name, _ in node.fields)
            for path, tasks in node.plan:
                keyed = {item_key(node.kind, task.parts): task for task in tasks}
                data = {key: f"the bytes of {key}".encode() if pictured else None for key in keyed}
                found = [
                    Finding(key, node.kind, dict(task.parts), value=MADE_UP, data=data[key])
                    for key, task in keyed.items()
                ]
                store.remember(RUN.id, found)
                known = {
                    key: Entry(RUN.id, MADE_UP, None, digest=one.object) for key, one in store.recall(keyed).items()
                }
                rows = [light_row(node, key, task, known[key]) for key, task in keyed.items()]
                outputs.write(node.out / path, rows, node.fields)
                count += len(tasks)
    return count


def planned(folder: Path, samples: int, known: bool) -> tuple[float, float, int]:
    """Seconds of processors, most bytes, and items of the plan of a study with so many samples."""
    os.environ["PALIMPSEST_REGISTRY"] = f"sqlite:///{folder}/{samples}.db"
    os.environ["PALIMPSEST_OBJECTS"] = "memory://plan"
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    asked = study(samples)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = forecast(asked)
    spent = time.process_time() - began
    unit = 1 if sys.platform == "darwin" else 1024
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    if (missing := sum(stage.missing + stage.not_known_yet for stage in found)) != (0 if known else missing):
        raise RuntimeError(f"{missing} items of {samples} samples are missing, and all were remembered.")
    return spent, most, sum(stage.items for stage in found)


def prepared(folder: Path, samples: int) -> int:
    os.environ["PALIMPSEST_REGISTRY"] = f"sqlite:///{folder}/{samples}.db"
    return remember_all(study(samples))


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function returns, in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(arguments: list[str] | None = None) -> dict[int, tuple[float, float, int]]:
    """Print the figures and return seconds, bytes and items by number of samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--known", action="store_true", help="with all items in the registry")
    given = parser.parse_args(arguments)
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for samples in given.samples:
            if given.known:
                apart(prepared, folder, samples)
            spent, most, items = found[samples] = apart(planned, folder, samples, given.known)
            took = f"{spent:8.1f} s of processors, {most / 1e6:8.0f} MB"
            print(f"{samples:9,} samples, {items:11,} items: {took}", flush=True)
    return found


if __name__ == "__main__":
    main()
