"""What is kept and what is told of samples, captions, boxes and subsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.worlds import WORLDS
from stages.corpora import CATALOGUE, Problem, Sample, open_corpus
from stages.corpora.checks import Entry, checked_captions, checked_objects, in_order, of_splits, up_to
from stages.corpora.pictures import fitted
from stages.engine.shards import storable


def sample(name: str, split: str = "test") -> Sample:
    return Sample(name, split, {"sha256": name}, ("a cat",), {}, lambda: np.zeros((1, 1, 3), np.uint8))


LONG = " ".join(["extraordinarily"] * 10_000)


UNUSUAL = [
    "A 🐈‍⬛ on a 🛹.",
    "כלב רץ על החוף",
    "  two  spaces \n kept ",
    LONG,
    "naïve ½ \u2028 line",
]


@pytest.mark.parametrize("caption", UNUSUAL)
def test_unusual_captions_pass_through_untouched(caption):
    assert checked_captions("a", [caption]) == ((caption,), [])


def test_captions_that_cannot_be_used_are_told_and_the_others_kept():
    kept, problems = checked_captions("a.png", ["", "A\0 dog.", None, "\ud800", "Fine.", 7])
    assert kept == ("A dog.", "Fine.")
    assert [problem.kind for problem in problems] == [
        "empty_caption", "unstorable_text", "bad_caption", "unstorable_text", "empty_caption", "bad_caption",
    ]  # fmt: skip
    assert all(problem.sample == "a.png" and problem.message.endswith(".") for problem in problems)


def test_a_sample_without_any_caption_is_told():
    kept, problems = checked_captions("a.png", [" \t"])
    assert kept == ()
    assert [problem.kind for problem in problems] == ["empty_caption", "no_caption"]


@given(st.text())
def test_storable_text_is_utf8_and_stays_what_it_is(text):
    assert storable(text) == text.replace("\0", "")
    assert storable(storable(text) + "\0\udfff") == storable(text)


numbers = st.one_of(st.floats(allow_nan=True), st.integers(-100, 1000))
boxes = st.one_of(st.lists(numbers, max_size=5), st.text(max_size=4), st.none())


@given(st.lists(boxes, max_size=4), st.integers(1, 700), st.integers(1, 700), st.none() | st.integers(1, 600))
def test_kept_boxes_lie_inside_the_scaled_picture(raw, width, height, max_side):
    kept, problems = checked_objects("a", [{"label": "x", "box": box} for box in raw], (width, height), max_side)
    assert len(kept) + sum(problem.message.endswith("left out.") for problem in problems) == len(raw)
    new_width, new_height = fitted((width, height), max_side)
    for thing in kept:
        x, y, w, h = thing["box"]
        assert min(x, y, w, h) >= 0
        assert x + w <= new_width + 0.02
        assert y + h <= new_height + 0.02


@pytest.mark.parametrize(
    ("box", "kept", "kinds"),
    [
        ([10, 10, 20, 20], [10, 10, 20, 20], []),
        ([90.5, 10, 10.2, 20], [90.5, 10, 9.5, 20], []),  # tools round: less than a pixel is no problem
        ([90, -5, 20, 20], [90, 0, 10, 15], ["box_outside"]),
        ([101, 10, 5, 5], None, ["box_outside"]),
        ([10, 10, 0, 5], None, ["bad_box"]),
        ([10, 10, float("nan"), 5], None, ["bad_box"]),
        ([10, 10, 5], None, ["bad_box"]),
        ("10 10 5 5", None, ["bad_box"]),
        ("\ud800\0", None, ["bad_box"]),
    ],
)
def test_boxes_are_kept_clipped_or_left_out(box, kept, kinds):
    objects, problems = checked_objects("a", [{"label": "x", "box": box}], (100, 50), None)
    assert [thing["box"] for thing in objects] == ([kept] if kept else [])
    assert [problem.kind for problem in problems] == kinds
    assert all(storable(problem.message) == problem.message for problem in problems)


def test_a_smaller_limit_is_the_head_of_a_larger_one():
    found = [sample(str(i)) for i in range(40)]
    shuffled = [each.sample for each in in_order(found, seed=3)]
    assert sorted(shuffled) == sorted(each.sample for each in found)
    assert shuffled != [each.sample for each in found]
    assert shuffled != [each.sample for each in in_order(found, seed=4)]
    assert shuffled == [each.sample for each in in_order(found[::-1], seed=3)]
    assert [each.sample for each in up_to(5, in_order(found, seed=3))] == shuffled[:5]
    assert list(in_order(found, None)) == found


def test_the_limit_counts_good_samples_and_a_second_id_is_a_problem():
    problem = Problem("x", "no_caption", "x has none.")
    found = list(up_to(2, [problem, sample("a"), sample("a"), sample("b"), sample("c")]))
    assert [getattr(each, "kind", "good") for each in found] == ["no_caption", "good", "duplicate_id", "good"]


def test_a_split_that_nobody_has_is_refused_with_the_nearest():
    entries = [Entry(name, split, Path(name), ["a"]) for name, split in (("a", "train"), ("b", "validation"))]
    assert [entry.sample for entry in of_splits(entries, ("validation",))] == ["b"]
    with pytest.raises(ValueError, match='no split "valid"; did you mean "validation"?.*Known: train, validation'):
        of_splits(entries, ("valid",))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_corpus_of_the_catalogue_takes_a_path_and_a_limit_or_count(name):
    counted = {"count": 2} if name in WORLDS else {"limit": 2}
    assert open_corpus(name, {"path": "somewhere", **counted}).settings.path == Path("somewhere")
    with pytest.raises(ValueError, match=f'There is no setting of corpus {name} "limmit"'):
        open_corpus(name, {"path": "somewhere", "limmit": 2})
