"""Values that say nothing: no percentages of them, none of them best, and words of what they do not say."""

from types import SimpleNamespace

import pandas as pd
import pytest

from reports.asking.axes import ORIGINAL, TEXT, UNSAID, WHERE
from reports.asking.grids import grid
from reports.asking.metrics import Metric
from reports.chapters.notes import floors
from reports.site.tables import rows_of

CIDER = Metric("cider", "CIDEr", True, 3, "", most=10.0)
SBERT = Metric("sbert", "SBERT", True, 3, "", most=1.0)
BLIP = ("blip", *UNSAID[1:])
ORDER = {"corpus": ["photos"], "degradation": ["blur"], "inpainter": ["telea", "sd", "sd2", "as-is"]}


def values(metric: str, of: dict[str, float], spread: float = 0.0, n: int = 20) -> list[dict]:
    """A metric of originals ("") and of repainted pictures, with the standard deviation over ``n`` items."""
    text = dict(zip(TEXT, BLIP, strict=True))
    return [
        {"corpus": "photos", "degradation": "blur" if name else "", "inpainter": name, **text, "metric": metric,
         "mean": value, "square": value**2 + spread**2, "n": n}
        for name, value in of.items()
    ]  # fmt: skip


def shown(rows: list[dict], metric: Metric) -> dict[str, tuple[str, bool]]:
    """Change and whether it is the best, by inpainter."""
    found = grid(pd.DataFrame(rows), "mean", "n", [metric])
    table = rows_of(found, "photos", BLIP, [metric], ORDER, {}, ["as-is"])
    return {row.inpainter: (row.values[0].change, row.values[0].best) for row in table.rows}


def test_a_drum_sound_of_photographs_has_no_percentages_and_no_best() -> None:
    """CIDEr of 0.009 of at most 10: the report said −16.7 %, +1157.1 % and had a bold 0.000."""
    found = shown(values("cider", {"": 0.009, "telea": 0.0075, "sd": 0.11, "sd2": 0.0}), CIDER)
    assert {name: change for name, (change, _) in found.items()} == dict.fromkeys(found, "")
    assert not shown(values("cider", {"": 0.009, "telea": 0.0075, "sd": 0.01, "sd2": 0.0}), CIDER)["sd"][1]


def test_a_value_whose_interval_holds_zero_is_at_the_floor() -> None:
    of = {"": 0.4, "telea": 0.3, "sd": 0.2}
    assert shown(values("sbert", of, spread=0.1), SBERT)["telea"] == ("−25.0%", True)
    assert shown(values("sbert", of, spread=2.0), SBERT)["telea"] == ("", False)


def test_controls_and_equals_are_not_the_best() -> None:
    of = {"": 0.9, "telea": 0.5, "sd": 0.7, "sd2": 0.6, "as-is": 0.8}
    assert [name for name, (_, best) in shown(values("sbert", of), SBERT).items() if best] == ["sd"]
    assert not any(best for _, best in shown(values("sbert", of | {"sd2": 0.70004}), SBERT).values()), "as printed"


@pytest.mark.parametrize(("value", "said"), [(0.009, True), (0.9, False)])
def test_the_warning_says_what_not_to_conclude(value: float, said: bool) -> None:
    found = grid(pd.DataFrame(values("cider", {"": value, "telea": value})), "mean", "n", [CIDER])
    study = SimpleNamespace(order=ORDER, texts=[BLIP], quality=[CIDER], grids={"": found})
    notes = " ".join(floors(study))
    assert bool(notes) == said
    if said:
        assert "blip on photos (CIDEr 0.009)" in notes and "Do not conclude from these numbers" in notes
    assert found.low(("photos", *ORIGINAL, *BLIP), "cider") == said and list(found.value.index.names) == WHERE
