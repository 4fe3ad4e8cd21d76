"""MLflow's store, looked at before MLflow looks, which would try for minutes: whether it is there, and ready."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from registry.store import database, places
from registry.tracking.files import follow

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


@contextmanager
def reached(uri: str) -> Iterator[None]:
    """Where a store is there; of several processes that find a database empty one has it to make its tables in.

    Raises ``ConnectionError`` where it does not answer in time, ``ValueError`` where MLflow cannot keep runs there.
    """
    kind = uri.partition(":")[0].partition("+")[0]
    if kind in ("http", "https"):
        await_server(uri)
        yield
        return
    if kind not in DATABASES:
        raise ValueError(
            f"MLFLOW_TRACKING_URI is {places.hidden(uri)}, where we keep no runs; unset it, or write http://SERVER, "
            "sqlite:///FILE or postgresql://USER@HOST/DATABASE (`mlflow migrate-filestore` brings the runs of a folder "
            "./mlruns into such a file)."
        )
    if file := places.file_of(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        prepare_sqlite(file)
    where = places.hidden(uri)
    try:
        with engine_of(uri).connect() as connection, turn(connection, file):
            if inspect(connection).has_table("measurement"):
                raise ValueError(
                    f"{where} is the registry's database, and MLflow needs one of its own: change MLFLOW_TRACKING_URI "
                    "or PALIMPSEST_REGISTRY."
                )
            yield
    except ImportError as error:
        raise ValueError(f"MLflow cannot use {where}: {error}. Install that, or change MLFLOW_TRACKING_URI.") from None
    except (SQLAlchemyError, ArgumentError) as error:
        reason = places.hidden(" ".join(str(getattr(error, "orig", None) or error).split()))
        advice = (
            "If it is damaged, restore a backup, or move it away: the next run makes another, and the registry keeps "
            "all results."
            if file
            else "Start the database, or set MLFLOW_TRACKING_URI to another."
        )
        raise ConnectionError(f"MLflow's store {where} cannot be used: {reason}. {advice}") from None


def await_server(uri: str) -> None:
    """Ask a tracking server whether it is there; raises ``ConnectionError`` where it does not say so in time."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        http_request(get_default_host_creds(uri), "/health", "GET", max_retries=0, timeout=database.SECONDS)
    except MlflowException:
        raise ConnectionError(
            f"The tracking server {places.hidden(uri)} does not answer within {database.SECONDS} seconds; start it, "
            "or set MLFLOW_TRACKING_URI to another."
        ) from None


def prepare_sqlite(file: Path) -> None:
    """Switch an SQLite file to WAL, which stays with it: cells are then logged more than twice as fast.

    What it says of a checkout that was moved or copied since is mended.
    """
    with suppress(sqlite3.Error):  # where that cannot be, it is told when the file is used
        with closing(sqlite3.connect(file)) as connection:
            database.write_ahead(connection)
        follow(file)


def engine_of(uri: str) -> Engine:
    """An engine for MLflow's database, which it is asked with once."""
    url = make_url(uri)
    waiting = url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query
    return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": database.SECONDS} if waiting else {})


@contextmanager
def turn(connection: Connection, file: Path | None) -> Iterator[None]:
    """Wait where others are making MLflow's tables, and let others wait; they are all there with experiment 0."""
    made = inspect(connection).has_table("experiments") and connection.scalar(
        text("SELECT count(*) FROM experiments WHERE experiment_id = 0")
    )
    connection.rollback()  # who makes them must not wait for what was looked at here
    if made:
        yield
    elif file:
        with file.with_name(f"{file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        database.take_turns(connection, "mlflow")
        yield
