"""Workers and tasks go anywhere: pickled before anything is loaded, they compute in another process what a stage wrote.

Each stage of a small study runs here, while its worker and the tasks of its plan, pickled, run in a process that was
spawned and knows nothing else.
"""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from registry.store.keys import canonical, digest, item_key, item_seed
from stages.engine.loop import execute
from stages.engine.node import Node
from stages.engine.shards import DISK
from stages.engine.study import Study
from tests.conftest import ROOT, SMALL

WEIGHTS = "models/pocket/weights"
STUDY = {
    **copy.deepcopy(SMALL),
    "study": "study-of-workers",
    "corpora": {"scenes": {"adapter": "scenes", "path": "models/worlds", "seed": 7, "count": 2}},
    "inpainters": {"telea": {"adapter": "telea", "sweep": {"radius": [2, 5]}}},
    "fidelity": {
        "pixel": {"adapter": "pixel"},
        "lpips": {"adapter": "lpips", "net": "squeeze", "weights": f"{WEIGHTS}/squeezenet"},
    },
    "quality": {
        **SMALL["quality"],
        "sbert": {"adapter": "semantic", "checkpoint": f"{WEIGHTS}/sbert"},
        "grounding": {"adapter": "grounding"},
    },
}
LARGEST = 10_000
"""Bytes that the pickle of a worker or a task may take."""
PNG = b"\x89PNG"
FOREIGN = (b"study-of-workers", b"stages.engine.study", b"stages.engine.shards", PNG)
"""What pickles of the study, of the outputs that a plan reads, and of a picture hold."""

Batches = list[tuple[list[bytes], list[int]]]
"""Pickled tasks, with the seeds of their items."""


def batches(node: Node) -> Iterator[tuple[list[str], list[bytes], list[int]]]:
    """The keys, pickled tasks and seeds of a node, in batches as the loop makes them."""
    for _, tasks in node.plan:
        different = {item_key(node.kind, task.parts): pickle.dumps(task) for task in tasks}
        keys = list(different)
        for start in range(0, len(keys), node.batch_size):
            some = keys[start : start + node.batch_size]
            yield some, [different[key] for key in some], [item_seed(key) for key in some]


def compute(worker: bytes, work: Batches) -> list[tuple[str, str | None]]:
    """The value, as JSON, and the digest of the picture of each task, in another process."""
    here = pickle.loads(worker)
    here.load()
    outcomes = [one for tasks, seeds in work for one in here.compute([pickle.loads(task) for task in tasks], seeds)]
    return [(canonical(one.value), one.data and digest(one.data)) for one in outcomes]


def written(node: Node) -> dict[str, tuple[str, str | None]]:
    """The value and the digest of the picture of each item that a stage wrote, by key."""
    rows = (row for path in sorted(node.out.rglob("*.parquet")) for row in DISK.read(path))
    return {row["key"]: (row["value"], row.get("image_digest")) for row in rows if row["status"] == "ok"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is enough of a checkout for stages to run in."""
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


def test_every_worker_computes_elsewhere_what_its_stage_wrote(folder: Path) -> None:
    study = Study.model_validate(STUDY)
    sent: dict[str, tuple[list[str], Future[list[tuple[str, str | None]]]]] = {}
    there: dict[str, dict[str, tuple[str, str | None]]] = {}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for stage, entry in study.stages():
            make = importlib.import_module(f"stages.{stage.name}").node
            node = make(study, entry)
            worker, work = pickle.dumps(node.worker), list(batches(node))
            tasks = [task for _, some, _ in work for task in some]
            assert len(worker) < LARGEST and max(map(len, tasks)) < LARGEST, node.name
            assert not [one for one in FOREIGN if one in worker], node.name
            masks = stage.name == "degrade"  # drawn by the plan: their digests are in the keys
            assert [PNG in task for task in tasks] == [masks] * len(tasks), node.name
            keys = [key for some, _, _ in work for key in some]
            future = pool.submit(compute, worker, [(some, seeds) for _, some, seeds in work])
            sent[node.name] = keys, future
            execute(make(study, entry))
            there[node.name] = written(node)
        found = {name: dict(zip(keys, future.result(), strict=True)) for name, (keys, future) in sent.items()}
    assert found == there
