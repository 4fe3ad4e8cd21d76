"""ScaleCap as its paper writes it: ratings by equations 4 and 5, questions in turn, a budget that is one."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.adapters.decoding import Decoding
from models.adapters.requests import Ask, Failure, LogProbs, RawScores, Said, Scored, Tag
from models.adapters.roles import Logits, Reply, Scores, Tagged
from models.recaptioners.scalecap import ScaleCap, instructions, ratings
from models.recaptioners.sentences import spans
from tests.models.recaptioners.playing import played

CAPTION = "A red star is left of a disc. It may be warm. A dog sleeps."


def scores(text: str, seen: bool, unlikely: str = "warm") -> Scores:
    """A model that a picture makes sure of every word but one."""
    words = [match.span() for match in re.finditer(r"\S+", text)]
    chances = [0.9 if seen and unlikely not in text[start:end] else 0.1 for start, end in words]
    return Scores(np.log(chances), tuple(words))


def answered(request: Any) -> Any:
    if isinstance(request, LogProbs):
        return scores(request.continuation, bool(request.pictures))
    if request.text.startswith("Turn every object"):
        sentence = request.text.rpartition("Sentence: ")[2]
        named = [word for word in ("star", "disc", "dog") if word in sentence]
        return request.read(Reply("\n".join(f"Describe more details about the {one}." for one in named), "stop"))
    if request.pictures:
        return request.read(Reply(f"About: {request.text}", "stop"))
    return request.read(Reply(f"summary of {request.text.count('About')} answers", "stop"))


def asked_of(asked: list[Any]) -> list[str]:
    return [one.text for one in asked if isinstance(one, Ask) and one.pictures]


def scalecap(**settings: Any) -> ScaleCap:
    return ScaleCap(ScaleCap.Settings(**settings))


def test_a_sentence_is_rated_by_its_likeliest_gain_over_critical_tokens():
    """By hand: p - p' is .8 for words that the picture makes likely, 0 for "warm"; "It may be" has no critical word."""
    assert ratings(CAPTION, scores(CAPTION, True), scores(CAPTION, False)) == pytest.approx([0.8, 0.0, 0.8])
    only = "It is."
    assert ratings(only, scores(only, True), scores(only, False)) == [-1.0]


