"""The item store: nothing is ever computed twice.

An item is remembered under the key of everything it depends on. Small values are JSON in the registry, images are bytes
in the object store; a failure is recorded with its reason and is never served as a value.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    String,
    Text,
    and_,
    any_,
    cast,
    literal,
    select,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import aliased

from registry.store.bulk import upsert
from registry.store.dag import FILED
from registry.store.database import migrate_when_behind
from registry.store.keys import canonical, digest, item_key
from registry.store.objects import ObjectStore
from registry.store.schema import Item, Parent, Run

OK, FAILED = "ok", "failed"
KEYS_A_QUERY = 10_000
WAITS = 0.1, 2, 20
"""Seconds before each further try of what a lost connection cut off; a server restarts in less."""

log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Known:
    """A known item: what the store holds under a key."""

    key: str
    run: str
    value: dict[str, Any] | None = None
    object: str | None = None
    digest: str | None = None
    """Of the value, by :func:`value_digest`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a computation, to be remembered: a value, image bytes, or the reason why there is neither."""

    key: str
    kind: str
    parts: dict[str, Any]
    parents: tuple[str, ...] = ()
    value: dict[str, Any] | None = None
    data: bytes | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a stage, as its MLflow run knows it."""

    id: str
    stage: str
    git_commit: str
    device: str
    engine: str
    started_at: datetime

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"started_at": self.started_at.isoformat()}


def value_digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON: that of the ``value`` in the row of a shard.

    >>> value_digest({"caption": "a cat"}) == digest(b'{"caption":"a cat"}')
    True
    """
    return digest(canonical(value).encode("utf-8", "surrogatepass"))


def stored(connection: Connection, column: Any) -> ColumnElement[bytes | str]:
    """A JSON column as it is stored, not parsed: what is damaged need not be JSON any more, nor UTF-8."""
    return cast(column, LargeBinary if connection.dialect.name == "sqlite" else Text)


def sound(text: bytes | str | None, wanted: str | None) -> tuple[bool, Any]:
    """Whether a stored value is what its digest says, and the value; one without a digest is taken as it is.

    >>> sound(b'{"caption": "a cat"}', value_digest({"caption": "a cap"}))
    (False, None)
    """
    try:
        value = None if text is None else json.loads(text)
        return (True, value) if wanted in (None, value_digest(value)) else (False, None)
    except ValueError:
        return False, None


def damaged(engine: Engine) -> Iterator[str]:
    """The keys of the items whose value is not what its digest says, or whose parts are not what their key says."""
    with engine.connect() as connection:
        columns = (Item.key, Item.kind, stored(connection, Item.value), stored(connection, Item.parts), Item.digest)
        found = select(*columns).where(Item.status == OK).order_by(Item.id)
        for key, kind, text, parts, wanted in connection.execute(found.execution_options(yield_per=KEYS_A_QUERY)):
            whole, its = sound(parts, None)
            if not sound(text, wanted)[0] or not whole or item_key(kind, its) != key:
                yield key


def chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Distinct values, such as keys, as many at a time as one query takes."""
    distinct = list(dict.fromkeys(values))
    return (distinct[i : i + KEYS_A_QUERY] for i in range(0, len(distinct), KEYS_A_QUERY))


def among(connection: Connection, keys: Sequence[str], column: Any = Item.key) -> ColumnElement[bool]:
    """Condition that a key is one of these; PostgreSQL takes them as one array, which is four times as fast."""
    if connection.dialect.name == "postgresql":
        return column == any_(literal(keys, ARRAY(String)))
    found: ColumnElement[bool] = column.in_(keys)
    return found


def filed(connection: Connection, *which: ColumnElement[bool]) -> set[str]:
    """The addresses of the files that items left, such as trained weights."""
    said = select(Item.value).where(Item.kind.in_(FILED), Item.status == OK, *which)
    return {address for value in connection.scalars(said) for address in value.get("files", {}).values()}


