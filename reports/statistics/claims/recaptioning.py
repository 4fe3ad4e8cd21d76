"""Claims of papers *RICO* and *ScaleCap*, over the originals of a corpus, each picture once.

Where the papers measure with judges (CapsBench, CompreCap, AMBER, questions answered from captions), a study that has
these is asked by them; on generated worlds truth takes their place: precision and recall of objects, attributes and
relations, with what a caption invents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.statistics.claims.judging import Claim, Estimate, Finding, least, mean
from reports.statistics.claims.kinds import NATURAL

FAMILIES = ("object", "attribute", "relation")
RECALLS = tuple(f"{family}_recall" for family in FAMILIES)
RIGHT = (*(f"{family}_precision" for family in FAMILIES), *RECALLS)
INVENTED = tuple(f"{family}_hallucination" for family in FAMILIES)
BENCHMARKS = (
    "capsbench_accuracy", "capsbench_color", "capsbench_shape", "capsbench_relative_position", "amber_overall",
    "comprecap_objects", "comprecap_pixels", "comprecap_attributes", "comprecap_relations", "capture",
)  # fmt: skip
"""The papers' own metrics, by their names in ``registry/published``."""

ANY = (NATURAL,)
EVERY = Claim("RICO improves captions in all metrics, whoever wrote them", "RICO, 4.2, 4.4.3, tables 1, 5, 8, 9", ANY)
MITIGATES = Claim("RICO makes captions invent less", "RICO, 4.2, AMBER of table 1", ANY, sign=-1)
ROUNDS = Claim("Each round of RICO improves captions", "RICO, 4.4.2, figure 4", ANY)
PLATEAU = Claim("A round of RICO gains less after the second", "RICO, 4.4.2, figure 4", ANY)
PAINTING = Claim("RICO is better than the same edit without a painting", "RICO, 4.2, table 2", ANY)
TIPS = Claim("Without the aspects and advice RICO is worse", "RICO, 4.5, table 6", ANY)
ANALYSIS = Claim("Without the analysis RICO is worse", "RICO, 4.5, table 6", ANY)
RIVALS = Claim("RICO is better than other recaptioning methods", "RICO, 4.3, table 3", ANY)
RICHER = Claim("ScaleCap’s captions say more of what is there", "ScaleCap, 4.1, table 2", ANY)
BUDGET = Claim("Captions say more with a larger budget of questions", "ScaleCap, 4.3, figure 7", ANY)
RATING = Claim("Rating sentences makes captions invent less", "ScaleCap, 4.3, table 7", ANY, sign=-1)
CLAIMS: tuple[Claim, ...] = (
    EVERY, MITIGATES, ROUNDS, PLATEAU, PAINTING, TIPS, ANALYSIS, RIVALS, RICHER, BUDGET, RATING
)  # fmt: skip
"""Every claim, in the order of the page."""

UNRATED = -1
"""The threshold that keeps every sentence."""

OTHERS = ("laclip", "veclip", "capsfusion", "self-loop", "sharegpt4v")
"""The methods of RICO's table 3."""


class Method(NamedTuple):
    """A method as a study sets it."""

    name: str
    kind: str
    settings: Mapping[str, Any]

    def alike(self, setting: str) -> str:
        """All that is set but one thing: methods that share it differ in nothing else."""
        return str(sorted((key, str(value)) for key, value in self.settings.items() if key != setting))

    @property
    def rounds(self) -> int:
        return int(self.settings.get("rounds", 2))

    @property
    def variant(self) -> str:
        return str(self.settings.get("variant", "full"))


class Rewritten(NamedTuple):
    """What one first captioner's captions of one corpus became."""

    before: pd.DataFrame
    """A row each picture, a column each metric."""
    after: Mapping[str, pd.DataFrame]
    """The same by method."""

    def value(self, name: str, metrics: Sequence[str]) -> pd.Series:
        """The mean over metrics of each picture, "" for the first captions: those metrics that all of them have."""
        tables = [self.before, *self.after.values()]
        there = [metric for metric in metrics if all(metric in table for table in tables)]
        known = np.logical_and.reduce([table[there].notna() for table in tables])
        table = self.before if name == "" else self.after[name]
        return table[there].where(known).mean(axis=1)

    def gain(self, name: str, other: str, metrics: Sequence[str]) -> np.ndarray:
        """How much higher the mean over metrics is after one method than after another, picture by picture."""
        return (self.value(name, metrics) - self.value(other, metrics)).to_numpy(float)


def rewritten(rows: pd.DataFrame) -> Rewritten:
    """Rows (recaptioner, metric, sample, before, after) as tables, over the pictures that all methods rewrote."""
    after = {
        str(name): some.pivot(index="sample", columns="metric", values="after")
        for name, some in rows.groupby("recaptioner", sort=False)
    }
    shared = sorted(set.intersection(*(set(table.index) for table in after.values())))
    before = rows.drop_duplicates(["metric", "sample"]).pivot(index="sample", columns="metric", values="before")
    return Rewritten(before.loc[shared], {name: table.loc[shared] for name, table in after.items()})


