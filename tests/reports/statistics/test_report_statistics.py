"""Numbers against tables in print, other libraries, and laws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.asking.metrics import Metric
from reports.figures.plane import scatter, span, ticks
from reports.statistics.analysis import Correlation, estimate
from reports.statistics.cells import Roles
from reports.statistics.points import constant, relative_change, representatives


def correlated(points: pd.DataFrame, xs: list[str], ys: list[str]) -> list[Correlation]:
    """Correlations over points, each the mean of one item."""
    found = estimate(points.assign(unit=[f"u{n}" for n in range(len(points))]), xs, ys, Roles("unit"))
    return [one for one in found if one.pearson is not None]


def test_fewer_than_three_points_have_no_correlation() -> None:
    with pytest.raises(ValueError, match="needs 3 or more"):
        correlated(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}), ["a"], ["b"])
    assert correlated(pd.DataFrame({"a": [1.0, 2.0, None], "b": [1.0, 2.0, 3.0]}), ["a"], ["b"]) == []


def test_correlations_are_those_of_pandas() -> None:
    rng = np.random.default_rng(0)
    points = pd.DataFrame(rng.normal(size=(9, 4)), columns=["a", "b", "c", "d"])
    points.loc[2, "c"] = math.nan
    for pair in correlated(points, ["a", "b"], ["c", "d"]):
        both = points[[pair.x, pair.y]].dropna()
        assert pair.n == len(both) == (8 if "c" in (pair.x, pair.y) else 9)
        assert pair.pearson == pytest.approx(both.corr().iloc[0, 1])
        # Spearman's rho is Pearson's r of the ranks.
        assert pair.spearman == pytest.approx(both.rank().corr().iloc[0, 1])


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=4, max_size=9, unique_by=lambda v: round(v, 3)), st.floats(0.1, 10))
def test_correlation_ignores_scale_and_turns_with_sign(values: list[float], scale: float) -> None:
    rng = np.random.default_rng(len(values))
    y = rng.normal(size=len(values))
    points = pd.DataFrame({"x": values, "scaled": np.array(values) * scale + 3, "turned": -np.array(values), "y": y})
    found = correlated(points, ["x", "scaled", "turned"], ["y"])
    plain, scaled, turned = ([one.pearson, one.spearman] for one in found)
    assert scaled == pytest.approx(plain, abs=1e-6)
    assert turned == pytest.approx([-r for r in plain], abs=1e-6)


def test_a_column_that_varies_by_rounding_only_is_constant() -> None:
    points = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.1, 0.1 + 1e-16, 0.1 - 1e-16], "zero": [0.0] * 3})
    assert correlated(points, ["x"], ["y", "zero"]) == []
    assert constant(points, ["x", "y", "zero"]) == ["y", "zero"]


def test_relative_change() -> None:
    assert relative_change(0.5, 0.4) == 25
    assert relative_change(-0.5, -0.4) == -25
    assert relative_change(0.1, 0.0) is relative_change(math.nan, 1.0) is relative_change(1.0, math.nan) is None


def test_representatives_count_equal_contents_once() -> None:
    found = representatives({"a": (1, 2), "b": (2, 1), "c": (1, 2)})
    assert found == {"a": "a", "b": "b", "c": "a"}


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_ticks_are_few_even_and_inside(low: float, width: float) -> None:
    low, high = span([low, low + width])
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * width <= tick <= high + 1e-9 * width for tick in found)
    assert np.ptp(np.diff(found)) <= 1e-6 * width


def test_scatter_keeps_order_and_leaves_far_controls_out() -> None:
    from reports.figures.plane import HEIGHT, WIDTH, Point

    points = [Point(f"p{n}", n, 10.0 - n, 0, 0, False, {}) for n in range(5)]
    drawn = scatter(
        [*points, Point("far", 99, 0, 1, 0, True, {})],
        Metric("mse", "MSE", False, 4, ""),
        Metric("bleu_1", "BLEU-1", True, 3, ""),
        11.0,
    )
    assert [mark.x for mark in drawn.marks] == sorted(mark.x for mark in drawn.marks)
    assert [mark.y for mark in drawn.marks] == sorted(mark.y for mark in drawn.marks)
    assert all(0 < mark.x < WIDTH and drawn.reference < mark.y < HEIGHT for mark in drawn.marks)
    assert [point.label for point in drawn.outside] == ["far"]
