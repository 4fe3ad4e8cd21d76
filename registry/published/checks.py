"""Papers against their own numbers: what their tables let one recompute, and where that says something else.

Printed numbers are rounded, so each is taken as an interval; only what no number of the interval could give disagrees.
Words are taken at their word: "consistently" is every comparison, and "best" is every column.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from registry.published import Number, precision_recall, rico, scalecap
from registry.published.columns import APPENDIX, EXACTLY, Check, Column, captions, certain_sign, fidelity
from registry.published.strengths import STRONG, WEAK, strengths, strongest, weaker
from registry.published.tables import better

SMOOTHER = ("blur", "lowdim")

SIGNS = {
    "flickr": {"mse": -1, "lpips": -1, "psnr": 1},
    "refcocog": {"mse": -1, "lpips": -1, "psnr": 1},
    "truce": {"mse": -1, "lpips": -1, "psnr": 1},
    "rocov2": {"mse": -1, "lpips": -1, "psnr": 1, "ssim": 1},
}
"""Which way fidelity goes with every caption metric, by the appendices."""

UNSTABLE = (("flickr", "ssim"), ("refcocog", "ssim"))
"""The correlations whose sign is said to turn often, or that are called unstable (appendices E.1 and E.2)."""

TURNING = {"flickr": "frequent sign flips", "refcocog": "it unstable"}

BEST = (
    ("refcocog", ("fidelity", "captions"), ("sd2", "sd3"), SMOOTHER),
    ("truce", ("captions",), ("sd2",), ("blur",)),
    ("truce", ("fidelity",), ("sd3",), ("blur",)),
    ("rocov2", ("fidelity", "captions"), ("sd2", "sd3"), SMOOTHER),
)
"""Among which inpainters and degradations the best value of each column is, by the appendices."""

CENTRE_MASK_IS_WORST = ("refcocog", "truce")
"""Where centre masks are called consistently worse than smoother degradations."""

UNCHECKED = (
    "Not checked: what is blank in our text (the correlations and ranges of the inpainting paper's table 1, half of "
    "table 1 of precision-recall); means, which no table of the inpainting paper prints."
)


def recompute(numbers: Sequence[Number]) -> list[Check]:
    """Recompute what the numbers of the papers allow.

    >>> from registry.published import shipped
    >>> contradictions = [each for each in recompute(shipped()) if not each.agrees]
    >>> print(contradictions[0].sentence)
    Table 3, BLIP SD2-cm, bleu_3: the paper prints -4.47 %; its own numbers give -4.79 % (0.298 after 0.313).
    """
    papers: dict[str, list[Number]] = defaultdict(list)
    for number in numbers:
        papers[number.paper].append(number)
    return [each for paper, held in papers.items() for each in PAPERS[paper](held)]


def inpainting(numbers: Sequence[Number]) -> Iterator[Check]:
    """Everything that the numbers of the inpainting paper let one recompute."""
    rules = (percentages, psnr_of_mse, sign_flips, signs, strengths, strongest, weaker, best_values, centre_masks)
    for rule in rules:
        yield from rule(numbers)


PAPERS = {
    "inpainting": inpainting,
    "precision-recall": precision_recall.check,
    "rico": rico.check,
    "scalecap": scalecap.check,
}


def summary(checks: Sequence[Check]) -> str:
    """Every contradiction in a sentence, then how many statements of each kind were checked."""
    wrong = [each for each in checks if not each.agrees]
    of_kind = Counter(each.kind for each in checks)
    disagree = Counter(each.kind for each in wrong)
    counts = [f"  {kind}: {count} checked, {disagree[kind]} disagree" for kind, count in of_kind.items()]
    counts.append(
        f"  a correlation is strong from |r| = {STRONG} and weak below {WEAK}: our choice, because the paper gives no "
        "numbers (large and medium effects in Cohen 1988)"
    )
    total = f"{len(checks)} statements could be checked; {len(wrong)} disagree beyond rounding."
    return "\n".join([*(each.sentence for each in wrong), "", total, *counts, UNCHECKED])


def percentages(numbers: Sequence[Number]) -> Iterator[Check]:
    """The percentage beside a value is its change from the originals' value in the same column."""
    originals = {(n.table, n.captioner, n.metric): n for n in numbers if n.inpainter is None}
    for n in numbers:
        if n.change is None:
            continue
        base = originals[n.table, n.captioner, n.metric]
        least = 100 * ((n.value - n.rounding) / (base.value + base.rounding) - 1)
        most = 100 * ((n.value + n.rounding) / (base.value - base.rounding) - 1)
        agrees = least - 0.005 - EXACTLY <= n.change <= most + 0.005 + EXACTLY
        given = f"{100 * (n.value / base.value - 1):+.2f} % ({n.text} after {base.text})"
        yield Check("percentages", f"Table {n.table}, {n.row}, {n.metric}", f"prints {n.change:+.2f} %", given, agrees)


def psnr_of_mse(numbers: Sequence[Number]) -> Iterator[Check]:
    """A mean of PSNR is at least the PSNR of the mean MSE (Jensen: minus the logarithm is convex)."""
    mse = {(n.table, n.row): n for n in numbers if n.metric == "mse"}
    for n in numbers:
        if n.metric == "psnr":
            error = mse[n.table, n.row]
            peak = float(error.unit.partition("-")[2])
            least = 10 * math.log10(peak**2 / (error.value + error.rounding))
            given = f"at least {least:.2f} dB (MSE {error.text} of intensities in {error.unit})"
            where, agrees = f"Table {n.table}, {n.row}", n.value + n.rounding >= least
            yield Check("PSNR against MSE", where, f"prints {n.text} dB", given, agrees)


