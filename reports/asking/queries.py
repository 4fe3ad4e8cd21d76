"""Questions of the whole study, each answered by one SQL statement.

Means and counts are taken by the database; only what a page shows comes back. An axis that does not apply is "".
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, Executable, Select, and_, func, select

from registry.store.axes import AXES
from registry.store.dag import UNAVERAGED
from registry.store.items import FAILED
from registry.store.schema import (
    FAILED_ONES,
    PER_ITEM,
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Placement,
    Reference,
    Run,
    Sample,
    Study,
    Summary,
)
from reports.asking.axes import PICTURE, WHERE

by_axis = {axis: getattr(Configuration, axis).label(axis) for axis in WHERE if axis != "corpus"}

where = (Corpus.name.label("corpus"), *by_axis.values())
"""The columns of ``WHERE``."""

of_picture = (Corpus.name.label("corpus"), *(by_axis[axis] for axis in PICTURE))
"""Those that name a picture's corpus and configuration."""

_cell = (Corpus.id, Configuration.id)
"""What to group by: short keys, on which the names depend."""


class StudyRow(NamedTuple):
    """A study as it was indexed last."""

    id: int
    name: str
    params: dict[str, Any]
    links: dict[str, str]
    """Where MLflow compares the cells of each corpus, and under "" all of them."""


def find_study(connection: Connection, name: str) -> StudyRow:
    """The study of a name; raises ``ValueError`` with the nearest known name where the registry has none."""
    columns = (Study.id, Study.name, Study.params, Study.links)
    row = connection.execute(select(*columns).where(Study.name == name)).first()
    if row:
        links = {corpus: link for corpus, link in (row.links or {}).items() if link.startswith(("http:", "https:"))}
        return StudyRow(row.id, row.name, row.params, links)
    known = list(connection.scalars(select(Study.name).order_by(Study.name)))
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"It knows: {', '.join(known) or 'none yet'}."
    raise ValueError(f"The registry holds no study {name!r}. {hint} Run `dvc repro` to compute and index a study.")


def standing(study: int, *columns: Any) -> Select[Any]:
    """A select over everything that stands in the study's cells, with what it stands for."""
    return (
        select(*columns)
        .select_from(Cell)
        .join(Corpus, Corpus.id == Cell.corpus_id)
        .join(Configuration, Configuration.id == Cell.configuration_id)
        .join(Placement, Placement.configuration_id == Cell.configuration_id)
        .join(Sample, and_(Sample.id == Placement.sample_id, Sample.corpus_id == Cell.corpus_id))
        .where(Cell.study_id == study)
    )


def frame(connection: Connection, statement: Executable) -> pd.DataFrame:
    """The rows of a statement; an axis that is null becomes ""."""
    result = connection.execute(statement)
    plain = [tuple(row) for row in result]  # pandas looks for a field's name in every Row, and that is half of the time
    rows = pd.DataFrame(plain, columns=list(result.keys()))
    for axis in rows.columns.intersection(list(AXES)):
        rows[axis] = rows[axis].astype(object).where(rows[axis].notna(), "")
    return rows


