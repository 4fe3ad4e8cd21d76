"""Why two items or two executions differ, and from what an execution's items differ that were there before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute

from registry.database import migrate_when_behind
from registry.items import Execution, begins, chunks, parts_of
from registry.keys import canonical, differing_parts
from registry.lineage.walk import RUN
from registry.schema import Item, Parent, Run

Difference = tuple[str, Any, Any]
"""A dotted name, and the values on both sides; None where a side lacks it."""

COMPARED = ("stage", "git_commit", "device", "engine")


@dataclass(frozen=True, slots=True)
class Shared:
    """What two executions have in common. An item belongs to the one that computed it, so none is in both."""

    items: tuple[int, int]
    """How many items each computed."""
    common: tuple[int, int]
    """How many of these came from parents that the other computed from too."""
    parts: Mapping[str, int]
    """In which parts of their keys the latter differ from the nearest of the other's, and how many."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """In what two items differ, or two executions, which also share something."""

    differences: tuple[Difference, ...]
    shared: Shared | None = None

    def as_json(self) -> dict[str, Any]:
        shared = self.shared and {
            "items": list(self.shared.items),
            "from_common_parents": list(self.shared.common),
            "differing_parts": dict(self.shared.parts),
        }
        return {
            "what": "runs" if self.shared else "items",
            "differences": [{"name": name, "a": a, "b": b} for name, a, b in self.differences],
            "shared": shared,
        }

    def text(self) -> str:
        """One sentence a difference."""
        lines = [f"{name}: {canonical(a)} -> {canonical(b)}" for name, a, b in self.differences]
        if self.shared is None:
            return "\n".join(lines) or "The two keys are equal in every part."
        (a, b), (a_common, b_common) = self.shared.items, self.shared.common
        lines.append(f"The first computed {a} items, the second {b}; an item is computed once, so none is in both.")
        if a_common:
            lines.append(f"{a_common} of the first and {b_common} of the second came from the same parents.")
        lines += [f"Of these, {count} differ in {parts}." for parts, count in self.shared.parts.items()]
        return "\n".join(lines)


def explain(engine: Engine, a: str, b: str) -> Explanation:
    """In what two items differ by the parts of their keys, or two runs by what they were and by what they computed.

    ``a`` and ``b`` are item keys or ids of runs, or unique beginnings of them. Raises ``ValueError`` where one names
    nothing, or several things, or where one is an item and the other a run.
    """
    migrate_when_behind(engine)
    with engine.connect() as connection:
        runs = [run_of(connection, id) for id in (a, b)]
        if runs[0] and runs[1]:
            return explain_runs(connection, runs[0], runs[1])
    if runs[0] or runs[1]:
        run, other = (a, b) if runs[0] else (b, a)
        raise ValueError(f"{run!r} is a run and {other!r} is none here; give two items, or two runs.")
    return Explanation(tuple(differing_parts(parts_of(engine, a), parts_of(engine, b))))


def run_of(connection: Connection, id: str) -> Execution | None:
    """The one execution whose id begins so; None where an item's key does, or nothing.

    Raises ``ValueError`` where several executions, or executions and items, begin so.
    """
    found = connection.execute(select(*RUN).where(begins(Run.id, id)).limit(2)).all()
    if not found or not id:
        return None
    if len(found) > 1 or connection.scalar(select(Item.id).where(begins(Item.key, id)).limit(1)):
        raise ValueError(f"More than one run or item begins with {id!r}; give more of it.")
    return Execution(*found[0])


def explain_runs(connection: Connection, a: Execution, b: Execution) -> Explanation:
    from registry.tracking import logged

    differences = [(name, getattr(a, name), getattr(b, name)) for name in COMPARED]
    differences = [(name, one, other) for name, one, other in differences if one != other]
    differences += [(f"settings.{name}", *values) for name, *values in differing_parts(logged(a.id), logged(b.id))]
    return Explanation(tuple(differences), shared(connection, a.id, b.id))


def shared(connection: Connection, a: str, b: str) -> Shared:
    """What two runs computed from the same parents, and in what that differs."""
    children: list[dict[int, set[int]]] = []
    for run in (a, b):
        edges = select(Parent.parent_id, Item.id).join(Item, Item.id == Parent.item_id).where(Item.run_id == run)
        of: dict[int, set[int]] = defaultdict(set)
        for parent, item in connection.execute(edges):
            of[parent].add(item)
        children.append(of)
    first, second = children
    common = first.keys() & second.keys()
    mine, theirs = ({item for parent in common for item in of[parent]} for of in children)
    parts = {id: parts for id, _, parts in items_among(connection, Item.id, mine | theirs)}
    near: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for parent in common:
        for item in first[parent]:
            near[item] += [parts[other] for other in second[parent]]
    causes = Counter(changed(parts[item], others) for item, others in sorted(near.items()))
    counts = tuple(
        connection.scalar(select(func.count()).select_from(Item).where(Item.run_id == run)) or 0 for run in (a, b)
    )
    return Shared(counts, (len(mine), len(theirs)), dict(causes.most_common()))


def changed(parts: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> str:
    """The names of the parts in which a key differs from the nearest of some others.

    >>> changed({"prompt": "", "model": {"radius": 7}}, [{"prompt": "a", "model": {}}, {"prompt": "", "model": {}}])
    'model.radius'
    """
    differing = ([name for name, *_ in differing_parts(other, parts)] for other in before)
    return ", ".join(min(differing, key=lambda names: (len(names), names)))


def items_among(
    connection: Connection, column: InstrumentedAttribute[Any], values: Iterable[Any]
) -> list[tuple[int, str, dict[str, Any]]]:
    """Row id, key and parts of the items that have one of some values in a column."""
    columns = (Item.id, Item.key, Item.parts)
    return [tuple(r) for some in chunks(values) for r in connection.execute(select(*columns).where(column.in_(some)))]


def changed_since(engine: Engine, run: str, keys: Iterable[str]) -> dict[str, str | None]:
    """For each key of a run's items, the parts in which it differs from the nearest item that its stage made earlier.

    Items are near that come from the same original picture; of these, the one with the fewest different parts is taken.
    None where there is none, and for originals, which come from nothing.
    """
    with engine.connect() as connection:
        this = connection.execute(select(*RUN).where(Run.id == run)).first()
        if this is None:
            return dict.fromkeys(keys)
        stage, began = this.run_stage, this.run_started_at
        earlier = select(Run.id).where(Run.stage == stage, Run.started_at < began)
        mine = {id: (key, parts) for id, key, parts in items_among(connection, Item.key, keys)}
        before = [tuple(row) for row in connection.execute(select(Item.id, Item.parts).where(Item.run_id.in_(earlier)))]
        roots = originals(connection, [*mine, *(id for id, _ in before)])
        near: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for id, parts in before:
            near[roots[id]].append(parts)
    return {
        key: changed(parts, near[roots[id]]) if roots[id] != id and roots[id] in near else None
        for id, (key, parts) in mine.items()
    }


def originals(connection: Connection, ids: Iterable[int]) -> dict[int, int]:
    """The item at the end of the way back of each, itself where it has no parents; of several parents the first."""
    roots = {id: id for id in ids}
    youngest = set(roots)
    while youngest:
        up: dict[int, int] = {}
        for some in chunks(youngest):
            first = select(Parent.item_id, func.min(Parent.parent_id)).where(Parent.item_id.in_(some))
            up.update(connection.execute(first.group_by(Parent.item_id)).all())
        roots = {id: up.get(root, root) for id, root in roots.items()}
        youngest = set(up.values())
    return roots
