"""Examples: where captions lost most, and all that stands at those places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, Select, and_, func, select, tuple_

from registry.store.dag import MAKING
from registry.store.schema import (
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Placement,
    Reference,
    Sample,
)
from reports.asking.axes import TEXT, WHERE
from reports.asking.queries import frame, standing, where

Place = tuple[int, int]
"""A configuration and a sample, as ids."""


class Standing(NamedTuple):
    """An item at a place: where its picture is in the object store, and its value."""

    object: str | None
    value: dict[str, Any]


def drops(
    connection: Connection, study: int, metric: str, kind: str, controls: Sequence[str], most: int
) -> pd.DataFrame:
    """Largest losses of captions by a metric, as scores of ``kind`` have it, from original to repainted picture.

    At most ``most`` rows for each corpus and configuration, the largest drop first, gains last; ``controls`` are
    inpainters to leave out. Columns: corpus, axes, sample (id), name (of the sample), item (of the score), before,
    after, drop.
    """
    columns = (*where, Sample.id.label("sample"), Sample.name.label("name"), Placement.item_id.label("item"))
    rows = frame(
        connection,
        standing(study, *columns, Measurement.value.label("after"))
        .join(Measurement, and_(Measurement.item_id == Placement.item_id, Measurement.metric == metric))
        .where(Placement.kind == kind, Measurement.value.is_not(None)),
    )
    original = (rows["degradation"] == "") & (rows["inpainter"] == "")
    before = rows[original].rename(columns={"after": "before"})[["sample", *TEXT, "before"]]
    found = rows[~original & ~rows["inpainter"].isin(controls)].merge(before, on=["sample", *TEXT])
    found = found.assign(drop=found["before"] - found["after"])
    found = found.sort_values(["drop", *WHERE, "name"], ascending=[False, *[True] * (len(WHERE) + 1)])
    return found.groupby(WHERE).head(most).reset_index(drop=True)


def configurations(connection: Connection, study: int) -> dict[tuple[str, ...], int]:
    """The id of each corpus and configuration that a study holds, by its names, in the order of ``WHERE``."""
    statement = (
        select(*where, Configuration.id.label("configuration"))
        .select_from(Cell)
        .join(Corpus, Corpus.id == Cell.corpus_id)
        .join(Configuration, Configuration.id == Cell.configuration_id)
        .where(Cell.study_id == study)
    )
    return {tuple(names): int(place) for *names, place in frame(connection, statement).itertuples(index=False)}


def items(connection: Connection, places: Collection[Place]) -> dict[tuple[str, Place], Standing]:
    """The pictures and captions that stand at some places, by kind and place."""
    statement = (
        _at(places, Placement.kind, Placement.configuration_id, Placement.sample_id, Item.object, Item.value)
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.kind.in_(MAKING))
    )
    rows = connection.execute(statement).all()
    return {(row[0], (row[1], row[2])): Standing(row.object, row.value or {}) for row in rows}


def numbers(
    connection: Connection, places: Collection[Place], metrics: Sequence[str]
) -> dict[Place, dict[tuple[str, str], float | None]]:
    """Metric and region → value of what was measured at some places, the mean over layers where there are any.

    Of measures that measure the same the first by name counts.
    """
    names = (Placement.configuration_id, Placement.sample_id, Placement.kind, Measurement.metric, Measurement.region)
    statement = (
        _at(places, *names, func.avg(Measurement.value))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.metric.in_(metrics))
        .group_by(*names)
        .order_by(*names)
    )
    found: dict[Place, dict[tuple[str, str], float | None]] = {place: {} for place in places}
    for configuration, sample, _, metric, region, value in connection.execute(statement):
        found[configuration, sample].setdefault((metric, region), value)
    return found


def _at(places: Collection[Place], *columns: Any) -> Select[Any]:
    return select(*columns).where(
        tuple_(Placement.configuration_id, Placement.sample_id).in_(sorted(places))
    )  # fmt: skip


def names(connection: Connection, corpora: Collection[str]) -> dict[int, str]:
    """The name of each sample of some corpora."""
    statement = select(Sample.id, Sample.name).join(Corpus).where(Corpus.name.in_(corpora))
    return dict(connection.execute(statement).all())


def references(connection: Connection, samples: Collection[int]) -> dict[int, list[str]]:
    """The references of some samples, in their order."""
    rows = connection.execute(
        select(Reference.sample_id, Reference.text)
        .where(Reference.sample_id.in_(sorted(samples)))
        .order_by(Reference.sample_id, Reference.position)
    )
    found: dict[int, list[str]] = {sample: [] for sample in samples}
    for sample, text in rows:
        found[sample].append(text)
    return found
