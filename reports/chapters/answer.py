"""The answer that stands first: what a study says, on average over its corpora, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from reports.asking.axes import label
from reports.asking.metrics import SCATTERED, Metric
from reports.asking.sources import correlated
from reports.asking.study import Study
from reports.chapters.corpora import sections
from reports.statistics.analysis import Correlation
from reports.statistics.claims.judging import OPEN, REFUTED, SUPPORTED, Finding, verdict
from reports.statistics.claims.links import estimate_of

ANSWERS = {
    SUPPORTED: "Yes: the closer the repainted region comes to its original, the better the caption.",
    REFUTED: "No, the other way round: the closer the repainted region comes to its original, the worse the caption.",
    OPEN: "It cannot be told from this study whether captions are better where repainted regions are closer to their "
    "originals.",
}


class Row(NamedTuple):
    """One metric of pictures, and how it goes with the captions of each captioner; None where it does not vary."""

    metric: Metric
    found: list[Correlation | None]


class Answer(NamedTuple):
    """The answer in words, and the numbers that it rests on."""

    word: str
    lead: str
    """Which two metrics the words are about, and over what."""
    moved: str
    """What the harshest and the mildest repainting change, "" where captions are at the floor."""
    claims: str
    """What became of the paper's claims, "" where none were judged."""
    captioners: list[str]
    rows: list[Row]
    judge: Metric


def answer(study: Study, found: Sequence[Finding]) -> Answer | None:
    """The answer to whether fidelity goes with captions; None where nothing was correlated.

    It is that of the first metric of pictures that says something, and of all captioners: yes where the 95 % interval
    of each one's correlation lies on the side of better captions.
    """
    judge, pairs = averaged(study)
    said = [label(text) for text in study.texts]
    said = [one for one in said if any(name == one for name, _ in pairs)] or [""] * bool(pairs)
    metrics = {one.name: one for one in study.fidelity}
    rows = [
        Row(metrics[name], [pairs.get((one, name)) for one in said])
        for name in SCATTERED[0]
        if name in metrics and any((one, name) in pairs for one in said)
    ]
    if not rows or judge is None:
        return None
    lead = rows[0]
    sides = [verdict(estimate_of(one), 1 if lead.metric.higher_is_better else -1) for one in lead.found if one]
    of = f"{lead.metric.title} for pictures and {judge.title} for captions"
    over = len(study.once(correlated).by_corpus)
    over_corpora = f"the {over} corpora on average" if over > 1 else "the one corpus"
    return Answer(
        word(sides, said),
        f"Measured by {of}, over {over_corpora}.",
        moved(study),
        claims(found),
        said,
        rows,
        judge,
    )


def word(sides: Sequence[str], said: Sequence[str]) -> str:
    """The answer of several captioners, by which side of zero the interval of each lies on.

    >>> word([SUPPORTED, SUPPORTED], ["blip", "qwen"]).partition(":")[0]
    'Yes'
    >>> word([SUPPORTED, OPEN], ["blip", "qwen"]).partition(":")[0]
    'For blip yes, for qwen it cannot be told'
    """
    if len(set(sides)) == 1:
        return ANSWERS[sides[0]]
    words = {SUPPORTED: "yes", REFUTED: "the other way round", OPEN: "it cannot be told"}
    names = {side: [one for one, its in zip(said, sides, strict=True) if its == side] for side in words}
    parts = [f"for {', '.join(some)} {words[side]}" for side, some in names.items() if some]
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}: is the caption better where the repainted region is closer to its original?"


def averaged(study: Study) -> tuple[Metric | None, dict[tuple[str, str], Correlation]]:
    """The metric that judges captions, and its correlations by captioner and metric of pictures.

    Those of all corpora together, or of the one: there, it is the first metric that is correlated with anything.
    """
    found = study.once(correlated)
    pairs = found.pooled or [one for some in found.by_corpus.values() for one in some]
    split = [(one, *one.y.partition("@")[::2]) for one in pairs if one.pearson is not None]
    had = {metric for _, metric, _ in split}
    judge = next((m for name in SCATTERED[1] for m in study.quality if m.name == name and name in had), None)
    return judge, {(said, one.x): one for one, metric, said in split if judge and metric == judge.name}


def moved(study: Study) -> str:
    """How much captions lose at worst and at best."""
    glances = [(section.name, one) for section in study.once(sections) for one in section.glances]
    if not glances:
        return ""
    worst = min(glances, key=lambda one: one[1].harshest.value)
    best = max(glances, key=lambda one: one[1].mildest.value)
    ends = [
        f"{move.change} (on {corpus}, {one.metric.title} of {one.said} after {move.label})"
        for (corpus, one), move in ((worst, worst[1].harshest), (best, best[1].mildest))
    ]
    return f"Repainting changes captions by {ends[0]} at worst and by {ends[1]} at best."


def claims(found: Sequence[Finding]) -> str:
    """How many of the paper's claims hold, corpus by corpus and captioner by captioner."""
    times = Counter(one.verdict for one in found)
    if not any(times[one] for one in (SUPPORTED, REFUTED, OPEN)):
        return ""
    return (
        f"The paper’s claims, each asked of every corpus that it is about: {times[SUPPORTED]} times yes, "
        f"{times[REFUTED]} times no, {times[OPEN]} times open, because the study is too small to tell."
    )
