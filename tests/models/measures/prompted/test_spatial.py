from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.adapters.requests import Detected
from models.adapters.roles import Detection
from models.measures.prompted.spatial import near, overlap, placed, relation, released

CAT, LAMP = (0.0, 200.0, 100.0, 300.0), (300.0, 210.0, 400.0, 310.0)


def found(*things: tuple[str, float, tuple[float, float, float, float]], side: int = 512) -> Detected:
    return Detected(side, side, tuple(Detection(*thing) for thing in things))


def both(one=CAT, other=LAMP, side: int = 512) -> Detected:
    return found(("cat", 0.8, one), ("lamp", 0.6, other), side=side)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a cat on the left of a lamp", ("cat", "lamp", "left")),
        ("a bird on side of a airplane", ("bird", "airplane", "near")),
        ("a cat next to the tall lamp.", ("cat", "tall lamp", "near")),
        ("a cat on top of a lamp", ("cat", "lamp", "top")),
        ("a cat on the bottom of a lamp", ("cat", "lamp", "bottom")),
    ],
)
def test_prompts_say_what_is_where(text, parts):
    read = relation(text)
    assert (read.one, read.other, read.where) == parts


@pytest.mark.parametrize(
    ("text", "phrases", "message"),
    [
        ("a cat and a lamp", (), "says of nothing where it is"),
        ("a cat on the left of", (), "is no list of things"),
        ("The red hat was on top of the brown rack.", (), "is no list of things: take `phrases: asked`"),
        ("The red hat was on top of it.", ("the red hat",), "does not name what is on top of what"),
    ],
)
def test_what_cannot_be_read_is_said(text, phrases, message):
    with pytest.raises(ValueError, match=message):
        relation(text, phrases)


def test_of_a_sentence_what_stands_next_to_the_words():
    text = "The red hat with a bow was on top of the brown coat rack by the door."
    read = relation(text, ["the door", "the brown coat rack", "a bow", "the red hat"])
    assert (read.one, read.other) == ("bow", "brown coat rack")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("a cat on the left of a lamp", 0.25 * 0.8 + 0.25 * 0.6 + 0.5),
        ("a cat on the right of a lamp", 0.0),
        ("a cat on the top of a lamp", 0.0),  # a little higher, but further apart across
        ("a cat next to a lamp", 0.35 + 0.5 * 150 / 300),
    ],
)
def test_by_hand(text, score):
    """Centres are 300 pixels apart across and 10 down, in a picture of 512: 150 of them are near."""
    assert placed(relation(text), both()) == pytest.approx(score)


def test_the_released_code_by_hand():
    assert released(relation("a cat on the left of a lamp"), both()) == pytest.approx(0.85)
    # 0.35 for what was found and nothing for where: below one half
    assert released(relation("a cat on the right of a lamp"), both()) == 0.0
    assert released(relation("a cat on the left of a lamp"), found(("cat", 0.9, CAT))) == 0.0
    # only 10 pixels apart downwards counts as near, though 300 across
    assert released(relation("a cat next to a lamp"), both()) == pytest.approx(0.85)


def test_overlapping_things_are_less_beside_each_other():
    across = (70.0, 200.0, 170.0, 300.0)
    shared = 30 * 100 / (2 * 100 * 100 - 30 * 100)
    assert overlap(CAT, across) == pytest.approx(shared)
    for score in (placed, released):
        assert score(relation("a cat on the left of a lamp"), both(other=across)) == pytest.approx(
            0.35 + 0.5 * 0.1 / shared
        )


@pytest.mark.parametrize("words", ["on the top of", "on top of"])
def test_both_ways_to_say_on_top_and_one_in_the_released_code(words):
    above = both(one=(300.0, 0.0, 400.0, 100.0))
    read = relation(f"a cat {words} a lamp")
    assert placed(read, above) == pytest.approx(0.85)
    assert released(read, above) == (pytest.approx(0.85) if words == "on the top of" else 0.0)


def test_the_best_pair_counts_and_the_released_code_takes_the_first():
    several = found(("cat", 0.9, (450.0, 200.0, 500.0, 300.0)), ("lamp", 0.6, LAMP), ("cat", 0.8, CAT))
    read = relation("a cat on the left of a lamp")
    assert placed(read, several) == pytest.approx(0.85)
    assert released(read, several) == 0.0


def test_a_thing_is_not_next_to_itself():
    read = relation("a cat next to a cat")
    assert placed(read, found(("cat", 1.0, CAT))) == 0.0
    assert released(read, found(("cat", 1.0, CAT))) == 1.0
    assert placed(read, found(("cat", 1.0, CAT), ("cat", 1.0, (20.0, 200.0, 120.0, 300.0)))) == 1.0


def test_people_by_their_own_names_or_as_persons():
    read = relation("a girl on the left of a lamp")
    assert read.labels == ("girl", "person", "lamp")
    for label in ("girl", "person"):
        assert placed(read, found((label, 0.8, CAT), ("lamp", 0.6, LAMP))) == pytest.approx(0.85)
    assert released(read, found(("girl", 0.8, CAT), ("lamp", 0.6, LAMP))) == 0.0


def test_in_a_larger_picture_the_released_code_says_otherwise():
    """150 pixels are near in a picture of 512 and far in one of 64, whatever it shows."""
    read = relation("a cat next to a lamp")
    far = (300.0, 400.0, 400.0, 500.0)
    small = both(tuple(side / 8 for side in CAT), tuple(side / 8 for side in far), side=64)
    assert placed(read, both(other=far)) == pytest.approx(placed(read, small))
    assert released(read, both(other=far)) < released(read, small)


boxes = st.tuples(*[st.integers(0, 255)] * 2, *[st.integers(1, 255)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
words = st.sampled_from(["next to", "on the left of", "on the right of", "on top of", "on the bottom of"])


@given(boxes, boxes, words, st.sampled_from([0.125, 2, 4]))
def test_laws(one, other, words, scale):
    """No score hangs on the picture's size, none on which side is called left, and all are in [0, 1]."""
    read = relation(f"a cat {words} a lamp")
    here = placed(read, both(one, other))
    larger = both(tuple(side * scale for side in one), tuple(side * scale for side in other), int(512 * scale))
    assert placed(read, larger) == pytest.approx(here)
    assert 0 <= here <= 1
    mirrored = [(512 - box[2], box[1], 512 - box[0], box[3]) for box in (one, other)]
    opposite = {"on the left of": "on the right of", "on the right of": "on the left of"}.get(words, words)
    assert placed(relation(f"a cat {opposite} a lamp"), both(*mirrored)) == pytest.approx(here)
    if "next" in words:
        assert placed(read, both(other, one)) == pytest.approx(here)


def test_near_has_no_leap():
    values = [near((0, 0, 2, 2), (x, 0, x + 2, 2), 8) for x in (7.999, 8.0, 8.001)]
    assert values == pytest.approx([1, 1, 1], abs=1e-3)
