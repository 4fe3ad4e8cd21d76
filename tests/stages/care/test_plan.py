"""What a forecast makes of past runs and of a few pictures."""

import pytest

from registry.store.dag import STAGES
from registry.tracking.asking import Past
from stages.care.plan import Asked, Size, estimated, listing, mean_size
from stages.engine.node import Node


def forecast(runs: list[Past], size: Size | None, stage: str = "inpaint"):
    """Of ten missing items of an adapter."""
    node = Node(
        stage=STAGES[stage], entry="mine", settings={"adapter": "telea"}, study="s", total=10, plan=(), worker=None
    )
    return estimated(runs, Asked(node, 10, {"photographs": 10}), size, 0, 10, 0)


def past(pixels: float | None, seconds: float = 10, stage: str = "inpaint") -> Past:
    """A run over a hundred items."""
    return Past(f"{stage}@telea", {"adapter": "telea"}, "cpu", 100, seconds, pixels)


def test_runs_over_small_pictures_speak_for_large_ones_by_their_pixels():
    """256 × 256 is sixteen times 64 × 64: 1.6 s an item where 0.1 s were measured."""
    found = forecast([past(64 * 64)], Size(256 * 256, 100_000))
    assert found.hours == {"cpu": pytest.approx(10 * 1.6 / 3600)}
    assert (found.scaled, found.bytes) == (True, 1_000_000)
    assert "16 s cpu *" in listing([found])
    assert "* No past run saw pictures of about this size" in listing([found])


def test_runs_over_pictures_of_about_that_size_speak_alone():
    found = forecast([past(64 * 64), past(256 * 256, seconds=50)], Size(256 * 256, 1))
    assert (found.hours, found.scaled) == ({"cpu": pytest.approx(10 * 0.5 / 3600)}, False)
    assert "*" not in listing([found])


@pytest.mark.parametrize(("runs", "size"), [([], Size(1, 1)), ([past(None)], Size(1, 1)), ([past(1)], None)])
def test_what_nothing_says_is_unknown(runs, size):
    assert forecast(runs, size).hours is None


def test_scores_of_captions_take_what_they_took():
    runs = [past(64 * 64, stage="quality")]
    assert forecast(runs, Size(512 * 512, 1), "quality").hours == {"cpu": pytest.approx(10 * 0.1 / 3600)}


def test_corpora_weigh_as_many_pictures_as_they_have():
    assert mean_size({"a": Size(100, 10), "b": Size(400, 40)}, {"a": 30, "b": 10, "unread": 5}) == (175, 17.5)
    assert mean_size({}, {"a": 3}) is None
