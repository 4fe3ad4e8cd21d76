"""Links: whether fidelity goes with the quality of captions, over the configurations of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import pandas as pd

from reports.asking.axes import ORIGINAL, PICTURE, TEXT, UNSAID, Names, Order, Text, alike
from reports.asking.axes import label as said_by
from reports.asking.metrics import INSIDE, SCATTERED
from reports.asking.sources import correlated
from reports.asking.study import Study
from reports.chapters.gallery import gallery
from reports.figures.plane import COLOURS, SEVERAL, SHAPES, HeatMap, Point, Scatter, heat_map, scatter
from reports.site.latex import latex
from reports.statistics.analysis import Correlation
from reports.statistics.points import constant


class Link(NamedTuple):
    """Correlation of fidelity and caption quality over the distinct configurations of one captioner."""

    said: str
    """Whose captions these are."""
    text: Text
    n: int
    critical: float | None
    """About the smallest |r| that is called different from zero: the median over pairs."""
    detectable: float | None
    """The true |r| that is found in four of five studies: the median over pairs."""
    families: int | None
    """Families of checkpoints that intervals are for."""
    effective: tuple[float, float] | None
    """As many independent configurations say as much, from the least to the most over pairs."""
    caveats: list[str]
    """Why pairs have no interval."""
    pairs: list[Correlation]
    """Those that have a correlation."""
    constant: list[str]
    maps: dict[str, HeatMap]
    scatter: Scatter | None
    points: pd.DataFrame
    """What the correlations are over: one row a distinct configuration, one column a metric."""


def label(names: Names, same: Mapping[Names, Names], order: Order) -> str:
    """Name of a configuration, with every degradation whose repainted items are the same ones.

    >>> same = {("blur", "telea"): ("blur", "telea"), ("centre", "telea"): ("blur", "telea")}
    >>> label(("blur", "telea"), same, {"degradation": ["blur", "centre"]})
    'telea (any)'
    """
    return f"{names[1]} ({alike(names, same, order)})"


def points_of(study: Study, corpus: str, text: Text, names: Sequence[Names]) -> pd.DataFrame:
    """Fidelity inside the mask and caption quality of configurations, one row each."""
    fidelity, quality = study.grids[INSIDE].value, study.grids[""].value
    some = [n for n in names if (corpus, *n, *UNSAID) in fidelity.index and (corpus, *n, *text) in quality.index]
    rows = [{**fidelity.xs((corpus, *n, *UNSAID)).to_dict(), **quality.xs((corpus, *n, *text)).to_dict()} for n in some]
    index = pd.MultiIndex.from_tuples(some, names=PICTURE) if some else None
    return pd.DataFrame(rows, index=index)


def link(study: Study, corpus: str, text: Text, same: Mapping[Names, Names]) -> Link | None:
    """Correlations and the scatter plot of one captioner; None where it has no repainted configuration."""
    distinct = [names for names in same if same[names] == names]
    points = points_of(study, corpus, text, distinct)
    if points.empty:
        return None
    tested = points[~points.index.get_level_values("inpainter").isin(study.controls)]
    metrics = {metric.name: metric for metric in (*study.fidelity, *study.quality)}
    found = study.once(correlated).of(corpus, said_by(text))
    pairs = [pair for pair in found if pair.pearson is not None]
    maps = {kind.title(): heat_map(pairs, kind, study.fidelity, study.quality) for kind in ("pearson", "spearman")}
    plot = draw(study, corpus, text, points, same, pairs)
    same_everywhere = [metrics[name].title for name in constant(tested, list(metrics))]
    n = len(tested)
    critical, detectable, sizes = (
        [value for pair in pairs if (value := getattr(pair, name)) is not None]
        for name in ("critical_r", "detectable_r", "effective_n")
    )
    return Link(
        said_by(text),
        text,
        n,
        median(critical) if critical else None,
        median(detectable) if detectable else None,
        max((pair.families for pair in pairs if pair.families is not None), default=None),
        (min(sizes), max(sizes)) if sizes else None,
        list(dict.fromkeys(pair.caveat for pair in pairs if pair.caveat)),
        pairs,
        same_everywhere,
        maps,
        plot,
        tested,
    )


def draw(
    study: Study,
    corpus: str,
    text: Text,
    points: pd.DataFrame,
    same: Mapping[Names, Names],
    found: Sequence[Correlation],
) -> Scatter | None:
    """The scatter plot of the first pair that varies, the control included."""
    pairs = {(pair.x, pair.y) for pair in found}
    pair = next(((x, y) for y in SCATTERED[1] for x in SCATTERED[0] if (x, y) in pairs), None)
    if pair is None:
        return None
    x, y = (
        next(m for m in some if m.name == name)
        for name, some in zip(pair, (study.fidelity, study.quality), strict=True)
    )
    order, several, shown = study.order, Counter(same.values()), study.once(gallery) is not None
    drawn = points[[x.name, y.name]].dropna()
    marks = [
        Point(
            label(names, same, order),
            across,
            down,
            order["inpainter"].index(names[1]) % COLOURS,
            SEVERAL if several[names] > 1 else order["degradation"].index(names[0]) % SHAPES,
            names[1] in study.controls,
            filters(corpus, names, text, several[names] > 1) if shown and names[1] not in study.controls else {},
        )
        for names, across, down in zip(drawn.index.tolist(), drawn[x.name], drawn[y.name], strict=True)
    ]
    return scatter(marks, x, y, study.grids[""].at((corpus, *ORIGINAL, *text), y.name))


def filters(corpus: str, names: Names, text: Text, merged: bool) -> dict[str, str]:
    """Filters of the gallery that show a configuration, or all those that are merged with it.

    >>> filters("scenes", ("blur", "telea"), ("blip", "", "", ""), merged=True)
    {'corpus': 'scenes', 'inpainter': 'telea', 'captioner': 'blip'}
    """
    picture = {axis: name for axis, name in zip(PICTURE, names, strict=True) if not (merged and axis == "degradation")}
    said = {axis: name for axis, name in zip(TEXT, text, strict=True) if name}
    return {"corpus": corpus} | picture | said


def map_latex(found: HeatMap) -> str:
    """A heat map as a table."""
    index = pd.Index([f"{line.metric.title} {line.metric.arrow}" for line in found.lines], name="")
    columns = [metric.title for metric in found.columns]
    squares = [line.squares for line in found.lines]
    texts = pd.DataFrame([[s.text if s else "–" for s in line] for line in squares], index, columns)
    beyond = pd.DataFrame([[bool(s and s.beyond) for s in line] for line in squares], index, columns)
    return latex(texts, beyond)
