"""Painters that were trained on captions: what they painted, how that was judged, and what they learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from registry.store.dag import STAGES
from registry.store.items import OK
from registry.store.schema import Item, Parent, Placement, Reference, Sample
from reports.asking import queries
from reports.asking.metrics import Metric
from reports.asking.queries import by_axis, frame, standing, where
from reports.asking.study import Study
from reports.statistics.surfaces import Surface

PAINTED, TRAINED, SAID = (STAGES[name].kind for name in ("paint", "train", "compose"))
SWEPT = ("precision", "recall", "seed")
COMPOSED = {"precision": 100, "recall": 0}
"""What a composed set says that does not say it."""
SIDES = {f"{about}_{side}" for about in ("object", "attribute", "relation") for side in SWEPT[:2]}
"""The metrics of what captions say that is true, and of what is true that they say."""


class Cell(NamedTuple):
    """A training on captions of a known precision and recall."""

    line: str
    """The entry, with what else it sweeps over: a surface each."""
    precision: float
    recall: int
    seed: int
    captions: str
    """The name of the set that it learns from."""


class Judged(NamedTuple):
    """One metric of what a painter and its trainings painted of a corpus of prompts."""

    corpus: str
    painter: str
    line: str
    metric: Metric
    surface: Surface


def cells(params: Mapping[str, Any]) -> dict[str, Cell]:
    """The trainings that are cells of a grid of precision and recall.

    >>> swept = {"captions": "grid", "precision": 0, "recall": 3, "seed": 1}
    >>> cells({"training": {"lora/precision=0,recall=3,seed=1": swept}, "captions": {}})
    {'lora/precision=0,recall=3,seed=1': Cell(line='lora', precision=0, recall=3, seed=1, captions='grid')}
    """
    sets = params.get("captions") or {}
    found = {}
    for name, said in (params.get("training") or {}).items():
        learnt = learnt_from(said, sets)
        own = sets.get(learnt, {"kind": "captions"})
        of = {**(COMPOSED if own["kind"] != "captions" else {}), **own, **said}
        if "precision" in of and "recall" in of:
            entry, _, swept = name.partition("/")
            rest = ",".join(part for part in swept.split(",") if part and part.partition("=")[0] not in SWEPT)
            line = f"{entry}/{rest}" if rest else entry
            found[name] = Cell(line, of["precision"], of["recall"], said.get("seed", 0), learnt)
    return found


def learnt_from(training: Mapping[str, Any], sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose captions a training learns: of a caption set, the variant that it chooses.

    >>> learnt_from({"captions": "grid", "recall": 3, "rate": 1.0}, {"grid/recall=0": {}, "grid/recall=3": {}})
    'grid/recall=3'
    """
    for name in sets:
        entry, _, swept = name.partition("/")
        chosen = dict(part.split("=", 1) for part in swept.split(",") if part)
        if entry == training["captions"] and all(f"{training.get(key)}" == value for key, value in chosen.items()):
            return name
    return str(training["captions"])


def judged(study: Study) -> list[Judged]:
    """Every surface of the study: corpus by corpus, painter by painter, metric by metric."""
    grid = cells(study.params)
    every = study.everything
    names = set(every.loc[every["training"].isin(grid), "metric"])
    metrics = [metric for metric in study.metrics if metric.name in names]
    if not metrics:
        return []
    rows = queries.values(study.connection, study.id, [metric.name for metric in metrics], "whole")
    rows = rows.astype(dict.fromkeys(rows.columns.drop("value"), object))
    rows = rows[(rows["painter"] != "") & (rows["kind"] == rows["metric"].map(study.kinds))]
    found = []
    for corpus in sorted(set(rows["corpus"])):
        for painter in study.order["painter"]:
            own = rows[(rows["corpus"] == corpus) & (rows["painter"] == painter)]
            there = {name: cell for name, cell in grid.items() if (own["training"] == name).any()}
            for line in dict.fromkeys(cell.line for cell in there.values()):
                mine = {name: cell for name, cell in there.items() if cell.line == line}
                for metric in metrics:
                    some = own[own["metric"] == metric.name]
                    if (made := surface(some, mine)) is not None:
                        found.append(Judged(corpus, painter, line, metric, made))
    return found


