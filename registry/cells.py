"""The cells of a study as people compare them: summary metrics, and a few items to look at."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

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
)


class Where(NamedTuple):
    """A corpus × configuration; an axis is None where it does not apply."""

    corpus: str
    degradation: str | None
    inpainter: str | None
    captioner: str | None


def metric_name(metric: str, region: str) -> str:
    """How a metric in a region is called where one name must do.

    >>> metric_name("mse", "region"), metric_name("cider", "")
    ('mse_region', 'cider')
    """
    return f"{metric}_{region}" if region else metric


def cell_means(connection: Connection, study: str) -> dict[Where, dict[str, float]]:
    """Mean of every metric over the items of each cell, and corpus-level values as ``corpus_<metric>``.

    Places in a projection are no metric.
    """
    where = (Corpus.name, Configuration.degradation, Configuration.inpainter, Configuration.captioner)
    cells = (
        select(Cell.corpus_id, Cell.configuration_id)
        .join(Study, Study.id == Cell.study_id)
        .where(Study.name == study)
        .subquery()
    )
    means = (
        select(*where, Measurement.metric, Measurement.region, func.avg(Measurement.value))
        .join_from(cells, Corpus, Corpus.id == cells.c.corpus_id)
        .join(Configuration, Configuration.id == cells.c.configuration_id)
        .join(Sample, Sample.corpus_id == Corpus.id)
        .join(Placement, and_(Placement.sample_id == Sample.id, Placement.configuration_id == Configuration.id))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer == PER_ITEM, Placement.kind.not_like("project.%"))
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
    for *axes, metric, region, value in connection.execute(means):
        if value is not None:
            found[Where(*axes)][metric_name(metric, region)] = value
    for *axes, metric, value in connection.execute(wholes):
        if value is not None:
            found[Where(*axes)][f"corpus_{metric}"] = value
    return dict(found)


class Example(NamedTuple):
    """One sample on its way through a cell: object digests of its pictures, and what was said of the first and last."""

    sample: str
    reference: str
    original: str
    degraded: str | None
    repainted: str | None
    caption_before: str
    caption: str


def examples(connection: Connection, study: str, samples: int) -> dict[Where, list[Example]]:
    """The first samples of every corpus, by name, in each captioned cell that has them."""
    number = func.row_number().over(partition_by=Sample.corpus_id, order_by=Sample.name)
    first = select(Sample.id, number.label("number")).subquery()
    rows = connection.execute(
        select(
            Corpus.name, Configuration.degradation, Configuration.inpainter, Configuration.captioner,
            Sample.name, Placement.kind, Item.object, Item.value, Reference.text,
        )
        .join_from(Placement, Sample, Sample.id == Placement.sample_id)
        .join(first, and_(first.c.id == Sample.id, first.c.number <= samples))
        .join(Corpus, Corpus.id == Sample.corpus_id)
        .join(Configuration, Configuration.id == Placement.configuration_id)
        .join(Cell, and_(Cell.corpus_id == Corpus.id, Cell.configuration_id == Configuration.id))
        .join(Study, and_(Study.id == Cell.study_id, Study.name == study))
        .join(Item, and_(Item.id == Placement.item_id, Item.status == OK))
        .join(Reference, and_(Reference.sample_id == Sample.id, Reference.position == 0), isouter=True)
        .where(Placement.kind.in_(("original", "degraded", "repainted", "caption")))
        .order_by(Sample.name)
    ).all()  # fmt: skip
    objects = {(Where(*r[:4]), r[4], r[5]): r[6] for r in rows}
    captions = {(Where(*r[:4]), r[4]): r[7]["caption"] for r in rows if r[5] == "caption"}
    found: dict[Where, list[Example]] = defaultdict(list)
    for *axes, sample, kind, _, _, reference in rows:
        if kind != "caption":
            continue
        where = Where(*axes)
        nothing = Where(where.corpus, None, None, None)
        example = Example(
            sample,
            reference or "",
            objects[nothing, sample, "original"],
            objects.get((nothing._replace(degradation=where.degradation), sample, "degraded")),
            objects.get((where._replace(captioner=None), sample, "repainted")),
            captions.get((nothing._replace(captioner=where.captioner), sample), ""),
            captions[where, sample],
        )
        found[where].append(example)
    return dict(found)
