"""What a stage writes is what the store holds, also where somebody else was quicker."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.adapters.ahead import on_device, prepared
from registry.store import places
from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from registry.store.leases import Leases
from registry.store.objects import ObjectStore
from stages.engine import memory
from stages.engine.actors import Host
from stages.engine.loop import execute
from stages.engine.node import Gathered, Node
from stages.engine.tasks import Outcome, Task, Worker

OTHER = Execution("f" * 32, "caption@blip", "0" * 40, "cuda", "local", datetime(2026, 1, 2, tzinfo=UTC))


class Slow:
    """Captions while a colleague, whose server samples otherwise, finishes one of the same items."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
        store.open_run(OTHER)
        parts = dict(tasks[0].parts)
        store.remember(OTHER.id, [Finding(item_key("caption", parts), "caption", parts, value={"caption": "theirs"})])
        return [Outcome({"caption": "mine"}) for _ in tasks]


class Preparing:
    """Captions by a device that chokes on one picture, while the next batch is prepared."""

    prepares = True

    def __init__(self) -> None:
        self.on_device: list[list[str]] = []

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        names = prepared(lambda task: task.sample.upper(), tasks)
        return [Outcome({"caption": name}) for name in on_device(lambda: self.named(names))]

    def named(self, names: list[str]) -> list[str]:
        assert threading.current_thread() is threading.main_thread()
        self.on_device.append(names)
        if "C" in names:
            raise RuntimeError("no C")
        return names


def test_a_batch_that_fails_is_computed_item_by_item_and_the_next_one_is_not_lost(in_study):
    worker = Preparing()
    rows = in_study(worker, "abcdefg", batch_size=2)
    said = {row["sample"]: row["caption"] or row["reason"] for row in rows}
    assert said == {**{name: name.upper() for name in "abdefg"}, "c": "RuntimeError: no C"}
    assert worker.on_device == [["A", "B"], ["C", "D"], ["C"], ["D"], ["E", "F"], ["G"]]


def test_a_registry_that_is_lost_while_the_next_batch_is_drawn_is_no_fault_of_this_one(in_study, monkeypatch):
    take, calls = Leases._take, []

    def lost(leases, keys):
        calls.append(keys)
        if len(calls) == 2:
            raise ConnectionError("the registry is away")
        return take(leases, keys)

    monkeypatch.setattr(Leases, "_take", lost)
    worker = Preparing()
    with pytest.raises(ConnectionError, match="the registry is away"):
        in_study(worker, "abde", batch_size=2)
    assert worker.on_device == [["A", "B"]], "computed once, and remembered"
    assert {row["sample"] for row in in_study(worker, "abde", batch_size=2)} == set("abde")
    assert worker.on_device == [["A", "B"], ["D", "E"]]


def test_an_actor_prepares_the_next_batch_while_one_is_on_the_device(tmp_path, monkeypatch):
    """Ray's actors call it so, one batch after the other, with what may come next; it may be another batch, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    prepares, ready = [], threading.Event()

    class Watched(Preparing):
        def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
            prepares.append("".join(task.sample for task in tasks))
            if len(prepares) > 1:
                ready.set()
            return super().compute(tasks, seeds)

        def named(self, names: list[str]) -> list[str]:
            assert ready.wait(30), "the next one has begun"
            return super().named(names)

    def batch(names: str) -> tuple[list[Task], list[int]]:
        return [Task("toys", name, {}, {}) for name in names], [ord(name) for name in names]

    def said(outcomes: list[Outcome]) -> list[str]:
        return [one.value.get("caption") or one.reason for one in outcomes]

    host = Host(str(tmp_path), {})
    assert host.load(Watched(), None) == ("cpu", "cpu", True)
    assert said(host.compute(*batch("ab"), batch("cd"))) == ["A", "B"] and prepares == ["ab", "cd"]
    assert said(host.compute(*batch("cd"), batch("ef"))) == ["RuntimeError: no C", "D"]
    assert prepares == ["ab", "cd", "ef", "c", "d"], "what fails goes item by item"
    assert said(host.compute(*batch("gh"))) == ["G", "H"], "another one was quicker with that"
    assert prepares[5:] == ["gh"]


def test_where_nothing_is_missing_no_actor_is_started(in_study, monkeypatch):
    """So that who has all of it needs no cluster, also where a worker gathers what is missing of all shards."""
    worker = Gathered(Preparing(), 2, "captioner")
    rows = in_study(worker, "ab")
    monkeypatch.setenv("PALIMPSEST_ENGINE", "ray")
    monkeypatch.setattr(memory, "Actors", lambda: pytest.fail("a cluster was started for nothing"))
    assert in_study(worker, "ab") == rows


@pytest.fixture
def in_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Executes a stage of captions by a worker, and returns the rows of its output."""
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()

    def run(worker: Worker, samples: Sequence[str], **options: Any) -> list[dict[str, Any]]:
        stage = STAGES["caption"]
        tasks = [Task("toys", name, dict.fromkeys(stage.axes), {"sample": name}) for name in samples]
        execute(
            Node(
                stage=stage, entry="blip", settings={}, study="toy", total=len(tasks), worker=worker,
                plan=[("part-00.parquet", tasks)], **options,
            )
        )  # fmt: skip
        return pq.read_table("data/caption/blip/part-00.parquet").to_pylist()

    return run


def test_the_value_that_the_store_keeps_is_the_one_that_is_written(in_study):
    rows = in_study(Slow(), "ab")
    assert {row["sample"]: row["caption"] for row in rows} == {"a": "theirs", "b": "mine"}
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    assert {row["key"]: row["caption"] for row in rows} == {
        key: known.value["caption"] for key, known in store.recall(row["key"] for row in rows).items()
    }
    runs = pq.read_table("data/provenance/caption@blip.parquet").to_pylist()
    assert {row["id"] for row in runs} > {OTHER.id}, "provenance names who computed it"


def test_what_is_looked_through_no_more_while_a_stage_computes_is_so_again_behind_it(in_study):
    frozen = []

    class Watching(Slow):
        def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
            frozen.append(gc.get_freeze_count())
            return [Outcome({"caption": "mine"}) for _ in tasks]

    in_study(Watching(), "a")
    assert frozen[0] > 0 == gc.get_freeze_count()
