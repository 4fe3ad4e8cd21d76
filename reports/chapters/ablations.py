"""Ablations: what each factor of the study does."""

from __future__ import annotations

from dataclasses import asdict, fields

import pandas as pd

from registry.store.axes import AXES
from reports.asking.axes import columns
from reports.asking.factors import Ablations, factors
from reports.asking.study import Study
from reports.figures.forest import parts
from reports.site.latex import latex
from reports.site.numbers import number, small
from reports.site.pages import Page
from reports.statistics.effects import Effect, Interaction


def pages(study: Study) -> list[Page]:
    """One page, where factors can be compared."""
    found = study.once(factors)
    if not found.scopes:
        return []
    given = {"parts": parts(found, study.controls), "tests": found.tests, "value": found.scopes[0].metric.name}
    latexed = {"ablations.tex": latex(effects_texts(found))}
    return [Page("ablations.html", "Ablations", "ablations.html.j2", given, latexed)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Every effect and every interaction."""
    found = study.once(factors)
    return {"ablations": effects_table(found), "interactions": interactions_table(found)}


def effects_texts(found: Ablations) -> pd.DataFrame:
    """The effects as a paper prints them."""
    rows = [
        (s.corpus or "all", s.metric.title, f.name, one.level, one.other, f"{one.n:,}")
        + tuple(number(value, s.metric.decimals) for value in (one.effect, one.low, one.high))
        + ("–" if one.d is None else number(one.d, 2), small(one.p_holm))
        for s in found.scopes
        for f in s.factors
        for one in f.effects
    ]
    names = ["corpus", "metric", "factor", "level", "against", "n", "difference", "low", "high", "d", "p (Holm)"]
    return pd.DataFrame(rows, columns=names).set_index(names[:5])


def effects_table(found: Ablations) -> pd.DataFrame:
    """The effects as a CSV shows them."""
    rows = [
        {"corpus": s.corpus or "all", "metric": s.metric.name, "factor": f.name, **asdict(one)}
        for s in found.scopes
        for f in s.factors
        for one in f.effects
    ]
    names = [field.name for field in fields(Effect)]
    return pd.DataFrame(rows, columns=["corpus", "metric", "factor", *names])


def interactions_table(found: Ablations) -> pd.DataFrame:
    """The interactions as a CSV shows them; a factor that does not enter is empty."""
    rows = [
        {"corpus": s.corpus or "all", "metric": s.metric.name}
        | dict(zip(joint.factors, one.levels, strict=True))
        | {name: value for name, value in asdict(one).items() if name != "levels"}
        for s in found.scopes
        for joint in s.joint
        for one in joint.found
    ]
    names = [field.name for field in fields(Interaction) if field.name != "levels"]
    return columns(pd.DataFrame(rows, columns=["corpus", "metric", *AXES, *names]))
