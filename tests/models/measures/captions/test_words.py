"""Witnesses: a scene marked by hand, the worlds' own references, and that every wrong word is one that was put in."""

from __future__ import annotations

import pytest

from models.measures.captions.candidates import Candidate
from models.measures.captions.words import Words, verdicts
from models.worlds import WORLDS, example
from tests.models.measures.captions.test_grounding import SCENE


def marked(caption: str) -> str:
    """A caption with + before its right words and - before its wrong ones."""
    signs = {True: "+", False: "-", None: ""}
    return " ".join(signs[one] + word for word, one in zip(caption.split(), verdicts(caption, SCENE), strict=True))


def test_a_scene_by_hand() -> None:
    """A small red striped circle stands left of a large blue plain star, on sky."""
    said = "a small red dotted disc to the right of a green star, on a sky background"
    assert marked(said) == "a +small +red -dotted +disc to the -right of a -green +star, on a +sky background"
    assert marked("a red disc and a red disc") == "a +red +disc and a -red -disc", "there is one; the first is right"
    assert marked("a cross above nothing in particular") == "a -cross above nothing in particular"


@pytest.mark.parametrize("world", WORLDS)
def test_every_word_of_a_reference_is_right(world: str) -> None:
    for index in range(3):
        one = example(world, 5, index)
        for text in one.references:
            assert False not in verdicts(text, one.graph), text
            assert True in verdicts(text, one.graph), text


def test_an_item_keeps_the_places() -> None:
    kept, silent = Words().score([Candidate("it", text, (), SCENE) for text in ("a red star", "nothing to see")])
    assert kept == {"words_right": 0.5, "right": [2], "wrong": [1]}
    assert silent == {"words_right": None, "right": [], "wrong": []}
    assert Words().corpus([Candidate("it", "a red star", (), SCENE)]) == {"words_right": 0.5}
