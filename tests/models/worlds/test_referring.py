"""The ``referring`` world: laws of its pictures, and expressions that are about one object whoever reads them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.degradations import region, region_mask
from models.worlds.expressions import MARGIN, resolve
from models.worlds.referring import referring
from models.worlds.scenes import BACKGROUNDS, GAP, SIDE

INDICES = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def examples():
    return [referring(3, index) for index in range(200)]


@settings(max_examples=20, deadline=None)
@given(INDICES, INDICES)
def test_a_picture_is_a_function_of_seed_and_index(seed, index):
    first, again = referring(seed, index), referring(seed, index)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.graph == again.graph == json.loads(json.dumps(first.graph))
    assert first.references == again.references


def test_every_expression_is_about_the_target_alone(examples):
    for made in examples:
        assert len(set(made.references)) == 3
        for text in made.references:
            assert resolve(text, made.graph) == [made.graph["target"]], text


def test_no_expression_hangs_on_a_pixel(examples):
    """Every box moved by up to half the margin in any direction leaves every expression about its target."""
    rng = np.random.default_rng(0)
    for made in examples:
        moved = []
        for thing in made.graph["objects"]:
            x, y, w, h = thing["box"]
            across, down = rng.uniform(-MARGIN / 2, MARGIN / 2, 2)
            moved.append(thing | {"box": [x + across, y + down, w, h]})
        for text in made.references:
            assert resolve(text, {"objects": moved}) == [made.graph["target"]], text


def test_the_region_box_is_the_targets(examples):
    for made in examples[:30]:
        x, y, w, h = made.graph["objects"][made.graph["target"]]["box"]
        expected = np.zeros((SIDE, SIDE), bool)
        expected[y : y + h, x : x + w] = True
        assert np.array_equal(region_mask((SIDE, SIDE), made.graph, region({"kind": "box"})), expected)


def test_an_expression_has_to_discriminate(examples):
    """The target shares its shape with another object, and every kind of expression is met."""
    texts = [text for made in examples for text in made.references]
    for made in examples:
        shapes = [thing["shape"] for thing in made.graph["objects"]]
        assert shapes.count(shapes[made.graph["target"]]) > 1
    for words in ("left of", "above", "leftmost", "larger", "smallest", "on the right", "corner", "in the middle"):
        assert any(words in text for text in texts), words
    assert len(set(texts)) > 450


def test_boxes_are_inside_and_apart_and_targets_anywhere(examples):
    counts, centres = set(), []
    for made in examples:
        taken = np.zeros((SIDE + GAP, SIDE + GAP), int)
        for thing in made.graph["objects"]:
            x, y, w, h = thing["box"]
            assert x >= 0 and y >= 0 and x + w <= SIDE and y + h <= SIDE
            taken[y : y + h + GAP, x : x + w + GAP] += 1
        assert taken.max() == 1
        counts.add(len(made.graph["objects"]))
        x, y, w, h = made.graph["objects"][made.graph["target"]]["box"]
        centres.append((x + w / 2, y + h / 2))
        outside = taken[:SIDE, :SIDE] == 0
        assert (made.picture[outside] == BACKGROUNDS[made.graph["background"]]).all()
    assert counts == {3, 4, 5}
    off = np.abs(np.array(centres) - SIDE / 2).max(1) > SIDE / 4
    assert 0.3 < off.mean() < 0.9


FLIPS = {
    "left-right": (0, {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}),
    "top-bottom": (1, {"above": "below", "over": "under", "below": "above", "under": "over", "top": "bottom",
                       "bottom": "top", "upper": "lower", "lower": "upper", "lowest": "topmost", "highest": "lowest",
                       "topmost": "lowest"}),
}  # fmt: skip


@pytest.mark.parametrize(("axis", "words"), FLIPS.values(), ids=FLIPS)
def test_a_mirrored_picture_is_described_by_mirrored_words(examples, axis, words):
    """The resolver knows no direction better than another: flipping the graph and the words changes nothing."""
    for made in examples[:100]:
        mirrored = []
        for thing in made.graph["objects"]:
            box = list(thing["box"])
            box[axis] = SIDE - box[axis] - box[2 + axis]
            mirrored.append(thing | {"box": box})
        for text in made.references:
            said = " ".join(words.get(word, word) for word in text.split())
            assert resolve(said, {"objects": mirrored}) == [made.graph["target"]], said


def thing(shape, color, x, y, side=14, texture="plain"):
    size = "small" if side < 20 else "large"
    return {"shape": shape, "color": color, "texture": texture, "size": size, "box": [x, y, side, side]}


ROOM = {
    "objects": [
        thing("ring", "red", 2, 2, texture="striped"),
        thing("circle", "red", 2, 46),
        thing("circle", "green", 25, 26),
        thing("ring", "blue", 38, 2, 24),
        thing("star", "red", 48, 46, texture="dotted"),
    ]
}
"""Five objects as a person would lay them out: the answers below were read off a sketch of it."""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("the striped hoop", [0]),
        ("the ring", [0, 3]),
        ("A big ring.", [3]),
        ("the larger ring", [3]),
        ("the smaller ring", [0]),
        ("the larger red shape", []),
        ("the largest object", [3]),
        ("the circle below the striped ring", [1, 2]),
        ("the red circle below the striped ring", [1]),
        ("the red shape to the left of the spotted star", [0, 1]),
        ("the shape to the left of the ring", []),
        ("the disc on the left", [1]),
        ("the disc in the middle", [2]),
        ("the red shape in the bottom right corner", [4]),
        ("the leftmost disc", [1]),
        ("the rightmost red object", [4]),
        ("the highest disc", [2]),
        ("the disc at the very bottom", [1]),
        ("the purple triangle", []),
        ("left of", []),
        ("", []),
    ],
)
def test_the_resolver_reads_as_a_person_does(expression, expected):
    assert resolve(expression, ROOM) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.lists(st.sampled_from(["the", "red", "ring", "left of", "above", "largest", "circle"])))
def test_the_resolver_takes_any_text(text, words):
    assert set(resolve(f"{text} {' '.join(words)}", ROOM)) <= set(range(5))
