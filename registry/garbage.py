"""What of the item store and the object store nothing needs any more.

Needed are the items that stand in a cell of a study, those that a pin's executions computed, those whose keys the
caller names (what branches and worktrees hold), young ones, and the ancestors of all of them. What is taken away
wrongly is only lost time: it is computed again, or put back from the output of a stage by the next index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    delete,
    exists,
    insert,
    select,
)

from registry.store.dag import STAGES
from registry.store.items import ItemStore, among, chunks, filed
from registry.store.leases import NOW
from registry.store.objects import ObjectStore
from registry.store.schema import (
    Cell,
    Indexed,
    Item,
    Lease,
    Parent,
    Pin,
    Placement,
    Run,
    Sample,
)
from registry.store.shelved import cached


class Waste(NamedTuple):
    """Counts of items and objects of one kind that nothing needs; loose objects belong to no item."""

    kind: str
    items: int
    objects: int
    bytes: int


LOOSE, HALF_WRITTEN, TWICE = "loose objects", "half-written objects", "also in a shard"


def sweep(store: ItemStore, needed: Iterable[str], grace: timedelta, remove: bool) -> list[Waste]:
    """Count what nothing needs, by kind, and remove it if asked to.

    Items of executions that began within ``grace`` and objects written within it stay, so that a colleague's running
    stage keeps what it has just remembered.
    """
    before = datetime.now(UTC) - grace
    with store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # the costs of its owner: cheap look-ups are dear where all is read
            connection.exec_driver_sql("SET LOCAL random_page_cost TO DEFAULT")
        kept = keep(connection, needed, before)
        wasted = select(Item.id, Item.kind, Item.object).where(without(kept, Item.id))
        rows = connection.execute(wasted).all()
        used = set(connection.scalars(select(Item.object).where(Item.id.in_(select(kept.c.id)))))
        used |= filed(connection, Item.id.in_(select(kept.c.id)))
        if remove and rows:
            old = select(Run.id).where(Run.started_at < before)  # asked again: a writer may have been here meanwhile
            newest = max(row.id for row in rows)
            unneeded = delete(Item).where(Item.id <= newest, without(kept, Item.id), Item.run_id.in_(old))
            connection.execute(unneeded)
            connection.execute(delete(Indexed))  # what a shard placed may have gone
        if remove:
            connection.execute(delete(Lease).where(Lease.expires < NOW))
        kept.drop(connection)
        connection.commit()
    sizes = store.objects.sizes()
    kinds = {row.object: row.kind for row in rows if row.object is not None and row.object not in used}
    items = Counter(row.kind for row in rows)
    loose = set(sizes) - used - set(kinds)
    gone = sorted({*kinds, *loose} & sizes.keys())
    aged = store.objects.each(lambda address: is_old(store.objects, store.objects.path(address), before), gone)
    going = [address for address, is_aged in zip(gone, aged, strict=True) if is_aged]
    with store.engine.connect() as connection:  # as it is now: also what others remembered while ages were asked for
        known = set(connection.scalars(select(Item.object).where(Item.object.is_not(None)))) | filed(connection)
    going = [address for address in going if address not in known or not remove and address in kinds]
    found = Counter[str]()
    taken = Counter[str]()
    for address in going:
        found[kinds.get(address, LOOSE)] += 1
        taken[kinds.get(address, LOOSE)] += sizes[address]
    if remove:
        store.objects.remove(*going)
    for path, size in store.objects.halves().items():
        if is_old(store.objects, path, before):
            found[HALF_WRITTEN] += 1
            taken[HALF_WRITTEN] += size
            if remove:
                store.objects.filesystem.rm_file(path)
    return [Waste(kind, items[kind], found[kind], taken[kind]) for kind in sorted({*items, *found})]


def shelve(objects: ObjectStore, cache: Path, remove: bool) -> Waste:
    """Count the objects whose bytes stand in a shard of a DVC cache too, and keep them only there if asked to."""
    sizes = {address: size for address, size in objects.sizes().items() if size}
    held = {path: addresses for path, addresses in cached(cache) if sizes.keys() & set(addresses)}
    twice = sizes.keys() & {address for addresses in held.values() for address in addresses}
    if remove:
        objects.shelved.add(held)
        objects.remove(*sorted(twice))
    return Waste(TWICE, 0, len(twice), sum(sizes[address] for address in twice))


def keep(connection: Connection, needed: Iterable[str], before: datetime) -> Table:
    """A table of this connection's own with the ids of the items that stay."""
    kept = Table("kept", MetaData(), Column("id", Integer, primary_key=True), prefixes=["TEMPORARY"])
    kept.create(connection)

    def also(items: Select[int]) -> None:
        fresh = items.subquery()
        missing = select(fresh.c[0]).where(without(kept, fresh.c[0])).distinct()
        connection.execute(insert(kept).from_select(["id"], missing))
        if connection.dialect.name == "postgresql":  # which counts no rows of a temporary table by itself
            connection.exec_driver_sql("ANALYZE kept")

    also(
        select(Placement.item_id)
        .join(Sample, Sample.id == Placement.sample_id)
        .join(Cell, (Cell.corpus_id == Sample.corpus_id) & (Cell.configuration_id == Placement.configuration_id))
    )
    pinned = {run for runs in connection.scalars(select(Pin.runs)) for run in runs}
    for some in chunks(pinned):
        also(select(Item.id).where(Item.run_id.in_(some)))
    for some in chunks(needed):
        also(select(Item.id).where(among(connection, some)))
    # What was found of a cell as a whole stands at no sample; it stays with what its execution found of samples.
    beside = select(Item.run_id).where(Item.id.in_(select(kept.c.id)))
    captions, picture = (Item.parts[name].as_string() for name in ("captions", "picture"))
    whole = captions.is_not(None) | (Item.kind == STAGES["answer"].kind) & picture.is_(None)
    also(select(Item.id).where(whole, Item.run_id.in_(beside)))
    also(select(Item.id).join(Run, Run.id == Item.run_id).where(Run.started_at >= before))
    parents = select(Parent.parent_id.label("id")).where(Parent.item_id.in_(select(kept.c.id)))
    ancestors = parents.cte(recursive=True)
    also(select(ancestors.union(select(Parent.parent_id).join(ancestors, Parent.item_id == ancestors.c.id)).c.id))
    return kept


def without(kept: Table, id: Any) -> ColumnElement[bool]:
    """Condition that an item is not kept. PostgreSQL would read a NOT IN of millions once for every row."""
    return ~exists().where(kept.c.id == id)


def is_old(objects: ObjectStore, path: str, before: datetime) -> bool:
    """Whether a file was written before a time; one that is gone was not."""
    try:
        written = objects.filesystem.modified(path)
    except FileNotFoundError:
        return False
    return (written if written.tzinfo else written.replace(tzinfo=UTC)) < before
