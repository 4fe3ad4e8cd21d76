"""What an encoder makes of each repainted picture: drift of attention, likeness, and distance in the plane."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sqlalchemy import func

from registry.store.schema import PER_ITEM, Measurement, Placement, Sample
from reports.asking import drawn, queries
from reports.asking.axes import PICTURE, distinct, pictures
from reports.asking.study import Study

DRIFT, LIKENESS, DISTANCE = "tvd_sum", "cls_cosine", "umap"
WHERE = ["corpus", *PICTURE, "encoder", "sample"]


def seen(study: Study) -> pd.DataFrame:
    """Corpus, degradation, inpainter, encoder, sample, metric and value, of distinct configurations but controls.

    The metrics: ``tvd_sum`` of the whole picture, its mean over layers; ``cls_cosine``; and ``umap``, the distance of a
    repainted picture from its original in the plane.
    """
    likeness = pictures(queries.values(study.connection, study.id, [LIKENESS], "whole").dropna(subset="value"))
    found = pd.concat([drift(study), likeness.astype({"kind": object}), distances(study)], ignore_index=True)
    found = found.assign(encoder=found["kind"].astype(str).str.split(".").str[1])
    found = found.astype(dict.fromkeys((*WHERE, "metric"), object))[[*WHERE, "metric", "value"]]
    return distinct(found[~found["inpainter"].isin(study.controls)], study.same).reset_index(drop=True)


def drift(study: Study) -> pd.DataFrame:
    """Drift of attention over the whole picture, picture by picture, on average over layers."""
    what = (*queries.of_picture, Placement.kind, Sample.name.label("sample"), Measurement.metric)
    statement = (
        queries.standing(study.id, *what, func.avg(Measurement.value).label("value"))
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer != PER_ITEM, Measurement.metric == DRIFT, Measurement.region == "whole")
        .group_by(*what)
        .order_by(*what)
    )
    rows = queries.frame(study.connection, statement).dropna(subset="value")
    return rows.assign(value=rows["value"].astype(float).round(12))


def distances(study: Study) -> pd.DataFrame:
    """Distance of each repainted picture from its original in the plane."""
    places = drawn.projected(study.connection, study.id)
    keys = ["corpus", "kind", "sample"]
    original = places["inpainter"] == ""
    both = places[~original].merge(places[original].drop(columns=[*PICTURE]), on=keys, suffixes=("", "_original"))
    apart = np.hypot(both["umap_x"] - both["umap_x_original"], both["umap_y"] - both["umap_y_original"])
    return both[["corpus", *PICTURE, "kind", "sample"]].assign(metric=DISTANCE, value=apart)
