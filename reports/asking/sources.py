"""Tables of a study, a row each picture, and what correlations say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from registry.store import places
from registry.store.database import connect, migrate_when_behind
from reports.asking import queries
from reports.asking.axes import PICTURE, TEXT, WHERE, coincident, distinct, label, ordered
from reports.asking.grids import comparable
from reports.asking.metrics import INSIDE, Metric
from reports.asking.study import Study
from reports.statistics.analysis import Correlation, estimate
from reports.statistics.cells import Roles, hint, known
from reports.statistics.points import FEWEST

STUDY = Roles("configuration", "sample", "corpus", "family")
"""What a study's columns mean unless said otherwise; it also has ``degradation`` and ``inpainter``."""


def is_table(source: str) -> bool:
    """Tell a file from the name of a study."""
    return source.lower().endswith(".csv") or Path(source).is_file()


@contextmanager
def opened_study(name: str) -> Iterator[Study]:
    """A study of this checkout's registry, whose schema is current then; its pictures stay where they are."""
    engine = connect(places.registry_url())
    migrate_when_behind(engine)
    with engine.connect() as connection:
        yield Study(connection, None, name)


def study_values(study: Study, asked: Sequence[str], usual: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each measured repainted picture or its caption: corpus, axes, sample, metric, value.

    Fidelity is that inside the mask; a picture whose value is undefined for one configuration is left out for all, as
    in the report (:func:`~reports.asking.grids.comparable`). A metric that several measures took is that of the first
    by name. Raises ``ValueError`` for a metric that was asked for and never measured, and where nothing has a value.
    """
    rows = queries.values(study.connection, study.id, [*asked, *usual], INSIDE)
    unknown = next((metric for metric in asked if metric not in set(rows["metric"])), None)
    if unknown:
        measured = queries.metrics(study.connection, study.id)
        raise ValueError(f"Study {study.name!r} has no metric {unknown!r}; {hint(unknown, measured)}")
    rows = comparable(rows)
    rows = rows[(rows["inpainter"] != "") & rows["value"].notna()]
    first = rows[["metric", "kind"]].drop_duplicates().astype(object).groupby("metric")["kind"].min()
    rows = rows[rows["kind"].astype(object) == rows["metric"].astype(object).map(first)]
    if rows.empty:
        raise ValueError(f"Study {study.name!r} has no values of {', '.join([*asked, *usual])}.")
    return rows.drop(columns="kind")


def asked_and_usual(study: Study, xs: Sequence[str] = (), ys: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The metrics that are asked for, and all usual ones of a side of which none is."""
    asked = [metric.partition("@")[0] for metric in (*xs, *ys)]
    sides = ((study.fidelity, xs), (study.quality, ys))
    return asked, [metric.name for metrics, had in sides if not had for metric in metrics]


def study_table(
    study: Study, rows: pd.DataFrame, xs: Sequence[str] = (), ys: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """One row for each corpus, repainted configuration and sample of :func:`study_values`, and the columns meant.

    Fidelity is that inside the mask. Controls are left out, and configurations with the very same pictures count once,
    as in the report. A caption metric of several captioners is one column each, such as ``sbert@blip``, or
    ``sbert@blip/rico`` where a recaptioner rewrote the captions.
    """
    order = ordered(study.params, names(rows, study.repainted))
    rows = rows[~rows["inpainter"].isin(study.controls)]
    if rows.empty:
        raise ValueError(f"Study {study.name!r} has no such values for repainted pictures; all it has are controls.")
    texts = rows[list(TEXT)].drop_duplicates().astype(object).itertuples(index=False, name=None)
    several = sum(any(text) for text in texts) > 1
    index = ["corpus", *PICTURE, "sample"]
    wide = rows.pivot(index=index, columns=["metric", *TEXT], values="value")
    held: list[tuple[str, ...]] = [tuple(column) for column in wide.columns.to_list()]
    wide.columns = pd.Index([f"{one[0]}@{label(one[1:])}" if several and any(one[1:]) else one[0] for one in held])
    wide = wide[sorted(wide.columns)]
    frame = wide.reset_index().astype(dict.fromkeys(index, object))
    same = {corpus: coincident(study.repainted, corpus, order) for corpus in order["corpus"]}
    frame = distinct(frame, same).reset_index(drop=True)
    frame.insert(0, "configuration", frame["inpainter"] + " (" + frame["degradation"] + ")")
    frame.insert(0, "family", [family(study.params, inpainter) for inpainter in frame["inpainter"]])
    return frame, columns(frame, xs, [] if xs else study.fidelity), columns(frame, ys, [] if ys else study.quality)


def names(rows: pd.DataFrame, repainted: pd.DataFrame) -> pd.DataFrame:
    """Every corpus and configuration that is measured or painted."""
    measured = rows[WHERE].drop_duplicates().astype(object)
    return pd.concat([measured, repainted[["corpus", *PICTURE]].drop_duplicates()]).fillna("")


def columns(frame: pd.DataFrame, asked: Sequence[str], usual: Sequence[Metric]) -> list[str]:
    """The columns of the metrics asked for, one for each captioner; of the usual ones, where none are asked for."""
    found = []
    for metric in asked or [metric.name for metric in usual]:
        mine = [name for name in map(str, frame.columns) if name == metric or name.startswith(f"{metric}@")]
        found += mine or ([known(frame, metric)] if asked else [])
    return found


def family(params: Mapping[str, Any], inpainter: str) -> str:
    """Family of an inpainter and its variants: the checkpoint, or the adapter where there is none."""
    entry = params.get("inpainters", {}).get(inpainter, {})
    return str(entry.get("checkpoint") or entry.get("adapter") or inpainter)


class Correlated(NamedTuple):
    """Correlations of every metric of pictures with every metric of captions."""

    values: pd.DataFrame
    """The rows of :func:`study_values`."""
    frame: pd.DataFrame
    """The rows of :func:`study_table`."""
    ys: list[str]
    by_corpus: dict[str, list[Correlation]]
    """Every pair of columns, over the configurations of a corpus; of caption metrics such as ``sbert@blip``."""
    pooled: Sequence[Correlation] = ()
    """Metrics of pictures with the judging metric of captions, over all corpora together; none where there is one."""

    def of(self, corpus: str, said: str) -> list[Correlation]:
        """The correlations of one captioner's metrics, these by their plain names."""
        found = self.by_corpus.get(corpus, [])
        return [replace(one, y=one.y.partition("@")[0]) for one in found if one.y.partition("@")[2] in ("", said)]


def correlated(study: Study) -> Correlated:
    """The one correlation of a study, which all of its chapters share; empty where there is nothing to correlate."""
    if study.judge is None or study.repainted["inpainter"].isin(study.controls).all():
        return Correlated(pd.DataFrame(), pd.DataFrame(), [], {})
    values = study_values(study, *asked_and_usual(study))
    frame, xs, ys = study_table(study, values)
    found, judged = {}, columns(frame, [], [study.judge])
    for corpus, rows in frame.groupby("corpus"):
        if rows[STUDY.unit].nunique() >= FEWEST:
            x, y = ([column for column in some if rows[column].notna().any()] for some in (xs, ys))
            found[str(corpus)] = estimate(rows, x, y, Roles(STUDY.unit, STUDY.item, family=STUDY.family))
    several = frame[frame["corpus"].isin(found)]
    pooled = estimate(several, xs, judged, STUDY) if len(found) > 1 else ()
    return Correlated(values, frame, ys, found, pooled)
