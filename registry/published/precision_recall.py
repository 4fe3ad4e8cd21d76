"""*Precision or Recall?* against its own numbers: averages, and what the text says of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

from registry.published import Number
from registry.published.columns import EXACTLY, Check
from registry.published.tables import ahead, averages, cells, standing

PRECISIONS, RECALLS = (0, 25, 50, 75, 100), (0, 1, 2, 3)
"""The grid of table 2: percent of positive sentences, submasks with captions."""

AVERAGE = "t2i_compbench_average"

GAINS = ((0, 6.3), (100, 2.8))
"""Gains from 0 to 3 submasks in section 3: percent of positive sentences, percent (points, by its second example)."""

SAID = tuple(
    (f"{captions}, {model}", (f"{other}, {model}",), f"says that {captions}'s captions train better (section 4)")
    for model in ("SD2.1", "SDXL")
    for captions, other in (("LLAVA", "BLIP"), ("LLAVA", "uform"), ("BLIP", "uform"))
)
"""Rows of table 3: the better one, the other, what is said."""

PROBED = (
    ("entities", "uform", None, "says that uform's captions are the most diverse (section 4)"),
    ("faithscore", "BLIP", None, "says that BLIP's captions are precise (section 4)"),
    ("faithscore", "LLAVA", ("uform",), "says that uform's captions are less precise (section 4)"),
    ("entities", "LLAVA", ("BLIP",), "says that LLAVA's captions tell more than BLIP's (section 4)"),
)
"""Columns of table 4: the better row, the others, what is said."""

TIMES = 3
"""How many times less information BLIP's captions have than uform's, by section 4."""


def row(precision: int, recall: int) -> str:
    """Label of a cell of the grid in table 2.

    >>> row(75, 2)
    '75% positive, 2 submasks'
    """
    return f"{precision}% positive, {recall} submasks"


def check(numbers: Sequence[Number]) -> Iterator[Check]:
    """Everything that the numbers of the paper let one recompute."""
    yield from averages(numbers, AVERAGE)
    grid = [n for n in numbers if (n.table, n.metric) == ("2", AVERAGE)]
    yield from ahead(grid, "comparisons", "2", row(100, 3), None, "calls high precision and recall best (section 1)")
    says = "says that all negative with 3 submasks is below all positive with none (section 3)"
    yield from ahead(grid, "comparisons", "2", row(100, 0), (row(0, 3),), says)
    yield from effects(grid)
    yield from gains_in_words(grid)
    means = [n for n in numbers if (n.table, n.metric) == ("3", AVERAGE)]
    for winner, others, says in SAID:
        yield from ahead(means, "comparisons", "3", winner, others, says)
    for metric, winner, rivals, says in PROBED:
        column = [n for n in numbers if (n.table, n.metric) == ("4", metric)]
        yield from ahead(column, "comparisons", "4", winner, rivals, says)
    yield times_less(cells(numbers)["4", "BLIP", "entities"], cells(numbers)["4", "uform", "entities"])


def effects(grid: Sequence[Number]) -> Iterator[Check]:
    """Precision matters more than recall, and recall less the higher precision is."""
    at = {(p, r): cells(grid)["2", row(p, r), AVERAGE] for p in PRECISIONS for r in RECALLS}
    low, high = PRECISIONS[0], PRECISIONS[-1]
    few, many = RECALLS[0], RECALLS[-1]
    of_precision = fmean(at[high, r].value - at[low, r].value for r in RECALLS)
    of_recall = fmean(at[p, many].value - at[p, few].value for p in PRECISIONS)
    paper, given = "says that precision matters more (section 3)", f"{of_precision:+.4f} beside {of_recall:+.4f}"
    where = f"{grid[0].paper}, table 2, whole range of precision beside that of recall"
    yield Check("effects", where, paper, given, of_precision > of_recall)
    for one, other in pairwise(PRECISIONS):
        before, after = (at[p, many].value - at[p, few].value for p in (one, other))
        where = f"{grid[0].paper}, table 2, gain by recall at {other}% beside {one}%"
        paper = "says that it shrinks as precision grows (section 3)"
        yield Check("effects", where, paper, f"{after:+.4f} beside {before:+.4f}", after < before)


def gains_in_words(grid: Sequence[Number]) -> Iterator[Check]:
    """What the text calls a gain is the difference of two averages, in points."""
    printed = cells(grid)
    for precision, points in GAINS:
        n, base = (printed["2", row(precision, recall), AVERAGE] for recall in (RECALLS[-1], RECALLS[0]))
        gain = 100 * (n.value - base.value)
        agrees = abs(gain - points) <= 100 * (n.rounding + base.rounding) + 0.05 + EXACTLY
        given = f"{gain:+.2f} points ({n.text} after {base.text}), {100 * (n.value / base.value - 1):+.1f} % of it"
        yield Check("gains as the text has them", standing(n), f"says {points:+.1f} % (section 3)", given, agrees)


def times_less(few: Number, many: Number) -> Check:
    """How many times the entities of the one the other has, as a whole number."""
    times = many.value / few.value
    says, given = f"says {TIMES} times less (section 4)", f"{times:.2f} times ({many.text} beside {few.text})"
    return Check("ratios as the text has them", standing(few), says, given, round(times) == TIMES)
