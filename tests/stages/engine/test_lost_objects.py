"""An object that the store has lost comes back from the stage output that still holds its bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry.store.dag import IMAGE
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import canonical, digest, item_key
from registry.store.objects import ObjectStore
from stages.engine.pictures import Picture, fetch
from stages.engine.shards import image, write_shard
from stages.index.remembering import remember_all
from tests.buckets import KEY

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


@pytest.mark.parametrize("bucket", [False, True])
def test_a_picture_is_read_where_it_is_nearest(tmp_path, monkeypatch, bucket):
    """In a shard that is here, where objects are in a bucket: this one's server does not answer."""
    fetch.cache_clear()
    monkeypatch.setenv("PALIMPSEST_OBJECTS", "s3://team/near" if bucket else str(tmp_path / "objects"))
    for name, value in (KEY | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    row = {"corpus": "mine", "sample": "one", "key": "k", "parents": [], "status": "ok"}
    shard = tmp_path / "part-00.parquet"
    write_shard(shard, [row | {"image": image(b"a page", "mine/one.png")}], [("image", IMAGE)])
    assert fetch(Picture(digest(b"a page"), str(shard))) == b"a page"
    lost = Picture(digest(b"another page"), str(shard))
    with pytest.raises(ConnectionError if bucket else FileNotFoundError, match="127.0.0.1:9" if bucket else "neither"):
        fetch(lost)
