"""RICO against its own numbers: unified scores, gains, numbers printed twice, bold type, and what the text says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry.published import Number
from registry.published.columns import EXACTLY, Check
from registry.published.tables import ahead, cells, gains, printed_twice, standing

WEIGHTS = {"comprecap_objects": 0.25, "comprecap_attributes": 0.35 * 20, "comprecap_relations": 0.40 * 20}
"""CompreCap's unified score out of 100: objects in percent, attributes and relations from 0 to 5 (CompreCap's code)."""

OTHER_LABEL = {"comprecap_attributes": "comprecap_relations", "comprecap_relations": "comprecap_attributes"}

FLASH = dict.fromkeys(("comprecap_pixels", "comprecap_relations"), "Qwen2-VL + RICO-Flash")
FLASH_OF_3 = dict.fromkeys(("comprecap_pixels", "comprecap_attributes"), "RICO-Flash")
BOLD: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("1", "Qwen2-VL", "Qwen2-VL + RICO (N = 2)", FLASH),
    ("1", "LLaVA-1.5", "LLaVA-1.5 + RICO (N = 2)", {}),
    ("2", "", "+ RICO Edit", {}),
    ("3", "", "RICO", FLASH_OF_3),
    ("4", "", "FLUX w/ RICO-Flash", {}),
    ("6", "", "RICO", {}),
    ("11", "", "FLUX w/ RICO-DPO", {}),
)
"""Table, how the rows begin that are compared, the row in bold, and columns in which another row is."""

SAID: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("1", "Qwen2-VL + RICO (N = 2)", ("Qwen2-VL Init.",), "finds gains in all metrics (section 4.2)"),
    ("1", "LLaVA-1.5 + RICO (N = 2)", ("LLaVA-1.5 Init.",), "finds gains in all metrics (section 4.2)"),
    (
        "3",
        "RICO-Flash",
        ("LaCLIP", "CapsFusion", "Self-Loop", "VeCLIP", "ShareGPT4V"),
        "says that RICO-Flash outperforms all baselines (section 1)",
    ),
    ("4", "FLUX w/ RICO-Flash", ("FLUX w/ Init. Cap.",), "says better in all metrics (section 4.4.1)"),
    ("6", "RICO", ("(a) wo/ tips", "(b) wo/ output analy."), "says that leaving these out costs (section 4.5)"),
    ("6", "RICO-Flash", ("(c) finetune w/ pos.", "(d) infer with ICL"), "calls these inferior to DPO (section 4.5)"),
)
"""Table, the better row, rows it is said to be better than, what is said."""

QUESTIONS = 2471
"""How many CapsBench has."""

LEAST_GAIN = 10
"""Points of CapsBench's accuracy that RICO is said to gain consistently (section 1)."""


def check(numbers: Sequence[Number]) -> Iterator[Check]:
    """Everything that the numbers of RICO let one recompute."""
    for rule in (unified, labels, gains, printed_twice, bold, consistent_gain, questions):
        yield from rule(numbers)
    for table, winner, others, says in SAID:
        yield from ahead(numbers, "comparisons", table, winner, others, says)


def scores(numbers: Sequence[Number]) -> Iterator[tuple[Number, dict[str, Number]]]:
    """Each unified score of table 5 with its components, which tables 8 and 9 print."""
    parts = {(n.path(), n.metric): n for n in numbers if n.table in ("8", "9")}
    for n in numbers:
        if n.metric == "comprecap_unified":
            yield n, {metric: parts[n.path(), metric] for metric in WEIGHTS}


def unified(numbers: Sequence[Number]) -> Iterator[Check]:
    """A unified score is the weighted sum of its components."""
    for n, parts in scores(numbers):
        found = sum(WEIGHTS[metric] * part.value for metric, part in parts.items())
        said = f"{found:.2f} ({', '.join(part.text for part in parts.values())} for objects, attributes, relations)"
        yield Check("unified scores", standing(n), f"prints {n.text}", said, fits(n, parts, found))


def fits(number: Number, parts: dict[str, Number], found: float) -> bool:
    slack = number.rounding + sum(WEIGHTS[metric] * part.rounding for metric, part in parts.items()) + EXACTLY
    return abs(number.value - found) <= slack


