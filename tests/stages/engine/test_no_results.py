"""Outcomes that are no results fail where they enter the loop, each alone; what older versions kept is made again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from registry.store import places
from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from stages.engine.loop import execute
from stages.engine.node import Node
from stages.engine.tasks import Outcome, Task
from tests.stages.engine.test_memory import OTHER

WHOLE = {"caption": "a cat", "candidates": ["a cat"]}


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()


class Sayer:
    """Says of each sample what it is told to, a batch at a time."""

    def __init__(self, said: dict[str, dict]) -> None:
        self.said = said
        self.batches = 0

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        self.batches += 1
        return [Outcome(self.said[task.sample]) for task in tasks]


def ran(worker: Sayer, stage: str = "caption", entry: str = "blip") -> tuple[dict[str, str | None], dict]:
    """Reasons by sample, and the run link."""
    of = STAGES[stage]
    tasks = [Task("toys", name, dict.fromkeys(of.axes), {"sample": name}) for name in worker.said]
    plan = [("part-00.parquet", tasks)]
    link = execute(Node(stage=of, entry=entry, settings={}, study="toy", total=len(tasks), plan=plan, worker=worker))
    rows = pq.read_table(f"data/{stage}/{entry}/part-00.parquet").to_pylist()
    return {row["sample"]: row["reason"] for row in rows}, link


def test_what_is_no_result_fails_alone_and_says_the_way_out():
    worker = Sayer(
        {"good": WHOLE, "empty": {"caption": "", "candidates": [""]}, "blank": {"caption": " \n", "candidates": []},
         "thoughts": {"caption": "<think>a dog?</think> a cat", "candidates": []}}
    )  # fmt: skip
    reasons, link = ran(worker)
    assert reasons["good"] is None and link["failed"] == 3 and worker.batches == 1
    assert "is empty" in reasons["empty"] and "bfloat16 or float32" in reasons["empty"]
    assert "is empty" in reasons["blank"] and "thought" in reasons["thoughts"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_fails_at_any_depth(bad):
    worker = Sayer({"good": {"score": 0.5, "none": None}, "top": {"score": bad}, "deep": {"layers": [[0.1], [bad]]},
                    "named": {"by": {"region": bad}}})  # fmt: skip
    reasons, link = ran(worker, "quality", "sbert")
    assert reasons["good"] is None and link["failed"] == 3
    assert all("NaN or infinity" in reasons[name] for name in ("top", "deep", "named"))


def test_what_was_kept_before_there_was_a_check_is_computed_again():
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    other = Execution(OTHER.id, "caption@blip", "0" * 40, "cpu", "local", OTHER.started_at)
    store.open_run(other)
    parts = {"sample": "old"}
    store.remember(other.id, [Finding(item_key("caption", parts), "caption", parts, value={"caption": ""})])
    reasons, link = ran(Sayer({"old": WHOLE}))
    assert reasons == {"old": None} and link["computed"] == 1
