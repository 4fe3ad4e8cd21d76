from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.adapters.requests import Ask, Choose, Detect, Detected, LogProbs, Measure
from models.adapters.roles import Detection, Reply, Scores
from models.measures.prompted import Painting, Prompt, Question
from models.measures.prompted.compbench import AttributeBinding, Complex, NonSpatial, Spatial2D
from models.measures.prompted.graphs import DependencyGraph
from models.measures.prompted.vqascore import VqaScore
from tests.models.recaptioners.playing import ORIGINAL, conversed

DOG = Prompt(
    "1",
    "A black dog sits.",
    questions=(
        Question("1", "Is there a dog?", (), "entity"),
        Question("2", "Is the dog black?", ("1",), "attribute"),
        Question("3", "Does the dog sit?", ("1",), "attribute"),
    ),
)
TEMPLATE = "a cat on the left of a lamp"
HAT = "The red hat was on top of the brown rack."
NAMED = "the red hat\nthe brown rack"


def judged(judge: Any, prompt: str | Prompt, answer: Any, category: str = "") -> tuple[dict[str, Any], list[Any]]:
    prompt = prompt if isinstance(prompt, Prompt) else Prompt("1", prompt, category)
    return conversed(judge.judge(Painting(prompt, ORIGINAL)), answer)


def sure(probabilities: dict[str, float]) -> Any:
    """Answers a question by the first of some words that it holds."""

    def answer(request: Choose) -> tuple[float, float]:
        yes = next(value for words, value in probabilities.items() if words in request.text)
        return yes, 1 - yes

    return answer


def refused(request: Any) -> Any:
    raise ValueError("the server is gone")


def test_a_graph_of_questions_is_asked_at_once_and_scored_in_all_ways():
    judge = DependencyGraph(DependencyGraph.Settings())
    values, asked = judged(judge, DOG, sure({"there": 0.4, "black": 0.9, "sit": 0.2}))
    assert [one.text for one in asked] == [f"{question.text} Answer yes or no." for question in DOG.questions]
    assert {(one.role, one.choices, one.pictures) for one in asked} == {("answerer", ("Yes", "No"), (ORIGINAL,))}
    assert values["dsg"] == 0
    assert values["dsg_flat"] == pytest.approx(1 / 3)
    assert values["dsg_soft"] == pytest.approx((0.4 + 0.36 + 0.08) / 3)
    assert (values["dsg_attribute"], values["dsg_attribute_flat"], values["dsg_relation"]) == (0, 0.5, None)
    assert values["unanswered"] == 0
    assert values.keys() == {metric.name for metric in judge.metrics} | {"unanswered", "steps"}


def test_a_question_without_an_answer_is_left_out_and_counted():
    def answer(request: Choose) -> Any:
        return refused(request) if "black" in request.text else (0.9, 0.1)

    values, _ = judged(DependencyGraph(DependencyGraph.Settings()), DOG, answer)
    assert (values["dsg"], values["unanswered"]) == (1.0, 1)
    with pytest.raises(ValueError, match="none of the 3 questions was answered: the server is gone"):
        judged(DependencyGraph(DependencyGraph.Settings()), DOG, refused)
    with pytest.raises(ValueError, match="the prompt '1' has no questions"):
        judged(DependencyGraph(DependencyGraph.Settings()), "a dog", refused)


def test_vqascore_asks_the_papers_question():
    values, (asked,) = judged(VqaScore(VqaScore.Settings()), "a dog", lambda request: (0.7, 0.3))
    assert isinstance(asked, Choose)
    assert (asked.text, asked.choices) == ('Does this figure show "a dog"? Please answer yes or no.', ("Yes", "No"))
    assert values == {"vqascore": 0.7, "steps": {}}


def test_bare_vqascore_is_the_probability_of_yes_among_all_replies():
    """A Yes of two tokens: the product of what they have."""
    scores = Scores(np.log([0.5, 0.5]), ((0, 1), (1, 3)))
    judge = VqaScore(VqaScore.Settings(bare=True))
    values, (asked,) = judged(judge, "a dog", lambda request: scores)
    assert isinstance(asked, LogProbs)
    assert (asked.continuation, asked.pictures) == ("Yes", (ORIGINAL,))
    assert values["vqascore_bare"] == pytest.approx(0.25)
    assert [metric.name for metric in judge.metrics] == ["vqascore_bare"]
    with pytest.raises(ValueError, match="no probability: the server is gone"):
        judged(judge, "a dog", refused)


def test_attributes_are_the_product_over_the_things_listed():
    judge = AttributeBinding(AttributeBinding.Settings())
    values, asked = judged(judge, "a green bench and a red car", sure({"bench": 0.5, "car": 0.4}))
    assert [one.text for one in asked] == ["a green bench? Answer yes or no.", "a red car? Answer yes or no."]
    assert values["attribute_binding"] == pytest.approx(0.2)
    assert judge.asks == {"answerer"}
    with pytest.raises(ValueError, match="no answer about 'a green bench': the server is gone"):
        judged(judge, "a green bench and a red car", refused)


