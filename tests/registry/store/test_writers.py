"""Several writers at once, and writers that are cut off: what was acknowledged is there, and nothing by half."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import event, func, make_url, select
from sqlalchemy.exc import OperationalError

from registry.indexing import Index
from registry.store import items
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore, ids_of
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.store.schema import Item, Parent, Study
from tests.imports import ROOT

BATCHES, BATCH = 12, 10
WRITER = f"""
import sys
from tests.registry.store.test_writers import *
url, objects, run, step = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
store = opened(url, objects, run)
for batch in range({BATCHES}):
    store.remember(run, findings(run, batch)[::int(step)])
    print(batch, flush=True)
"""


def opened(url: str, objects: str, run: str) -> ItemStore:
    store = ItemStore(connect(url), ObjectStore(str(objects)))
    store.open_run(Execution(run, "caption@blip", "c", "cpu", "local", datetime(2026, 1, 2, tzinfo=UTC)))
    return store


def findings(run: str, batch: int) -> list[Finding]:
    """Half of a batch is the same for every run; each item has the one before as its parent."""
    found: list[Finding] = []
    for number in range(BATCH):
        parts = {"batch": batch, "number": number} | ({"run": run} if number % 2 else {})
        key, parents = item_key("caption", parts), tuple(f.key for f in found[-1:])
        found.append(Finding(key, "caption", parts, parents, {"caption": "x" * 1000}))
    return found


def start(url: str, objects: object, run: str, step: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, str(objects), run, str(step)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def test_two_that_start_on_an_empty_database_both_keep_every_row(empty_url, tmp_path):
    """Both make the schema, and remember batches in opposite orders, half of their items under equal keys."""
    writers = [start(empty_url, tmp_path, "one", 1), start(empty_url, tmp_path, "two", -1)]
    go(*writers)
    for writer in writers:
        assert len(writer.communicate(timeout=60)[0].splitlines()) == BATCHES
        assert writer.returncode == 0
    expected = {f.key for run in ("one", "two") for batch in range(BATCHES) for f in findings(run, batch)}
    store = opened(empty_url, tmp_path, "three")
    assert store.recall(expected).keys() == expected
    with store.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Item)) == len(expected) == BATCHES * BATCH * 3 / 2
        assert connection.scalar(select(func.count()).select_from(Parent)) == 2 * BATCHES * (BATCH - 1)


def test_a_killed_writer_leaves_what_it_was_told_is_stored(registry_url, tmp_path):
    writer = start(registry_url, tmp_path, "one", 1)
    go(writer)
    told = [int(writer.stdout.readline()) for _ in range(3)]
    writer.kill()
    told += [int(line) for line in writer.communicate()[0].splitlines()]
    store = opened(registry_url, tmp_path, "two")
    whole = {f.key for batch in told for f in findings("one", batch)}
    assert store.recall(whole).keys() == whole
    for batch in range(BATCHES):
        keys = {f.key for f in findings("one", batch)}
        assert len(store.recall(keys)) in (0, BATCH)


def test_two_that_index_at_once_do_not_wait_in_a_circle(registry_url, tmp_path):
    """They name their shared configurations in opposite orders."""
    settings = {"degradation": {f"d{n:02}": {} for n in range(25)}, "inpainter": {}, "captioner": {}}
    engines, together = [connect(registry_url), connect(registry_url)], Barrier(2)

    def index(number: int) -> None:
        together.wait()
        with engines[number].begin() as connection:
            index = Index(connection, settings)
            for name in list(settings["degradation"])[:: (1, -1)[number]]:
                index.configuration({"degradation": name})
            index.study(f"study {number}", {})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(index, range(2)))
    with engines[0].connect() as connection:
        assert connection.scalars(select(Study.name).order_by(Study.name)).all() == ["study 0", "study 1"]


@pytest.fixture
def postgres(new_database, databases, tmp_path, monkeypatch):
    """A store in PostgreSQL, and how to cut its connections."""
    monkeypatch.setattr(items, "WAITS", (0, 0))
    url = new_database("postgresql", migrated=True)
    store = opened(url, tmp_path, "one")
    name = make_url(url).database
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    return store, lambda: databases.execute(databases.postgres, cut)


def test_a_connection_lost_between_batches_is_opened_again(postgres):
    store, cut = postgres
    first, second = findings("one", 0), findings("one", 1)
    store.remember("one", first)
    cut()
    assert store.recall(f.key for f in first).keys() == {f.key for f in first}
    cut()
    store.remember("one", second)
    assert len(store.recall(f.key for f in second)) == BATCH


@pytest.mark.parametrize("moment", ["CREATE TEMPORARY TABLE", "INSERT INTO item", "INSERT INTO parent", "COMMIT"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_connection_lost_in_a_batch_is_whole_or_raises(postgres, moment, times):
    store, cut = postgres
    left = [times]

    def lose(*what: object) -> None:
        if left[0] and (moment == "COMMIT" or what[2].strip().startswith(moment)):
            left[0] -= 1
            cut()

    event.listen(store.engine, "commit" if moment == "COMMIT" else "after_cursor_execute", lose)
    batch = findings("one", 0)
    keys = [f.key for f in batch]
    if times == 1:
        store.remember("one", batch)
        with store.engine.connect() as connection:
            ids = ids_of(connection, keys)
            found = set(connection.execute(select(Parent.item_id, Parent.parent_id)).all())
        assert found == {(ids[child], ids[parent]) for parent, child in zip(keys, keys[1:], strict=False)}
    else:
        with pytest.raises((OperationalError, store.engine.dialect.loaded_dbapi.OperationalError)):
            store.remember("one", batch)
        assert store.recall(keys) == {}
    assert left == [0]
    store.remember("one", batch)
    assert len(store.recall(keys)) == BATCH
