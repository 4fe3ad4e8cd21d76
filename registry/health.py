"""Whether the registry, its object store and the MLflow store are well, and what to do where they are not."""

from __future__ import annotations

import random
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from registry.store import places
from registry.store.database import HEAD, VERSIONS, connect, version_of
from registry.store.items import damaged, filed
from registry.store.objects import ObjectStore
from registry.store.schema import Item
from registry.tracking.asking import experiments
from registry.tracking.files import folder_of

State = Literal["ok", "warning", "problem"]

SAMPLE = 200
"""Number of objects that are read, unless all are."""

SCARCE, NEARLY_NONE = 5 * 2**30, 2**30

FILL = "Run `palimpsest repro`; or `palimpsest registry sync`, if data/ holds results."
LOST_RUNS = "Restore a backup, or move it away: the next run makes another, and the registry keeps all results."


class Check(NamedTuple):
    """Result of one check. ``advice`` is what to do next; empty where nothing is to be done."""

    subject: str
    state: State
    what: str
    advice: str = ""


def gigabytes(size: float) -> str:
    """Format a number of bytes.

    >>> gigabytes(3_400_000), gigabytes(12_000_000_000)
    ('3.4 MB', '12.0 GB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"


def stores(full: bool) -> Iterator[Check]:
    """Check registry, object store, MLflow's store and disk; ``full`` reads every value, object and page."""
    url = places.registry_url()
    engine = None
    if is_missing_file(url):
        yield Check("registry", "warning", f"{places.hidden(url)} does not exist yet", FILL)
    else:
        try:
            engine = connect(url)
            yield from registry(engine, full)
        except (SQLAlchemyError, OSError, ValueError) as error:
            what = f"{places.hidden(url)} cannot be read: {str(error).splitlines()[0]}"
            yield Check("registry", "problem", what, "See that the database is there and may be written to.")
            engine = None
    store = ObjectStore(places.objects_url())
    yield from objects(engine, store, full)
    yield from tracking_store(full)
    yield from disks(store)


def is_missing_file(url: str) -> bool:
    """Whether a URL is that of an SQLite file which nobody has made yet."""
    path = places.file_of(url)
    return path is not None and not path.is_file()


def registry(engine: Engine, full: bool) -> Iterator[Check]:
    """Check the registry: its schema, whether it can be written to, and whether it is whole."""
    where = places.hidden(engine.url.render_as_string(hide_password=True))
    version = version_of(engine)
    if version is None:
        yield Check("registry", "warning", f"{where} has no tables yet", FILL)
        return
    if version != HEAD:
        known = version in VERSIONS
        advice = (
            "Whatever uses it next brings it up to date, and then older code cannot use it; before that, copy its "
            "file, or `pg_dump` it."
            if known
            else "Somebody's code is newer than yours: update this checkout."
        )
        what = f"{where} has schema {version}, and this code has {HEAD}"
        yield Check("registry", "warning" if known else "problem", what, advice)
        return
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        connection.rollback()
        yield Check("registry", "ok", f"{where} has schema {HEAD} and can be written to")
        if engine.dialect.name == "sqlite":
            yield wholeness(connection, full)
    if full:
        yield values(engine)


def values(engine: Engine) -> Check:
    """Hold the value of every item against its digest."""
    if not (lost := list(damaged(engine))):
        return Check("registry", "ok", "every value is what its digest says")
    what = f"{len(lost)} items have values that are not what their digests say, first {lost[0]}"
    advice = "`palimpsest registry sync` puts back what data/ holds; what else is asked for is computed again."
    return Check("registry", "problem", what, advice)


def wholeness(connection: Connection, full: bool) -> Check:
    """Run SQLite's own checks of its pages, of its indexes where ``full``, and of foreign keys."""
    said = connection.execute(text("PRAGMA integrity_check" if full else "PRAGMA quick_check")).scalars().all()
    loose = connection.execute(text("PRAGMA foreign_key_check")).all()
    if said == ["ok"] and not loose:
        return Check("registry", "ok", "the database file is whole")
    what = f"the database file is damaged: {said[0]}" if said != ["ok"] else f"{len(loose)} rows point to no row"
    return Check("registry", "problem", what, "Move it away and run `palimpsest registry sync`, or restore a backup.")


