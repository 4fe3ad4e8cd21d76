"""From an item all the way back to the original picture.

An item can have several parents of a kind: equal captions of one sample share their scores, and a model that cannot see
under the mask repaints all degradations of a picture alike. The walk then follows the parent that stands at the place
it started from, and says how many others led to the same item. It asks one small query a generation, whatever the size
of the registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, select

from registry.indexing import configuration_digest
from registry.store.axes import Point
from registry.store.dag import REQUESTS, STAGES
from registry.store.items import Execution
from registry.store.keys import item_seed, painting_seed
from registry.store.schema import (
    PER_ITEM,
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Parent,
    Placement,
    Reference,
    Run,
    Sample,
    axes_of,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place(Point):
    """Place of an item in the grid: a sample of a corpus under a configuration."""

    corpus: str
    sample: str
    sample_id: int
    settings: Mapping[str, Any]
    """Of each axis that applies."""

    def along(self) -> list[str]:
        """The digests of the configurations on the way to this one, from the originals' on."""
        return [configuration_digest(point, self.settings) for point in self.way()]

    def as_json(self) -> dict[str, Any]:
        return {"corpus": self.corpus, "sample": self.sample, **self.named()}


@dataclass(frozen=True, slots=True)
class Number:
    """A measurement: what `KEY:metric@region` names; ``layer`` is None where it belongs to none."""

    metric: str
    region: str
    layer: int | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Node:
    """An item of the lineage, with its parents."""

    key: str
    kind: str
    status: str
    reason: str | None
    object: str | None
    caption: str | None
    references: tuple[str, ...]
    """Of an original."""
    parts: Mapping[str, Any]
    """Of its key."""
    own: dict[str, Any]
    """Those of them that come from none of its ancestors: prompt, model, settings, source."""
    run: Execution
    place: Place | None
    """None where no study has placed the item."""
    places: int
    """Number of places at which it stands."""
    parents: tuple[Node, ...] = ()
    alike: int = 0
    """Number of other items of its kind that led to the same child."""

    @property
    def seed(self) -> int:
        """The seed of what was drawn at random for it: the item's own, but of paintings and trainings."""
        if self.kind == STAGES["paint"].kind:
            return painting_seed(self.parts["model"].get("seed", 0), self.parts["text"])
        return int(self.parts["seed"]) if self.kind == STAGES["train"].kind else item_seed(self.key)

    def as_json(self) -> dict[str, Any]:
        """Nested objects, parents inside; the fields are this class', ``place`` is spread out."""
        names = ("key", "kind", "status", "reason", "object", "caption")
        return {
            **{name: getattr(self, name) for name in names},
            "references": list(self.references),
            **(self.place.as_json() if self.place else dict.fromkeys(("corpus", "sample", *Point().named()))),
            "places": self.places,
            "own": self.own,
            "seed": self.seed,
            "run": self.run.as_json(),
            "alike": self.alike,
            "parents": [parent.as_json() for parent in self.parents],
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """The way back of one item, and the numbers asked for that were measured by it."""

    item: Node
    numbers: tuple[Number, ...] = ()

    def as_json(self) -> dict[str, Any]:
        numbers = [{name: getattr(number, name) for name in Number.__slots__} for number in self.numbers]
        return {"measurements": numbers, "item": self.item.as_json()}


def trace_item(connection: Connection, item: int, place: Place | None = None, numbers: Sequence[Number] = ()) -> Trace:
    """The lineage of an item by its row id, as seen from a place, by default the first one where it stands."""
    place = place or first_place(connection, item)
    standing = standing_at(connection, place) if place else {}
    edges = ancestors(connection, item, standing)
    ids = {item, *(parent for parents in edges.values() for parent, _ in parents)}
    rows = {
        row.id: row
        for row in connection.execute(select(*COLUMNS, *RUN).join(Run, Run.id == Item.run_id).where(Item.id.in_(ids)))
    }
    places = dict(
        connection.execute(
            select(Placement.item_id, func.count()).where(Placement.item_id.in_(ids)).group_by(Placement.item_id)
        ).all()
    )
    made: dict[int, Node] = {}

    def node(id: int) -> Node:
        if id not in made:
            parents = tuple(replace(node(parent), alike=alike) for parent, alike in edges.get(id, ()))
            row = rows[id]
            where = standing.get(id) or (place if id == item else first_place(connection, id))
            made[id] = Node(
                key=row.key,
                kind=row.kind,
                status=row.status,
                reason=row.reason,
                object=row.object,
                caption=(row.value or {}).get("caption", (row.value or {}).get("text")),
                references=references(connection, where) if row.kind == "original" and where else (),
                parts=row.parts,
                own=own_parts(row.parts, ancestry(parents)),
                run=Execution(*row[-len(RUN) :]),
                place=where,
                places=places.get(id, 0),
                parents=parents,
            )
        return made[id]

    return Trace(node(item), tuple(numbers))


COLUMNS = (Item.id, Item.key, Item.kind, Item.status, Item.reason, Item.object, Item.value, Item.parts)
RUN = tuple(getattr(Run, name).label(f"run_{name}") for name in Execution.__slots__)

PLACE = (
    Corpus.name.label("corpus"),
    Sample.name.label("sample"),
    *axes_of(Configuration),
    Sample.id.label("sample_id"),
    Configuration.settings,
)


def first_place(connection: Connection, item: int) -> Place | None:
    """The first of the places where an item stands; None where it stands nowhere."""
    row = connection.execute(places_of(item).limit(1)).mappings().first()
    return Place.of(row) if row else None


def places_of(item: int) -> Select[Any]:
    """Select the places of an item: those of studies first, then by name."""
    in_study = (
        select(Cell.study_id)
        .where(Cell.corpus_id == Sample.corpus_id, Cell.configuration_id == Placement.configuration_id)
        .exists()
    )
    return (
        select(*PLACE)
        .select_from(Placement)
        .join(Sample, Sample.id == Placement.sample_id)
        .join(Corpus, Corpus.id == Sample.corpus_id)
        .join(Configuration, Configuration.id == Placement.configuration_id)
        .where(Placement.item_id == item)
        .order_by(case((in_study, 0), else_=1), Corpus.name, Sample.name, *axes_of(Configuration))
    )


def standing_at(connection: Connection, place: Place) -> dict[int, Place]:
    """The items on the way to a place, by row id, each with where it stands."""
    rows = connection.execute(
        select(Placement.item_id, *axes_of(Configuration))
        .join(Configuration, Configuration.id == Placement.configuration_id)
        .where(Configuration.digest.in_(place.along()), Placement.sample_id == place.sample_id)
    )
    settled: dict[int, Place] = {}
    for row in rows.mappings():
        names: dict[str, Any] = Point.of(row).names()
        settled[row["item_id"]] = replace(place, **names)
    return settled


def ancestors(connection: Connection, item: int, standing: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """Parents that the walk follows from each item, one of a kind, each with the number of others.

    What a method asked of models is followed all: its item was made of every reply.
    """
    preferred = case((Parent.parent_id.in_(list(standing)), 0), else_=1)
    kind = (Parent.item_id, Item.kind, case((Item.kind.in_(REQUESTS), Parent.parent_id), else_=0))
    ranked = select(
        Parent.item_id,
        Parent.parent_id,
        Item.kind,
        func.count().over(partition_by=kind).label("among"),
        func.row_number().over(partition_by=kind, order_by=(preferred, Parent.parent_id)).label("rank"),
    ).join(Item, Item.id == Parent.parent_id)
    edges: dict[int, list[tuple[int, int]]] = {}
    youngest = {item}
    while youngest:
        generation = ranked.where(Parent.item_id.in_(youngest)).subquery()
        found = connection.execute(
            select(generation).where(generation.c.rank == 1).order_by(generation.c.kind, generation.c.parent_id)
        ).all()
        for row in found:
            edges.setdefault(row.item_id, []).append((row.parent_id, row.among - 1))
        youngest = {row.parent_id for row in found} - edges.keys()
    return edges


def ancestry(parents: Iterable[Node]) -> set[str]:
    """Texts that an item can inherit unchanged: its ancestors' picture digests, captions and parts of keys."""
    known: set[str] = set()
    for parent in parents:
        known.update(text for text in (parent.object, parent.caption, *parent.own.values()) if isinstance(text, str))
        known |= ancestry(parent.parents)
    return known


def own_parts(parts: Mapping[str, Any], inherited: set[str]) -> dict[str, Any]:
    """The parts of a key but for those that ancestors have brought along, and those that say nothing.

    >>> own_parts({"picture": "ab", "prompt": "a cat", "sample": None}, {"ab"})
    {'prompt': 'a cat'}
    """
    return {
        name: value
        for name, value in parts.items()
        if value is not None and not (isinstance(value, str) and (value in inherited or not value))
    }


def references(connection: Connection, place: Place) -> tuple[str, ...]:
    """The references of the sample at a place, in their order."""
    asked = select(Reference.text).where(Reference.sample_id == place.sample_id).order_by(Reference.position)
    return tuple(connection.scalars(asked))


def numbers_of(connection: Connection, item: int, metric: str | None = None, region: str | None = None) -> list[Number]:
    """Measurements by an item, ordered by metric, region and layer; of one metric or region where asked for."""
    asked = and_(
        Measurement.item_id == item,
        *([Measurement.metric == metric] if metric else []),
        *([Measurement.region == region] if region else []),
    )
    columns = (Measurement.metric, Measurement.region, Measurement.layer, Measurement.value)
    rows = connection.execute(select(*columns).where(asked).order_by(*columns[:3]))
    return [Number(r.metric, r.region, None if r.layer == PER_ITEM else r.layer, r.value) for r in rows]
