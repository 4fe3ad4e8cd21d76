"""Writes what databases of a schema look like, rows in every table included, as SQL beside this file.

    python -m tests.registry.store.stored.make 0003

Run it before a migration that follows: it makes the schema by running the migrations up to this one, fills every table
with two rows that say nothing, and dumps the whole by SQLite's and PostgreSQL's own means.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Float, Integer, MetaData, Table, make_url

from registry.store.database import connect, migrate
from registry.store.items import value_digest
from tests.databases import KINDS, Databases

HERE = Path(__file__).parent
ROWS = 2
NOT_SQL = ("\\restrict", "\\unrestrict", "--")
"""What psql says to itself in a dump, and comments."""


def value(column: Column[Any], number: int) -> Any:
    """A value for a row; foreign keys point to the row of the same number."""
    if column.table.name == "item" and column.name == "digest":
        return value_digest(value(column.table.c.value, number))
    if column.name.endswith("digest") or column.name in ("key", "object"):
        return f"{number:064x}"
    if isinstance(column.type, Boolean):
        return number > 1
    if isinstance(column.type, Integer):
        return number
    if isinstance(column.type, Float):
        return number / 8
    if column.name.endswith("_at"):
        return datetime(2026, 1, number, 12, 30, tzinfo=UTC)
    if isinstance(column.type, JSON):
        return {"number": number, "text": "🐈 'قطة'"}
    return str(number)


def row(table: Table, number: int) -> dict[str, Any]:
    """A row without its id, which is its number where the database chooses it."""
    made = {c.name: value(c, number) for c in table.columns if c is not table.autoincrement_column}
    return made | ({"digest": value_digest(made["value"])} if {"value", "digest"} <= made.keys() else {})


def fill(connection: Connection) -> None:
    """Two rows for every table that the database has."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name != "alembic_version":
            connection.execute(table.insert(), [row(table, number) for number in range(1, ROWS + 1)])


def dump(databases: Databases, url: str) -> str:
    """The database as SQL statements."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = connect(url)
        with engine.connect() as connection:
            lines = list(connection.connection.dbapi_connection.iterdump())
        engine.dispose()
        return "\n".join(lines)
    command = [databases.server.bin_path / "pg_dump", "--no-owner", "--inserts", "--dbname", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in text.splitlines() if line and not line.startswith(NOT_SQL))


def main(revision: str) -> None:
    with Databases() as databases:
        for kind in KINDS:
            engine = connect(url := databases.new(kind))
            with engine.begin() as connection:
                migrate(connection, revision)
                fill(connection)
            engine.dispose()
            (HERE / f"{revision}.{kind}.sql").write_text(dump(databases, url) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
