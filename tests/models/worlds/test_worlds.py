"""The generated worlds: laws that every scene and plot obeys."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.worlds import grammar
from models.worlds.plots import draw_series
from models.worlds.scenes import BACKGROUNDS, COLORS, GAP, SIDE, scene

INDICES = st.integers(0, 2**31)
WHOLE = (0, 1, 4)
"""The references that name every attribute."""


@settings(max_examples=30, deadline=None)
@given(INDICES, INDICES)
def test_a_scene_is_a_function_of_seed_and_index(seed, index):
    first, again = scene(seed, index), scene(seed, index)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.graph == again.graph == json.loads(json.dumps(first.graph))
    assert first.references == again.references


def test_seeds_and_indices_give_different_pictures():
    assert len({scene(seed, index).picture.tobytes() for seed in (0, 1) for index in range(50)}) == 100


@settings(max_examples=60, deadline=None)
@given(INDICES)
def test_boxes_are_inside_and_apart(index):
    things = scene(0, index).graph["objects"]
    taken = np.zeros((SIDE + GAP, SIDE + GAP), int)
    for thing in things:
        x, y, w, h = thing["box"]
        assert x >= 0 and y >= 0 and x + w <= SIDE and y + h <= SIDE
        taken[y : y + h + GAP, x : x + w + GAP] += 1
    assert 1 <= len(things) <= 3
    assert taken.max() == 1


@settings(max_examples=60, deadline=None)
@given(INDICES)
def test_relations_follow_from_the_boxes(index):
    graph = scene(0, index).graph
    centres = [np.array([x + w / 2, y + h / 2]) for x, y, w, h in (thing["box"] for thing in graph["objects"])]
    for relation in graph["relations"]:
        way = centres[relation["object"]] - centres[relation["subject"]]
        axis = {"left of": (1, 0), "right of": (-1, 0), "above": (0, 1), "below": (0, -1)}[relation["predicate"]]
        assert way @ axis == np.abs(way).max() > 0
        back = grammar.relation(graph, relation["object"], relation["subject"])
        assert back == grammar.OPPOSITE[relation["predicate"]]
    assert len(graph["relations"]) == len(centres) * (len(centres) - 1) // 2


@settings(max_examples=60, deadline=None)
@given(INDICES)
def test_the_picture_shows_the_graph(index):
    """Each object's pure colour is in its box and touches all four sides; outside the boxes all is background."""
    made = scene(0, index)
    outside = np.ones((SIDE, SIDE), bool)
    ground = np.array(BACKGROUNDS[made.graph["background"]])
    for thing in made.graph["objects"]:
        x, y, w, h = thing["box"]
        inside = made.picture[y : y + h, x : x + w].astype(int)
        outside[y : y + h, x : x + w] = False
        painted = (inside == COLORS[thing["color"]]).all(-1)
        assert painted.sum() >= 8
        covered = (inside != ground).any(-1)
        assert covered[0].any() and covered[-1].any() and covered[:, 0].any() and covered[:, -1].any()
    assert (made.picture[outside] == ground).all()


@settings(max_examples=150, deadline=None)
@given(INDICES)
def test_the_parser_reads_every_reference(index):
    made = scene(0, index)
    assert len(set(made.references)) == 5
    for number, reference in enumerate(made.references):
        found = grammar.parse(reference)
        scores = grammar.agreement(found, made.graph)
        assert scores["precision"] == scores["background"] == 1
        assert scores["attributes"] == (1 if number in WHOLE else 0.75)
        assert scores["exact"] == (number in WHOLE)
        for relation in found["relations"]:
            pair = [_only(made.graph, found["objects"][relation[end]]) for end in ("subject", "object")]
            if None not in pair:
                assert grammar.relation(made.graph, *pair) == relation["predicate"]


def _only(graph, said):
    """The one object that a phrase can mean, or None where it could mean several."""
    fits = [i for i, thing in enumerate(graph["objects"]) if all(thing[name] == value for name, value in said.items())]
    return fits[0] if len(fits) == 1 else None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_the_parser_is_total(text):
    found = grammar.parse(text)
    assert set(found) == {"objects", "relations", "background"}


def test_a_wrong_caption_is_told_apart():
    graph = {"background": "sky", "objects": [{"shape": "ring", "color": "red", "texture": "plain", "size": "small"}]}
    wrong = grammar.agreement(grammar.parse("a small red plain ring and a big star on a sand background"), graph)
    assert (wrong["attributes"], wrong["precision"], wrong["background"], wrong["exact"]) == (1, 4 / 6, 0, 0)
    assert grammar.agreement(grammar.parse(""), graph)["attributes"] == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_plotted_points_lie_on_the_dark_line(values):
    picture, points = draw_series(values)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    assert draw_series(values)[0].tobytes() == picture.tobytes()
    for x, y in points:
        assert 0 <= x < 64 and 0 <= y < 64
        near = picture[max(int(y) - 1, 0) : int(y) + 2, max(int(x) - 1, 0) : int(x) + 2]
        assert near.sum(-1).min() < 550, "lighter than the line; the frame is at 600"


def test_a_plot_is_blind_to_scale_and_keeps_order():
    """Fitting the y range makes a plot invariant under a x + b with a > 0."""
    values = [3, 1, 4, 1, 5, 9, 2, 6]
    picture, points = draw_series(values)
    assert np.array_equal(draw_series([10 * v + 7 for v in values])[0], picture)
    assert np.argsort([-y for _, y in points], kind="stable").tolist() == np.argsort(values, kind="stable").tolist()
    assert draw_series([5] * 12)[1][0][1] == 32


@pytest.mark.parametrize("values", [[], [1], [1, float("nan")], [1, float("inf")]])
def test_a_series_that_cannot_be_drawn_is_refused(values):
    with pytest.raises(ValueError, match="two finite numbers"):
        draw_series(values)
