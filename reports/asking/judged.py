"""Captions of original pictures, with what is true of them and what judges say: worlds know their pictures exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.asking import queries
from reports.asking.axes import PICTURE, TEXT, Text, label
from reports.asking.metrics import CAPTIONS, GROUNDING, Metric
from reports.asking.study import Study

FAMILIES = ("object", "attribute", "relation")
RATIOS = ("precision", "recall", "f1")
MEASURES = "quality."
"""What the kinds of items begin with that say something of captions."""


class Truth(NamedTuple):
    """How much of what a caption says is true, how much of what is true it says, or both in one."""

    family: str
    ratio: str

    @property
    def name(self) -> str:
        return f"{self.family}_{self.ratio}"


EDITED = "edited-truth"
"""The adapter whose captions have the faults that are set."""

TRUTHS = tuple(Truth(family, ratio) for family in FAMILIES for ratio in RATIOS)
COUNTED = [truth.name for truth in TRUTHS if truth.ratio != "f1"]
"""Those that are measured; the others follow from them."""


class Judge(NamedTuple):
    """A metric as one measure of the study took it."""

    name: str
    metric: Metric
    title: str


class Judged(NamedTuple):
    """Judges, and a row for each caption of an original picture.

    Its columns are ``corpus``, ``sample``, the ``system`` that wrote it with its ``family``, the names of
    :data:`TRUTHS`, and those of the judges, turned so that more is better.
    """

    judges: list[Judge]
    rows: pd.DataFrame


def judged(study: Study) -> Judged:
    """The captions whose truth is known, without a row where there are none.

    Captions of repainted pictures are left out: nobody knows exactly what these show.
    """
    every = {(str(metric), str(kind)) for metric, kind in study.everything[["metric", "kind"]].to_numpy(object)}
    exact = {kind for metric, kind in every if metric in COUNTED}
    shown = [one for one in study.metrics if one.about in (CAPTIONS, GROUNDING) and one.higher_is_better is not None]
    taken = {(metric, kind) for metric, kind in every if kind.startswith(MEASURES)}
    several = Counter(metric for metric, _ in taken)
    judges = [
        Judge(f"{kind}@{one.name}", one, one.title + (f" ({entry})" if several[one.name] > 1 else ""))
        for one in shown
        for metric, kind in sorted(taken)
        if metric == one.name and kind not in exact and (entry := kind.removeprefix(MEASURES))
    ]
    if not exact or not judges:
        return Judged([], pd.DataFrame())
    values = queries.values(study.connection, study.id, [*COUNTED, *(one.metric.name for one in judges)], "whole")
    values = values.astype(dict.fromkeys(values.columns.drop("value"), object))
    values = values[(values[list(PICTURE)] == "").all(axis=1)]
    names: dict[tuple[Any, ...], str] = {(one.metric.name, one.name.partition("@")[0]): one.name for one in judges}
    names |= {(metric, kind): metric for metric in COUNTED for kind in exact}
    texts = [tuple(map(str, text)) for text in values[list(TEXT)].to_numpy(object)]
    values = values.assign(
        column=pd.Series(zip(values["metric"], values["kind"], strict=True), values.index).map(names),
        system=[label(text) for text in texts],
        family=[family(study.params, text) for text in texts],
    )
    rows = values.pivot_table("value", ["corpus", "sample", "system", "family"], "column").reset_index()
    rows = rows.reindex(columns=[*rows.columns, *(name for name in COUNTED if name not in rows)])
    rows = rows[rows[COUNTED].notna().any(axis=1)]
    f1s = {f"{name}_f1": f1(rows[f"{name}_precision"], rows[f"{name}_recall"]) for name in FAMILIES}
    judges = [one for one in judges if one.name in rows and rows[one.name].notna().any()]
    turned = {one.name: -rows[one.name] for one in judges if one.metric.higher_is_better is False}
    return Judged(judges, rows.assign(**f1s, **turned))


def f1(precision: pd.Series, recall: pd.Series) -> np.ndarray:
    """The harmonic mean; 0 where nothing is said of what there is, NaN where there is nothing to be said.

    >>> f1(pd.Series([0.5, np.nan, 0.0]), pd.Series([1.0, 0.0, np.nan])).round(3).tolist()
    [0.667, 0.0, nan]
    """
    p, r = precision.fillna(0.0).to_numpy(float), recall.to_numpy(float)
    return np.where(p + r == 0, 0.0, 2 * p * r / np.where(p + r == 0, 1.0, p + r))


def family(params: Mapping[str, Any], text: Text) -> str:
    """What a system's captions come from: the captioner's checkpoint, or else its entry, whoever rewrote them.

    >>> family({"captioners": {"blip": {"checkpoint": "weights"}}}, ("blip", "rico", "", ""))
    'weights'
    >>> family({"captioners": {}}, ("truth/wrong=color", "", "", ""))
    'truth'
    """
    first = next(name for name in text if name)
    entry = (params.get("captioners") or {}).get(first, {})
    return str(entry.get("checkpoint") or first.partition("/")[0])


def faults(params: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the edited truths that have no fault ("") or one, by the first system that has it.

    >>> faults({"captioners": {"so": {"adapter": "edited-truth", "errors": 1, "wrong": "size"}, "blip": {}}})
    {'wrong size': 'so'}
    """
    found: dict[str, str] = {}
    for system, entry in (params.get("captioners") or {}).items():
        made = entry.get("errors", 0), entry.get("left_out", 0)
        names = {(0, 0): "", (0, 1): "a sentence left out", (1, 0): f"wrong {entry.get('wrong', 'anywhere')}"}
        if entry.get("adapter") == EDITED and made in names:
            found.setdefault(names[made], system)
    return found
