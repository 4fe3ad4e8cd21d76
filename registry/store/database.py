"""How the registry's database is opened, brought to the newest schema, and shared with other writers."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text

from registry.store.places import database

HEAD = "0013"
"""The newest migration; a test compares it with the files in ``migrations/``."""

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("0*.py"))
"""The migrations that this code knows."""

SECONDS = 5
"""How long a server may take to say that it is there, a database's unless its URL says otherwise."""

PATIENCE = 60
"""Seconds to wait for other writers of an SQLite file."""

LOOK_UPS = (
    "SELECT set_config(name, '1.1', false) FROM pg_settings WHERE name = 'random_page_cost' AND source = 'default'"
)
"""What PostgreSQL's manual says a look-up costs on a disk that has no arm to move; unless its owner has said."""


def connect(url: str) -> Engine:
    """An engine for the URL; SQLite gets WAL, foreign keys and patience with other writers, PostgreSQL an SSD's costs.

    Raises ``ValueError`` where the URL is no registry's; using the engine raises ``ConnectionError`` where nothing
    answers there.
    """
    found = database(url)
    waiting = found.get_backend_name() == "postgresql" and "connect_timeout" not in found.query
    patience = {"connect_timeout": SECONDS} if waiting else {}
    engine = create_engine(found, pool_pre_ping=True, connect_args=patience, json_deserializer=parsed)

    @event.listens_for(engine, "do_connect")
    def reach(dialect: Any, _record: Any, args: Any, kwargs: Any) -> Any:
        try:
            return dialect.connect(*args, **kwargs)
        except dialect.loaded_dbapi.OperationalError as error:
            reason = " ".join(str(error).split())
            raise ConnectionError(f"The registry cannot be opened: {reason}. Check PALIMPSEST_REGISTRY.") from None

    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "connect")
        def cost(connection: Any, _record: Any) -> None:
            connection.execute(LOOK_UPS)
            connection.commit()

    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            for pragma in (f"busy_timeout={1000 * PATIENCE}", "foreign_keys=ON", "synchronous=NORMAL"):
                connection.execute(f"PRAGMA {pragma}")
            write_ahead(connection)

    return engine


def parsed(text: str | bytes) -> Any:
    """The JSON in a column; raises ``ValueError``, with what to do, where it is none any more."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"A value in the registry is damaged: {error}. `palimpsest doctor --full` says which, and what to do."
        ) from None


def write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; with this, SQLite does not itself wait for another process that does the same."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def take_turns(connection: Connection, what: str) -> None:
    """Wait for other transactions that do the same, and let them wait for the end of this one.

    SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"palimpsest {what}"))))


def version_of(engine: Engine) -> str | None:
    """The newest migration that the database has been through; None where it has no tables of ours yet."""
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def migrate_when_behind(engine: Engine) -> None:
    """Bring the database to the newest schema; a new database is made from nothing, a current one is left at once.

    Of several processes that find it behind one migrates, and the others wait.

    >>> engine = connect("sqlite://")
    >>> migrate_when_behind(engine)
    >>> inspect(engine).has_table("measurement")
    True
    """
    version = version_of(engine)
    if version == HEAD:
        return
    if version and version not in VERSIONS:
        raise ValueError(
            f"The registry has schema {version}, and this checkout knows {HEAD} at most; update the checkout. "
            "If the database is another program's, such as MLflow's, give the registry one of its own."
        )
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":  # its foreign keys would see a table that is rebuilt as emptied
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            take_turns(connection, "migrate")
            migrate(connection, "head")
            connection.commit()
        finally:
            connection.rollback()
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def migrate(connection: Connection, revision: str) -> None:
    """Run the migrations up to a revision, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
