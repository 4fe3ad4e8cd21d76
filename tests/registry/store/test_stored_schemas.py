"""Databases as earlier releases left them come up to the newest schema with all that they hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, inspect, make_url, select

from registry.store.database import connect, migrate_when_behind
from registry.store.items import value_digest
from registry.store.schema import Base, Corpus, Item
from tests.databases import KINDS
from tests.registry.store.stored.make import ROWS, row

STORED = Path(__file__).parent / "stored"
REVISIONS = sorted(script.revision for script in ScriptDirectory("registry/store/migrations").walk_revisions())
REMADE = {"published"}
"""Tables whose rows a migration throws away, because they come from files."""


def load(url: str, revision: str) -> None:
    """Fill an empty database from a dump, by drivers alone."""
    where = make_url(url)
    sql = (STORED / f"{revision}.{where.get_backend_name()}.sql").read_text(encoding="utf-8")
    if where.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(where.database)) as connection:
            connection.executescript(sql)
    else:
        import psycopg

        with psycopg.connect(url) as connection:
            connection.execute(sql)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_old_registry_is_upgraded_and_keeps_what_it_has(empty_url, revision):
    load(empty_url, revision)
    engine = connect(empty_url)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    old = MetaData()
    old.reflect(engine, only=names - REMADE)
    migrate_when_behind(engine)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        for name, table in old.tables.items():
            now: Table = Base.metadata.tables[name]
            columns = [column for column in now.columns if column.name in table.columns]
            found = connection.execute(select(*columns).order_by(*now.primary_key)).mappings().all()
            wanted = [row(now, number) for number in range(1, ROWS + 1)]
            both = wanted[0].keys() & table.columns.keys()
            assert [{c: each[c] for c in both} for each in found] == [{c: each[c] for c in both} for each in wanted]
        for value, given in connection.execute(select(Item.value, Item.digest)):
            assert given == value_digest(value), "old values are held against digests from now on"
        connection.execute(Corpus.__table__.insert(), {"name": "new", "settings": {}, "problems": {}})
        assert connection.scalar(select(Corpus.id).where(Corpus.name == "new")) == ROWS + 1
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_every_schema_but_the_newest_is_stored():
    """``python -m tests.registry.store.stored.make REVISION`` writes them."""
    assert {path.name for path in STORED.glob("*.sql")} >= {f"{r}.{kind}.sql" for r in REVISIONS[:-1] for kind in KINDS}


def test_a_newer_registry_is_left_alone(registry_url):
    engine = connect(registry_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ValueError, match="has schema 9999, and this checkout knows .* update the checkout"):
        migrate_when_behind(engine)
