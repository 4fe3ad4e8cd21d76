"""Where the files of runs are; and what MLflow's database says of that once its checkout has been moved or copied.

MLflow keeps whole addresses, of experiments and of runs. In the database of a checkout they are this checkout's own.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from registry.store import places
from registry.store.database import PATIENCE

COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "tags": ("value",),
}
"""The columns of MLflow's database that hold addresses in a checkout: of files, and of the registry."""

FIRST = """
SELECT artifact_location FROM experiments WHERE artifact_location LIKE '%/.palimpsest/artifacts'
ORDER BY experiment_id LIMIT 1
"""
"""The address of the first experiment that keeps its files in a checkout: the one that the database belongs to."""


def folder_of(address: str) -> Path | None:
    """The folder at the address of a run's files; None where that is not on this machine's disks.

    >>> folder_of("file:///tmp/50%25%20done/artifacts"), folder_of("s3://bucket/artifacts")
    (PosixPath('/tmp/50% done/artifacts'), None)
    """
    path = Path(unquote(address.removeprefix("file://")))  # MLflow, too, takes a path as quoted
    return path if path.is_absolute() else None


def follow(database: Path) -> None:
    """Let the addresses in a checkout's own database follow the checkout, where it was moved or copied.

    Files are not touched. A checkout that another one was copied from keeps its own database, and what that says.
    """
    home = places.home()
    if database.resolve() != (home / "mlflow.db").resolve():
        return
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection, connection:
        known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        first = connection.execute(FIRST).fetchone() if "experiments" in known else None
        artifacts = folder_of(first[0]) if first else None
        if artifacts is None or artifacts.parent == home:
            return
        before = artifacts.parents[1]
        became = {
            before.as_uri(): home.parent.as_uri(),
            str(before): home.parent.as_uri(),
            places.file_url(before): places.file_url(home.parent),
        }
        for table in COLUMNS.keys() & known:
            for column in COLUMNS[table]:
                for old, new in became.items():
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, len(old) + 1, f"{old}/"),
                    )
