"""RICO as its paper writes it, and what it makes of replies that its released code takes for captions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from models.adapters.requests import Ask, Encode, Failure, Paint
from models.adapters.roles import Reply
from models.measures.captions.candidates import Candidate
from models.measures.judged.questions import CaptionQa
from models.recaptioners import Case
from models.recaptioners.rico import Rico, prompt, revision, unmarked
from tests.models.recaptioners.playing import ORIGINAL, Named, conversed, played


def rico(**settings: Any) -> Rico:
    return Rico(Rico.Settings(**settings))


def painted(request: Any) -> Any:
    """A painter whose paintings are named after their text, and a reviser that adds a word."""
    if isinstance(request, Paint):
        return Named(f"painting of {request.text}")
    said = re.search("The caption is: (.*)\n", request.text)
    assert said
    return request.read(Reply(f"<revised_caption>{said[1]}!</revised_caption><analysis>dull</analysis>", "stop"))


def test_each_round_paints_the_caption_before_and_shows_both_pictures():
    """c_i = R(T(c_{i-1}), v_0, c_{i-1}), the original first (table 12)."""
    value, asked = played(rico(), "a star", painted)
    assert [type(one) for one in asked] == [Paint, Ask, Paint, Ask]
    assert [one.text for one in asked[::2]] == ["a star", "a star!"]
    assert [[shown.digest for shown in one.pictures] for one in asked[1::2]] == [
        ["original", "painting of a star"],
        ["original", "painting of a star!"],
    ]
    assert value["caption"] == "a star!!"
    assert [step["caption"] for step in value["steps"]] == ["a star", "a star!", "a star!!"]
    assert value["steps"][0] == {"caption": "a star", "painting": "painting of a star", "analysis": "dull"}


def test_the_first_rounds_of_more_rounds_ask_the_same():
    one, two = (played(rico(rounds=rounds), "a star", painted)[1] for rounds in (1, 2))
    assert [request.parts() for request in two[: len(one)]] == [request.parts() for request in one]


def test_the_edit_of_table_2_sees_no_painting():
    method = rico(variant="edit", rounds=1)
    value, asked = played(method, "a star", painted)
    assert method.asks == {"reviser"} and [type(one) for one in asked] == [Ask]
    assert [shown.digest for shown in asked[0].pictures] == ["original"] and value["caption"] == "a star!"


def test_prompts_name_the_eight_aspects():
    """Section 3.3; the ablations of table 6 leave a part out."""
    aspects = ["Visual details", "layout", "People", "Perspective", "Text", "quality", "knowledge", "Colour"]
    assert all(aspect in prompt("full") for aspect in aspects)
    assert not any(f"- {aspect}" in prompt("without-tips") for aspect in aspects)
    assert all("{caption}" in prompt(variant) for variant in ("full", "without-tips", "without-analysis", "edit"))


@pytest.mark.parametrize(
    "text",
    [
        "<revised_caption>A red star.</revised_caption>\n<analysis>It <revised_caption> was blue.</analysis>",
        "<revised caption>A red star.</revised caption><analysis>It was blue.",
        "<REVISED-CAPTION> A red\nstar.\n<analysis>It was blue.</analysis>",
        "First <revised_caption>draft</revised_caption>, then < revised_caption >A red star.</ revised_caption>",
    ],
)
def test_tags_are_read_as_models_write_them(text):
    assert revision(Reply(text, "stop")).caption == "A red star."


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        ("A red star.", "stop"),
        ('{"revised_caption": "A red star."}', "stop"),
        ("I'm sorry, I can't help with that.", "stop"),
        ("None", "stop"),
        ("<revised_caption>None</revised_caption>", "stop"),
        ("<revised_caption> </revised_caption>", "stop"),
        ("<analysis>It was <revised_caption>red</revised_caption>", "stop"),
        ("<revised_caption>A red st", "length"),
    ],
)
def test_what_is_no_revised_caption_keeps_the_caption(text, finish):
    with pytest.raises(ValueError):
        revision(Reply(text, finish))

    def answer(request: Any) -> Any:
        return painted(request) if isinstance(request, Paint) else Failure("cannot be read")

    value, asked = played(rico(), "a star", answer)
    assert value["caption"] == "a star" and len(asked) == 2


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("<revised caption>A red star.</revised caption>\n<analysis>Blue.</analysis>", "A red star."),
        ("Here it is: <revised caption>A star.</revised caption><analysis>", "Here it is: A star."),
        ("<analysis>first</analysis>A star.", None),
        ("A red star.", "A red star."),
        ("I'm sorry, I can't help with that.", "I'm sorry, I can't help with that."),
        ('{"revised_caption": "A star."}', '{"revised_caption": "A star."}'),
        ("None", None),
        ("", None),
    ],
)
def test_replies_can_be_read_as_the_released_code_reads_them(text, caption):
    """By running ``seperate_cap_any`` of wangyuchi369/RICO at 895afd9 on the texts; where it gives "" or "None", which
    it keeps as captions, the caption stays."""
    value, asked = played(rico(reading="released", rounds=1), "old", lambda one: reply(one, text))
    assert value["caption"] == (caption or "old")
    assert asked[1].parts() == played(rico(rounds=1), "old", painted)[1][1].parts(), "the same request, read otherwise"


def reply(request: Any, text: str) -> Any:
    return painted(request) if isinstance(request, Paint) else request.read(Reply(text, "stop"))


def test_readings_have_keys_of_their_own_and_the_usual_one_that_of_before():
    assert "reading" not in rico().identity() and rico(reading="released").identity()["reading"] == "released"
    with pytest.raises(ValueError, match="cut off"):
        unmarked(Reply("A red st", "length"))


def test_an_analysis_may_be_cut_off_behind_a_whole_caption():
    assert revision(Reply("<revised_caption>A star.</revised_caption><analysis>It", "length")).caption == "A star."


def test_a_painter_that_fails_keeps_the_caption():
    value, _ = played(rico(), "a star", lambda request: Failure("out of memory"))
    assert value == {"caption": "a star", "steps": [{"caption": "a star"}]}


def test_braces_in_a_caption_are_no_fields():
    _, asked = played(rico(rounds=1), "a {caption} of {x}", painted)
    assert "The caption is: a {caption} of {x}\n" in asked[1].text


@pytest.mark.parametrize(("closer", "caption"), [(True, "a star!"), (False, "a star")])
def test_an_acceptance_test_keeps_what_paints_closer(closer, caption):
    vectors = {"original": [1, 0], "painting of a star": [1, 1], "painting of a star!": [2, 1] if closer else [1, 3]}

    def answer(request: Any) -> Any:
        if isinstance(request, Encode):
            return np.array(vectors[request.picture.digest], np.float32)
        return painted(request)

    method = rico(accept="closer", rounds=1)
    value, _ = played(method, "a star", answer)
    assert method.asks == {"painter", "reviser", "judge"}
    assert value["caption"] == caption and ("refused" in value["steps"][-1]) is not closer


QUESTIONS = [{"question": "Is it red?", "answer": "yes"}, {"question": "Is it large?", "answer": "no"}]


@pytest.mark.parametrize(
    ("before", "after", "caption"),
    [
        (["n/a", "n/a"], ["yes", "n/a"], "a star!"),
        (["yes", "n/a"], ["n/a", "no"], "a star"),
        (["yes", "no"], ["no", "no"], "a star"),
        (["n/a", "n/a"], ["maybe", "no"], "a star!"),
        (["n/a", "n/a"], [None, None], "a star"),
    ],
)
def test_an_acceptance_test_keeps_what_answers_more_questions(before, after, caption):
    """What cannot be read and what was not answered are not right."""

    def answer(request: Any) -> Any:
        if getattr(request, "role", "") != "answerer":
            return painted(request)
        assert not request.pictures
        which = [one["question"] for one in QUESTIONS].index(request.text.rpartition("Question: ")[2])
        said = (after if "Caption: a star!\n" in request.text else before)[which]
        return Failure("away") if said is None else request.read(Reply(said, "stop"))

    method = rico(accept="answers", rounds=1)
    value, asked = conversed(method.recaption(Case(ORIGINAL, "a star", questions=QUESTIONS)), answer)
    assert method.asks == {"painter", "reviser", "answerer"} and rico(accept="answers", variant="edit").asks == {
        "reviser",
        "answerer",
    }
    assert value["caption"] == caption and ("refused" in value["steps"][-1]) is (caption == "a star")
    judged = conversed(CaptionQa(CaptionQa.Settings()).judge(CANDIDATE), lambda request: "yes")[1]
    assert {one.text for one in judged} < {one.text for one in asked}, "the measure asks the same"
    with pytest.raises(ValueError, match="the picture has no questions to accept a revision by"):
        played(method, "a star", painted)


CANDIDATE = Candidate("a", "a star!", (), annotations={"questions": [{**one, "category": "c"} for one in QUESTIONS]})


def test_a_prompt_without_the_caption_is_refused():
    with pytest.raises(ValueError, match=r"\{caption\}"):
        Rico.Settings(prompt="Revise.")
