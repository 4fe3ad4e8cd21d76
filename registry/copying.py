"""The whole registry from one database into another: from SQLite to PostgreSQL and back, and as a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Table, func, inspect, select, table, text

from registry.store.bulk import ROWS_A_CALL, upsert
from registry.store.database import HEAD, migrate_when_behind, version_of
from registry.store.schema import Base


def copy(source: Engine, target: Engine) -> dict[str, int]:
    """Copy every row, with its id, into a database that holds none, and return how many each table holds.

    The rows are those of one moment, also while others write. The target gets all of them or, where it raises, none.
    Objects stay where they are: both registries name them by the same addresses.

    Raises ``ValueError`` where the target is not empty, and where the source has an older schema than this code: a
    backup leaves alone what it copies.

    >>> from registry.published import numbers
    >>> from registry.store.database import connect
    >>> one, other = connect("sqlite://"), connect("sqlite://")
    >>> len(numbers(one)) == copy(one, other)["published"]
    True
    """
    for name in filled_tables(target):
        raise ValueError(
            f"The database to copy to is not empty: its table {name} holds rows; name an empty or a new one."
        )
    if (version := version_of(source)) != HEAD:
        raise ValueError(
            f"The registry has schema {version}, and this code copies {HEAD}; to keep it as it is, copy its file or "
            "`pg_dump` it."
        )
    migrate_when_behind(target)
    with snapshot(source) as old, target.begin() as new:
        return {held.name: copy_table(old, new, held) for held in Base.metadata.sorted_tables}


def filled_tables(engine: Engine) -> Iterator[str]:
    """Names of the tables that hold rows, also of other programs' tables."""
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            if name != "alembic_version" and connection.execute(select(1).select_from(table(name)).limit(1)).first():
                yield name


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment of the database, while others go on writing."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        else:
            connection.exec_driver_sql("BEGIN")
        yield connection


def copy_table(old: Connection, new: Connection, held: Table) -> int:
    """Copy one table and return how many rows both have; its sequence goes on behind them."""
    with old.execute(select(held).execution_options(yield_per=ROWS_A_CALL)) as rows:
        upsert(new, held, map(dict, rows.mappings()), [column.name for column in held.primary_key])
    counted = select(func.count()).select_from(held)
    counts = [connection.execute(counted).scalar_one() for connection in (old, new)]
    if counts[0] != counts[1]:
        raise RuntimeError(f"Of {counts[0]} rows of the table {held.name} {counts[1]} arrived; nothing was copied.")
    if new.dialect.name == "postgresql" and held.autoincrement_column is not None and counts[1]:
        name = new.dialect.identifier_preparer.format_table(held)
        new.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"))
    return counts[1]
