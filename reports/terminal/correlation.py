"""Results as text: what was estimated, a table of the pairs, and what stands behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.site.numbers import number, small
from reports.statistics.analysis import Correlation
from reports.statistics.cells import Roles
from reports.statistics.clusters import FEWEST_TURNED
from reports.statistics.stability import Stability

LEFT = ("x", "y", "driver", "than", "sign", "fit")
"""Columns that hold words."""


def report(results: Sequence[Correlation], roles: Roles) -> str:
    """Everything about some pairs, for a terminal."""
    parts = ["\n".join(estimand(results, roles)), main_table(results)]
    if any(r.leave_family_out for r in results):
        rows = [[r.x, r.y, *stability(r.leave_family_out)] for r in results if r.leave_family_out]
        parts.append(titled("Leaving one family out", ["x", "y", "range of r", "flips", "driver", "without it"], rows))
    parts += [
        ranked(results),
        within(results, roles),
        mixed(results),
        comparisons(results, roles),
        across(results, roles),
    ]
    names = [part.group for part in results[0].groups]
    for name in names:
        alone = [next(part for part in r.groups if part.group == name) for r in results]
        own = [part for part in (ranked(alone), within(alone, roles), mixed(alone), comparisons(alone, roles)) if part]
        parts.append("\n\n".join([f"{roles.by} {name}\n{main_table(alone)}", *own]))
    return "\n\n".join(part for part in parts if part)


def estimand(results: Sequence[Correlation], roles: Roles) -> list[str]:
    """The estimand, and the power: sentences above the table."""
    counts = {r.n for r in results if r.pearson is not None} or {0}
    n = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    items = {r.x: max(other.items or 0 for other in results if other.x == r.x) for r in results}
    fewer = "".join(f", {x} {had:,}" for x, had in items.items() if had < max(items.values()))
    means = ""
    if results[0].items is not None:
        means = f", each the mean over its items ({max(items.values()):,} × {roles.item}{fewer})"
    said = [f"Pearson's r between {n} units ({roles.unit}){means}."]
    if roles.by:
        said.append(f"With several {roles.by}, r is the mean of their own correlations, weighted by units.")
    missing, kind = max(r.missing for r in results), "units" if results[0].items is None else "cells"
    lack = "at most " * bool(missing) + f"{missing:,} of {results[0].cells:,} {kind} lack x or y"
    said.append(f"Missing: {lack}.")
    tested = next((r for r in results if r.pearson is not None), None)
    if tested is None:
        return said
    level = "units" if tested.families is None else f"families ({roles.family}) and of units"
    turned = (tested.families or tested.n) >= FEWEST_TURNED
    ways = f"all {tested.permutations:,}" if tested.exact else f"{tested.permutations:,} random"
    pairs = f"over {tested.pairs_tested} pair{'s' * (tested.pairs_tested != 1)}"
    said.append(f"p: {ways} permutations of {level}{', and turns of their signs' * turned}, studentised.")
    said.append("   It tests r = 0, of whatever shape x and y are: the largest p counts.")
    said.append(f"p-fw: family-wise (max-T) and q: Benjamini-Hochberg, {pairs}.")
    scope = "units" if tested.families is None else "families"
    said.append(f"Interval: for new {scope}, 95 %; it leaves zero out where p ≤ .05. ρ is Spearman's, τ Kendall's τ-b.")
    if tested.families is None:
        said.append("Units are taken for independent: name what several are variants of, as checkpoints, by --family.")
    said += families(results, roles)
    rule = next((r for r in results if r.critical_r is not None and r.power is not None), None)
    if rule is not None and rule.power is not None and len(counts) == 1:
        said.append(f"In such data only |r| above about {rule.critical_r:.2f} is called different from zero.")
        found = f"; four times in five if that is {rule.detectable_r:.2f}" if rule.detectable_r else ""
        said.append(f"Power: found in {100 * rule.power:.0f} % of studies if the true |r| is .5{found}.")
    said += dict.fromkeys(f"No p and no interval of {r.x} and {r.y}: {r.caveat}." for r in results if r.caveat)
    return said


def families(results: Sequence[Correlation], roles: Roles) -> list[str]:
    """How much fewer independent points there are than units, where families or groups share them."""
    sizes = [r.effective_n for r in results if r.effective_n is not None and (r.families is not None or r.groups)]
    if not sizes:
        return []
    n = f"{min(sizes):.0f}" if round(min(sizes)) == round(max(sizes)) else f"{min(sizes):.0f} to {max(sizes):.0f}"
    counts = {r.families for r in results if r.families is not None}
    of = f" of {max(counts)} families" if counts else f" of all {roles.by}"
    return [f"Effective n: the units{of} say as much as {n} independent ones."]


def main_table(results: Sequence[Correlation]) -> str:
    """One line a pair."""
    header = [
        "x",
        "y",
        "n",
        "r",
        "interval",
        "ρ",
        "τ",
        "p",
        "p-fw",
        "q",
        "leave one out",
        "flips",
        "driver",
        "without it",
    ]
    rows = []
    for r in results:
        if r.pearson is None:
            rows.append([r.x, r.y, str(r.n), "–", r.note])
            continue
        rows.append(
            [r.x, r.y, str(r.n), two(r.pearson), span(r.low, r.high), two(r.spearman), two(r.kendall)]
            + [small(r.p), small(r.p_family_wise), small(r.q), *stability(r.leave_one_out)]
        )
    return aligned(header, rows)


def stability(found: Stability | None) -> list[str]:
    """Range, sign flips, driver, and r without it."""
    return [span(found.low, found.high), str(found.sign_flips), found.driver, two(found.without)] if found else []


def ranked(results: Sequence[Correlation]) -> str:
    """Spearman's ρ by the same rule."""
    rows = [
        [r.x, r.y, two(r.spearman), span(r.spearman_low, r.spearman_high), small(r.spearman_p)]
        for r in results
        if r.spearman_p is not None
    ]
    return titled("The same rule over ranks", ["x", "y", "ρ", "interval", "p"], rows)


