"""Summary metrics and example items of each cell of a study, for comparison in MLflow."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from registry.store.axes import Point
from registry.store.dag import MAKING, UNAVERAGED
from registry.store.items import OK
from registry.store.schema import (
    PER_ITEM,
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Placement,
    Reference,
    Sample,
    Study,
    Summary,
    axes_of,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Where(Point):
    """A corpus × configuration."""

    corpus: str


def metric_name(metric: str, region: str) -> str:
    """Join the names of a metric and a region.

    >>> metric_name("mse", "region"), metric_name("cider", "")
    ('mse_region', 'cider')
    """
    return f"{metric}_{region}" if region else metric


def cell_means(connection: Connection, study: str) -> dict[Where, dict[str, float]]:
    """Mean of every metric over the items of each cell, and corpus-level values as ``corpus_<metric>``.

    Coordinates in a projection are left out: their mean says nothing.
    """
    where = (Corpus.name.label("corpus"), *axes_of(Configuration))
    cells = (
        select(Cell.corpus_id, Cell.configuration_id)
        .join(Study, Study.id == Cell.study_id)
        .where(Study.name == study)
        .subquery()
    )
    means = (
        select(*where, Measurement.metric, Measurement.region, func.avg(Measurement.value).label("value"))
        .join_from(cells, Corpus, Corpus.id == cells.c.corpus_id)
        .join(Configuration, Configuration.id == cells.c.configuration_id)
        .join(Sample, Sample.corpus_id == Corpus.id)
        .join(Placement, and_(Placement.sample_id == Sample.id, Placement.configuration_id == Configuration.id))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer == PER_ITEM, *(Placement.kind.not_like(f"{kind}.%") for kind in UNAVERAGED))
        .group_by(*where, Measurement.metric, Measurement.region)
    )
    wholes = (
        select(*where, Summary.metric, Summary.value)
        .join_from(cells, Corpus, Corpus.id == cells.c.corpus_id)
        .join(Configuration, Configuration.id == cells.c.configuration_id)
        .join(
            Summary,
            and_(Summary.corpus_id == cells.c.corpus_id, Summary.configuration_id == cells.c.configuration_id),
        )
    )
    found: dict[Where, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(means).mappings():
        if row["value"] is not None:
            found[Where.of(row)][metric_name(row["metric"], row["region"])] = row["value"]
    for row in connection.execute(wholes).mappings():
        if row["value"] is not None:
            found[Where.of(row)][f"corpus_{row['metric']}"] = row["value"]
    return dict(found)


class Example(NamedTuple):
    """One sample in a cell: object digests of its pictures, and the captions of the original and of the last."""

    sample: str
    reference: str
    original: str
    degraded: str | None
    repainted: str | None
    caption_before: str
    caption: str


def examples(connection: Connection, study: str, samples: int) -> dict[Where, list[Example]]:
    """The first samples of each of the study's corpora, by name, in each captioned cell that has them."""
    number = func.row_number().over(partition_by=Sample.corpus_id, order_by=Sample.name)
    held = select(Cell.corpus_id).join(Study, Study.id == Cell.study_id).where(Study.name == study)
    first = select(Sample.id, number.label("number")).where(Sample.corpus_id.in_(held)).subquery()
    rows = connection.execute(
        select(Corpus.name.label("corpus"), *axes_of(Configuration), Sample.name.label("sample"))
        .add_columns(Placement.kind, Item.object, Item.value, Reference.text)
        .join_from(Placement, Sample, Sample.id == Placement.sample_id)
        .join(first, and_(first.c.id == Sample.id, first.c.number <= samples))
        .join(Corpus, Corpus.id == Sample.corpus_id)
        .join(Configuration, Configuration.id == Placement.configuration_id)
        .join(Cell, and_(Cell.corpus_id == Corpus.id, Cell.configuration_id == Configuration.id))
        .join(Study, and_(Study.id == Cell.study_id, Study.name == study))
        .join(Item, and_(Item.id == Placement.item_id, Item.status == OK))
        .join(Reference, and_(Reference.sample_id == Sample.id, Reference.position == 0), isouter=True)
        .where(Placement.kind.in_(MAKING))
        .order_by(Sample.name)
    ).mappings()
    placed = [(Where.of(row), row["sample"], row) for row in rows]
    objects = {(where, sample, row["kind"]): row["object"] for where, sample, row in placed}
    captions = {(where, sample): row["value"]["caption"] for where, sample, row in placed if row["kind"] == "caption"}
    references = {(where.corpus, sample): row["text"] or "" for where, sample, row in placed}
    found: dict[Where, list[Example]] = defaultdict(list)
    for (where, sample), caption in captions.items():
        original = Where(corpus=where.corpus)
        degraded = replace(original, degradation=where.degradation)
        repainted = replace(degraded, inpainter=where.inpainter)
        example = Example(
            sample,
            references[where.corpus, sample],
            objects[original, sample, "original"],
            objects.get((degraded, sample, "degraded")),
            objects.get((repainted, sample, "repainted")),
            captions.get((replace(where, degradation=None, inpainter=None), sample), ""),
            caption,
        )
        found[where].append(example)
    return dict(found)
