"""An object that the store has lost comes back from the stage output that still holds its bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry.store.dag import IMAGE
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import canonical, item_key
from registry.store.objects import ObjectStore
from stages.engine.shards import image, write_shard
from stages.index.remembering import remember_all

RUN = Execution("1" * 32, "prepare@mine", "f" * 40, "cpu", "local", datetime(2026, 1, 2, tzinfo=UTC))


def test_indexing_puts_back_what_the_store_has_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = ItemStore(connect(f"sqlite:///{tmp_path}/registry.db"), ObjectStore(str(tmp_path / "objects")))
    store.open_run(RUN)
    parts = {"source": "one"}
    key = item_key("original", parts)
    store.remember(RUN.id, [Finding(key, "original", parts, value={}, data=b"a page")])
    address = store.recall([key])[key].object
    row = {"corpus": "mine", "sample": "one", "key": key, "parents": [], "parts": canonical(parts), "value": "{}"}
    row |= {"status": "ok", "reason": None, "image": image(b"a page", "mine/one.png")}
    write_shard(tmp_path / "out/part-00.parquet", [row], [("image", IMAGE)])

    store.objects.remove(address)
    with pytest.raises(FileNotFoundError, match=f"Object {address} is neither in"):
        store.objects.get(address)
    remember_all(store, "prepare@mine", "original", tmp_path / "out", store.objects.sizes())
    assert store.objects.get(address) == b"a page"
