"""The gallery: which captions it chooses, and what it makes of pictures, masks and words."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from reports.gallery import ENTRIES, WORDS, changed_words, chosen, outline, thumbnail

words = st.lists(st.sampled_from(["a", "red", "circle", "left", "of", "<b>", "שלום"]), max_size=12).map(" ".join)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7)))
def test_the_mask_can_be_filled_from_its_outline(mask: np.ndarray) -> None:
    """Even-odd rule: walking along a row, each upright side that is crossed changes inside to outside."""
    sides = np.zeros((mask.shape[0], mask.shape[1] + 1), int)
    for x, y, length in re.findall(r"M(\d+) (\d+)v(\d+)", outline(mask)):
        sides[int(y) : int(y) + int(length), int(x)] += 1
    assert (sides.cumsum(axis=1)[:, :-1] % 2 == mask).all()


@given(words, words)
def test_runs_of_words_make_up_the_captions(before: str, after: str) -> None:
    old, new = changed_words(before, after)
    assert " ".join(text for text, _ in old) == " ".join(before.split())
    assert " ".join(text for text, _ in new) == " ".join(after.split())
    assert [text for text, changed in old if not changed] == [text for text, changed in new if not changed]


def test_equal_captions_have_no_marks_and_endless_ones_are_cut() -> None:
    assert changed_words("a red circle", "a red circle") == ([("a red circle", False)],) * 2
    old, _ = changed_words("word " * 10_000, "")
    assert old[0][0].endswith("…") and len(old[0][0].split()) == WORDS + 1


def test_large_pictures_are_scaled_down_and_small_ones_kept() -> None:
    def png(size: tuple[int, int]) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", size, "teal").save(buffer, "PNG")
        return buffer.getvalue()

    small, large = thumbnail(png((64, 64))), thumbnail(png((512, 300)))
    assert base64.b64decode(small.uri.partition(",")[2]) == png((64, 64))
    assert (large.width, large.height) == (512, 300)
    with Image.open(io.BytesIO(base64.b64decode(large.uri.partition(",")[2]))) as image:
        assert (image.format, image.size) == ("JPEG", (256, 150))
    assert thumbnail(png((512, 300))) == large


def test_choice_is_dealt_evenly_and_never_shows_a_sample_thrice() -> None:
    rows = [
        {"corpus": "c", "inpainter": i, "captioner": "b", "sample": s, "item": 9 * s + n, "drop": 1 - n / 9 - s / 1e4}
        for i in ("one", "two")
        for n in range(3)
        for s in range(40)
    ]
    drops = pd.DataFrame(rows).sort_values("drop", ascending=False, kind="stable").reset_index(drop=True)
    found = chosen(drops)
    assert len(found) == ENTRIES
    assert Counter(found["inpainter"]) == {"one": ENTRIES // 2, "two": ENTRIES // 2}
    assert max(Counter(found["sample"]).values()) <= 2
    assert not found.duplicated(["sample", "item"]).any()
    assert found["drop"].is_monotonic_decreasing
    assert found["drop"].iloc[0] == drops["drop"].max()
