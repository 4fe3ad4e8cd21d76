"""Variability of captions: across pictures, and no larger for more references."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from reports.statistics.variability import variability, words

REPORT = "the heart is normal in size and the lungs are clear without focal consolidation effusion or pneumothorax"
SHORT = ["a red circle", "two dogs run", "the blue van stops", "an old man", "snow on hills", "her green hat"]


def test_equal_reports_vary_less_than_short_captions():
    """Different words a picture would call the reports (16 words) richer than the captions (2.7)."""
    assert variability({f"p{n}": [REPORT] for n in range(6)}) == 0
    assert variability({f"p{n}": [text] for n, text in enumerate(SHORT)}) > 0.9


def test_more_references_of_the_same_kind_vary_no_more():
    rng = np.random.default_rng(1)
    said = [" ".join(rng.choice(list("abcdefghijkl"), 5)) for _ in range(400)]
    one, five = (
        np.mean([variability({p: rng.choice(said, many) for p in "qrstuvwxyz"}) for _ in range(200)]) for many in (1, 5)
    )
    assert one == pytest.approx(five, abs=0.01)
    assert variability({"p": [SHORT[0]], "q": [SHORT[2]]}) == variability({"p": [SHORT[0]] * 4, "q": [SHORT[2]] * 2})


def test_it_is_the_mean_distance_of_every_two_pictures_references():
    texts = {"p": ["a red circle", "the red one"], "q": ["a dog"], "r": ["a red dog runs", "a dog, a cat", "red"]}
    known = sorted({word for some in texts.values() for text in some for word in words(text)})
    vectors = {p: [[words(text)[word] for word in known] for text in some] for p, some in texts.items()}
    pairs = [(a, b) for a in texts for b in texts if a < b]
    wanted = np.mean([np.mean([cosine(v, w) for v in vectors[a] for w in vectors[b]]) for a, b in pairs])
    assert variability(texts) == pytest.approx(wanted)


def test_what_has_no_second_picture_has_no_variability():
    assert variability({}) is None and variability({"p": ["a dog"], "q": [], "r": ["…"]}) is None
