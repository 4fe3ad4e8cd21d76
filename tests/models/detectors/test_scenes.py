"""The detector of scenes and the exact judge of painters, on scenes as the world draws them: graphs are the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.adapters.decoding import Decoding
from models.adapters.requests import Detect, Failure
from models.measures.prompted import Painting, Prompt
from models.pocket import WEIGHTS
from models.worlds import example
from models.worlds.grammar import parse


@dataclass(frozen=True)
class Drawn:
    """A picture at hand."""

    digest: str
    picture: np.ndarray

    def pixels(self) -> np.ndarray:
        return self.picture


@pytest.fixture(scope="module")
def detector():
    made = build("detectors", "eyes", {"adapter": "scenes", "checkpoint": str(WEIGHTS / "probe")})
    made.load()
    return made


def judged(detector, text: str, picture: np.ndarray) -> dict[str, float | None]:
    """What the judge says of a picture painted of a text."""
    judge = build("prompted", "truth", {"adapter": "scenes"})
    asking = judge.judge(Painting(Prompt("a", text, graph=parse(text)), Drawn("d", picture)))
    request = next(asking)
    [(value, _)] = Detect.answers(detector, [request], Decoding(), [0])
    with pytest.raises(StopIteration) as end:
        asking.send(request.reply(value, None))
    return end.value.value


def test_a_drawn_scene_shows_what_its_captions_say_and_not_what_those_of_another_say(detector):
    scenes = [example("scenes", 9, index) for index in range(12)]
    metrics = ("painted_attributes", "painted_relations", "painted_background")

    def means(others):
        pairs = [(text, one.picture) for one, other in zip(scenes, others, strict=True) for text in other.references]
        found = [judged(detector, text, picture) for text, picture in pairs]
        return [np.mean([one[name] for one in found if one[name] is not None]) for name in metrics]

    own, foreign = means(scenes), means(scenes[1:] + scenes[:1])
    assert own[0] > 0.97 and own[1] > 0.9 and own[2] == 1
    assert all(wrong < 0.7 for wrong in foreign)


def test_what_is_asked_for_is_found_alone_and_what_is_no_scene_is_said(detector):
    picture = example("scenes", 9, 0).picture
    (ground,) = detector.detect([picture], [("background",)])[0]
    assert ground.label.endswith(" background") and ground.box == (0, 0, 64, 64)
    with pytest.raises(ValueError, match="scenes are of 64 x 64 pixels, and this picture is 8 x 4"):
        detector.detect([np.zeros((4, 8, 3), np.uint8)], [("star",)])


def test_without_a_graph_or_a_detector_there_is_no_value():
    judge = build("prompted", "truth", {"adapter": "scenes"})
    picture = Drawn("d", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="of the prompt 'a' no graph is known: take prompts of `scenes`"):
        next(judge.judge(Painting(Prompt("a", "a cat"), picture)))
    asking = judge.judge(Painting(Prompt("a", "a red star", graph=parse("a red star")), picture))
    next(asking)
    with pytest.raises(ValueError, match="the detector gave nothing: it broke"):
        asking.send(Failure("it broke"))
