"""Questions of single figures: places of pictures in a plane, and values of what a setting sweeps over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from sqlalchemy import Connection, or_

from registry.store.schema import PER_ITEM, Measurement, Placement, Sample
from reports.asking.axes import PICTURE, TEXT
from reports.asking.metrics import INSIDE
from reports.asking.queries import by_axis, frame, of_picture, standing, where


def projected(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, degradation, inpainter, kind, sample (its name), ``umap_x`` and ``umap_y`` of every picture."""
    columns = (*of_picture, Placement.kind, Sample.name.label("sample"), Measurement.metric, Measurement.value)
    statement = (
        standing(study, *columns)
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Placement.kind.like("project.%"), *(by_axis[axis].is_(None) for axis in TEXT))
    )
    keys = ["corpus", *PICTURE, "kind", "sample"]
    wide = frame(connection, statement).pivot(index=keys, columns="metric", values="value")
    return wide.reindex(columns=["umap_x", "umap_y"]).dropna().reset_index()


def swept(
    connection: Connection, study: int, variants: Mapping[str, Iterable[str]], metrics: Sequence[str]
) -> pd.DataFrame:
    """Corpus, axes, kind, metric, sample (its name) and value of what some ``variants`` (axis → names) gave.

    Fidelity is that inside the mask, captions are those that nothing rewrote.
    """
    some = or_(*(by_axis[axis].in_(names) for axis, names in variants.items()))
    later = [by_axis[axis].is_(None) for axis in TEXT if axis != "captioner"]
    statement = (
        standing(study, *where, Placement.kind, Measurement.metric, Sample.name.label("sample"), Measurement.value)
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer == PER_ITEM, Measurement.region.in_((INSIDE, "")), some, *later)
        .where(Measurement.metric.in_(metrics), by_axis["inpainter"].is_not(None))
    )
    rows = frame(connection, statement).dropna(subset="value")
    return rows[rows["kind"] == rows["metric"].map(rows.groupby("metric")["kind"].min())]