def test_ratings_do_not_depend_on_how_words_are_cut_into_tokens():
    """Law: a token counts where it spells a part of a critical word; here each is cut in two of the same gap."""
    whole = [scores(CAPTION, seen) for seen in (True, False)]
    halves = []
    for known in whole:
        cut = [(part, value) for (a, b), value in zip(known.spans, known.log_probabilities, strict=True)
               for part in ((a, (a + b) // 2), ((a + b) // 2, b))]  # fmt: skip
        halves.append(Scores(np.array([value for _, value in cut]), tuple(part for part, _ in cut)))
    assert ratings(CAPTION, *halves) == pytest.approx(ratings(CAPTION, *whole))


def test_what_golden_sentences_name_is_asked_about_and_put_together():
    value, asked = played(scalecap(), CAPTION, answered)
    assert asked_of(asked) == [
        f"Describe more details about {what}the {name}."
        for name in ("star", "disc", "dog")
        for what in ("", "the position of ")
    ]
    assert [sentence["rating"] for sentence in value["steps"]["sentences"]] == pytest.approx([0.8, 0.0, 0.8])
    assert not any("warm" in one.text for one in asked if isinstance(one, Ask))
    final = asked[-1].text
    assert "summary of 3 answers" in final and "A red star is left of a disc. A dog sleeps." in final
    assert value["caption"] == "summary of 0 answers"


def test_a_larger_budget_asks_what_a_smaller_one_asked_and_more():
    """Section 2.1: N limits the number of object and position questions."""
    asked = {budget: asked_of(played(scalecap(budget=budget), CAPTION, answered)[1]) for budget in (1, 2, 3, 5, 99)}
    assert {budget: len(questions) for budget, questions in asked.items()} == {1: 1, 2: 2, 3: 3, 5: 5, 99: 6}
    assert all(questions == asked[99][: len(questions)] for questions in asked.values())


def test_a_higher_threshold_keeps_less():
    kept = {t: played(scalecap(threshold=t), CAPTION, answered)[1][2:] for t in (-1.0, 0.0)}
    assert len([one for one in kept[-1.0] if one.text.startswith("Turn")]) == 3
    assert len([one for one in kept[0.0] if one.text.startswith("Turn")]) == 2


def test_without_a_golden_sentence_all_count():
    """As in the released code."""
    value, asked = played(scalecap(threshold=0.9), CAPTION, answered)
    assert len([one for one in asked if isinstance(one, Ask) and one.text.startswith("Turn")]) == 3
    assert value["caption"].startswith("summary")


def test_answers_can_be_rated_too():
    """The prompt of a rating is what was asked."""
    _, asked = played(scalecap(rate_answers=True, budget=1), CAPTION, answered)
    rated = [one for one in asked if isinstance(one, LogProbs)]
    assert [one.text for one in rated[2:]] == ["Describe more details about the star."] * 2


def test_only_lines_of_the_form_count_in_order_and_once():
    text = "Sure:\n1. Describe more details about the dog.\n- describe more details about the cat\nDescribe the sky."
    assert instructions(Reply(text + "\nDescribe more details about the dog.", "stop")) == ["the dog", "the cat"]
    with pytest.raises(ValueError, match="no instruction"):
        instructions(Reply("There is nothing to ask.", "stop"))
    cut = "Describe more details about the dog.\nDescribe more details about the c"
    assert instructions(Reply(cut, "length")) == ["the dog"]


def test_without_probabilities_every_sentence_counts():
    value, _ = played(scalecap(), CAPTION, lambda r: Failure("none") if isinstance(r, LogProbs) else answered(r))
    assert [sentence["rating"] for sentence in value["steps"]["sentences"]] == [None] * len(spans(CAPTION))
    assert len(value["steps"]["questions"]) == 6


def written(request: Any) -> Any:
    """A captioner that keeps how probable it was what it wrote."""
    said = answered(request)
    return Said(said, scores(said, True)) if isinstance(request, Scored) else said


def test_what_the_captioner_wrote_is_rated_without_asking_for_it_again():
    """Section 2.2 of the paper: only the pass without the picture is computed in addition."""
    apart, asked = played(scalecap(rate_answers=True), CAPTION, answered)
    kept, fewer = played(scalecap(rate_answers=True, as_written=True), CAPTION, written)
    assert kept == apart
    seen = [[one for one in some if isinstance(one, LogProbs) and one.pictures] for some in (asked, fewer)]
    assert (len(seen[0]), len(seen[1])) == (7, 1), "of six answers and the caption, which another may have written"
    assert len(asked) - len(fewer) == 6
    assert {one.KIND for one in fewer if isinstance(one, Ask) and one.pictures} == {"scored"}


def test_a_first_caption_is_asked_for_where_it_keeps_its_probabilities():
    def answer(request: Any) -> Any:
        first = isinstance(request, Scored) and request.text.startswith("Describe the fine-grained")
        return Said(CAPTION, scores(CAPTION, True)) if first else written(request)

    value, asked = played(scalecap(as_written=True), "", answer)
    assert value["first"] == CAPTION and value["caption"] == "summary of 0 answers"
    assert [bool(one.pictures) for one in asked if isinstance(one, LogProbs)] == [False]
    with pytest.raises(ValueError, match="the picture has no first caption: dead"):
        played(scalecap(as_written=True), "", lambda request: Failure("dead"))


def test_a_reply_that_kept_nothing_is_scored_with_its_picture():
    def silent(request: Any) -> Any:
        said = answered(request)
        return Said(said, None) if isinstance(request, Scored) else said

    value, asked = played(scalecap(rate_answers=True, as_written=True), CAPTION, silent)
    assert value == played(scalecap(rate_answers=True), CAPTION, answered)[0]
    assert len([one for one in asked if isinstance(one, LogProbs) and one.pictures]) == 7


def test_scores_of_a_reply_that_reading_changed_are_none():
    request = Scored("captioner", "Describe.", read=lambda reply: " ".join(reply.text.split()))
    kept = {"log_probabilities": [-0.5], "spans": [[0, 6]], "finish": "stop"}
    assert request.reply({"text": "a star", **kept}, None).scores.spans == ((0, 6),)
    assert request.reply({"text": "a\nstar", **kept}, None) == Said("a star", None)


def test_what_items_keep_is_what_was_said():
    """Through JSON, as the registry keeps it."""
    known, raw = scores(CAPTION, True), Logits(np.array([1.5, -2.0]), ((0, 1), (2, 5)))
    tags = [Tagged(0, 1, "DET"), Tagged(2, 5, "ADJ")]
    model = SimpleNamespace(
        answer_scored=lambda *_: [(Reply(CAPTION, "stop"), known)], logits=lambda *_: [raw], tag=lambda texts: [tags]
    )
    asked = (Scored("captioner", "?"), RawScores("captioner", "?", continuation="a red"), Tag("tagger", "a red"))
    kept = [type(one).answers(model, [one], Decoding(), [0])[0][0] for one in asked]
    (said, written), logits, words = (
        one.reply(json.loads(json.dumps(value)), None) for one, value in zip(asked, kept, strict=True)
    )
    assert said == CAPTION and written.spans == known.spans and logits.spans == raw.spans and list(words) == tags
    assert np.array_equal(written.log_probabilities, known.log_probabilities)
    assert np.array_equal(logits.logits, raw.logits)


def test_a_tagger_says_which_words_are_critical():
    """Of "It may be warm." the list knows "warm" alone; a tagger that calls "may" a noun has it rated."""
    caption = CAPTION.replace("warm", "warm may")

    def answer(request: Any) -> Any:
        if isinstance(request, Tag):
            nouns = re.finditer(r"may|dog", request.text)
            return tuple(Tagged(*word.span(), "NOUN") for word in nouns)
        return answered(request)

    method = scalecap(rating="tagged")
    value, _ = played(method, caption, answer)
    assert method.asks == {"captioner", "language_model", "tagger"} and "tagger" not in scalecap().asks
    assert [one["rating"] for one in value["steps"]["sentences"]] == pytest.approx([-1.0, 0.8, 0.8])
    value, _ = played(method, caption, lambda one: Failure("away") if isinstance(one, Tag) else answered(one))
    assert [one["rating"] for one in value["steps"]["sentences"]] == [None] * 3


def test_the_released_rating_takes_logits_and_what_is_left_of_sentences():
    def answer(request: Any) -> Any:
        if isinstance(request, RawScores):
            spans = tuple(match.span() for match in re.finditer(r"\w+|[^\w\s]", request.continuation))
            likelier = [bool(request.pictures) and request.continuation[a:b] in ("star", "dog") for a, b in spans]
            return Logits(np.array(likelier, float), spans)
        return answered(request)

    value, asked = played(scalecap(rating="released", rate_answers=True), "A star, and more. It is. A dog", answer)
    assert [one["text"] for one in value["steps"]["sentences"]] == ["A star", "It is"]
    assert asked_of(asked)[0] == "Describe more details about the star." and "the dog" not in str(asked_of(asked))
    answers = [one["answer"] for one in value["steps"]["questions"]]
    assert answers[0] == "About: Describe more details about the star"
    assert not any(type(one) is LogProbs for one in asked)
    whole, _ = played(scalecap(rating="released"), "A dog without an end", answer)
    assert whole["caption"] == "summary of 0 answers", "where nothing is golden, the caption is"
    with pytest.raises(ValueError, match="leave one out"):
        scalecap(rating="released", as_written=True)


def test_settings_of_later_are_in_no_key_of_before():
    told = {"rating": "tagged", "as_written": True}
    assert not told.keys() & scalecap().identity().keys()
    assert scalecap(**told).identity().items() >= told.items()


def test_where_nothing_is_answered_the_caption_stays():
    for caption in (CAPTION, ""):
        value, _ = played(scalecap(), caption, lambda request: [] if isinstance(request, list) else Failure("dead"))
        assert value["caption"] == caption
