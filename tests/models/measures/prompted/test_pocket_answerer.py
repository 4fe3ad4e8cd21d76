"""A law that a judge of colours must keep: a scene shows its own colours better than the same colours turned round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.adapters import catalogue
from models.adapters.decoding import Decoding
from models.measures.prompted import Painting, Prompt
from models.measures.prompted.compbench import AttributeBinding
from models.pocket import WEIGHTS
from registry.store.keys import digest
from stages.corpora import Sample, open_corpus
from tests.models.recaptioners.playing import conversed


@dataclass(frozen=True)
class Shown:
    array: np.ndarray

    @property
    def digest(self) -> str:
        return digest(self.array.tobytes())

    def pixels(self) -> np.ndarray:
        return self.array


def prompt(sample: Sample, turned: int) -> str:
    things = sample.annotations["objects"]
    colors = [things[(n + turned) % len(things)]["color"] for n in range(len(things))]
    return " and ".join(f"a {color} {thing['shape']}" for color, thing in zip(colors, things, strict=True))


def test_attributes_that_went_to_other_things_cost() -> None:
    model = catalogue.build(
        "chat", "pocket", {"adapter": "llava-onevision", "checkpoint": str(WEIGHTS / "llava-onevision")}
    )
    model.load()
    judge = AttributeBinding(AttributeBinding.Settings(prompt="Is there {thing}?", answers=("yes", "no")))

    def answer(request: Any) -> Any:
        ((value, _),) = type(request).answers(model, [request], Decoding(beams=1, candidates=1), [0])
        return request.reply(value, None)

    def score(sample: Sample, text: str) -> float:
        painting = Painting(Prompt(sample.sample, text), Shown(sample.picture()))
        return conversed(judge.judge(painting), answer)[0]["attribute_binding"]

    scenes = [one for one in open_corpus("scenes", {"count": 30, "seed": 7}).samples() if isinstance(one, Sample)]
    pairs = [(one, prompt(one, 0), prompt(one, 1)) for one in scenes if 2 <= len(one.annotations["objects"]) <= 3]
    pairs = [(one, own, turned) for one, own, turned in pairs if {*own.split(" and ")} != {*turned.split(" and ")}][:10]
    better = [score(one, own) > score(one, turned) for one, own, turned in pairs]
    assert len(better) == 10
    assert sum(better) >= 9
