"""What a stage writes is what the store holds, also where somebody else was quicker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
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


def test_the_value_that_the_store_keeps_is_the_one_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    stage = STAGES["caption"]
    tasks = [Task("toys", name, dict.fromkeys(stage.axes), {"sample": name}) for name in ("a", "b")]
    node = Node(
        stage=stage, entry="blip", settings={}, study="toy", total=2, plan=[("part-00.parquet", tasks)], worker=Slow()
    )
    execute(node)
    rows = pq.read_table("data/caption/blip/part-00.parquet").to_pylist()
    assert {row["sample"]: row["caption"] for row in rows} == {"a": "theirs", "b": "mine"}
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    assert {row["key"]: row["caption"] for row in rows} == {
        key: known.value["caption"] for key, known in store.recall(row["key"] for row in rows).items()
    }
    runs = pq.read_table("data/provenance/caption@blip.parquet").to_pylist()
    assert {row["id"] for row in runs} > {OTHER.id}, "provenance names who computed it"
