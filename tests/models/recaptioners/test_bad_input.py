"""Captions as people and models write them: none of them stops a method, and none is made of what is no caption."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.adapters import catalogue
from models.adapters.requests import Failure, LogProbs, Paint
from models.adapters.roles import Reply, Scores
from models.recaptioners.sentences import spans
from tests.models.recaptioners.playing import Named, played

CAPTIONS = {
    "empty": "",
    "4,000 words": "A star (red) is 3.5 m from a disc, e.g. here. " * 400,
    "4,000 words without an end": "star, " * 4000,
    "Chinese": "一只猫坐在红色的沙发上。一只狗在睡觉。",
    "Arabic": "قطة حمراء على الأريكة؟ كلب نائم.",
    "tags": "<revised_caption>A star</revised_caption> <analysis>It {caption} </think> is \\1 %s",
    "marks alone": "... !? \n\n",
}
METHODS = [name for name in catalogue.CATALOGUE["recaptioners"] if name != "edits"]
"""Those that ask somebody."""
SETTINGS = {"self-loop": {"regions": "grid", "filtered": False}}


def method(name: str) -> Any:
    return catalogue.build("recaptioners", name, {"adapter": name, **SETTINGS.get(name, {})})


def alike(text: str) -> Scores:
    """Every character as likely with the picture as without."""
    return Scores(np.full(len(text), -1.0), tuple((at, at + 1) for at in range(len(text))))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("caption", CAPTIONS.values(), ids=CAPTIONS)
def test_no_caption_stops_a_method(name: str, caption: str) -> None:
    """A model says back what it is asked: what is asked holds the caption whole, and no tag becomes a caption."""

    def echo(request: Any) -> Any:
        if isinstance(request, Paint):
            return Named("painting")
        if isinstance(request, LogProbs):
            return alike(request.continuation)
        return request.read(Reply(request.text, "stop"))

    value, asked = played(method(name), caption, echo)
    if name not in ("sharegpt4v", "scalecap"):  # one sees no caption, one asks sentence by sentence
        assert any(caption in one.text for one in asked)
    if name == "scalecap" and spans(caption):
        assert {one.continuation for one in asked if isinstance(one, LogProbs)} == {caption}
    if name == "rico":
        assert value["caption"] in (caption, "A star"), "what the instruction says is no caption"
    assert played(method(name), caption, lambda request: Failure("away"))[0]["caption"] == caption


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("said", ["", " ", "None", "n/a.", "No changes"])
def test_what_says_nothing_is_no_caption(name: str, said: str) -> None:
    def answer(request: Any) -> Any:
        if isinstance(request, Paint):
            return Named("painting")
        if isinstance(request, LogProbs):
            return alike(request.continuation)
        return request.read(Reply(said, "stop"))

    assert played(method(name), "a star", answer)[0]["caption"] == "a star"