def findings(rows: pd.DataFrame, methods: Sequence[Method]) -> list[Finding]:
    """Every claim on some rows (corpus, captioner, recaptioner, metric, sample, before, after) of originals.

    What a study has not measured is not asked.
    """
    found: list[Finding] = []
    for (corpus, captioner), some in rows.groupby(["corpus", "captioner"], sort=False):
        had = rewritten(some)
        mine: dict[tuple[str, int], Method] = {}
        for method in methods:
            if method.name in had.after:
                mine.setdefault((method.alike("rounds"), method.rounds), method)  # of equal ones the first
        for rule in (of_rico, of_scalecap):
            asked = rule(had, list(mine.values()), str(corpus), str(captioner))
            found += (one for one in asked if one.estimate.value is not None)
    place = {claim.text: number for number, claim in enumerate(CLAIMS)}
    return sorted(found, key=lambda one: place[one.claim])


def quality(had: Rewritten) -> tuple[tuple[str, ...], str]:
    """The metrics that say how right captions are as wholes, and what they are called."""
    if not set(RIGHT) & set(had.before):
        return BENCHMARKS[:1], "accuracy of CapsBench"
    return RIGHT, "mean of precision and recall"


def of_rico(had: Rewritten, methods: Sequence[Method], corpus: str, captioner: str) -> Iterator[Finding]:
    """The claims about RICO."""
    metrics, called = quality(had)
    ricos = [method for method in methods if method.kind == "rico"]
    full = [method for method in ricos if method.variant == "full" and method.settings.get("accept") != "closer"]
    of = f"{called}, picture by picture"

    def apart(name: str, other: str) -> Estimate:
        return mean(had.gain(name, other, metrics))

    for main in [one for one in full if one.rounds == 2] or full[-1:]:
        each = [gain for one in (*RIGHT, *BENCHMARKS) if len(gain := known(had.gain(main.name, "", [one])))]
        what = f"gain of {main.name} over the first captions in what gains least of precisions, recalls and benchmarks"
        if each:
            yield EVERY.finding(corpus, captioner, least(each), what)
        invented = mean(had.gain(main.name, "", INVENTED))
        yield MITIGATES.finding(corpus, captioner, invented, f"change of the mean share invented, {main.name}")
        rivals = [method for method in methods if method.kind in OTHERS]
        if rivals:
            each = [had.gain(main.name, rival.name, metrics) for rival in rivals]
            what = f"{of}: {main.name} beside the best of {', '.join(rival.name for rival in rivals)}"
            yield RIVALS.finding(corpus, captioner, least(each), what)
    for some in series(full, "rounds", lambda one: one.rounds):
        names = ["", *(one.name for one in some)]
        if len(some) > 1:
            each = [had.gain(later, sooner, metrics) for sooner, later in pairwise(names)]
            yield ROUNDS.finding(corpus, captioner, least(each), f"{of}: gain of the round that gains least")
        last, second = some[-1], next((one for one in some if one.rounds == 2), None)
        if second and last.rounds > 2:
            soon, late = had.gain(second.name, "", metrics) / 2, had.gain(last.name, second.name, metrics)
            apart_late = mean(soon - late / (last.rounds - 2))
            yield PLATEAU.finding(corpus, captioner, apart_late, f"{of}: gain of the first rounds minus later ones")
    for claim, variant in ((PAINTING, "edit"), (TIPS, "without-tips"), (ANALYSIS, "without-analysis")):
        for less in (one for one in ricos if one.variant == variant):
            for main in (one for one in full if one.rounds == less.rounds):
                yield claim.finding(corpus, captioner, apart(main.name, less.name), f"{of}: {main.name} − {less.name}")


def of_scalecap(had: Rewritten, methods: Sequence[Method], corpus: str, captioner: str) -> Iterator[Finding]:
    """The claims about ScaleCap."""
    mine = [method for method in methods if method.kind == "scalecap"]
    metrics = RECALLS if set(RECALLS) & set(had.before) else BENCHMARKS[:1]
    of = "mean recall, picture by picture" if metrics == RECALLS else "accuracy of CapsBench, picture by picture"
    rating = [method for method in mine if method.settings.get("threshold") != UNRATED]
    for some in series(rating, "budget", lambda one: one.settings.get("budget") or np.inf):
        first, last = some[0], some[-1]
        gain = mean(had.gain(last.name, "", metrics))
        yield RICHER.finding(corpus, captioner, gain, f"{of}: {last.name} over the first captions")
        if len(some) > 1:
            gain = mean(had.gain(last.name, first.name, metrics))
            yield BUDGET.finding(corpus, captioner, gain, f"{of}: {last.name} − {first.name}")
    for some in series(mine, "threshold", lambda one: float(one.settings.get("threshold", 0))):
        if len(some) > 1 and some[0].settings.get("threshold") == UNRATED:
            rated = mean(had.gain(some[1].name, some[0].name, INVENTED))
            of = f"change of the mean share invented: {some[1].name} − {some[0].name}"
            yield RATING.finding(corpus, captioner, rated, of)


def known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def series(methods: Sequence[Method], setting: str, value: Callable[[Method], float]) -> list[list[Method]]:
    """Methods that differ in one setting alone, by its value, each value once.

    >>> some = [Method(f"rico-{n}", "rico", {"rounds": n, "painter": "flux"}) for n in (2, 1)]
    >>> [[one.name for one in found] for found in series(some, "rounds", lambda one: one.rounds)]
    [['rico-1', 'rico-2']]
    """
    found: dict[str, dict[float, Method]] = {}
    for method in methods:
        found.setdefault(method.alike(setting), {}).setdefault(value(method), method)
    return [[some[at] for at in sorted(some)] for some in found.values()]
