"""Where the rows come from: a CSV file, or a study in the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from registry.store import places
from registry.store.database import connect, migrate_when_behind
from reports.asking import queries
from reports.asking.metrics import FIDELITY, INSIDE, QUALITY, Metric
from reports.site.tables import axes, coincident, controls
from reports.statistics.analysis import Correlation, correlate
from reports.statistics.cells import Roles, hint, known, read_table

STUDY = Roles("configuration", "sample", "corpus", "family")
"""What a study's columns mean unless said otherwise; it also has ``degradation`` and ``inpainter``."""


def correlate_source(
    source: str, xs: Sequence[str], ys: Sequence[str], **roles: str | None
) -> tuple[list[Correlation], Roles]:
    """Correlate columns of a CSV file, or metrics of a study, and say which columns meant what.

    A source is a file where it ends in .csv or is one; else it names a study, whose roles are ``STUDY`` and whose x and
    y are every fidelity and every caption metric where none are given. Raises ``ValueError`` and ``FileNotFoundError``.
    """
    given = {name: column for name, column in roles.items() if column}
    if is_table(source):
        frame = read_table(Path(source))
        for option, value in (("--x", xs), ("--y", ys), ("--unit", given.get("unit"))):
            if not value:
                raise ValueError(f"A table needs {option}; its columns are {', '.join(map(str, frame.columns))}.")
        meant = Roles(**given)
    else:
        with opened_registry() as connection:
            study = queries.find_study(connection, source)
            rows = study_values(connection, study, *asked_and_usual(xs, ys))
            frame, xs, ys = study_table(connection, study, rows, xs, ys)
        several = frame["corpus"].nunique() > 1
        meant = replace(STUDY, **({"by": "corpus" if several else None} | given))
    return correlate(frame, xs, ys, meant), meant


def is_table(source: str) -> bool:
    """Whether a source is a file; else it names a study."""
    return source.lower().endswith(".csv") or Path(source).is_file()


@contextmanager
def opened_registry() -> Iterator[Connection]:
    """A connection to this checkout's registry, whose schema is current then."""
    engine = connect(places.registry_url())
    migrate_when_behind(engine)
    with engine.connect() as connection:
        yield connection


def study_values(
    connection: Connection, study: queries.StudyRow, asked: Sequence[str], defaults: Sequence[str] = ()
) -> pd.DataFrame:
    """One row for each measured repainted picture or its caption: corpus, axes, sample, metric, value.

    Fidelity is that inside the mask. A metric that several measures took is that of the first by name. Raises
    ``ValueError`` for a metric that was asked for and never measured, and where nothing has a value.
    """
    rows = queries.values(connection, study.id, [*asked, *defaults], INSIDE)
    unknown = next((metric for metric in asked if metric not in set(rows["metric"])), None)
    if unknown:
        raise ValueError(
            f"Study {study.name!r} has no metric {unknown!r}; {hint(unknown, queries.metrics(connection, study.id))}"
        )
    rows = rows[(rows["inpainter"] != "") & rows["value"].notna()]
    first = rows[["metric", "kind"]].drop_duplicates().astype(object).groupby("metric")["kind"].min()
    rows = rows[rows["kind"].astype(object) == rows["metric"].astype(object).map(first)]
    if rows.empty:
        raise ValueError(f"Study {study.name!r} has no values of {', '.join([*asked, *defaults])}.")
    return rows.drop(columns="kind")


def asked_and_usual(xs: Sequence[str], ys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics that are asked for, and all usual ones of a side of which none is."""
    asked = [metric.partition("@")[0] for metric in (*xs, *ys)]
    return asked, [metric.name for metrics, had in ((FIDELITY, xs), (QUALITY, ys)) if not had for metric in metrics]


def study_table(
    connection: Connection, study: queries.StudyRow, rows: pd.DataFrame, xs: Sequence[str] = (), ys: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """One row for each corpus, repainted configuration and sample of :func:`study_values`, and the columns meant.

    Fidelity is that inside the mask. Controls are left out, and configurations with the very same pictures count once,
    as in the report. A caption metric of several captioners is one column each, such as ``sbert@blip``.
    """
    repainted = queries.repainted(connection, study.id)
    order = axes(study.params, names(rows, repainted))
    rows = rows[~rows["inpainter"].isin(controls(study.params))]
    if rows.empty:
        raise ValueError(f"Study {study.name!r} has no such values for repainted pictures; all it has are controls.")
    several = rows["captioner"][rows["captioner"] != ""].nunique() > 1
    wide = rows.pivot(
        index=["corpus", "degradation", "inpainter", "sample"], columns=["metric", "captioner"], values="value"
    )
    wide.columns = [f"{metric}@{captioner}" if several and captioner else str(metric) for metric, captioner in wide]
    wide = wide[sorted(wide.columns)]
    frame = wide.reset_index().astype(dict.fromkeys(wide.index.names, object))
    same = {corpus: coincident(repainted, corpus, order) for corpus in order["corpus"]}
    places = zip(frame["corpus"], frame["degradation"], frame["inpainter"], strict=True)
    frame = frame[[same[corpus].get((d, i)) == (d, i) for corpus, d, i in places]].reset_index(drop=True)
    frame.insert(0, "configuration", frame["inpainter"] + " (" + frame["degradation"] + ")")
    frame.insert(0, "family", [family(study.params, inpainter) for inpainter in frame["inpainter"]])
    return frame, columns(frame, xs, FIDELITY), columns(frame, ys, QUALITY)


def names(rows: pd.DataFrame, repainted: pd.DataFrame) -> pd.DataFrame:
    """Every corpus and configuration that is measured or painted."""
    measured = rows[queries.WHERE].drop_duplicates().astype(object)
    return pd.concat([measured, repainted[queries.WHERE[:3]].drop_duplicates()]).fillna("")


def columns(frame: pd.DataFrame, asked: Sequence[str], usual: Sequence[Metric]) -> list[str]:
    """The columns of the metrics asked for, one for each captioner; of the usual ones, where none are asked for."""
    found = []
    for metric in asked or [metric.name for metric in usual]:
        mine = [name for name in map(str, frame.columns) if name == metric or name.startswith(f"{metric}@")]
        found += mine or ([known(frame, metric)] if asked else [])
    return found


def family(params: Mapping[str, Any], inpainter: str) -> str:
    """What an inpainter shares with its variants: the checkpoint, or the adapter where there is none."""
    entry = params.get("inpainters", {}).get(inpainter, {})
    return str(entry.get("checkpoint") or entry.get("adapter") or inpainter)
