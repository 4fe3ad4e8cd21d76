"""What holds of any table of results: averages of its columns, gains over a row, numbers printed twice, better rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from statistics import fmean

from registry.published import Number
from registry.published.columns import EXACTLY, Check

LOWER_IS_BETTER = {"mse", "lpips", "chair_s", "chair_i"}


def better(one: Number, other: Number) -> bool:
    """Whether one printed value is better than another of its column."""
    return one.value < other.value if one.metric in LOWER_IS_BETTER else one.value > other.value


def standing(number: Number) -> str:
    """Where a number stands: paper, table, row, metric."""
    return f"{number.paper}, table {number.table}, {number.row}, {number.metric}"


def cells(numbers: Sequence[Number]) -> dict[tuple[str, str, str], Number]:
    """The numbers of one paper by table, row and metric."""
    return {(n.table, n.row, n.metric): n for n in numbers}


def averages(numbers: Sequence[Number], metric: str) -> Iterator[Check]:
    """A printed average is the plain mean of the other values of its row."""
    rows: dict[tuple[str, str], list[Number]] = defaultdict(list)
    for n in numbers:
        rows[n.table, n.row].append(n)
    for n in numbers:
        if n.metric == metric:
            parts = [part for part in rows[n.table, n.row] if part is not n]
            mean = fmean(part.value for part in parts)
            slack = n.rounding + fmean(part.rounding for part in parts) + EXACTLY
            given = f"{mean:.{n.decimals + 1}f}, the mean of {len(parts)}"
            yield Check("averages", standing(n), f"prints {n.text}", given, abs(n.value - mean) <= slack)


def gains(numbers: Sequence[Number]) -> Iterator[Check]:
    """A printed gain is the value less that of the same captioner's first captions, in its table."""
    first = {(n.table, n.metric, n.captioner): n for n in numbers if not (n.recaptioner or n.training)}
    for n in numbers:
        if n.change is not None:
            base = first[n.table, n.metric, n.captioner]
            gain = n.value - base.value
            slack = n.rounding + base.rounding + 0.5 * 10 ** -min(n.decimals, 2) + EXACTLY
            given = f"{gain:+.{n.decimals}f} ({n.text} after {base.text})"
            yield Check("gains", standing(n), f"prints {n.change_text}", given, abs(gain - n.change) <= slack)


def printed_twice(numbers: Sequence[Number]) -> Iterator[Check]:
    """A column of the same systems is the same in every table that prints it."""
    columns: dict[tuple[str, str], dict[str, dict[object, Number]]] = defaultdict(lambda: defaultdict(dict))
    for n in numbers:
        if any(n.names().values()):
            columns[n.corpus, n.metric][n.table][n.path()] = n
    for (_, metric), tables in columns.items():
        for one, other in combinations(tables, 2):
            both = [(n, tables[other][point]) for point, n in tables[one].items() if point in tables[other]]
            apart = [(a, b) for a, b in both if abs(a.value - b.value) > a.rounding + b.rounding + EXACTLY]
            if both:
                paper = "prints " + (", ".join(f"{a.text} for {a.row}" for a, _ in apart) or "one value twice")
                given = f"{', '.join(b.text for _, b in apart) or 'the same'} in table {other}"
                where = f"{both[0][0].paper}, table {one} beside {other}, {metric}"
                yield Check("numbers printed twice", where, paper, given, not apart)


def ahead(
    numbers: Sequence[Number], kind: str, table: str, winner: str, others: Collection[str] | None, says: str
) -> Iterator[Check]:
    """No other row is better than the ``winner`` in any column; ``others`` are all where None is given."""
    for n in numbers:
        if (n.table, n.row) == (table, winner):
            column = [o for o in numbers if (o.table, o.metric) == (table, n.metric) and o is not n]
            rivals = [o for o in column if (others is None or o.row in others) and better(o, n)]
            above = ", ".join(f"{o.text} for {o.row}" for o in rivals)
            given = f"{above}, better than {n.text}" if rivals else f"{n.text}, and none better"
            yield Check(kind, standing(n), says, given, not rivals)
