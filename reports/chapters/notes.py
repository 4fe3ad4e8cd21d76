"""Notes before the numbers: values that are missing, undefined, or not what their name says."""

from __future__ import annotations

from collections.abc import Iterator

from reports.asking.axes import ORIGINAL, label
from reports.asking.metrics import INSIDE
from reports.asking.models import described
from reports.asking.study import Study
from reports.asking.trained import judged
from reports.site.numbers import number

NEEDS_JAVA = ("meteor",)
"""Metrics that have no value where there is no Java."""


def notes(study: Study) -> list[str]:
    """Plain sentences, the most important first."""
    return [
        *floors(study),
        *failed(study),
        *missing(study),
        *behind(study),
        *undefined(study),
        *ambiguous(study),
        *controls(study),
    ]


def floors(study: Study) -> Iterator[str]:
    """Captions of originals that are as good as those of any other picture, and what must not be concluded there."""
    grid, found = study.grids[""], []
    for corpus in study.order["corpus"]:
        for text in study.texts:
            original = (corpus, *ORIGINAL, *text)
            low = [m for m in study.quality if m.higher_is_better and grid.low(original, m.name)]
            values = [f"{m.title} {number(grid.at(original, m.name) or 0.0, m.decimals)}" for m in low]
            if values:
                found.append(f"{label(text)} on {corpus} ({', '.join(values)})")
    if found:
        yield (
            f"At the floor already for the originals: {'; '.join(found)}. There the captions of untouched pictures are "
            "as good as none. Do not conclude from these numbers that repainting spares captions or harms them, that "
            "one inpainter is better than another, or that fidelity does or does not go with captions: there is "
            "nothing to lose. No percentages stand beside them, and none is called best. The cosine of a sentence "
            "encoder is above zero for any two sentences, so that it may move all the same."
        )


def failed(study: Study) -> Iterator[str]:
    """Count of failed items."""
    failed, total = int(study.items["failed"].sum()), int(study.items["items"].sum())
    if failed:
        yield (
            f"{failed:,} of {total:,} items failed; they are listed below and enter no mean. "
            "palimpsest repro --retry-failed tries them again."
        )


def missing(study: Study) -> Iterator[str]:
    """Metrics that were measured and have no value."""
    titles = titled(study)
    for name, count in study.everything.groupby("metric")["n"].sum().items():
        if not count and name in titles:
            why = " (it needs Java)" if name in NEEDS_JAVA else ""
            yield f"{titles[name]} has no value in this study{why}, and nothing stands in for it."


def behind(study: Study) -> Iterator[str]:
    """The networks that some metrics are as good as."""
    means, found = study.everything, []
    values = means.groupby("metric")["n"].sum()
    for metric in (metric for metric in study.metrics if metric.checkpoint and values.get(metric.name, 0)):
        kind = means.loc[means["metric"] == metric.name, "kind"].iloc[0]
        entry = (study.params.get(kind.split(".")[0]) or {}).get(kind.partition(".")[2]) or {}
        identity = next((model.identity for model in study.models if model.name == kind), {})
        text = described({key: value for key, value in entry.items() if key != "adapter"} or identity)
        if text:
            found.append(f"{metric.title} ({text})")
    if found:
        yield (
            "As good as the network behind it, and to be compared with published values only where they name the same "
            f"one: {'; '.join(found)}."
        )


def undefined(study: Study) -> Iterator[str]:
    """Metrics that lack the value of some items."""
    means, titles = study.everything, titled(study)
    values = means.groupby("metric")["n"].sum()
    inside = means[means["region"].isin([INSIDE, ""])]
    lacking = inside.assign(gone=inside["items"] - inside["n"]).groupby("metric")["gone"].sum()
    for name, gone in lacking.items():
        if gone and values.get(name, 0) and name in titles:
            yield (
                f"{titles[name]} is undefined for {gone:,} measurements (equal pixels, for example). Pictures of which "
                "a configuration has none are left out of its means for all configurations of a corpus, so that all "
                "are compared on the same pictures; small type in a cell says how many these are."
            )


def ambiguous(study: Study) -> Iterator[str]:
    """Metrics that were measured in several ways, that no table shows, or that no measure declares."""
    for name, kinds in study.everything.groupby("metric")["kind"].unique().items():
        if len(kinds) > 1:
            first, *others = sorted(kinds)
            yield f"{name} was measured in several ways: shown is {first}, not {', '.join(others)}."
    elsewhere = {one.metric.name for one in study.once(judged)}
    if left := [name for name in study.unshown if name not in elsewhere]:
        yield f"Also measured, but not shown here: {', '.join(left)}."
    nameless = [metric.name for metric in study.metrics if not metric.declared]
    if nameless:
        yield (
            f"Shown by their own names, because no measure declares what they are: {', '.join(nameless)}. "
            "Index the study again, so that the registry learns it."
        )


def controls(study: Study) -> Iterator[str]:
    """Inpainters that leave the degraded picture as it is."""
    if study.controls:
        yield (
            f"{', '.join(study.controls)} is a control: it leaves the degraded picture as it is. It stands in the "
            "tables and, hollow, in the scatter plots; correlations and the gallery leave it out."
        )


def titled(study: Study) -> dict[str, str]:
    """Titles of the metrics of pictures and of captions."""
    return {metric.name: metric.title for metric in (*study.fidelity, *study.quality)}
