"""Why two items or two executions differ, and from what an execution's items differ that were there before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute

from registry.lineage.ids import item_of
from registry.lineage.text import SHORT, shortened
from registry.lineage.walk import RUN, Node, Place, places_of, trace_item
from registry.store.axes import AXES
from registry.store.database import migrate_when_behind
from registry.store.items import Execution, begins, chunks
from registry.store.keys import canonical, differing_parts
from registry.store.schema import Item, Parent, Run

COMPARED = ("stage", "git_commit", "device", "engine")
THINGS = ("adapter", "kind")
"""Parts that differ in one of these are different things, and not to be compared setting by setting."""


class Difference(NamedTuple):
    """A dotted name, and the values on both sides; None where a side lacks it."""

    name: str
    a: Any
    b: Any
    of: str | None = None
    """The kind of the ancestors that differ so; None for what is compared itself."""
    brought: tuple[Node, Node] | None = None
    """The ancestors whose pictures, captions or parts the values are."""

    def as_json(self) -> dict[str, Any]:
        ends = self.brought and [{"kind": node.kind, "key": node.key, "alike": node.alike} for node in self.brought]
        return {"name": self.name, "a": self.a, "b": self.b, "of": self.of, "from": ends}

    def text(self) -> str:
        """Format in one line, digests shortened."""
        said = f"{f'{self.of} ' if self.of else ''}{self.name}: {canonical(self.a)} -> {canonical(self.b)}"
        ends = [
            f"{node.kind} {node.key[:SHORT]}" + (f" and {node.alike} more like it" if node.alike else "")
            for node in self.brought or ()
        ]
        return shortened(said) + (f", from {' -> '.join(ends)}" if ends else "")


@dataclass(frozen=True, slots=True)
class Shared:
    """Counts of what two executions share. An item belongs to the one that computed it, so none is in both."""

    items: tuple[int, int]
    """Number of items that each computed."""
    common: tuple[int, int]
    """Number of these whose parents the other computed from too."""
    parts: Mapping[str, int]
    """In which parts of their keys the latter differ from the nearest of the other's, and how many."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Differences of two items or two executions; none where both are the same."""

    what: str
    differences: tuple[Difference, ...]
    shared: Shared | None = None

    def as_json(self) -> dict[str, Any]:
        shared = self.shared and {
            "items": list(self.shared.items),
            "from_common_parents": list(self.shared.common),
            "differing_parts": dict(self.shared.parts),
        }
        return {
            "what": f"{self.what}s",
            "differences": [difference.as_json() for difference in self.differences],
            "shared": shared,
        }

    def text(self) -> str:
        """One sentence a difference."""
        lines = [difference.text() for difference in self.differences]
        if self.shared is None:
            return "\n".join(lines) or f"Both are the same {self.what}."
        (a, b), (a_common, b_common) = self.shared.items, self.shared.common
        lines.append(f"The first computed {a} items, the second {b}; an item is computed once, so none is in both.")
        if a_common:
            lines.append(f"{a_common} of the first and {b_common} of the second came from the same parents.")
        lines += [f"Of these, {count} differ in {parts}." for parts, count in self.shared.parts.items()]
        return "\n".join(lines)


