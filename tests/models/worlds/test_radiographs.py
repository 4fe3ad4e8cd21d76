"""The world of chest films: laws that findings obey, and impressions that a parser reads back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.worlds.radiographs import LABELS, SIDES, agreement, draw, parse, radiograph


@pytest.fixture(scope="module")
def made():
    return [radiograph(3, index) for index in range(400)]


def change(graph, findings):
    """What ``findings`` add to the healthy film of a graph, in grey levels."""
    return draw({**graph, "findings": findings})[..., 0].astype(int) - draw({**graph, "findings": []})[..., 0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_film_is_a_function_of_seed_and_index(seed, index):
    first, again = radiograph(seed, index), radiograph(seed, index)
    assert first.picture.tobytes() == again.picture.tobytes() == draw(json.loads(json.dumps(first.graph))).tobytes()
    assert first.picture.shape == (64, 64, 3) and first.picture.dtype == np.uint8
    assert (first.picture == first.picture[..., :1]).all()
    assert first.graph == again.graph == json.loads(json.dumps(first.graph))
    assert first.references == again.references


def test_findings_have_their_shares(made):
    """55, 35 and 10 % of 400; four standard deviations of a share are below 0.1."""
    counts = np.bincount([len(one.graph["findings"]) for one in made], minlength=3) / len(made)
    assert counts == pytest.approx([0.55, 0.35, 0.10], abs=0.1)
    labels = [finding["label"] for one in made for finding in one.graph["findings"]]
    assert [labels.count(label) / len(labels) for label in LABELS] == pytest.approx([0.25] * 4, abs=0.13)


def test_findings_are_what_objects_say(made):
    for one in made:
        names = ("label", "side", "zone", "box")
        assert one.graph["objects"] == [{name: finding[name] for name in names} for finding in one.graph["findings"]]
        sides = [finding["side"] for finding in one.graph["findings"] if finding["side"]]
        assert len(sides) == len(set(sides))
        for finding in one.graph["findings"]:
            x, y, w, h = finding["box"]
            assert x >= 0 and y >= 0 and w >= 2 and h >= 2 and x + w <= 64 and y + h <= 64
            assert (finding["zone"] is None) == (finding["label"] in ("effusion", "cardiomegaly"))
            assert (finding["side"] is None) == (finding["label"] == "cardiomegaly")


def test_a_finding_whitens_its_own_side_and_nothing_else(made):
    """The patient's right is at the picture's left. A heart grows to both sides, by way of the other labels."""
    seen = set()
    for one in made:
        spine = one.graph["film"]["spine"]
        for finding in one.graph["findings"]:
            added = change(one.graph, [finding])
            seen.add((finding["label"], finding["side"]))
            assert added.min() >= -1, "rounding at most"
            if finding["side"]:
                columns = np.flatnonzero((added > 3).any(axis=0)) + 0.5
                assert ((columns - spine) * SIDES[finding["side"]] > 0).all()
    assert len(seen) == 7


def test_a_finding_is_in_its_box_and_can_be_seen_there(made):
    """Most of the added light lies in the box; it is above the film's grain yet below a third of the grey scale."""
    for one in made:
        for finding in one.graph["findings"]:
            added = change(one.graph, [finding])
            x, y, w, h = finding["box"]
            inside = added[y : y + h, x : x + w]
            assert inside.sum() > 0.6 * added.sum()
            assert 12 <= added.max() < 85
            assert added.max() > 2.5 * 255 * one.graph["film"]["grain"]


def test_zones_go_down_the_lung(made):
    films = [one for one in made if one.graph["findings"]]
    for one in films:
        top, bottom = one.graph["film"]["apex"], one.graph["film"]["base"]
        for finding in one.graph["findings"]:
            if finding["zone"]:
                height = (finding["at"][1] - top) / (bottom - top)
                assert ("upper", "middle", "lower")[min(int(3 * (height * 1.12 - 0.12)), 2)] == finding["zone"]


