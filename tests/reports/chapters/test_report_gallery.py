"""The gallery: which captions it chooses, and what it makes of pictures, masks and words."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from registry.store.schema import PER_ITEM
from reports.asking.axes import TEXT
from reports.asking.study import Study
from reports.chapters.gallery import A_SAMPLE, CANDIDATES, MOST, Gallery, chosen, gallery
from reports.figures.pictures import outline, thumbnail
from reports.statistics.wordings import GROUNDED, OTHER, SAME, WORDS, changed_words, errors

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


def dealt(configurations: int, samples: int) -> pd.DataFrame:
    """Drops of inpainters × captioners, the largest first; samples lose the less the later they come."""
    rows = [
        {"corpus": "c", "degradation": "d", "inpainter": f"i{n}", "captioner": b, "sample": s, "item": 99 * s + n}
        | {"drop": 1 - s / 50 - n / 1e4 - (b == "two") / 1e3}
        for n in range(configurations // 2)
        for b in ("one", "two")
        for s in range(samples)
    ]
    made = pd.DataFrame(rows).assign(**dict.fromkeys(TEXT[1:], ""))
    return made.sort_values("drop", ascending=False, kind="stable").reset_index(drop=True)


def test_every_configuration_has_an_example_and_few_have_several() -> None:
    many = list(chosen(dealt(60, 40)))
    assert Counter((row.inpainter, row.captioner) for row in many) == {
        (f"i{n}", b): 1 for n in range(30) for b in ("one", "two")
    }
    few = list(chosen(dealt(2, 40)))
    assert Counter(row.captioner for row in few) == {"one": CANDIDATES, "two": CANDIDATES}, "no more were asked for"
    assert max(Counter(row.sample for row in few).values()) <= A_SAMPLE
    assert few[0].drop == 1.0, "the largest drop of all"


def test_inpainters_come_before_captioners_where_the_dealing_stops() -> None:
    assert MOST % 2 == 0
    rows = list(chosen(dealt(2 * MOST, 1)))
    assert len(rows) == MOST == len({row.inpainter for row in rows})


def test_gains_stand_only_for_their_configuration() -> None:
    gains = dealt(4, 5)
    gains["drop"] -= 2
    assert Counter((row.inpainter, row.captioner) for row in chosen(gains)) == {
        (i, b): 1 for i in ("i0", "i1") for b in ("one", "two")
    }


grounding = st.dictionaries(
    st.tuples(st.sampled_from(GROUNDED), st.sampled_from(["whole", "region", "outside"])),
    st.none() | st.sampled_from([0.0, 0.5, 1.0]),
)


@given(grounding, grounding)
def test_errors_are_what_got_worse(was: dict, now: dict) -> None:
    """What one way is hallucinated or omitted is none of it the other way, and nothing is against itself."""
    there, back = ({error.kind for error in errors("a", "b", *pair)} for pair in ((was, now), (now, was)))
    assert there & back <= {OTHER, "object hallucinated"}, "CHAIR and the grammar may differ on objects"
    assert errors("a", "b", was, was) == [(OTHER, "")] and errors("a  b", "a b", was, now) == [(SAME, "")]


def test_an_error_says_where_it_came_in() -> None:
    was = {("object_recall", region): 1.0 for region in ("whole", "region", "outside")}
    now = was | {("object_recall", "whole"): 0.5, ("object_recall", "region"): 0.0}
    invented = {("relation_hallucination", "whole"): 0.5}
    assert errors("x", "y", was, now) == [("object omitted", "inside the mask")]
    assert errors("x", "y", was, was | invented) == [("relation hallucinated", "")], "of nothing known before"


def found(toy: Any) -> Gallery:
    with toy.engine.connect() as connection:
        return gallery(Study(connection, toy.objects, "toy"))


def test_entries_hold_what_was_measured(toy: Any) -> None:
    shown = found(toy)
    assert shown.shown == shown.configurations == 2 * (1 + 2 * 3), "telea paints the same whatever the degradation"
    assert [entry.drop for entry in shown.entries] == sorted((entry.drop for entry in shown.entries), reverse=True)
    for entry in shown.entries:
        where = tuple(entry.where[axis] for axis in ("corpus", "degradation", "inpainter"))
        assert entry.value_after in toy.numbers[*where, "sbert", ""] and entry.value_before == 0.8
        assert entry.cosine in toy.numbers[*where, "cls_cosine", "whole"]
        layers = [mse * np.mean([0, 1, 2]) for mse in toy.numbers[*where, "mse", "region"]]
        assert any(entry.drift == pytest.approx(drift) for drift in layers)
        assert entry.errors == [(OTHER, "")] and entry.outline
        assert {entry.original, entry.degraded, entry.repainted} <= set(shown.pictures)
    assert len(shown.pictures) < len(shown.entries) * 2, "a picture is held once"


def test_errors_come_from_the_grounding_of_captions(toy_again: Any) -> None:
    """Every caption of a repainted picture names half of the objects that the original's named."""
    for row in list(toy_again.rows["quality.semantic"]):
        where = {name: value for name, value in row.items() if name != "key"}
        key = toy_again.item("quality.grounding", {"of": row["key"]}, where, value={})
        share = 0.5 if "inpainter" in where else 1.0
        toy_again.measurements += [(key, "object_recall", r, PER_ITEM, share) for r in ("whole", "region")]
    toy_again.index()
    shown = found(toy_again)
    assert {tuple(entry.errors) for entry in shown.entries} == {(("object omitted", "inside the mask"),)}
    assert shown.errors == ["object omitted"]


def test_pictures_have_a_weight_limit(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.chapters.gallery.WEIGHT", 1_000)
    shown = found(toy)
    assert 0 < len(shown.entries) < shown.configurations
    assert sum(len(picture.uri) for picture in list(shown.pictures.values())[:-3]) <= 1_000
    assert {entry.where["corpus"] for entry in shown.entries} <= {"scenes", "photos"}