def explain(engine: Engine, a: str, b: str) -> Explanation:
    """Compare two items, or two runs: these by what they were and by what they computed.

    Items differ by the parts of their keys. Where such a part is an ancestor's, as a picture or a caption is, it is
    followed by what the ancestors differ in, back to the parts that no ancestor brought.

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
        items = [item_of(connection, key) for key in (a, b)]
        places = nearest_places(connection, *items)
        first, second = (trace_item(connection, item, place).item for item, place in zip(items, places, strict=True))
    return Explanation("item", tuple(differences(first, second, set())))


def nearest_places(connection: Connection, a: int, b: int) -> Sequence[Place | None]:
    """The places at which two items stand closest: an item that two models share stands at several."""
    places = [[Place.of(row) for row in connection.execute(places_of(item)).mappings()] for item in (a, b)]
    samples = [{place.sample_id for place in some} for some in places]
    if not all(samples):
        return [some[0] if some else None for some in places]
    # at one sample, so that pairs stay few also for a picture that is a thousand samples'
    chosen = [min(set.intersection(*samples) or own) for own in samples]
    near = [[place for place in some if place.sample_id == id] for some, id in zip(places, chosen, strict=True)]
    return min(product(*near), key=lambda pair: sum(getattr(pair[0], x) != getattr(pair[1], x) for x in AXES))


def differences(a: Node, b: Node, seen: set[tuple[str, str]], of: str | None = None) -> Iterator[Difference]:
    """Compare two items by their parts; where a part is an ancestor's, also the two ancestors, each pair once."""
    behind: list[tuple[Node, Node]] = []
    for name, one, other in compared({"kind": a.kind, **a.parts}, {"kind": b.kind, **b.parts}):
        mine, theirs = bringer(a, one), bringer(b, other)
        brought = (mine, theirs) if mine and theirs else None
        yield Difference(name, one, other, of, brought)
        if brought and brought[0].kind == brought[1].kind:
            behind.append(brought)
    for one, other in behind:
        if (one.key, other.key) not in seen:
            seen.add((one.key, other.key))
            yield from differences(one, other, seen, one.kind)


def compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The differing parts of two keys, those of different things as a whole.

    >>> list(compared({"model": {"adapter": "telea"}}, {"model": {"adapter": "telea", "radius": 7}}))
    [('model.radius', None, 7)]
    >>> list(compared({"model": {"adapter": "telea", "radius": 3}}, {"model": {"adapter": "identity"}}))
    [('model', {'adapter': 'telea', 'radius': 3}, {'adapter': 'identity'})]
    """
    for name in sorted({*a, *b}):
        one, other = a.get(name), b.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            alike = all(one.get(thing) == other.get(thing) for thing in THINGS)
            yield from differing_parts({name: one}, {name: other}) if alike else [(name, one, other)]
        elif one != other:
            yield name, one, other


def bringer(node: Node, value: Any) -> Node | None:
    """The nearest ancestor whose picture, caption or own part a value is."""
    generation = node.parents if value and isinstance(value, str) else ()
    while generation:
        for ancestor in generation:
            if value in (ancestor.object, ancestor.caption, *ancestor.own.values()):
                return ancestor
        generation = tuple(parent for ancestor in generation for parent in ancestor.parents)
    return None


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
    from registry.tracking.asking import logged

    if a.id == b.id:
        return Explanation("run", ())
    found = [Difference(name, getattr(a, name), getattr(b, name)) for name in COMPARED]
    found = [difference for difference in found if difference.a != difference.b]
    found += [Difference(f"settings.{name}", *ends) for name, *ends in differing_parts(logged(a.id), logged(b.id))]
    return Explanation("run", tuple(found), shared(connection, a.id, b.id))


def shared(connection: Connection, a: str, b: str) -> Shared:
    """Count what two runs computed from the same parents, and in which parts that differs."""
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
    a_items, b_items = (
        connection.scalar(select(func.count()).select_from(Item).where(Item.run_id == run)) or 0 for run in (a, b)
    )
    return Shared((a_items, b_items), (len(mine), len(theirs)), dict(causes.most_common()))


def changed(parts: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> str:
    """The names of the parts in which a key differs from the nearest of some others.

    >>> changed({"prompt": "", "model": {"radius": 7}}, [{"prompt": "a", "model": {}}, {"prompt": "", "model": {}}])
    'model.radius'
    """
    differing = ([name for name, *_ in differing_parts(other, parts)] for other in before)
    fewest = min(differing, key=lambda names: (len(names), names))
    return ", ".join(fewest)


def items_among(
    connection: Connection, column: InstrumentedAttribute[Any], values: Iterable[Any]
) -> list[tuple[int, str, dict[str, Any]]]:
    """Row id, key and parts of the items that have one of some values in a column."""
    columns = (Item.id, Item.key, Item.parts)
    return [tuple(r) for some in chunks(values) for r in connection.execute(select(*columns).where(column.in_(some)))]


def changed_since(engine: Engine, run: str, keys: Iterable[str]) -> dict[str, str | None]:
    """Parts in which each of a run's items differs from the nearest that its stage made earlier, by key.

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
    """The oldest ancestor of each item, itself where it has no parents; of several parents the first is followed."""
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
