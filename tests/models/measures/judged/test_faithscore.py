"""FaithScore: how facts are found and verified, and the mean over answers on labels by people."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from models.adapters.requests import Failure
from models.adapters.roles import Reply
from models.measures.captions.candidates import Candidate
from models.measures.judged.faithscore import Fact, FaithScore, Verified
from tests.models.recaptioners.playing import ORIGINAL, conversed

LABELS = Path(__file__).resolve().parents[4] / "../shared/data/faithscore/annotation.jsonl"
CASE = Candidate("one", "A brown dog sits left of a cat. They seem to be friends.", picture=ORIGINAL)
FACTS = """Here they are:
1. ENTITY: There is a dog.
2. ENTITY: There is a cat.
3. COLOR: The dog is brown.
- Spatial: The dog is left of the cat.
- SPATIAL: The dog is left of the cat."""


def judged(labels: str = "1. descriptive\n2. analytical", facts: str = FACTS, finish: str = "stop", **settings):
    measure = FaithScore(FaithScore.Settings(**settings))

    def answer(request):
        if request.pictures:
            return request.read(Reply(verdict(request.text), "stop"))
        return request.read(Reply(labels if "analytical" in request.text else facts, finish))

    answered, asked = conversed(measure.judge(CASE), answer)
    return measure, answered, asked


def verdict(text: str) -> str:
    return {"brown": "No, yes-men would say so.", "left": "Who knows?"}.get(
        next((word for word in ("brown", "left") if word in text), ""), "Yes."
    )


def test_facts_are_verified_in_the_picture_and_each_once():
    measure, answered, asked = judged()
    assert "friends" not in asked[1].text and "brown dog" in asked[1].text
    assert [(one.role, bool(one.pictures)) for one in asked] == [("language_model", False)] * 2 + [
        ("verifier", True)
    ] * 4
    assert [(one.kind, one.right) for one in answered.facts] == [
        ("ENTITY", True), ("ENTITY", True), ("COLOR", False), ("SPATIAL", None),
    ]  # fmt: skip
    found = {name: value for name, value in measure.values([answered]).items() if value is not None}
    assert found == {"faithscore": pytest.approx(2 / 3), "faithscore_entities": 2, "faithscore_unreadable": 0.25,
                     "faithscore_entity": 1, "faithscore_color": 0}  # fmt: skip


def test_the_released_reading_takes_any_yes_for_one():
    measure, answered, _ = judged(released=True)
    assert [one.right for one in answered.facts] == [True, True, True, False]
    assert measure.values([answered])["faithscore"] == 0.75
    assert measure.values([answered, Verified([])])["faithscore"] == 0.375
    assert FaithScore(FaithScore.Settings()).values([answered, Verified([])])["faithscore"] == 0.75


def test_labels_that_cannot_be_read_leave_every_sentence():
    _, _, asked = judged(labels="I do not know.")
    assert "friends" in asked[1].text


def test_a_caption_that_is_all_analysis_has_no_facts():
    measure, answered, asked = judged(labels="1. analytical\n2. analytical")
    assert len(asked) == 1 and answered == Verified([])
    assert measure.values([answered])["faithscore"] is None


@pytest.mark.parametrize(("facts", "finish"), [("I see no facts.", "stop"), (FACTS, "length")])
def test_facts_that_cannot_be_read_are_counted(facts, finish):
    measure, answered, asked = judged(facts=facts, finish=finish)
    assert answered == Verified(None) and len(asked) == 2
    assert (measure.values([answered])["faithscore"], measure.values([answered])["faithscore_unreadable"]) == (None, 1)


def test_where_a_model_is_dead_there_is_no_score():
    with pytest.raises(ValueError, match="a judge gave no answer: no connection"):
        conversed(FaithScore(FaithScore.Settings()).judge(CASE), lambda request: Failure("no connection"))


@pytest.mark.skipif(not LABELS.exists(), reason="FaithScore's labels are not in ../shared/data")
def test_the_mean_over_answers_of_what_people_labelled():
    """180 answers with 1,380 facts, 1,114 of them right; the witness is pandas' mean of means."""
    rows = [json.loads(line) for line in LABELS.read_text().splitlines()]
    answers = [Verified([Fact("OTHER", text, bool(right)) for text, right in row["stage 2"].items()]) for row in rows]
    frame = pd.DataFrame(
        [(n, one.right) for n, answer in enumerate(answers) for one in answer.facts], columns=["n", "right"]
    )
    assert (len(answers), len(frame), frame["right"].sum()) == (180, 1380, 1114)
    found = FaithScore(FaithScore.Settings()).values(answers)["faithscore"]
    assert found == pytest.approx(frame.astype(float).groupby("n")["right"].mean().mean())
    assert round(found, 4) == 0.847, "and over facts 0.8072"
    # 16 of the answers have no fact, and the authors' program takes them for wholly wrong.
    assert FaithScore(FaithScore.Settings(released=True)).values(answers)["faithscore"] == pytest.approx(
        found * 164 / 180
    )
