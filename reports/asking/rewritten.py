"""Captions that methods rewrote: how good they were before and after, and what was asked of models for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy.orm import aliased

from registry.store.dag import REQUESTS, STAGES
from registry.store.items import FAILED
from registry.store.schema import PER_ITEM, Item, Measurement, Parent, Placement, Sample
from registry.tracking.asking import took
from reports.asking.axes import PICTURE, TEXT, distinct
from reports.asking.metrics import CAPTIONS, GROUNDING, OTHER, Metric
from reports.asking.queries import by_axis, frame, standing, where
from reports.asking.study import Study

REWRITTEN = STAGES["recaption"].kind
"""The kind of items that are rewritten captions."""

MARKED = "words_right"
"""The metric of the items that keep which words of a caption are right and which are wrong."""

LATER = [axis for axis in TEXT if axis not in ("captioner", "recaptioner")]
SAID = ["corpus", *PICTURE, "captioner"]
"""What a first caption and those that were made of it have in common, beside the sample."""


class Changes(NamedTuple):
    """Values of captions before and after they were rewritten."""

    rows: pd.DataFrame
    """``SAID``, recaptioner, metric, sample, before, after: a row where both have a value."""
    metrics: list[Metric]
    """Those that have any, in the order of the tables."""
    originals: pd.DataFrame
    """What the first captions of the originals are worth: corpus, captioner, metric, sample, value."""


def changes(study: Study) -> Changes:
    """How captions of originals changed, and those of repainted pictures where a method rewrote these.

    Of repainted pictures the distinct configurations without controls; whole captions, not what they say of a region.
    """
    placed = study.placed[study.placed["kind"] == REWRITTEN]
    asked = [metric for metric in study.metrics if metric.about in (CAPTIONS, GROUNDING, OTHER)]
    if placed.empty or not asked:
        return Changes(pd.DataFrame(), [], pd.DataFrame())
    statement = (
        standing(study.id, *where, Placement.kind, Measurement.metric, Sample.name.label("sample"), Measurement.value)
        .join(Measurement, Measurement.item_id == Placement.item_id)
        .where(Measurement.layer == PER_ITEM, Measurement.region.in_(("whole", "")), Measurement.value.is_not(None))
        .where(Measurement.metric.in_([metric.name for metric in asked]))
        .where(by_axis["captioner"].is_not(None), *(by_axis[axis].is_(None) for axis in LATER))
    )
    if not (placed["inpainter"] != "").any():
        statement = statement.where(by_axis["inpainter"].is_(None))
    rows = frame(study.connection, statement)
    rows = rows[rows["kind"] == rows["metric"].map(study.kinds)].drop(columns=["kind", *LATER])
    original = rows["inpainter"] == ""
    repainted = rows[~original & ~rows["inpainter"].isin(study.controls)]
    rows = pd.concat([rows[original], distinct(repainted, study.same)])
    first = rows["recaptioner"] == ""
    before = rows[first].drop(columns="recaptioner").rename(columns={"value": "before"})
    both = rows[~first].rename(columns={"value": "after"}).merge(before, on=[*SAID, "metric", "sample"])
    had = set(both["metric"])
    originals = before[before["inpainter"] == ""].rename(columns={"before": "value"}).drop(columns=list(PICTURE))
    return Changes(both, [metric for metric in asked if metric.name in had], originals)


class Place(NamedTuple):
    """Whose caption of which original, and by what it was rewritten."""

    corpus: str
    captioner: str
    recaptioner: str
    sample: str


class Rewriting(NamedTuple):
    """A rewritten caption of an original: where it stands, and the value of its item."""

    at: Place
    value: dict[str, Any]
    """``caption``, ``first`` and ``steps``, as methods return them."""
    original: str | None
    """The address of the picture."""


Marks = dict[tuple[str, str, str], dict[str, Any]]
"""Corpus, sample and caption → the places of its ``right`` and its ``wrong`` words."""


def rewritings(study: Study) -> tuple[list[Rewriting], Marks]:
    """The rewritten captions of originals, and the words that were marked of any caption of these."""
    marked_by = study.kinds.get(MARKED)
    kinds = [STAGES[name].kind for name in ("prepare", "caption", "recaption")]
    what = (*where, Placement.kind, Sample.name.label("sample"), Item.value, Item.object)
    statement = (
        standing(study.id, *what)
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.kind.in_([*kinds, *([marked_by] if marked_by else [])]))
        .where(by_axis["inpainter"].is_(None), by_axis["degradation"].is_(None))
        .where(*(by_axis[axis].is_(None) for axis in LATER))
        .order_by(*where, Sample.name)
    )
    values: dict[str, dict[Place, Any]] = {kind: {} for kind in (*kinds, marked_by or MARKED)}
    rows = frame(study.connection, statement)[[*Place._fields, "kind", "value", "object"]]
    for *place, kind, value, address in rows.itertuples(index=False, name=None):
        values[kind][Place(*place)] = address if kind == kinds[0] else value or {}
    pictures, first, rewritten = (values[kind] for kind in kinds)
    texts = {place: value["caption"] for place, value in (first | rewritten).items() if "caption" in value}
    marked = values[marked_by or MARKED].items()
    marks = {(at.corpus, at.sample, texts[at]): value for at, value in marked if at in texts}
    return [
        Rewriting(at, value, pictures.get(at._replace(captioner="", recaptioner="")))
        for at, value in rewritten.items()
        if "caption" in value
    ], marks


class Cost(NamedTuple):
    """What the captions of one method took; requests that captions share count once in ``distinct``."""

    recaptioner: str
    captions: int
    asked: dict[str, float]
    """Requests a caption by kind."""
    distinct: int
    more: int
    """Distinct requests beside those of the methods before."""
    read: float
    written: float
    """Words a caption in prompts, and in replies."""
    rated: float
    """Tokens a caption whose probabilities were asked for."""
    failed: int
    """Distinct requests without a reply."""
    seconds: float | None
    """What its requests take, by those of all variants of its entry; None where MLflow does not know."""


def costs(study: Study) -> list[Cost]:
    """The cost of each method, in the order of the study; variants of one entry share the time of their stage."""
    asked = aliased(Item)
    statement = (
        standing(study.id, by_axis["recaptioner"], Item.id.label("item"))
        .add_columns(asked.key, asked.kind, asked.status, asked.value, asked.parts, asked.run_id.label("run"))
        .join(Item, Item.id == Placement.item_id)
        .join(Parent, Parent.item_id == Item.id)
        .join(asked, asked.id == Parent.parent_id)
        .where(Placement.kind == REWRITTEN, asked.kind.in_(REQUESTS))
    )
    rows = frame(study.connection, statement).drop_duplicates(["recaptioner", "item", "key"])
    seconds = took(set(rows["run"]))
    found: list[Cost] = []
    before: set[str] = set()
    entries = rows["recaptioner"].str.split("/").str[0]
    for name in study.order["recaptioner"]:
        some = rows[rows["recaptioner"] == name]
        if some.empty:
            continue
        once, captions = some.drop_duplicates("key"), some["item"].nunique()
        alike = rows[entries == name.partition("/")[0]].drop_duplicates("key")
        known = alike[alike["run"].isin(seconds)]
        spent = sum(seconds[run] for run in set(known["run"]))
        words = [worded(*row) for row in some[["kind", "parts", "value"]].itertuples(index=False, name=None)]
        read, written, rated = (sum(column) / captions for column in zip(*words, strict=True))
        found.append(
            Cost(
                name,
                captions,
                {kind: n / captions for kind in REQUESTS if (n := int((some["kind"] == kind).sum()))},
                len(once),
                len(set(once["key"]) - before),
                read,
                written,
                rated,
                int((once["status"] == FAILED).sum()),
                spent / len(known) * len(some) / captions if len(known) else None,
            )
        )
        before |= set(once["key"])
    return found


def worded(kind: str, parts: dict[str, Any], value: dict[str, Any] | None) -> tuple[int, int, int]:
    """Words that a request gives a model to read, words of its reply, and tokens that it rates.

    >>> worded("ask", {"turns": [{"text": "Describe the image."}]}, {"text": "a red star"})
    (3, 3, 0)
    """
    turns = [turn["text"] for turn in parts.get("turns") or ()]
    given = [*turns, *(text for text in (parts.get("text"), parts.get("continuation")) if isinstance(text, str))]
    rated = len((value or {}).get("log_probabilities") or ()) if kind == "logprobs" else 0
    return sum(len(text.split()) for text in given), len(str((value or {}).get("text", "")).split()), rated