def objects(engine: Engine | None, store: ObjectStore, full: bool) -> Iterator[Check]:
    """Check the object store: whether it can be written to, and whether it and the registry agree."""
    where = places.hidden(places.objects_url())
    probe = f"{store.base}/.{uuid.uuid4().hex}"
    try:
        store.filesystem.makedirs(store.base, exist_ok=True)
        store.filesystem.pipe_file(probe, b"")
        store.filesystem.rm_file(probe)
        sizes = store.sizes()
    except Exception as error:  # every filesystem has its own
        what = places.hidden(f"{where} cannot be written to: {error}")
        yield Check("objects", "problem", what, "Mend its access rights, or set PALIMPSEST_OBJECTS to another place.")
        return
    yield Check("objects", "ok", f"{where} holds {len(sizes)} objects, {gigabytes(sum(sizes.values()))}")
    if engine is not None and inspect(engine).has_table("item"):
        with engine.connect() as connection:
            known = set(connection.scalars(select(Item.object).where(Item.object.is_not(None)).distinct()))
            known |= filed(connection)
        if orphans := sizes.keys() - known:
            size = gigabytes(sum(sizes[address] for address in orphans))
            yield Check(
                "objects", "warning", f"{len(orphans)} objects, {size}, belong to no item", "Run `palimpsest gc`."
            )
        if missing := known - sizes.keys():
            advice = (
                "Set PALIMPSEST_OBJECTS to where they are, or run `palimpsest registry sync`, which puts back what "
                "data/ holds; what else is needed is computed again."
            )
            yield Check("objects", "warning", f"{len(missing)} objects of {len(known)} are missing", advice)
    yield soundness(store, sorted(sizes), full)


def soundness(store: ObjectStore, addresses: list[str], full: bool) -> Check:
    """Check that objects are what their addresses say: all where ``full``, else some."""
    read = addresses if full else random.sample(addresses, min(SAMPLE, len(addresses)))
    wrong: list[str] = []
    for address, found in store.get_many(read):
        if isinstance(found, ValueError):  # what is missing was removed meanwhile
            wrong.append(store.path(address))
    many = f"all {len(read)}" if len(read) == len(addresses) else f"{len(read)} of {len(addresses)}"
    if not wrong:
        return Check("objects", "ok", f"{many} were read and are what their addresses say")
    what = f"of {many} that were read {len(wrong)} are damaged, first {wrong[0]}"
    advice = "Delete these files; `palimpsest registry sync` puts back what data/ holds. Then look after that disk."
    return Check("objects", "problem", what, advice if full else f"Run `palimpsest doctor --full` for all. {advice}")


def tracking_store(full: bool = False) -> Iterator[Check]:
    """Check the tracking store, whether file, database or server; ``full`` reads all of a file, with its indexes."""
    uri = places.tracking_uri()
    where = places.hidden(uri)
    if is_missing_file(uri):
        yield Check("mlflow", "warning", f"{where} does not exist yet", "Run `palimpsest repro`.")
        return
    try:
        yield Check("mlflow", "ok", f"{where} holds {experiments()} experiments")
        if file := places.file_of(uri):
            with closing(sqlite3.connect(file)) as connection:
                said = connection.execute("PRAGMA integrity_check" if full else "PRAGMA quick_check").fetchall()
            if said != [("ok",)]:
                yield Check("mlflow", "problem", f"{where} is damaged: {said[0][0]}", LOST_RUNS)
    except sqlite3.Error as error:
        yield Check("mlflow", "problem", f"{where} is damaged: {error}", LOST_RUNS)
    except (OSError, ValueError) as error:
        what = places.hidden(f"{where} cannot be read: {' '.join(str(error).split())}")
        yield Check("mlflow", "problem", what, "Mend that, or set MLFLOW_TRACKING_URI to another place.")


def disks(store: ObjectStore) -> Iterator[Check]:
    """Check the room on each disk that something is kept on."""
    kept = [places.root(), places.file_of(places.registry_url()), places.file_of(places.tracking_uri())]
    kept += [Path(store.base) if store.local else None, folder_of(places.artifacts_url() or "")]
    devices: dict[int, list[Path]] = {}
    for path in filter(None, kept):
        there = next(one for one in (path, *path.parents) if one.exists())
        devices.setdefault(there.stat().st_dev, []).append(there)
    for paths in devices.values():
        free = shutil.disk_usage(paths[0]).free
        what = f"{gigabytes(free)} are free on the disk of {', '.join(map(str, dict.fromkeys(paths)))}"
        if free >= SCARCE:
            yield Check("disk", "ok", what)
        else:
            advice = "Make room: `palimpsest gc` and `dvc gc --workspace --dry` say what nothing needs."
            yield Check("disk", "problem" if free < NEARLY_NONE else "warning", what, advice)
