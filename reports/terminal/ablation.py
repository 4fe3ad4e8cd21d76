"""Effects and interactions for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from reports.site.numbers import number, small
from reports.terminal.ablate import Ablation
from reports.terminal.correlation import aligned

EFFECTS = ("factor", "level", "than")


def report(found: Ablation) -> str:
    """Everything that was found, with what it is said of."""
    effects = [(factor, one) for factor, some in found.effects.items() for one in some]
    tests = f"{found.tests} test{'s' * (found.tests != 1)}"
    places = decimals(one.effect for _, one in effects)
    said = [
        f"Differences in {found.value} of the same {found.item}, at equal levels of everything else.",
        f"Each {found.item} counts once. Interval: for new ones, 95 %. d: of differences (Cohen's d_z).",
        f"p-holm: paired t test, Holm over the {tests} shown.",
    ]
    if found.left_out:
        blind = ", ".join(found.left_out)
        said.append(f"Not where degradations are compared, for they paint the same pictures after each: {blind}.")
    said += found.not_compared.values()
    rows = [
        [factor, one.level, one.other, str(one.n), number(one.effect, places)]
        + [f"{number(one.low, places)} to {number(one.high, places)}", "–" if one.d is None else number(one.d, 2)]
        + [small(one.p), small(one.p_holm), f"{round(one.agree * one.settings)} of {one.settings}"]
        for factor, one in effects
    ]
    header = [*EFFECTS, "n", "difference", "interval", "d", "p", "p-holm", "settings that agree"]
    parts = ["\n".join(said), aligned(header, rows, EFFECTS)]
    if found.interactions:
        parts.append(joint(found))
    return "\n\n".join(parts)


def joint(found: Ablation) -> str:
    """Interactions as a table: the rest of each combination after the sum of its main effects."""
    places = decimals(one.interaction for one in found.interactions)
    rows = [
        [*one.levels, number(one.mean, places), number(one.additive, places), number(one.interaction, places)]
        + [f"{number(one.low, places)} to {number(one.high, places)}", small(one.p), small(one.p_holm)]
        for one in found.interactions
    ]
    header = [*found.effects, "mean", "sum of effects", "interaction", "interval", "p", "p-holm"]
    n = found.interactions[0].n
    title = f"Interactions, over the {n:,} × {found.item} that have all {len(rows)} combinations"
    return f"{title}\n{aligned(header, rows, list(found.effects))}"


def decimals(values: Iterable[float]) -> int:
    """As many as show two digits of the largest value, and at least two.

    >>> decimals([0.3, -0.01]), decimals([0.004]), decimals([12.0]), decimals([0.0])
    (2, 4, 2, 2)
    """
    largest = max((abs(value) for value in values), default=0.0)
    return max(2, 1 - math.floor(math.log10(largest))) if largest else 2