def surface(rows: pd.DataFrame, grid: Mapping[str, Cell]) -> Surface | None:
    """The values (training, sample, value) of some cells; None where they are all of one precision and recall, or no
    prompt has any."""
    precisions, recalls, seeds = (sorted({getattr(cell, name) for cell in grid.values()}) for name in SWEPT)
    wide = rows.pivot(index="sample", columns="training", values="value").dropna(how="all")
    if len(precisions) * len(recalls) < 2 or wide.empty:
        return None
    values = np.full((len(precisions), len(recalls), len(wide), len(seeds)), np.nan)
    for name, cell in grid.items():
        if name in wide:
            place = precisions.index(cell.precision), recalls.index(cell.recall)
            values[*place, :, seeds.index(cell.seed)] = wide[name]
    return Surface(precisions, recalls, values, wide.reindex(columns=[""])[""].to_numpy(float))


class Painting(NamedTuple):
    """Who painted which prompt, and the address of the picture."""

    corpus: str
    sample: str
    painter: str
    training: str
    picture: str | None


def paintings(study: Study) -> list[Painting]:
    """Everything that was painted of prompts."""
    statement = (
        standing(study.id, *where, Sample.name.label("sample"), Item.object)
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.kind == PAINTED)
        .order_by(*where, Sample.name)
    )
    rows = frame(study.connection, statement)
    return [
        Painting(*row)
        for row in rows[["corpus", "sample", "painter", "training", "object"]].itertuples(index=False, name=None)
    ]


def prompts(study: Study) -> dict[tuple[str, str], str]:
    """The text of each prompt that was painted, by corpus and sample."""
    statement = (
        standing(study.id, where[0], Sample.name, Reference.text)
        .join(Reference, Reference.sample_id == Sample.id)
        .where(Placement.kind == PAINTED)
        .distinct()
    )
    return {(corpus, sample): text for corpus, sample, text in study.connection.execute(statement)}


def trained(study: Study) -> dict[str, dict[str, Any]]:
    """What is known of each training that painted: its last loss, lessons, steps, and the share that was truncated."""
    made = aliased(Item)
    statement = (
        standing(study.id, by_axis["training"], func.min(made.id).label("item"))
        .join(Parent, Parent.item_id == Placement.item_id)
        .join(made, made.id == Parent.parent_id)
        .where(Placement.kind == PAINTED, made.kind == TRAINED)
        .group_by(by_axis["training"])
    )
    items = {item: name for name, item in study.connection.execute(statement)}
    values = study.connection.execute(select(Item.id, Item.value).where(Item.id.in_(items)))
    return {items[item]: value or {} for item, value in values}


def told(study: Study) -> dict[str, tuple[int, float, float]]:
    """Of each caption set how many captions it has, and their precision and recall as they were composed."""
    sets = list(study.params.get("captions") or {})
    statement = (
        standing(study.id, by_axis["captioner"], func.count().label("captions"))
        .add_columns(*(func.avg(Item.value[name].as_float()) for name in SWEPT[:2]))
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.kind == SAID, Item.status == OK, by_axis["captioner"].in_(sets))
        .group_by(by_axis["captioner"])
    )
    return {name: (n, precision, recall) for name, n, precision, recall in study.connection.execute(statement)}


class Learnt(NamedTuple):
    """A caption set, and how training on it went: means over the trainings that learnt from it."""

    captions: str
    n: int | None
    precision: float | None
    recall: float | None
    measured: list[float | None]
    truncated: float | None
    steps: float | None
    loss: float | None


def sets(study: Study) -> tuple[list[Metric], list[Learnt]]:
    """What was learnt from, set by set, with the metrics that say how much is cut off and how much is true."""
    grid, known, went = cells(study.params), told(study), trained(study)
    names = list(dict.fromkeys(cell.captions for cell in grid.values()))
    means = study.means[study.means["captioner"].isin(names) & study.means["region"].isin(["", "whole"])]
    means = means[(means["painter"] == "") & (means["recaptioner"] == "") & (means["inpainter"] == "")]
    had = set(means["metric"])
    shown = {"tokens", "nouns", *SIDES} | {name for name in had if name.startswith("cut_")}
    metrics = [one for one in study.metrics if one.name in had & shown]
    found = []
    for name in names:
        own = means[means["captioner"] == name].set_index("metric")["mean"].groupby(level=0).mean()
        values = [went[one] for one, cell in grid.items() if cell.captions == name and one in went]
        n, precision, recall = known.get(name, (None, None, None))
        found.append(
            Learnt(
                name, n, precision, recall, [own.get(metric.name) for metric in metrics],
                average(values, "truncated"), average(values, "steps"), average(values, "loss"),
            )
        )  # fmt: skip
    return metrics, found


def average(values: Sequence[dict[str, float]], name: str) -> float | None:
    known = [value[name] for value in values if value.get(name) is not None]
    return float(np.mean(known)) if known else None
