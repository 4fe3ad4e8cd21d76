"""What the sweep takes and what it leaves, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from registry import garbage
from registry.garbage import HALF_WRITTEN, LOOSE, Waste, sweep
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from registry.store.schema import Corpus, Indexed, Item

NOW = datetime.now(UTC)
ALL = timedelta(days=-1)
"""A grace under which nothing is young, not even what is written during the test."""


def execution(name: str, began: datetime) -> Execution:
    return Execution(name * 32, "toy", "c0ffee", "cpu", "local", began)


@pytest.fixture
def store(registry_url: str, tmp_path: Path) -> Iterator[ItemStore]:
    """An original, what was painted from it twice, a caption of the first; a caption that is young; a loose object."""
    store = ItemStore(connect(registry_url), ObjectStore(str(tmp_path / "objects")))
    old, new = execution("a", NOW - timedelta(days=30)), execution("b", NOW)
    store.open_run(old)
    store.remember(old.id, [
        Finding("original", "original", {}, (), data=b"a picture"),
        Finding("painted", "repainted", {}, ("original",), data=b"painted"),
        Finding("caption", "caption", {}, ("painted",), value={"caption": "a cat"}),
        Finding("alone", "repainted", {}, ("original",), data=b"painted otherwise"),
    ])  # fmt: skip
    store.open_run(new)
    store.remember(new.id, [Finding("young", "caption", {}, ("alone",), value={"caption": "a dog"})])
    store.objects.put(b"nobody's")
    yield store
    store.engine.dispose()


def left(store: ItemStore) -> tuple[set[str], int]:
    with store.engine.connect() as connection:
        return set(connection.scalars(select(Item.key))), len(store.objects.sizes())


def test_what_is_needed_stays_with_all_its_ancestors(store: ItemStore) -> None:
    going = [
        Waste("caption", 1, 0, 0),
        Waste(LOOSE, 0, 1, len(b"nobody's")),
        Waste("repainted", 1, 1, len(b"painted otherwise")),
    ]
    before = left(store)
    assert sweep(store, ["caption"], ALL, remove=False) == going
    assert left(store) == before
    assert sweep(store, ["caption"], ALL, remove=True) == going
    assert left(store) == ({"original", "painted", "caption"}, 2)
    assert sweep(store, ["caption"], ALL, remove=True) == []


def test_what_was_found_of_all_of_a_cell_stays_with_what_was_found_of_its_samples(store: ItemStore) -> None:
    """Of captions that were measured, and of answers to questions about pictures."""
    of_samples = {"scored": {"caption": "a cat"}, "asked": {"picture": "0f", "questions": {"pope": []}}}
    of_wholes = {"scores": {"captions": ["a cat"]}, "answers": {"questions": "0f"}}
    kinds = {"scored": "quality.lexical", "scores": "quality.lexical", "asked": "answer", "answers": "answer"}
    found = [Finding(key, kinds[key], parts, value={"f1": 0.5}) for key, parts in (of_samples | of_wholes).items()]
    store.remember("a" * 32, found)
    sweep(store, of_samples, ALL, remove=True)
    assert left(store)[0] == {*of_samples, *of_wholes}


def test_what_is_young_stays_with_all_its_ancestors(store: ItemStore) -> None:
    assert sweep(store, [], timedelta(days=7), remove=True) == [Waste("caption", 1, 0, 0), Waste("repainted", 1, 0, 0)]
    assert left(store) == ({"original", "alone", "young"}, 4)


def test_an_old_object_that_is_needed_again_while_ages_are_asked_for_stays(
    store: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking a bucket for the ages of many takes minutes, in which a stage may come upon the same picture."""

    def meanwhile(*_: object) -> bool:
        store.remember("b" * 32, [Finding("again", "repainted", {}, (), data=b"nobody's")])
        return True

    monkeypatch.setattr(garbage, "is_old", meanwhile)
    sweep(store, [], ALL, remove=True)
    assert store.objects.get(digest(b"nobody's")) == b"nobody's"


def test_shards_are_indexed_again_once_items_went(store: ItemStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(insert(Corpus), {"id": 1, "name": "one", "settings": {}, "problems": {}})
        connection.execute(insert(Indexed), {"path": "part", "corpus_id": 1, "digest": "0" * 64, "placed": "0" * 64})
    for remove, stays in ((False, 1), (True, 0)):
        sweep(store, [], ALL, remove=remove)
        with store.engine.connect() as connection:
            assert len(connection.execute(select(Indexed.path)).all()) == stays


def test_what_a_killed_writer_left_goes_when_it_is_old(store: ItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(store.objects.filesystem, "mv", raise_interrupt)
        store.objects.put(b"half of a picture")
    [half] = [path for path in Path(store.objects.base).rglob(".*") if path.is_file()]
    waste = Waste(HALF_WRITTEN, 0, 1, len(b"half of a picture"))
    assert waste not in sweep(store, [], timedelta(days=7), remove=True)
    assert half.exists(), "whoever writes it may be at it"
    assert waste in sweep(store, [], ALL, remove=True)
    assert not half.exists()


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_of_nothing_that_is_needed_nothing_stays(store: ItemStore) -> None:
    sweep(store, [], ALL, remove=True)
    assert left(store) == (set(), 0)