def corpora(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, split, and how many samples."""
    held = select(Cell.corpus_id).where(Cell.study_id == study).distinct()
    statement = (
        select(Corpus.name.label("corpus"), Sample.split, func.count().label("samples"))
        .join(Sample, Sample.corpus_id == Corpus.id)
        .where(Corpus.id.in_(held))
        .group_by(Corpus.name, Sample.split)
        .order_by(Corpus.name, Sample.split)
    )
    return frame(connection, statement)


def problems(connection: Connection, study: int) -> dict[str, dict[str, int]]:
    """Counts of each kind of problem that was met in the files of each corpus."""
    held = select(Cell.corpus_id).where(Cell.study_id == study).distinct()
    return dict(connection.execute(select(Corpus.name, Corpus.problems).where(Corpus.id.in_(held))).all())


def items(connection: Connection, study: int) -> pd.DataFrame:
    """Kind, execution (its id), how many places its items fill, how many these are, and how many of them failed."""
    standing_there = standing(study, Placement.kind, Placement.item_id, func.count().label("placed"))
    held = standing_there.group_by(Placement.kind, Placement.item_id).subquery()
    failed = func.count().filter(Item.status == FAILED).label("failed")
    statement = (
        select(held.c.kind, Item.run_id.label("run"), func.sum(held.c.placed).label("placed"))
        .add_columns(func.count().label("items"), failed)
        .join(Item, Item.id == held.c.item_id)
        .group_by(held.c.kind, Item.run_id)
        .order_by(held.c.kind, Item.run_id)
    )
    return frame(connection, statement).astype({"placed": int, "items": int, "failed": int})


def failures(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, kind, reason, and how many items failed of it, the most frequent first."""
    count = func.count(Item.id.distinct()).label("items")
    statement = (
        standing(study, *where, Placement.kind, Item.reason, count)
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.item_id.in_(select(Item.id).where(FAILED_ONES)))
        .group_by(*_cell, Placement.kind, Item.reason)
        .order_by(count.desc(), *where, Placement.kind, Item.reason)
    )
    return frame(connection, statement)


def means(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, kind, metric, region, mean over items and of squares, how many have a value, how many there are."""
    value = Measurement.value
    what = (Placement.kind, Measurement.metric, Measurement.region)
    statement = (
        standing(study, *where, *what)
        .add_columns(func.avg(value).label("mean"), func.avg(value * value).label("square"))
        .add_columns(func.count(value).label("n"), func.count().label("items"))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(
            Measurement.layer == PER_ITEM, *(Placement.kind.not_like(f"{kind}.%") for kind in UNAVERAGED)
        )  # places have no mean
        .group_by(*_cell, *what)
        .order_by(*where, *what)
    )
    return frame(connection, statement)


def layers(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, kind, metric, region, layer, and the mean over items of what was measured in a layer."""
    what = (Placement.kind, Measurement.metric, Measurement.region, Measurement.layer)
    statement = (
        standing(study, *where, *what)
        .add_columns(func.avg(Measurement.value).label("mean"))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer != PER_ITEM)
        .group_by(*_cell, *what)
        .order_by(*where, *what)
    )
    return frame(connection, statement)


def values(connection: Connection, study: int, metrics: Sequence[str], region: str) -> pd.DataFrame:
    """Corpus, axes, kind, metric, sample (its name) and value of every item measured, in one region of the picture.

    Names are categories. The database gives ids, of which there may be millions, and names are put in their place here.
    """
    rows = frame(
        connection,
        select(Cell.corpus_id, Cell.configuration_id, Placement.kind, Measurement.metric, Placement.sample_id)
        .add_columns(Measurement.value)
        .select_from(Cell)
        .join(Placement, Placement.configuration_id == Cell.configuration_id)
        .join(Sample, and_(Sample.id == Placement.sample_id, Sample.corpus_id == Cell.corpus_id))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Cell.study_id == study, Measurement.layer == PER_ITEM)
        .where(Measurement.region.in_((region, "")), Measurement.metric.in_(metrics)),
    )
    corpus = frame(connection, select(Corpus.id, Corpus.name))
    sample = frame(connection, select(Sample.id, Sample.name).where(Sample.corpus_id.in_(corpus["id"].tolist())))
    configuration = frame(connection, select(Configuration.id, *by_axis.values()))
    found: dict[str, pd.Categorical | pd.Series] = {"corpus": named(rows["corpus_id"], corpus["id"], corpus["name"])}
    found |= {axis: named(rows["configuration_id"], configuration["id"], configuration[axis]) for axis in AXES}
    found |= {name: rows[name].astype("category") for name in ("kind", "metric")}
    found |= {"sample": named(rows["sample_id"], sample["id"], sample["name"]), "value": rows["value"].astype(float)}
    return pd.DataFrame(found).sort_values([*WHERE, "kind", "metric", "sample"], ignore_index=True)


def named(ids: pd.Series, known: pd.Series, names: pd.Series) -> pd.Categorical:
    """Names in the place of ids, as categories in alphabetical order."""
    categories = sorted(set(names))
    codes = dict(zip(known, pd.Categorical(names, categories).codes, strict=True))
    return pd.Categorical.from_codes(ids.map(codes).to_numpy(), pd.Index(categories))