def ids_of(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """The row ids of the items that the registry holds among the keys."""
    return {
        key: id
        for some in chunks(keys)
        for key, id in connection.execute(select(Item.key, Item.id).where(among(connection, some)))
    }


def begins(column: Any, beginning: str) -> ColumnElement[bool]:
    """Condition that a column of hex digests begins so; unlike LIKE, it is looked up in the column's index."""
    return and_(column >= beginning, column < f"{beginning}g")


def patient(method: Callable[..., Value]) -> Callable[..., Value]:
    """Retry a method that a lost connection or a deadlock cut off; for methods that may run twice."""

    @wraps(method)
    def call(store: Any, *args: Any) -> Value:
        lost = (OperationalError, store.engine.dialect.loaded_dbapi.OperationalError, ConnectionError)
        for wait in WAITS:
            try:
                return method(store, *args)
            except lost as error:
                reason = str(getattr(error, "orig", error)).partition("\n")[0]
                if store.engine.dialect.name == "sqlite" and "locked" not in reason:
                    raise  # no connection was lost: the disk is full, or the file damaged
                log.warning("The registry was lost (%s); trying again in %s s.", reason, wait)
                time.sleep(wait)
        return method(store, *args)

    return call


class ItemStore:
    """Recall by key, remember by batch.

    >>> from datetime import UTC
    >>> from registry.store.database import connect
    >>> store = ItemStore(connect("sqlite://"), ObjectStore("memory://items"))
    >>> store.open_run(Execution("r1", "caption@blip", "0" * 40, "cpu", "local", datetime.now(UTC)))
    >>> store.remember("r1", [Finding("a" * 64, "caption", {"beams": 6}, value={"caption": "a cat"})])
    >>> store.recall(["a" * 64, "b" * 64])["a" * 64].value
    {'caption': 'a cat'}
    """

    def __init__(self, engine: Engine, objects: ObjectStore) -> None:
        migrate_when_behind(engine)
        self.engine = engine
        self.objects = objects

    @patient
    def open_run(self, execution: Execution) -> None:
        """Record an execution before its first item."""
        with self.engine.begin() as connection:
            upsert(connection, Run.__table__, [asdict(execution)], ["id"])

    def executions(self, runs: Iterable[str]) -> list[Execution]:
        """The executions with some ids, as far as they are known."""
        columns = [getattr(Run, name) for name in Execution.__slots__]
        with self.engine.connect() as connection:
            return [Execution(*row) for row in connection.execute(select(*columns).where(Run.id.in_(set(runs))))]

    def recall(self, keys: Iterable[str]) -> dict[str, Known]:
        """The known ones among the keys. Failures are not known: they are tried again.

        A value that is not what its digest says is turned into a failure, with a warning.
        """
        known, lost = {}, []
        with self.engine.connect() as connection:
            columns = (Item.key, Item.run_id, stored(connection, Item.value), Item.object, Item.digest)
            for some in chunks(keys):
                rows = connection.execute(select(*columns).where(among(connection, some), Item.status == OK))
                for key, run, text, address, wanted in rows:
                    whole, value = sound(text, wanted)
                    if whole:
                        known[key] = Known(key, run, value, address, wanted)
                    else:
                        lost.append(key)
        for key in lost:
            log.warning("The value of item %s is not what its digest says. It is made again.", key)
            self._fail(key, {"reason": "The value was damaged."})
        return known

    def kept(self, keys: Iterable[str]) -> Iterator[tuple[Finding, str, str | None]]:
        """Each known item among the keys: the finding without its bytes, its run, and the address of the bytes."""
        with self.engine.connect() as connection:
            for some in chunks(keys):
                parent = aliased(Item)
                edges = connection.execute(
                    select(Item.key, parent.key)
                    .join(Parent, Parent.item_id == Item.id)
                    .join(parent, parent.id == Parent.parent_id)
                    .where(among(connection, some))
                    .order_by(Item.key, parent.key)
                )
                parents: dict[str, list[str]] = {}
                for child, of in edges:
                    parents.setdefault(child, []).append(of)
                rows = connection.execute(select(Item).where(among(connection, some), Item.status == OK))
                for row in rows:
                    found = Finding(row.key, row.kind, row.parts, tuple(parents.get(row.key, ())), row.value)
                    yield found, row.run_id, row.object

    def lose(self, known: Known, reason: str) -> None:
        """Turn a value whose object is missing or damaged into a failure, so that it is computed again.

        What is left of the object goes, since one that is there is never written again.
        """
        if known.object:
            self.objects.remove(known.object)
        self._fail(known.key, {"reason": reason, "object": None})

    def _fail(self, key: str, why: dict[str, str | None]) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(Item).where(Item.key == key).values({"status": FAILED, **why}))

    @patient
    def remember(self, run: str, findings: Sequence[Finding]) -> None:
        """Store a finished batch in one transaction; a value once remembered is never replaced, a failure is.

        What this returns from is stored, also if the connection was lost on the way; where it raises, nothing is.
        """
        if not findings:
            return
        pictures = {f.key: f.data for f in findings if f.data is not None}
        objects = dict(zip(pictures, self.objects.put_many(pictures.values()), strict=True))
        rows = [
            {
                "key": f.key,
                "kind": f.kind,
                "status": FAILED if f.reason else OK,
                "reason": f.reason,
                "value": f.value,
                "digest": value_digest(f.value),
                "object": objects.get(f.key),
                "parts": f.parts,
                "run_id": run,
            }
            for f in findings
        ]
        edges = [(f.key, parent) for f in findings for parent in f.parents]
        with self.engine.begin() as connection:
            upsert(connection, Item.__table__, rows, ["key"], where=Item.status == FAILED)
            ids = ids_of(connection, {key for edge in edges for key in edge})
            known = [{"item_id": ids[a], "parent_id": ids[b]} for a, b in edges if b in ids]
            upsert(connection, Parent.__table__, known, ["item_id", "parent_id"])
