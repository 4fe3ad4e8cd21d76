"""How often claims are decided where nothing is so: pictures that are the same count once."""

import numpy as np
import pandas as pd
import pytest

from reports.asking.axes import PICTURE, coincident, distinct
from reports.statistics.claims.attention import drift_grows_with_depth, drift_sits_inside
from reports.statistics.claims.judging import OPEN

DEGRADATIONS, BLIND, LAYERS, STUDIES = ("centre", "blur", "lowdim"), [f"blind-{n}" for n in range(7)], 12, 200
CONFIGURATIONS = [(d, i) for i in (*BLIND, "seeing") for d in DEGRADATIONS]
ITEMS = {names: place if names[1] == "seeing" else -BLIND.index(names[1]) for place, names in enumerate(CONFIGURATIONS)}
"""What each configuration painted: a blind inpainter the same whatever the degradation was."""


def attention(rng):
    """Attention of a study in which drift has no trend over layers and no side of the mask."""
    found = {item: rng.normal(1, 0.1, (3, LAYERS)) + 0.1 * rng.normal(size=(3, 1)) for item in ITEMS.values()}
    columns = ["corpus", *PICTURE, "metric", "region", "layer", "mean"]
    places = (("tvd_sum", "whole"), ("tvd_even", "region"), ("tvd_even", "outside"))
    rows = [
        ("one", *names, *place, layer, found[item][row, layer])
        for names, item in ITEMS.items() for row, place in enumerate(places) for layer in range(LAYERS)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("claim", [drift_grows_with_depth, drift_sits_inside])
def test_seven_blind_inpainters_and_one_that_sees_keep_the_level(claim):
    repainted = pd.DataFrame([("one", *names, 1, item) for names, item in ITEMS.items()],
                             columns=["corpus", *PICTURE, "sample", "item"])  # fmt: skip
    order = {"degradation": DEGRADATIONS, "inpainter": [*BLIND, "seeing"]}
    same = {"one": coincident(repainted, "one", order)}
    studies = [attention(np.random.default_rng(seed)) for seed in range(STUDIES)]
    once = [claim(distinct(rows, same), "one", "vit") for rows in studies]
    assert {one.estimate.n for one in once} == {10}
    decided = np.mean([one.verdict != OPEN for one in once])
    assert decided < 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)
    thrice = np.mean([claim(rows, "one", "vit").verdict != OPEN for rows in studies])
    assert thrice > 0.15, "what it would be, were the same pictures counted three times"