def metrics(connection: Connection, study: int) -> list[str]:
    """Every metric that was measured, by name."""
    statement = standing(study, Measurement.metric).join(Measurement, Measurement.item_id == Placement.item_id)
    return list(connection.scalars(statement.distinct().order_by(Measurement.metric)))


def summaries(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, metric, and its value over the corpus as a whole."""
    statement = (
        select(*where, Summary.metric, Summary.value, Summary.items)
        .select_from(Cell)
        .join(Corpus, Corpus.id == Cell.corpus_id)
        .join(Configuration, Configuration.id == Cell.configuration_id)
        .join(
            Summary,
            and_(Summary.corpus_id == Cell.corpus_id, Summary.configuration_id == Cell.configuration_id),
        )
        .where(Cell.study_id == study)
        .order_by(*where, Summary.metric)
    )
    return frame(connection, statement)


def repainted(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, degradation, inpainter, sample and item of every repainted picture, as ids."""
    statement = (
        standing(study, *of_picture, Placement.sample_id.label("sample"), Placement.item_id.label("item"))
        .where(Placement.kind == "repainted")
        .order_by(Corpus.name, Configuration.id, Placement.sample_id)
    )
    return frame(connection, statement)


def identities(connection: Connection, study: int) -> pd.DataFrame:
    """Kind, axes, and the parts of the key of one item that stands there: with which model it was made."""
    columns = (Placement.kind, *by_axis.values())
    one = standing(study, *columns, func.min(Placement.item_id).label("item")).group_by(*columns).subquery()
    named = [one.c[column.key] for column in columns]
    statement = select(*named, Item.parts).join(Item, Item.id == one.c.item).order_by(*named)
    return frame(connection, statement)


def masks(connection: Connection, study: int) -> dict[tuple[str, str], str]:
    """The region that a degradation acts on in a corpus, as it stands in the items' keys: one text, one mask."""
    columns = (Corpus.name.label("corpus"), by_axis["degradation"])
    some = standing(study, *columns, func.min(Placement.item_id).label("item")).where(Placement.kind == "degraded")
    one = some.group_by(*columns).subquery()
    statement = select(one.c.corpus, one.c.degradation, Item.parts).join(Item, Item.id == one.c.item)
    return {
        (corpus, degradation): json.dumps(parts.get("region"), sort_keys=True)
        for corpus, degradation, parts in connection.execute(statement)
    }


def placed(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, kind, execution, and how many items of it stand there."""
    statement = (
        standing(study, *where, Placement.kind, Item.run_id.label("run"), func.count().label("items"))
        .join(Item, Item.id == Placement.item_id)
        .group_by(*_cell, Placement.kind, Item.run_id)
    )
    return frame(connection, statement)


def runs(connection: Connection, items: pd.DataFrame) -> pd.DataFrame:
    """Executions that computed the :func:`items`, and how many each."""
    columns = (Run.stage, Run.id.label("run"), Run.git_commit, Run.device, Run.engine)
    known = frame(connection, select(*columns).where(Run.id.in_(items["run"].unique().tolist())))
    counts = items.groupby("run", as_index=False)["items"].sum()
    return known.merge(counts, on="run").sort_values(["stage", "run"], ignore_index=True)


def references(connection: Connection, study: int) -> dict[str, dict[str, list[str]]]:
    """References of each corpus by the name of their sample."""
    held = select(Cell.corpus_id).where(Cell.study_id == study).distinct()
    rows = connection.execute(
        select(Corpus.name, Sample.name, Reference.text)
        .join(Sample, Sample.corpus_id == Corpus.id)
        .join(Reference, Reference.sample_id == Sample.id)
        .where(Corpus.id.in_(held))
        .order_by(Corpus.name, Sample.name, Reference.text)
    )
    found: dict[str, dict[str, list[str]]] = {}
    for corpus, sample, text in rows:
        found.setdefault(corpus, {}).setdefault(sample, []).append(text)
    return found
