"""Factors of a study: which pictures are compared, and what comes of it, corpus by corpus and over all.

Controls are compared with other inpainters and enter nothing else. An inpainter that cannot see under the mask paints
the same pictures whatever the degradation was: it is left out where degradations are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from registry.store.axes import AXES, NONE
from reports.asking.axes import TEXT, WHERE, coincident, ordered
from reports.asking.metrics import Metric
from reports.asking.sources import correlated, names
from reports.asking.study import Study
from reports.statistics.effects import Effect, Interaction, interactions, paired_effects, together

ITEM = "sample"
ALL = ""
"""The scope of all corpora, each picture of which counts once."""

FIDELITY = "lpips"
"""The fidelity whose factors are shown, beside the metric that judges captions."""


class Factor(NamedTuple):
    """Effects of the levels of a factor, against one of them."""

    name: str
    against: str
    control: bool
    """Whether that one leaves the degraded picture as it is."""
    effects: list[Effect]


class Joint(NamedTuple):
    """Interactions of the levels of several factors."""

    factors: list[str]
    found: list[Interaction]


class Scope(NamedTuple):
    """The factors' effects on one metric in one corpus, or in all of them (``ALL``)."""

    corpus: str
    metric: Metric
    factors: list[Factor]
    joint: list[Joint]
    left_out: list[str]
    """Inpainters that paint the same pictures whatever the degradation was: not where degradations are compared."""


class Ablations(NamedTuple):
    """Everything that is shown, with Holm's p over all of its tests."""

    scopes: list[Scope]
    tests: int
    order: dict[str, list[str]]
    """The names on each axis, as the report orders them."""


def study_rows(study: Study, values: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row for each repainted picture as each captioner sees it (fidelity: none), one column a metric.

    Columns: corpus, axes ("none" where one does not apply), sample ("corpus/sample"), control, blind, and the metrics.
    """
    rows = values[values["metric"].isin(metrics)].astype(dict.fromkeys((*WHERE, "metric", "sample"), object))
    rows = rows.assign(sample=rows["corpus"] + "/" + rows["sample"])
    wide = rows.pivot(index=[*WHERE, ITEM], columns="metric", values="value").reset_index()
    wide[list(TEXT)] = wide[list(TEXT)].replace("", NONE)
    repainted = study.repainted
    order = ordered(study.params, names(rows, repainted))
    blind = [
        (corpus, inpainter)
        for corpus in order["corpus"]
        for inpainter, seen in sights(coincident(repainted, corpus, order)).items()
        if len(seen) > 1 and len(set(seen)) == 1
    ]
    where = pd.MultiIndex.from_frame(wide[["corpus", "inpainter"]])
    found = wide.assign(control=wide["inpainter"].isin(study.controls), blind=where.isin(blind))
    return found.rename_axis(columns=None)


def sights(same: dict[tuple[str, str], tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Pictures that each inpainter paints, degradation by degradation."""
    found: dict[str, list[tuple[str, str]]] = {}
    for (_, inpainter), first in same.items():
        found.setdefault(inpainter, []).append(first)
    return found


def entering(rows: pd.DataFrame, *factors: str) -> pd.DataFrame:
    """The rows over which the effect of a factor is taken, or of several together."""
    if factors == ("inpainter",):
        return rows
    return rows[~rows["control"] & ~(rows["blind"] & ("degradation" in factors))]


def left_out(rows: pd.DataFrame) -> list[str]:
    """The inpainters that do not enter where degradations are compared, because they cannot see what these left."""
    blind = rows.loc[rows["blind"] & ~rows["control"], "inpainter"]
    return sorted(set(blind) - set(entering(rows, "degradation")["inpainter"]))


def factors(study: Study) -> Ablations:
    """Effects of the factors on the fidelity and the captions of a study."""
    values = study.once(correlated).values
    if study.judge is None or values.empty:
        return Ablations([], 0, {})
    return ablations(study, values, [study.judge, *(metric for metric in study.fidelity if metric.name == FIDELITY)])


def ablations(study: Study, values: pd.DataFrame, metrics: Sequence[Metric]) -> Ablations:
    """Every factor's effect on every metric, in every corpus and over all; metrics that were not measured are left out.

    A factor's levels are compared with its control, or else with the first that params.yaml lists.
    """
    had = set(values["metric"].unique())
    metrics = [metric for metric in metrics if metric.name in had]
    if not metrics:
        return Ablations([], 0, {})
    rows = study_rows(study, values, [metric.name for metric in metrics])
    order = ordered(study.params, rows[WHERE].replace(NONE, ""))
    order |= {axis: [NONE, *order[axis]] for axis in TEXT if (rows[axis] == NONE).any()}
    corpora = [name for name in order["corpus"] if (rows["corpus"] == name).any()]
    scopes = []
    for corpus in [ALL, *corpora] if len(corpora) > 1 else corpora:
        some = rows if corpus == ALL else rows[rows["corpus"] == corpus]
        for metric in metrics:
            known = some[some[metric.name].notna()]
            if len(known):
                scopes.append(scope(known, corpus, metric, order))
    effects = [factor.effects for one in scopes for factor in one.factors]
    interactions = [joint.found for one in scopes for joint in one.joint]
    both = together(effects, interactions)
    acted, joined = iter(both[0]), iter(both[1])
    scopes = [one._replace(factors=[f._replace(effects=next(acted)) for f in one.factors]) for one in scopes]
    scopes = [one._replace(joint=[j._replace(found=next(joined)) for j in one.joint]) for one in scopes]
    return Ablations(scopes, sum(map(len, effects)) + sum(map(len, interactions)), order)


def scope(rows: pd.DataFrame, corpus: str, metric: Metric, order: dict[str, list[str]]) -> Scope:
    """One corpus and metric; what shares no two pictures is left out.

    Where some inpainters cannot see what degradations left, all of them are also combined with captioners alone.
    """
    factors = [factor for axis in AXES if (factor := factor_of(rows, axis, metric, order))]
    blind = left_out(rows)
    combined = [AXES, *([[axis for axis in AXES if axis != "degradation"]] if blind else [])]
    joint = [found for axes in combined if (found := joint_of(rows, axes, metric))]
    return Scope(corpus, metric, factors, joint, blind)


def joint_of(rows: pd.DataFrame, axes: Sequence[str], metric: Metric) -> Joint | None:
    """The interactions of those axes that vary; None where fewer than two do, or no two pictures have everything."""
    some = entering(rows, *axes)
    varied = [axis for axis in axes if some[axis].nunique() > 1]
    try:
        return Joint(varied, interactions(some, varied, metric.name, ITEM))
    except ValueError:
        return None


def factor_of(rows: pd.DataFrame, axis: str, metric: Metric, order: dict[str, list[str]]) -> Factor | None:
    """One factor; None where nothing can be compared."""
    some = entering(rows, axis)
    present = [name for name in order[axis] if (some[axis] == name).any()]
    marked = set(some.loc[some["control"], "inpainter"]) if axis == "inpainter" else set()
    if len(present) < 2:
        return None
    against = next((name for name in present if name in marked), present[0])
    try:
        effects = paired_effects(some, axis, metric.name, ITEM, AXES, against)
    except ValueError:  # no two levels share two pictures
        return None
    return Factor(axis, against, against in marked, effects)
