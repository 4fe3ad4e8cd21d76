"""The item store: nothing is ever computed twice.

An item is remembered under the key of everything it depends on. Small values are JSON in the registry, images are bytes
in the object store; a failure is recorded with its reason and is never served as a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from registry.objects import ObjectStore
from registry.schema import Item, Parent, Run, migrate_when_behind

OK, FAILED = "ok", "failed"
KEYS_A_QUERY = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds under a key."""

    key: str
    run: str
    value: dict[str, Any] | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a computation found, to be remembered: a value, image bytes, or the reason why there is neither."""

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


def chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """Distinct keys, as many at a time as one query takes."""
    distinct = list(dict.fromkeys(keys))
    return (distinct[i : i + KEYS_A_QUERY] for i in range(0, len(distinct), KEYS_A_QUERY))


def ids_of(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """The row ids of the items that the registry holds among the keys."""
    return {
        key: id
        for some in chunks(keys)
        for key, id in connection.execute(select(Item.key, Item.id).where(Item.key.in_(some)))
    }


def parts_of(engine: Engine, key: str) -> dict[str, Any]:
    """The parts of an item's key, with its kind. ``key`` may be the beginning of one, if only one item begins so.

    Raises ``ValueError`` where none or several do.
    """
    with engine.connect() as connection:
        begins = Item.key.startswith(key, autoescape=True)
        found = connection.execute(select(Item.key, Item.kind, Item.parts).where(begins).limit(2)).all()
    if len(found) != 1:
        many = "No item" if not found else "More than one item"
        raise ValueError(f"{many} has a key that begins with {key!r}; take a whole key from a stage's output.")
    return {"kind": found[0].kind, **found[0].parts}


def upsert(engine: Engine) -> Any:
    """The dialect's ``insert``, which knows ``on_conflict_do_update``."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[engine.dialect.name]


class ItemStore:
    """Recall by key, remember by batch.

    >>> from datetime import UTC
    >>> from registry.schema import connect
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

    def open_run(self, execution: Execution) -> None:
        """Record an execution before its first item."""
        with self.engine.begin() as connection:
            connection.execute(
                upsert(self.engine)(Run)
                .values(**{f: getattr(execution, f) for f in Execution.__slots__})
                .on_conflict_do_nothing()
            )

    def executions(self, runs: Iterable[str]) -> list[Execution]:
        """What is known of some executions."""
        columns = [getattr(Run, name) for name in Execution.__slots__]
        with self.engine.connect() as connection:
            found = [Execution(*row) for row in connection.execute(select(*columns).where(Run.id.in_(set(runs))))]
        return [replace(run, started_at=run.started_at.replace(tzinfo=UTC)) for run in found]  # SQLite keeps no zone

    def recall(self, keys: Iterable[str]) -> dict[str, Known]:
        """The known ones among the keys. Failures are not known: they are tried again."""
        columns = (Item.key, Item.run_id, Item.value, Item.object)
        known = {}
        with self.engine.connect() as connection:
            for some in chunks(keys):
                rows = connection.execute(select(*columns).where(Item.key.in_(some), Item.status == OK))
                known.update({row.key: Known(*row) for row in rows})
        return known

    def lose(self, key: str, reason: str) -> None:
        """Turn a value whose object is missing or damaged into a failure, so that it is computed again."""
        with self.engine.begin() as connection:
            connection.execute(update(Item).where(Item.key == key).values(status=FAILED, reason=reason, object=None))

    def remember(self, run: str, findings: Sequence[Finding]) -> None:
        """Store a finished batch in one transaction; a value once remembered is never replaced, a failure is."""
        if not findings:
            return
        objects = {f.key: self.objects.put(f.data) for f in findings if f.data is not None}
        rows = [
            {
                "key": f.key,
                "kind": f.kind,
                "status": FAILED if f.reason else OK,
                "reason": f.reason,
                "value": f.value,
                "object": objects.get(f.key),
                "parts": f.parts,
                "run_id": run,
            }
            for f in findings
        ]
        edges = [(f.key, parent) for f in findings for parent in f.parents]
        with self.engine.begin() as connection:
            statement = upsert(self.engine)(Item)
            fresh = {c: statement.excluded[c] for c in ("status", "reason", "value", "object", "run_id")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=[Item.key], set_=fresh, where=(Item.status == FAILED)),
                rows,
            )
            if edges:
                ids = ids_of(connection, {key for edge in edges for key in edge})
                connection.execute(
                    upsert(self.engine)(Parent).on_conflict_do_nothing(),
                    [{"item_id": ids[a], "parent_id": ids[b]} for a, b in edges if b in ids],
                )