def within(results: Sequence[Correlation], roles: Roles) -> str:
    """Between and within, where there are items."""
    rows = [
        [
            r.x,
            r.y,
            two(v.between_units),
            two(v.within_units),
            two(v.within_items),
            "changes" if v.sign_change else "same",
        ]
        for r in results
        if (v := r.levels)
    ]
    header = ["x", "y", "between units", f"within a {roles.unit}", f"within a {roles.item}", "sign"]
    return titled("Between and within", header, rows)


def mixed(results: Sequence[Correlation]) -> str:
    """Slopes of the crossed mixed model."""
    rows = [
        [r.x, r.y, *(f"{two(b)} ± {two(se)}" for b, se in ((m.between, m.between_se), (m.within, m.within_se)))]
        + [small(m.between_p), small(m.within_p), two(m.unit_share), two(m.item_share), str(m.items)]
        + ["" if m.converged else "did not converge"]
        for r in results
        if (m := r.mixed)
    ]
    header = ["x", "y", "slope between", "slope within", "p between", "p within", "unit share", "item share", "items"]
    return titled("Crossed mixed model (slopes in standard deviations of cells)", [*header, "fit"], rows)


def comparisons(results: Sequence[Correlation], roles: Roles) -> str:
    """Which metric goes more closely with y; each two once."""
    order = list(dict.fromkeys(r.x for r in results))
    rows = [
        [r.x, c.other, r.y, str(c.n), two(c.difference), small(c.p), small(c.p_holm), small(c.p_williams)]
        + [small(c.p_cells)]
        for r in results
        for c in r.comparisons
        if order.index(r.x) < order.index(c.other)
    ]
    header = ["x", "than", "y", "n", "|r| − |r|", "p", "p-holm", "p Williams", f"p for these {roles.unit}s"]
    return titled("Is one metric closer to y than another", header, rows)


def across(results: Sequence[Correlation], roles: Roles) -> str:
    """The meta-analysis over groups."""
    rows = [
        [r.x, r.y, str(m.groups), two(m.mean), span(m.low, m.high), small(m.p), f"{m.tau2:.3f}", f"{100 * m.i2:.0f} %"]
        + [span(m.prediction_low, m.prediction_high)]
        for r in results
        if (m := r.meta)
    ]
    header = ["x", "y", "groups", "mean r", "interval", "p", "τ²", "I²", f"the next {roles.by}"]
    return titled(f"Across {roles.by} (random effects, DerSimonian-Laird, Hartung-Knapp)", header, rows)


def two(value: float | None) -> str:
    return "–" if value is None else number(value, 2)


def span(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{two(low)} to {two(high)}"


def titled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"{title}\n{aligned(header, rows)}" if rows else ""


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = LEFT) -> str:
    """Columns under their names: words to the left (the columns ``left``), numbers to the right.

    >>> print(aligned(["x", "r"], [["mse", "0.10"], ["lpips", "−0.20"]]))
    x          r
    mse     0.10
    lpips  −0.20
    """
    lines = [[*row, *[""] * (len(header) - len(row))] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if name in left else text.rjust(width)
            for text, width, name in zip(line, widths, header, strict=True)
        ).rstrip()
        for line in lines
    )
