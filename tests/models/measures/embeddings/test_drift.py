"""Attention drift, against scipy and against what must hold of distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cityblock
from scipy.stats import entropy as shannon

from models.measures.embeddings.cosine import cosine
from models.measures.embeddings.drift import distributions, drift, regions

LOOKS = arrays(np.float64, (2, 3, 6), elements=st.floats(1e-3, 1))
COVERAGE = np.array([1.0, 0.5, 0.49, 0.0, 0.7, 0.0])


@given(LOOKS, LOOKS)
def test_distances_are_scipys_and_add_up(before, after):
    found = drift(before, after, COVERAGE)
    p, q = distributions(before).mean(1), distributions(after).mean(1)
    assert found["tvd_sum"]["whole"] == pytest.approx([cityblock(*pair) for pair in zip(p, q, strict=True)])
    assert found["tvd_sum"]["region"] + found["tvd_sum"]["outside"] == pytest.approx(found["tvd_sum"]["whole"])
    assert (found["tvd_half"]["whole"] <= 1 + 1e-12).all()
    assert 2 * found["tvd_half"]["region"] == pytest.approx(found["tvd_sum"]["region"])
    assert found["tvd_even"]["whole"] == pytest.approx(found["tvd_sum"]["whole"])
    halves = (found["tvd_even"]["region"] + found["tvd_even"]["outside"]) / 2
    assert halves == pytest.approx(found["tvd_sum"]["whole"]), "three patches of six are inside"
    heads = found["tvd_heads"]["whole"]
    assert (heads.mean(1) >= found["tvd_sum"]["whole"] - 1e-12).all(), "heads can only cancel out"


@given(LOOKS, LOOKS)
def test_entropies_are_scipys(before, after):
    found = drift(before, after, COVERAGE)
    q = distributions(after).mean(1)
    inside = COVERAGE >= 0.5
    assert found["entropy"]["whole"] == pytest.approx(shannon(q, axis=-1))
    assert found["entropy"]["region"] == pytest.approx(shannon(q[:, inside], axis=-1))
    assert found["entropy_change"]["outside"] == pytest.approx(
        shannon(q[:, ~inside], axis=-1) - shannon(distributions(before).mean(1)[:, ~inside], axis=-1)
    )


@given(LOOKS, LOOKS)
def test_entropies_of_heads_are_the_means_of_scipys_and_no_more_than_that_of_the_mean(before, after):
    """Entropy is concave: averaging heads that look elsewhere can only spread attention (Jensen)."""
    found = drift(before, after, COVERAGE)
    p, q = distributions(before), distributions(after)
    assert found["entropy_heads"]["whole"] == pytest.approx(shannon(q, axis=-1).mean(1))
    assert (found["entropy_heads"]["whole"] <= found["entropy"]["whole"] + 1e-9).all()
    change = (shannon(q, axis=-1) - shannon(p, axis=-1)).mean(1)
    assert found["entropy_heads_change"]["whole"] == pytest.approx(change)


@given(LOOKS, LOOKS, st.floats(0.1, 10))
def test_drift_is_symmetric_and_blind_to_how_much_is_looked_at_all(before, after, factor):
    there, back = drift(before, after, COVERAGE), drift(factor * after, before, COVERAGE)
    for region in ("whole", "region", "outside"):
        assert there["tvd_sum"][region] == pytest.approx(back["tvd_sum"][region])
        assert there["entropy_change"][region] == pytest.approx(-back["entropy_change"][region])


def test_a_mask_that_covers_no_patch_leaves_nothing_inside():
    looks = np.ones((1, 1, 6))
    found = drift(looks, looks, np.zeros(6))
    assert found["tvd_sum"]["region"] == 0 and np.isnan(found["entropy"]["region"]).all()
    assert regions(np.zeros(6))["outside"].all()


def test_embeddings_that_differ_in_length_only_are_alike():
    one = np.array([1.0, -2.0, 3.0], np.float32)
    assert cosine(one, 5 * one) == pytest.approx(1) and cosine(one, -one) == pytest.approx(-1)
    assert cosine(one, 0 * one) == 0
