"""Groups of items: those of a report cell, of a stage, or of files that a stage wrote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from registry.lineage.walk import PLACE, RUN, Place, Trace, numbers_of, trace_item
from registry.store.axes import Point
from registry.store.dag import MAKING
from registry.store.items import FAILED, Execution, among, chunks
from registry.store.schema import (
    PER_ITEM,
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Placement,
    Run,
    Sample,
    Study,
    Summary,
    axes_of,
)


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric over the items of a cell; ``kind`` is None for what is measured on the corpus as a whole."""

    kind: str | None
    metric: str
    region: str
    mean: float | None
    items: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group of items: their number by kind, the runs and models that computed them, and one of them traced."""

    name: str
    items: Mapping[str, int]
    failed: int
    runs: tuple[tuple[Execution, int], ...]
    models: tuple[Mapping[str, Any], ...]
    example: Trace | None
    means: tuple[Mean, ...] = ()

    @property
    def commits(self) -> list[str]:
        return sorted({run.git_commit for run, _ in self.runs})

    def as_json(self) -> dict[str, Any]:
        runs = [run.as_json() | {"items": items} for run, items in self.runs]
        return {
            "name": self.name,
            "items": dict(self.items),
            "failed": self.failed,
            "measurements": [{name: getattr(mean, name) for name in Mean.__slots__} for mean in self.means],
            "runs": runs,
            "commits": self.commits,
            "models": [dict(model) for model in self.models],
            "example": self.example.as_json() if self.example else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyCell(Point):
    """A corpus × configuration of a study."""

    study: str
    corpus: str
    corpus_id: int
    configuration_id: int

    @property
    def name(self) -> str:
        return f"{self.corpus}/{self.path()}"


def study_cells(connection: Connection) -> list[StudyCell]:
    """Every cell of every study, by name."""
    rows = connection.execute(
        select(Study.name.label("study"), Corpus.name.label("corpus"), *axes_of(Configuration))
        .add_columns(Corpus.id.label("corpus_id"), Configuration.id.label("configuration_id"))
        .select_from(Cell)
        .join(Study, Study.id == Cell.study_id)
        .join(Corpus, Corpus.id == Cell.corpus_id)
        .join(Configuration, Configuration.id == Cell.configuration_id)
    )
    return sorted((StudyCell.of(row) for row in rows.mappings()), key=lambda cell: (cell.name, cell.study))


def group(connection: Connection, name: str, wheres: Iterable[ColumnElement[bool]], example: Trace | None) -> Group:
    """Gather the group of items that any of some disjoint conditions selects."""
    kinds, runs, failed, models, ones = Counter[str](), Counter[str](), 0, set[str](), set[int]()
    identity = func.coalesce(Item.parts["model"].as_string(), Item.parts["measure"].as_string())
    for where in wheres:
        counted = (
            select(Item.kind, Item.status, Item.run_id, func.count(), func.min(Item.id))
            .where(where)
            .group_by(Item.kind, Item.status, Item.run_id)
        )
        for kind, status, run, count, one in connection.execute(counted):
            kinds[kind] += count
            runs[run] += count
            failed += count * (status == FAILED)
            ones.add(one)
        models |= set(connection.scalars(select(identity).where(where, Item.kind.in_(MAKING)).distinct()))
    models |= set(connection.scalars(select(identity).where(Item.id.in_(list(ones)))))
    executions = connection.execute(select(*RUN).where(Run.id.in_(list(runs))))
    return Group(
        name,
        dict(sorted(kinds.items())),
        failed,
        tuple(sorted(((Execution(*row), runs[row[0]]) for row in executions), key=lambda pair: pair[0].started_at)),
        tuple(json.loads(model) for model in sorted(filter(None, models))),
        example,
    )


def cell_group(connection: Connection, cell: StudyCell, metric: str | None, region: str | None) -> Group:
    """A cell; or those of its items that measured a metric, and the metric's mean. The first sample is traced.

    Raises ``ValueError`` with the nearest known name where no such metric was measured in the cell.
    """
    place = example_place(connection, cell)
    here = Placement.configuration_id == cell.configuration_id
    traced: Trace | None = None
    means: tuple[Mean, ...] = ()
    if metric:
        along = select(Configuration.id).where(Configuration.digest.in_(place.along()))
        here = Placement.configuration_id.in_(along)
        traced = measured_example(connection, place, here, metric, region)
        means = tuple(cell_means(connection, cell, here, metric, region))
        here &= Placement.kind.in_({mean.kind for mean in means if mean.kind})
    elif standing := connection.execute(
        select(Placement.item_id, Placement.kind).where(here, Placement.sample_id == place.sample_id)
    ).all():
        first = min(standing, key=lambda row: (-MAKING.index(row.kind) if row.kind in MAKING else 1, row.kind))
        traced = trace_item(connection, first.item_id, place)
    placed = select(Placement.item_id).join(Sample, Sample.id == Placement.sample_id)
    mine = placed.where(here, Sample.corpus_id == cell.corpus_id)
    return replace(group(connection, f"{cell.study}: {cell.name}", [Item.id.in_(mine)], traced), means=means)


def example_place(connection: Connection, cell: StudyCell) -> Place:
    """The first sample of a cell, by name, where an item stands."""
    rows = connection.execute(
        select(*PLACE)
        .select_from(Placement)
        .join(Sample, Sample.id == Placement.sample_id)
        .join(Corpus, Corpus.id == Sample.corpus_id)
        .join(Configuration, Configuration.id == Placement.configuration_id)
        .where(Placement.configuration_id == cell.configuration_id, Sample.corpus_id == cell.corpus_id)
        .order_by(Sample.name)
        .limit(1)
    )
    if (row := rows.mappings().first()) is None:
        raise ValueError(f"Nothing stands in {cell.name}; `palimpsest registry sync` brings the registry up to date.")
    return Place.of(row)


def cell_means(
    connection: Connection, cell: StudyCell, standing: ColumnElement[bool], metric: str, region: str | None
) -> Iterator[Mean]:
    """The mean over items, by kind and region, and the value of the corpus as a whole."""
    columns = (Placement.kind, Measurement.metric, Measurement.region)
    rows = connection.execute(
        select(*columns, func.avg(Measurement.value), func.count(Measurement.value))
        .select_from(Placement)
        .join(Sample, Sample.id == Placement.sample_id)
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(standing, Sample.corpus_id == cell.corpus_id, Measurement.metric == metric)
        .where(Measurement.layer == PER_ITEM, *([Measurement.region == region] if region else []))
        .group_by(*columns)
        .order_by(*columns)
    )
    yield from (Mean(*row) for row in rows)
    whole = select(Summary.metric, Summary.value, Summary.items).where(
        Summary.corpus_id == cell.corpus_id,
        Summary.configuration_id == cell.configuration_id,
        Summary.metric == metric,
    )
    yield from (Mean(None, row.metric, "", row.value, row.items) for row in connection.execute(whole))


def measured_example(
    connection: Connection, place: Place, standing: ColumnElement[bool], metric: str, region: str | None
) -> Trace:
    """One measurement of a metric, traced; raises ``ValueError`` with the nearest known where the place has none."""
    rows = connection.execute(
        select(Placement.item_id, Measurement.metric, Measurement.region)
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(standing, Placement.sample_id == place.sample_id)
        .order_by(Placement.item_id)
    ).all()
    named = {f"{row.metric}@{row.region}" if row.region else row.metric for row in rows} | {r.metric for r in rows}
    asked = f"{metric}@{region}" if region else metric
    if asked not in named:
        raise ValueError(f"Nothing called {asked!r} was measured there; {nearest(asked, named)}")
    item = next(row.item_id for row in rows if row.metric == metric and region in (None, row.region))
    return trace_item(connection, item, place, numbers_of(connection, item, metric, region))


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known names, as the end of a sentence.

    >>> nearest("telae", ["blur", "telea"])
    "did you mean 'telea'?"
    """
    known = sorted(set(known))
    if close := get_close_matches(name, known, n=3, cutoff=0.5):
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"known are {', '.join(known[:8])}{', …' * (len(known) > 8)}." if known else "there is nothing yet."


