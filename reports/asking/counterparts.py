"""Counterparts: published numbers and ours of the very same names.

A published number has a counterpart where corpus, degradation, inpainter, captioner, metric and region are called as in
``registry/published``, which are the names of ``studies/inpainting.yaml``. Where the paper does not say whose captions
it scored, each captioner of ours stands beside it. Nothing is guessed: BLEU of an order that is not reported has no
counterpart, and a corpus of the same kind is context, not a comparison. T2I-CompBench's columns are categories of its
prompts (:data:`CATEGORIES`): they find a corpus with the prompts of that one category, and the metric that judges it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from registry.published import Number
from reports.asking.axes import ORIGINAL, PICTURE, TEXT, UNSAID, Text, columns, label
from reports.asking.study import Study
from reports.statistics.points import relative_change

FLIPS = "sign_flips"
"""What table 1 counts: it is beside correlations, not beside values."""


CATEGORIES = {
    "t2i_compbench_color": ("color", "attribute_binding"),
    "t2i_compbench_shape": ("shape", "attribute_binding"),
    "t2i_compbench_texture": ("texture", "attribute_binding"),
    "t2i_compbench_spatial": ("spatial", "spatial_2d_released"),
    "t2i_compbench_non_spatial": ("non_spatial", "non_spatial"),
}
"""Column of *Precision or Recall?* -> the category, behind the corpus' name in that of ours
(``t2i-compbench-color: {adapter: t2i-compbench, categories: [color], …}``), and our metric."""


class Beside(NamedTuple):
    """A published number in our unit, and ours; changes are percentages against the original pictures."""

    number: Number
    text: Text
    """Whose captions ours are; no one's for fidelity, and where there is no counterpart and the paper does not say."""
    published: float
    ours: float | None = None
    ours_change: float | None = None
    n: int | None = None

    @property
    def said(self) -> str:
        return label(self.text)

    @property
    def difference(self) -> float | None:
        return None if self.ours is None else self.ours - self.published


def beside(numbers: Iterable[Number], study: Study) -> list[Beside]:
    """Every published value of a metric with each value of ours that has its names, alone where none has."""
    rows = []
    for one in numbers:
        if one.metric != FLIPS:
            held = [row for text in texts(one, study) if (row := counterpart(one, text, study))]
            rows += held or [Beside(one, named(one), in_our_unit(one))]
    return rows


def named(one: Number) -> Text:
    """Captioner that the paper says it scored, with the later axes."""
    return tuple(getattr(one, axis) or "" for axis in TEXT)


def texts(one: Number, study: Study) -> Sequence[Text]:
    """Texts that may stand beside a number: each captioner's, where the paper does not say whose it scored."""
    if one.region:
        return [UNSAID]
    if one.captioner:
        return [named(one)]
    first = TEXT.index("captioner")
    return [text for text in study.texts if text == (*named(one)[:first], text[first], *named(one)[first + 1 :])]


def counterpart(one: Number, text: Text, study: Study) -> Beside | None:
    """A number beside ours of the very same names; None where there is none.

    Of captions that is the corpus value, as COCO's tools give it and papers print it, where there is one.
    """
    grids = [study.grids[one.region]] if one.region else [study.summary, study.grids[""]]
    category, metric = CATEGORIES.get(one.metric, ("", one.metric))
    corpus = f"{one.corpus}-{category}" if category else one.corpus
    for grid in grids:
        where = (corpus, one.degradation or "", one.inpainter or "", *text)
        if (ours := grid.at(where, metric)) is None:
            continue
        change = None
        original = (one.corpus, *ORIGINAL, *text)
        if one.inpainter and not one.region and not grid.low(original, one.metric):
            change = relative_change(ours, grid.at(original, one.metric))
        return Beside(one, text, in_our_unit(one), ours, change, grid.items(where, metric))
    return None


def in_our_unit(one: Number) -> float:
    """A published value where intensities are in [0, 1].

    >>> from registry.published import shipped
    >>> number = next(n for n in shipped() if n.table == "8" and n.metric == "mse")
    >>> round(in_our_unit(number) * 255**2, 2), number.text
    (2217.34, '2217.34')
    """
    peak = float(one.unit.partition("-")[2]) if one.metric == "mse" else 1.0
    return one.value / peak**2


def flat(rows: Iterable[Beside]) -> pd.DataFrame:
    """Every published value, with ours where there is one, as a CSV shows them; changes are percentages."""
    names = ("paper", "table", "row", "corpus", *PICTURE)
    lines = [
        {name: getattr(row.number, name) or "" for name in names}
        | dict(zip(TEXT, row.text, strict=True))
        | {"region": row.number.region, "metric": row.number.metric}
        | {"printed": row.number.text, "unit": row.number.unit, "published": row.published, "ours": row.ours}
        | {"difference": row.difference, "published_change": row.number.change, "ours_change": row.ours_change}
        | {"n": row.n}
        for row in rows
    ]
    order = [
        *names, *TEXT, "region", "metric", "printed", "unit", "published", "ours", "difference",
        "published_change", "ours_change", "n",
    ]  # fmt: skip
    return columns(pd.DataFrame(lines, columns=order).astype({"n": "Int64"}))
