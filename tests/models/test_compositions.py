"""Captions composed of true and false sentences: shares are exact, and what is chosen hangs on the seed alone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compositions import Dci, Edits, composition, false_at
from models.worlds.scenes import scene

GRAPH = scene(1, 2).graph
PARTS = [
    {
        "text": "A pump.",
        "negatives": {"basic": ["A lamp.", "A pump."], "layout": ["", "Pump."], "swaps": ["Pump a."]},
        "scores": {"sum": 9.0, "basic_0": 2.0, "basic_1": 8.0, "layout_1": 3.0, "swaps_0": 1.0},
    },
    {"text": "It is old.", "negatives": {"basic": ["It is new."]}, "scores": {}},
]


@given(st.integers(1, 40), st.integers(0, 4), st.sampled_from([0, 25, 33.3, 50, 75, 100]), st.integers(0, 3))
def test_just_the_share_is_false_in_all_and_at_each_place(count, recall, precision, seed):
    samples = [str(number) for number in range(count)]
    false = list(false_at(samples, Edits(precision=precision, recall=recall, seed=seed)))
    share = 1 - precision / 100
    assert abs(sum(map(len, false)) - share * count * (recall + 1)) <= 0.5
    assert len(false) == recall + 1 and all(abs(len(some) - share * count) < 1 for some in false)
    assert list(false_at(samples[::-1], Edits(precision=precision, recall=recall, seed=seed))) == false
    assert list(false_at(samples, Edits(precision=precision, recall=recall + 1, seed=seed)))[:-1] == false


def test_what_is_false_at_one_precision_is_so_at_every_lower_one():
    samples = [str(number) for number in range(40)]
    grid = [list(false_at(samples, Edits(precision=precision, recall=3))) for precision in (0, 25, 50, 75, 100)]
    assert all(more >= less for one, other in pairwise(grid) for more, less in zip(one, other, strict=True))
    assert [sum(map(len, some)) for some in grid] == [160, 120, 80, 40, 0]
    assert len(grid[2][0] & grid[2][1]) not in (0, 20), "the places of one picture are drawn apart"
    assert list(false_at(samples, Edits(precision=50, seed=1))) != [grid[2][0]]


@pytest.mark.parametrize(
    ("how", "false"),
    [
        ({"negatives": "swaps"}, "Pump a."),
        ({"negatives": "layout", "choice": "first"}, "Pump."),  # what is empty, or the true sentence itself, is none
        ({"negatives": "basic"}, "A lamp."),
        ({"choice": "hardest"}, "Pump."),
        ({"choice": "easiest"}, "Pump a."),
    ],
)
def test_negatives_of_dci_by_name(how, false):
    """Hardest is DCI's own (the highest score of CLIP), easiest what Captions4T2I takes."""
    told = Dci(**how).told({"parts": PARTS}, "0f")
    assert (told[0].true, told[0].false) == ("A pump.", false)
    named = how.get("negatives", "any")
    scored = how.get("choice") in ("hardest", "easiest")
    assert len(told) == (2 if named in ("any", "basic") and not scored else 1), "a part without such a negative is out"


def test_a_picture_whose_base_cannot_be_false_has_nothing_to_tell():
    assert Dci(negatives="layout").told({"parts": [PARTS[1]]}, "0f") == []
    assert Edits(negatives="relation").told(GRAPH, "0f") == []


def test_the_choice_hangs_on_the_picture_and_the_seed_and_not_on_precision_or_recall():
    one = Edits(precision=0, recall=3).told(GRAPH, "0f")
    assert one == Edits(precision=75).told(GRAPH, "0f")
    assert one != Edits(seed=1).told(GRAPH, "0f") and one != Edits().told(GRAPH, "1f")
    only = Edits(negatives="color").told(GRAPH, "0f")
    assert {part.kind for part in only} == {"color"} and len(only) == len(GRAPH["objects"])


def test_what_is_wrong_is_told():
    with pytest.raises(ValueError, match=r'^There is no kind of captions \(entry mine\) "edit"; did you mean "edits"'):
        composition("mine", {"kind": "edit"})
    with pytest.raises(ValueError, match=r'"precision" of mine should be less than or equal to 100, but is 120'):
        composition("mine", {"kind": "dci", "precision": 120})
    with pytest.raises(ValueError, match="its pictures are no scenes"):
        Edits().told({"series": {}}, "0f")
    with pytest.raises(ValueError, match="take a corpus of `dci` with `parts: true`"):
        Dci().told({"objects": []}, "0f")