def labels(numbers: Sequence[Number]) -> Iterator[Check]:
    """Table 1's attribute and relation scores have these names in the other tables and in the unified scores too."""
    by_point = {(n.table, n.path(), n.metric): n for n in numbers}
    shared = [
        (n, by_point["8", n.path(), OTHER_LABEL[n.metric]])
        for n in numbers
        if n.table == "1" and n.metric in OTHER_LABEL and ("8", n.path(), n.metric) in by_point
    ]
    swapped = all(abs(n.value - other.value) <= EXACTLY for n, other in shared)
    straight, crossed = 0, 0
    for n, parts in scores(numbers):
        by_other = {OTHER_LABEL.get(metric, metric): part for metric, part in parts.items()}
        straight += fits(n, parts, sum(WEIGHTS[metric] * part.value for metric, part in parts.items()))
        crossed += fits(n, by_other, sum(WEIGHTS[metric] * part.value for metric, part in by_other.items()))
    total = sum(n.metric == "comprecap_unified" for n in numbers)
    given = (
        f"the other label for all {len(shared)} values in table 8; {straight} of {total} unified scores follow with "
        f"table 8's labels, {crossed} with table 1's"
        if swapped
        else "no exchange of columns"
    )
    where = f"{numbers[0].paper}, table 1 beside 8, attributes and relations"
    yield Check("swapped columns", where, "calls the last two columns Attr. and Rel.", given, not swapped)


def bold(numbers: Sequence[Number]) -> Iterator[Check]:
    """What is set in bold is the best of its column."""
    for table, begins, row, exceptions in BOLD:
        compared = [n for n in numbers if n.table == table and n.row.startswith(begins)]
        for metric in dict.fromkeys(n.metric for n in compared):
            column = [n for n in compared if n.metric == metric]
            winner = exceptions.get(metric, row)
            yield from ahead(column, "values in bold", table, winner, None, f"sets {value(column, winner)} in bold")


def value(column: Sequence[Number], row: str) -> str:
    return next(n.text for n in column if n.row == row)


def consistent_gain(numbers: Sequence[Number]) -> Iterator[Check]:
    """RICO gains more than ten points of CapsBench's accuracy from every first caption."""
    printed = cells(numbers)
    for (table, row, metric), n in printed.items():
        if table in ("8", "9") and metric == "capsbench_accuracy" and n.recaptioner:
            base = printed[table, row.removesuffix(" + RICO"), metric]
            most = n.value - base.value + n.rounding + base.rounding
            given = f"{n.value - base.value:+.2f} ({n.text} after {base.text})"
            says = f"says that gains are consistently over {LEAST_GAIN} points (section 1)"
            yield Check("gains as the text has them", standing(n), says, given, most > LEAST_GAIN)


def questions(numbers: Sequence[Number]) -> Iterator[Check]:
    """Accuracy of all captions is a share of one number of questions, none of which was left out.

    That number is the one of which most values without RICO are shares: k questions of N in percent, rounded.
    """
    printed = {
        n.path(): n for n in numbers if n.metric == "capsbench_accuracy" and n.decimals == 2 and n.corpus == "capsbench"
    }
    others = [n for n in printed.values() if not n.training and not (n.recaptioner or "").startswith("rico")]
    total = max(range(1, QUESTIONS + 1), key=lambda total: sum(is_share(n, total) for n in others))
    apart = [f"{n.text} for {n.row}" for n in printed.values() if not is_share(n, total)]
    fitting = sum(is_share(n, total) for n in others)
    given = (
        f"shares of {total} for {fitting} of {len(others)} captions without RICO, but not {', '.join(apart) or 'none'}"
    )
    where = f"{numbers[0].paper}, tables 3, 6, 8, 9, capsbench_accuracy"
    yield Check("shares of one number of questions", where, "judges all by the same questions", given, not apart)


def is_share(number: Number, total: int) -> bool:
    """Whether some count out of ``total`` is printed as the number, which is in percent."""
    count = round(number.value * total / 100)
    return abs(100 * count / total - number.value) <= number.rounding + EXACTLY