def read_keys(path: Path) -> list[str]:
    """The item keys in a shard, in their order; none in a table of other things. Raises ``ValueError``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if "key" not in pq.read_schema(path).names:
            return []
        return pq.read_table(path, columns=["key"])["key"].to_pylist()
    except (pa.ArrowException, OSError):
        raise ValueError(f"{path} is no Parquet file that can be read; `dvc checkout` brings an output back.") from None


def keys_group(connection: Connection, path: Path, keys: Sequence[str]) -> Group:
    """The items whose keys lie in a file or a folder; the first one is traced.

    Raises ``ValueError`` where the registry does not know them.
    """
    first = connection.scalar(select(Item.id).where(Item.key.in_(keys[:1])))
    if first is None:
        raise ValueError(
            f"The registry does not know the items of {path}; `palimpsest registry sync` tells it of this checkout's."
        )
    return group(
        connection, str(path), (among(connection, some) for some in chunks(keys)), trace_item(connection, first)
    )


def stage_group(connection: Connection, stage: str) -> Group | None:
    """Group of all items that a stage has computed; None where no run of it is known."""
    runs = list(connection.scalars(select(Run.id).where(Run.stage == stage)))
    if not runs:
        return None
    mine = Item.run_id.in_(runs)
    first = connection.scalar(select(func.min(Item.id)).where(mine))
    return group(connection, stage, [mine], trace_item(connection, first) if first else None)