def test_sides_are_mirrored(made):
    """The same finding on the other side whitens the mirrored place, up to the halves' own anatomy."""
    pairs = 0
    for one in made:
        for finding in one.graph["findings"]:
            if finding["side"] and finding["zone"] != "lower" and finding["label"] != "effusion":
                other = {**finding, "side": "left" if finding["side"] == "right" else "right"}
                places = [np.average(np.arange(64) + 0.5, weights=np.clip(change(one.graph, [side]), 0, None).sum(0))
                          for side in (finding, other)]  # fmt: skip
                assert np.mean(places) == pytest.approx(one.graph["film"]["spine"], abs=2)
                pairs += 1
    assert pairs > 40


def test_an_enlarged_heart_is_wider_than_half_the_chest(made):
    """The cardiothoracic ratio: above one half is the usual sign of cardiomegaly (Danzer 1919)."""
    for one in made:
        ratios = [finding["extent"] for finding in one.graph["findings"] if finding["label"] == "cardiomegaly"]
        assert one.graph["film"]["heart"] < 0.5
        assert all(ratio > 0.5 for ratio in ratios)


def test_the_parser_reads_every_reference(made):
    """The first says all; no other says anything wrong; a normal film is always called so."""
    vague = 0
    for one in made:
        scores = [agreement(parse(reference), one.graph) for reference in one.references]
        assert 1 <= len(scores) <= 3 and len(set(one.references)) == len(scores)
        assert scores[0] == {"attributes": 1, "precision": 1, "exact": 1}
        assert all(score["precision"] == 1 for score in scores)
        vague += sum(score["exact"] == 0 for score in scores)
        assert parse(one.references[0])["normal"] == (not one.graph["findings"])
    assert vague > 20


def test_impressions_are_repetitive(made):
    """Five sentences serve more than half of the films."""
    normal = [reference for one in made if not one.graph["findings"] for reference in one.references]
    assert len(set(normal)) == 5 and len(normal) > 300


TRUTH = {"findings": [{"label": "nodule", "side": "left", "zone": "upper"}, {"label": "cardiomegaly", "side": None,
                                                                           "zone": None}]}  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "truth", "attributes", "precision"),
    [
        ("left upper lobe nodule and cardiomegaly", TRUTH, 1, 1),
        ("Enlarged heart. Nodule in the left upper lobe.", TRUTH, 1, 1),
        ("left lung nodule", TRUTH, 0.5, 1),
        ("right upper lobe nodule", TRUTH, 0.5, 2 / 3),
        ("left effusion", TRUTH, 0, 0),
        ("no acute disease", TRUTH, 0, 0),
        ("", TRUTH, 0, 0),
        ("no pleural effusion, clear lungs", {"findings": []}, 1, 1),
        ("cardiomegaly", {"findings": []}, 0, 0),
        ("", {"findings": []}, 0, 0),
    ],
)
def test_wrong_captions_are_told_apart(caption, truth, attributes, precision):
    scores = agreement(parse(caption), truth)
    assert (scores["attributes"], scores["precision"]) == (attributes, pytest.approx(precision))
    assert scores["exact"] == (attributes == precision == 1)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_the_parser_is_total(text):
    assert set(parse(text)) == {"findings", "normal"}


def test_findings_can_be_learnt_from_pictures():
    """Which side an effusion is on, by the nearest of three classes' means: 95 % measured, a third would be chance."""
    films = [radiograph(3, index) for index in range(900)]
    kinds = [[finding["side"] for finding in one.graph["findings"] if finding["label"] == "effusion"] for one in films]
    kinds = np.array([0 if not kind else 1 + (kind[0] == "left") for kind in kinds])
    strips = np.stack([one.picture[34:50, :, 0].astype(float).ravel() for one in films])
    strips -= strips.mean(axis=1, keepdims=True)
    seen, new = slice(0, 600), slice(600, None)
    means = np.stack([strips[seen][kinds[seen] == kind].mean(axis=0) for kind in range(3)])
    guessed = ((strips[new, None] - means) ** 2).sum(-1).argmin(axis=1)
    right = [np.mean(guessed[kinds[new] == kind] == kind) for kind in range(3)]
    assert np.mean(right) > 0.8