def test_the_things_of_a_sentence_are_asked_for():
    judge = AttributeBinding(AttributeBinding.Settings(phrases="asked"))

    def answer(request: Any) -> Any:
        return request.read(Reply(NAMED, "stop")) if isinstance(request, Ask) else (0.5, 0.5)

    values, asked = judged(judge, HAT, answer)
    assert [one.role for one in asked] == ["language_model", "answerer", "answerer"]
    assert asked[0].text.endswith(f"Sentence: {HAT}\nThings:")
    assert values["attribute_binding"] == 0.25
    with pytest.raises(ValueError, match="the language model named nothing: the reply names nothing"):
        judged(judge, HAT, lambda request: request.read(Reply(" \n", "stop")))
    with pytest.raises(ValueError, match="named nothing: the reply was cut off"):
        judged(judge, HAT, lambda request: request.read(Reply(NAMED, "length")))


SEEN = Detected(512, 512, (Detection("cat", 0.8, (0, 200, 100, 300)), Detection("lamp", 0.6, (300, 210, 400, 310))))


def test_a_detector_is_asked_for_both_things():
    values, (asked,) = judged(Spatial2D(Spatial2D.Settings()), TEMPLATE, lambda request: SEEN)
    assert asked == Detect("detector", ORIGINAL, ("cat", "lamp"))
    assert values["spatial_2d"] == values["spatial_2d_released"] == pytest.approx(0.85)
    assert values["steps"]["detections"][0] == {"label": "cat", "score": 0.8, "box": [0, 200, 100, 300]}
    with pytest.raises(ValueError, match="the detector gave nothing: the server is gone"):
        judged(Spatial2D(Spatial2D.Settings()), TEMPLATE, refused)


def test_nothing_found_is_a_score_and_no_failure():
    values, _ = judged(Spatial2D(Spatial2D.Settings()), TEMPLATE, lambda request: Detected(512, 512, ()))
    assert values["spatial_2d"] == 0


def test_actions_are_compared_by_clip():
    judge = NonSpatial(NonSpatial.Settings())
    values, (asked,) = judged(judge, "a dog runs", lambda request: {"clip_cosine": 0.31})
    assert (asked, values["non_spatial"]) == (Measure("similarity", "a dog runs", ORIGINAL), 0.31)
    with pytest.raises(ValueError, match="the measure gives clipscore: let `similarity` be played by clip-cosine"):
        judged(judge, "a dog runs", lambda request: {"clipscore": 0.31})


@pytest.mark.parametrize(
    ("category", "score", "roles"),
    [
        ("complex/spatial", (0.25 + 0.85) / 2, {"language_model", "answerer", "detector"}),
        ("complex/action", (0.25 + 0.3) / 2, {"language_model", "answerer", "similarity"}),
        ("complex/spatialaction", (0.25 + 0.85 + 0.3) / 3, {"language_model", "answerer", "detector", "similarity"}),
    ],
)
def test_complex_prompts_are_judged_by_what_they_are_about(category, score, roles):
    above = Detection("red hat", 0.8, (300, 0, 400, 100)), Detection("brown rack", 0.6, (300, 210, 400, 310))

    def answer(request: Any) -> Any:
        replies = {Choose: (0.5, 0.5), Detect: Detected(512, 512, above), Measure: {"clip_cosine": 0.3}}
        return request.read(Reply(NAMED, "stop")) if isinstance(request, Ask) else replies[type(request)]

    values, asked = judged(Complex(Complex.Settings()), HAT, answer, category)
    assert values["complex_3_in_1"] == pytest.approx(score)
    assert {one.role for one in asked} == roles
    assert math.fsum(values["steps"]["parts"].values()) / len(values["steps"]["parts"]) == pytest.approx(score)


def test_a_prompt_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match="'color' is no category of complex prompts: complex/spatial, "):
        judged(Complex(Complex.Settings()), HAT, refused, "color")


class Finding:
    """A detector that finds the first name in the whole picture."""

    def detect(self, pictures: list[np.ndarray], names: list[tuple[str, ...]]) -> list[list[Detection]]:
        shapes = [(float(picture.shape[1]), float(picture.shape[0])) for picture in pictures]
        return [[Detection(some[0], 0.5, (0.0, 0.0, *shape))] for some, shape in zip(names, shapes, strict=True)]


class Shown:
    digest = "shown"

    def pixels(self) -> np.ndarray:
        return np.zeros((20, 30, 3), np.uint8)


def test_what_is_kept_of_a_detection_is_json_and_reads_back():
    import json

    request = Detect("detector", Shown(), ("cat", "lamp"))
    ((value, data),) = Detect.answers(Finding(), [request], None, [0])  # type: ignore[arg-type]
    kept = json.loads(json.dumps(value))
    assert data is None
    assert request.reply(kept, None) == Detected(30, 20, (Detection("cat", 0.5, (0.0, 0.0, 30.0, 20.0)),))
    assert request.parts() == {"picture": "shown", "names": ["cat", "lamp"]}
