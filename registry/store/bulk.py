"""Many rows at once: inserted, or updated where their unique columns are there already.

SQLite takes them statement by statement. PostgreSQL takes them by COPY into a temporary table and from there in one
statement, ordered by their unique columns, so that two writers never wait for each other in a circle. Rows that are
there already as they are cost no write, and no number of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    cast,
    exists,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]
ROWS_A_CALL = 20_000


def upsert(
    connection: Connection,
    table: Table,
    rows: Iterable[Row],
    unique: Sequence[str],
    where: ColumnElement[bool] | None = None,
) -> None:
    """Insert the rows, or update those whose ``unique`` columns are there already.

    All rows have the columns of the first; of rows with equal unique columns the last counts. What is there is updated
    where ``where`` holds of it, by default where it differs.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    rows, names, unique = chain([first], rows), tuple(first), tuple(unique)
    if connection.dialect.name == "postgresql":
        incoming = like(table, names)
        incoming.create(connection, checkfirst=False)
        copy_in(connection, incoming, rows)
        statement = postgresql.insert(table).from_select(names, news(incoming, table, unique, where))
        connection.execute(settled(statement, names, unique, where))
        incoming.drop(connection, checkfirst=False)
    else:
        statement = settled(sqlite.insert(table), names, unique, where)
        for some in batches(rows):
            connection.execute(statement, some)


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while some := list(islice(rows, ROWS_A_CALL)):
        yield some


def settled(statement: Any, names: Sequence[str], unique: Sequence[str], where: ColumnElement[bool] | None) -> Any:
    """The insert, with what happens to rows that are there already."""
    others = {name: statement.excluded[name] for name in names if name not in unique}
    if not others:
        return statement.on_conflict_do_nothing(index_elements=unique)
    stale = where if where is not None else differ(statement.table, statement.excluded, others)
    return statement.on_conflict_do_update(index_elements=unique, set_=others, where=stale)


def differ(old: Any, new: Any, names: Iterable[str]) -> ColumnElement[bool]:
    """Condition that two rows differ in one of the columns; JSON is compared as its text."""

    def value(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return cast(column, Text) if isinstance(column.type, JSON) else column

    old, new = (getattr(rows, "c", rows) for rows in (old, new))
    return or_(*(value(old[name]).is_distinct_from(value(new[name])) for name in names))


@cache
def like(table: Table, names: tuple[str, ...]) -> Table:
    """A temporary table with some of a table's columns and none of its constraints."""
    columns = (Column(name, table.c[name].type) for name in names)
    return Table("incoming", MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


def copy_in(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Fill a table by COPY, with values as an insert would bind them."""
    dialect = connection.dialect
    columns = [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in table.columns]
    name = dialect.identifier_preparer.format_table(table)
    driver: Any = connection.connection  # psycopg's
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in rows:
            copy.write_row([bind(row[name]) if bind else row[name] for name, bind in columns])


def news(incoming: Table, table: Table, unique: Sequence[str], where: ColumnElement[bool] | None) -> Select[Any]:
    """The rows that came and are to be written: the last of equals, in order, without what would stay as it is."""
    keys = [incoming.c[name] for name in unique]
    others = [column.name for column in incoming.columns if column.name not in unique]
    same = and_(*(table.c[name] == incoming.c[name] for name in unique))
    if others:
        same = and_(same, not_(where if where is not None else differ(table, incoming, others)))
    last: ColumnElement[Any] = literal_column(f"{incoming.name}.ctid").desc()
    return (
        select(incoming)
        .where(not_(exists().select_from(table).where(same)))
        .ext(postgresql.distinct_on(*keys))
        .order_by(*keys, last)
    )