class Flips(NamedTuple):
    """Sign flips of a column's correlations with a captioner's metrics when one configuration is left out."""

    turned: list[str]
    open: int
    """Number of those whose sign rounding hides."""
    total: int

    def __str__(self) -> str:
        also = f" and up to {self.open} more that rounding hides" if self.open else ""
        return f"{len(self.turned)} of {self.total}{also}" + (f" ({', '.join(self.turned)})" if self.turned else "")


def flips(x: Column, columns: dict[str, Column]) -> Flips:
    turned, hidden = [], 0
    for metric, y in columns.items():
        full = certain_sign(x, y)
        for out, number in x.items():
            sign = certain_sign(x, y, out) * full
            hidden += sign == 0
            if sign < 0:
                turned.append(f"{metric} without {number.row}")
    return Flips(turned, hidden, len(columns) * len(x))


def sign_flips(numbers: Sequence[Number]) -> Iterator[Check]:
    """Table 1 and what is said of SSIM, with the captions of each captioner: the paper does not say with whose."""
    counts = {(n.corpus, n.row.lower()): n for n in numbers if n.metric == "sign_flips"}
    for corpus, name in (*counts, *UNSTABLE):
        for captioner, columns in captions(numbers, corpus).items():
            found = flips(fidelity(numbers, corpus)[name], columns)
            given = f"for {captioner or 'its captions'} {found}"
            printed = counts.get((corpus, name))
            if printed:
                agrees = len(found.turned) <= printed.value <= len(found.turned) + found.open
                where, paper = f"Table {printed.table}, {printed.row}", f"counts {printed.text} sign flips"
            else:
                agrees = len(found.turned) + found.open > 0
                where, paper = f"{corpus}, {name.upper()}", f"finds {TURNING[corpus]} (appendix {APPENDIX[corpus]})"
            yield Check("sign flips", where, paper, given, agrees)


def signs(numbers: Sequence[Number]) -> Iterator[Check]:
    """Which way fidelity and caption metrics go together over the configurations of a corpus."""
    for corpus, expected in SIGNS.items():
        for captioner, columns in captions(numbers, corpus).items():
            for name, sign in expected.items():
                for metric, y in columns.items():
                    found = certain_sign(fidelity(numbers, corpus)[name], y)
                    where = ", ".join(filter(None, (corpus, captioner, f"{name} and {metric}")))
                    words = {-1: "a negative correlation", 0: "one of either sign", 1: "a positive correlation"}
                    paper = f"finds {words[sign]} (appendix {APPENDIX[corpus]})"
                    yield Check("signs of correlations", where, paper, words[found], found != -sign)


def columns_of(numbers: Sequence[Number], corpus: str) -> Iterator[tuple[str, str | None, Column]]:
    """Every column of a corpus: what it is about, captioner, numbers."""
    for column in fidelity(numbers, corpus).values():
        yield "fidelity", None, column
    for captioner, columns in captions(numbers, corpus).items():
        for column in columns.values():
            yield "captions", captioner, column


def best_values(numbers: Sequence[Number]) -> Iterator[Check]:
    """The best value of every column is where the text says it is."""
    for corpus, about, inpainters, degradations in BEST:
        for kind, captioner, column in columns_of(numbers, corpus):
            if kind not in about:
                continue
            named = [n for n in column.values() if n.inpainter in inpainters and n.degradation in degradations]
            champion = next(n for n in named if not any(better(other, n) for other in named))
            rivals = [n for n in column.values() if better(n, champion)]
            given = ", ".join(f"{n.text} for {n.row}" for n in rivals) or f"{champion.text} for {champion.row}"
            where = f"Table {champion.table}, {' '.join(filter(None, (captioner, champion.metric)))}"
            paper = f"calls {', '.join(n.row.split()[-1] for n in named)} best (appendix {APPENDIX[corpus]})"
            yield Check("best values", where, paper, f"{given}, above {champion.text}" if rivals else given, not rivals)


def centre_masks(numbers: Sequence[Number]) -> Iterator[Check]:
    """Every centre mask is worse than the smoother degradations of its inpainter."""
    for corpus in CENTRE_MASK_IS_WORST:
        compared = [
            (column[inpainter, "centre-mask"], smoother)
            for _, _, column in columns_of(numbers, corpus)
            for (inpainter, degradation), smoother in column.items()
            if degradation in SMOOTHER
        ]
        wins = [(mask, smoother) for mask, smoother in compared if better(mask, smoother)]
        pairs = defaultdict(list)
        for mask, smoother in wins:
            pairs[f"{mask.row} before {smoother.row}"].append(mask.metric)
        listed = "; ".join(f"{pair} in {', '.join(metrics)}" for pair, metrics in pairs.items())
        where = f"Tables {' and '.join(sorted({mask.table for mask, _ in compared}))}"
        paper = f"calls centre masks consistently worse (appendix {APPENDIX[corpus]})"
        given = f"better ones in {len(wins)} of {len(compared)} comparisons ({listed or 'none'})"
        yield Check("centre masks", where, paper, given, not wins)
