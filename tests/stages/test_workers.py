"""Workers and tasks go anywhere: pickled before anything is loaded, they compute in another process what a stage wrote.

Each stage of a small study runs here, while its worker and the tasks of its plan, pickled, run in a process that was
spawned and knows nothing else. Tasks carry references: no plan looks at a picture.
"""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from registry.store.dag import Stage
from registry.store.keys import canonical, digest, item_key, item_seed
from registry.store.objects import ObjectStore
from stages.care.plan import forecast
from stages.engine import pictures
from stages.engine.loop import execute
from stages.engine.node import Node
from stages.engine.shards import DISK, Outputs
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

Found = tuple[str, str | None]
"""The value of an item as JSON, and the digest of its picture."""
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


def compute(worker: bytes, work: Batches) -> list[Found]:
    """The value, as JSON, and the digest of the picture of each task, in another process."""
    here = pickle.loads(worker)
    here.load()
    outcomes = [one for tasks, seeds in work for one in here.compute([pickle.loads(task) for task in tasks], seeds)]
    return [(canonical(one.value), one.data and digest(one.data)) for one in outcomes]


def written(node: Node) -> dict[str, Found]:
    """The value and the digest of the picture of each item that a stage wrote, by key."""
    rows = (row for path in sorted(node.out.rglob("*.parquet")) for row in DISK.read(path))
    return {row["key"]: (row["value"], row.get("image_digest")) for row in rows if row["status"] == "ok"}


class Ran(NamedTuple):
    """A study whose stages have run."""

    study: Study
    sent: dict[str, tuple[bytes, list[bytes]]]
    """The pickled worker and tasks of each stage, made before anything was loaded."""
    wrote: dict[str, dict[str, Found]]
    """By stage and key."""
    elsewhere: dict[str, dict[str, Found]]
    """The same, computed in another process."""


def make(study: Study, stage: Stage, entry: str) -> Node:
    return importlib.import_module(f"stages.{stage.name}").node(study, entry)


def executed(study: Study, stage: Stage, entry: str) -> None:
    execute(make(study, stage, entry))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The study, run in a folder that is enough of a checkout, and that is the working directory of the tests."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "dvc.yaml").touch()
    (folder / "models").symlink_to(ROOT / "models")
    study, sent, wrote = Study.model_validate(STUDY), {}, {}
    computing: dict[str, tuple[list[str], Future[list[Found]]]] = {}
    own, pool = (ProcessPoolExecutor(1, get_context("spawn")) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, own, pool:
        patch.chdir(folder)
        for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        for stage, entry in study.stages():
            node = make(study, stage, entry)
            worker, work = pickle.dumps(node.worker), list(batches(node))
            sent[node.name] = worker, [task for _, tasks, _ in work for task in tasks]
            future = pool.submit(compute, worker, [(tasks, seeds) for _, tasks, seeds in work])
            computing[node.name] = [key for keys, _, _ in work for key in keys], future
            # what other tests computed in this process may change how torch rounds in it
            own.submit(executed, study, stage, entry).result()
            wrote[node.name] = written(node)
        elsewhere = {name: dict(zip(keys, one.result(), strict=True)) for name, (keys, one) in computing.items()}
        yield Ran(study, sent, wrote, elsewhere)


def test_every_worker_computes_elsewhere_what_its_stage_wrote(ran: Ran) -> None:
    assert all(ran.wrote.values())
    assert ran.elsewhere == ran.wrote


def test_workers_and_tasks_are_small_and_know_no_study(ran: Ran) -> None:
    for name, (worker, tasks) in ran.sent.items():
        assert len(worker) < LARGEST and max(map(len, tasks)) < LARGEST, name
        assert not [one for one in FOREIGN if one in worker], name
        masks = name == "degrade"  # drawn by the plan: their digests are in the keys
        assert [PNG in task for task in tasks] == [masks] * len(tasks), name


@pytest.fixture
def unseen(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can look at a picture: neither in the object store nor in a shard."""
    here = Outputs.read

    def read(outputs: Outputs, path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        assert columns and not {"image", "mask"} & set(columns), f"{path} is read with its pictures"
        return here(outputs, path, columns)

    def refuse(*_: object) -> bytes:
        raise AssertionError("a picture is looked at")

    monkeypatch.setattr(Outputs, "read", read)
    monkeypatch.setattr(ObjectStore, "get", refuse)
    monkeypatch.setattr(pictures, "group_of", refuse)
    pictures.fetch.cache_clear()


@pytest.mark.usefixtures("unseen")
def test_no_plan_looks_at_a_picture(ran: Ran) -> None:
    for stage, entry in ran.study.stages():
        node = make(ran.study, stage, entry)
        keys = {item_key(node.kind, task.parts) for _, tasks in node.plan for task in tasks}
        assert keys == ran.wrote[node.name].keys()


@pytest.mark.usefixtures("unseen")
def test_of_a_finished_study_everything_is_known(ran: Ran) -> None:
    found = forecast(ran.study)
    assert [one.stage for one in found] == list(ran.wrote)
    assert [one for one in found if (one.known, one.missing, one.not_known_yet) != (one.items, 0, 0)] == []
    with pytest.raises(AssertionError, match="a picture is looked at"):
        pictures.fetch(pictures.Picture("0" * 64))
