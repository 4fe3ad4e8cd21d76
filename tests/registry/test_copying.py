"""A registry goes from one database to another and back, and is the same."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import MetaData, select, text
from typer.testing import CliRunner

from palimpsest import app
from registry.copying import copy
from registry.store.database import connect, version_of
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.store.schema import Base, Corpus, Item
from tests.imports import ROOT
from tests.registry.store.stored.make import fill

BACK = {"sqlite": "postgresql", "postgresql": "sqlite"}


def content(engine):
    """All rows of all tables."""
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def filled(registry_url):
    """A registry with rows in every table, a failure and a number without a value among them."""
    engine = connect(registry_url)
    with engine.begin() as connection:
        fill(connection)
        connection.execute(text("UPDATE measurement SET value = NULL WHERE item_id = 1"))
        connection.execute(text("UPDATE sample SET name = 'tab\t, \\N and \\.' WHERE id = 1"))
        connection.execute(text("DELETE FROM parent WHERE item_id = 1"))
    store = ItemStore(engine, ObjectStore("memory://copying"))
    store.open_run(Execution("run", "stage", "c", "cpu", "local", datetime(2026, 7, 1, 23, 30, tzinfo=UTC)))
    store.remember("run", [Finding(item_key("x", {}), "x", {"text": "🐈"}, reason="out of memory")])
    return engine


def test_there_and_back_every_row_is_the_same(filled, new_database):
    there = connect(new_database(BACK[filled.dialect.name]))
    back = connect(new_database(filled.dialect.name, migrated=True))
    counts = copy(filled, there)
    assert counts == {name: len(rows) for name, rows in content(filled).items()}
    assert min(counts.values()) > 0
    assert copy(there, back) == counts
    assert content(filled) == content(there) == content(back)
    for engine in (there, back):
        with engine.begin() as connection:
            newest = max(row.id for row in content(engine)["corpus"])
            connection.execute(Corpus.__table__.insert(), {"name": "new", "settings": {}, "problems": {}})
            assert connection.scalar(select(Corpus.id).where(Corpus.name == "new")) == newest + 1


def test_a_target_with_rows_is_refused_and_left_alone(filled, new_database):
    target = connect(new_database("sqlite"))
    with target.begin() as connection:
        connection.execute(text("CREATE TABLE somebodys (id INTEGER)"))
        connection.execute(text("INSERT INTO somebodys VALUES (1)"))
    with pytest.raises(ValueError, match="not empty: its table somebodys holds rows; name an empty or a new one"):
        copy(filled, target)
    tables = MetaData()
    tables.reflect(target)
    assert list(tables.tables) == ["somebodys"]
    before = content(filled)
    with pytest.raises(ValueError, match="not empty"):
        copy(filled, filled)
    assert content(filled) == before


WRITER = """
import sys
from tests.registry.store.test_writers import *
url, objects = sys.argv[1:]
store = opened(url, objects, "busy")
for batch in range(10**6):
    store.remember("busy", findings("busy", batch))
    print(batch, flush=True)
"""


def test_a_backup_of_a_busy_registry_is_one_moment_of_it(registry_url, new_database, monkeypatch, tmp_path):
    """Batches of ten items, each with the one before as its parent, are there whole or not at all."""
    command = [sys.executable, "-c", WRITER, registry_url, str(tmp_path)]
    busy = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        told = int(busy.stdout.readline())
        monkeypatch.setenv("PALIMPSEST_REGISTRY", registry_url)
        backup = new_database("sqlite")
        done = CliRunner().invoke(app, ["registry", "copy", backup])
    finally:
        busy.kill()
        busy.communicate()
    assert done.exit_code == 0, done.output
    engine = connect(backup)
    items, parents = (len(content(engine)[name]) for name in ("item", "parent"))
    assert items % 10 == 0 and parents == items * 9 / 10
    assert items >= 10 * (told + 1)
    assert f"1 run, {items} item, {parents} parent" in done.stdout


def test_the_command_says_what_is_wrong_in_one_sentence(registry_url, monkeypatch, tmp_path):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", registry_url)
    for url, said in [
        ("backup.db", "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
        ("postgresql://me:s3cret@127.0.0.1:9", "The registry cannot be opened"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        (f"sqlite:///{ROOT / 'README.md'}", "The registry cannot be used: file is not a database"),
        (f"sqlite:///{ROOT / 'README.md'}/registry.db", "README.md"),
        (f"postgresql://me:s3cret@/team?host={tmp_path}", "The registry cannot be opened"),
    ]:
        done = CliRunner().invoke(app, ["registry", "copy", url])
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr and "s3cret" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_backup_leaves_an_older_registry_as_it_is(filled, new_database):
    with filled.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    with pytest.raises(ValueError, match="has schema 0005, and this code copies .*; to keep it as it is, copy"):
        copy(filled, connect(new_database("sqlite")))
    assert version_of(filled) == "0005"


def test_a_copy_that_loses_a_row_is_no_copy(filled, new_database, monkeypatch):
    target = connect(new_database(BACK[filled.dialect.name]))
    monkeypatch.setattr("registry.copying.upsert", lambda *_: None)
    with pytest.raises(RuntimeError, match="rows of the table .* arrived; nothing was copied"):
        copy(filled, target)
    assert content(target)[Item.__tablename__] == []
