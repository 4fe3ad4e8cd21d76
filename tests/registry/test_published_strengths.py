"""What the paper calls strong, weak and unstable, against correlations computed apart from the checks."""

import numpy as np
import pytest

from registry.published import shipped
from registry.published.checks import recompute
from registry.published.columns import captions, fidelity, strength
from registry.published.strengths import strengths

NUMBERS = [n for n in shipped() if n.paper == "inpainting"]
CHECKS = {(one.kind, one.where): one for one in recompute(NUMBERS)}


def test_ssim_of_referring_expressions_is_called_weak_and_unstable():
    """Appendix E.2; typed from tables 4 and 5."""
    ssim = [0.583, 0.544, 0.629, 0.598, 0.590, 0.657, 0.611, 0.582, 0.614]
    meteor = [0.240, 0.279, 0.313, 0.301, 0.304, 0.345, 0.337, 0.347, 0.361]
    sbert = [0.595, 0.580, 0.590, 0.603, 0.623, 0.653, 0.657, 0.718, 0.707]
    weak = CHECKS["strengths of correlations", "refcocog, SSIM"]
    low, high = np.corrcoef(ssim, sbert)[0, 1], np.corrcoef(ssim, meteor)[0, 1]
    assert weak.given == f"r from {low:+.2f} to {high:+.2f}, not weak: bleu, meteor" and not weak.agrees
    assert (round(low, 2), round(high, 2)) == (0.26, 0.55)
    unstable = CHECKS["sign flips", "refcocog, SSIM"]
    assert unstable.agrees and "0 of 27 and up to 1 more" in unstable.given


def test_other_sentences_that_the_tables_decide():
    wrong = {one.where for one in strengths(NUMBERS) if not one.agrees}
    assert wrong == {"refcocog, SSIM", "rocov2, qwen2_5-vl, MSE", "rocov2, qwen2_5-vl, PSNR"}
    decided = [one for one in CHECKS.values() if one.kind in ("strongest correlations", "weaker correlations")]
    assert len(decided) == 7 + 12 and all(one.agrees for one in decided)


@pytest.mark.parametrize("corpus", ["flickr", "refcocog", "truce", "rocov2"])
def test_rounding_moves_r_within_its_bounds(corpus):
    rng = np.random.default_rng(1)
    for columns in captions(NUMBERS, corpus).values():
        for x in fidelity(NUMBERS, corpus).values():
            for y in columns.values():
                r, least, most = strength(x, y)
                a, b = (np.array([column[one].value for one in x]) for column in (x, y))
                assert r == pytest.approx(np.corrcoef(a, b)[0, 1]) and least <= abs(r) <= most
                for _ in range(5):
                    errors = [
                        np.array([column[one].rounding for one in x]) * rng.choice([-1, 1], len(x)) for column in (x, y)
                    ]
                    moved = abs(np.corrcoef(a + errors[0], b + errors[1])[0, 1])
                    assert least <= moved <= most
