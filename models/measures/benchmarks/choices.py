"""Questions with answers to choose from, about a picture or about what a model says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import field_validator

from models.adapters import roles
from models.adapters.requests import Ask, Asking
from models.adapters.roles import Pictured
from models.measures import Metric
from models.measures.benchmarks import (
    ANSWERER,
    Annotations,
    Answer,
    Benchmark,
    Question,
    accuracies,
    chosen,
    right,
    rng_of,
    unread,
    unreadable,
)
from models.measures.benchmarks.pope import SAMPLINGS, YES_NO
from models.worlds.questions import multiple_choice

FEWEST, LONGEST = 2, 4
"""Questions about a scene: as many as it has objects, but no fewer and no more than these."""


class CaptionQa(Benchmark):
    """The questions that a corpus has about its pictures, of yes and no or with ``choices`` of their own; about scenes,
    of colour, texture and size. They are the questions of caption-QA, asked about the picture itself."""

    NAME: ClassVar[str] = "choice"
    METRICS: ClassVar[tuple[Metric, ...]] = (
        *accuracies("choice", "Multiple choice", 750, "share of a picture's questions that are answered rightly"),
        unread("choice", "Multiple choice", 752),
    )
    NEEDS: ClassVar[str] = "questions, or a scene"

    def _asked(self, pictures: Mapping[str, Annotations]) -> dict[str, list[Question]]:
        return {sample: self._about(sample, annotations) for sample, annotations in pictures.items()}

    def _about(self, sample: str, annotations: Annotations) -> list[Question]:
        asked = [one for one in annotations.get("questions", ()) if chooses(one)]
        if not asked and "background" in annotations:
            count = min(max(len(annotations["objects"]), FEWEST), LONGEST)
            asked = multiple_choice(dict(annotations), rng_of(sample), count)
        return [Question(one["question"], one["answer"], tuple(one.get("choices", YES_NO)), self.NAME) for one in asked]

    def values(self, answers: Sequence[Answer]) -> dict[str, float | None]:
        return right(self.NAME, answers) | unreadable(self.NAME, answers)


def chooses(asked: Annotations) -> bool:
    """Whether a question has answers to choose from, and is none of POPE's."""
    return asked.get("category") not in SAMPLINGS and asked["answer"] in asked.get("choices", YES_NO)


class Prism(CaptionQa):
    """The same questions, answered by a language model that sees nothing but what the model says of the picture, as
    Prism does (Qiao et al. 2024, arXiv 2406.14544): paper *ScaleCap* measures captions so (section 4.1, table 2)."""

    NAME: ClassVar[str] = "prism"
    METRICS: ClassVar[tuple[Metric, ...]] = (
        *accuracies("prism", "Prism", 760, "share of a picture's questions answered rightly from the model's caption"),
        unread("prism", "Prism", 762),
    )
    ROLES: ClassVar[Mapping[str, str]] = {"language_model": "chat"}

    class Settings(roles.Settings):
        describe: str = "Describe the image in detail."
        prompt: str = "Answer the question about an image from its caption.\nCaption: {caption}\nQuestion: {question}"

        @field_validator("prompt")
        @classmethod
        def _holds_both(cls, text: str) -> str:
            if not ("{caption}" in text and "{question}" in text):
                raise ValueError("should hold {caption} and {question}, where these go")
            return text

    def identity(self) -> dict[str, Any]:
        return {"describe": self.settings.describe, "prompt": self.settings.prompt}

    def most(self, questions: Sequence[Question]) -> dict[str, int]:
        return {ANSWERER: 1, "language_model": super().most(questions)[ANSWERER]}

    def ask(self, picture: Pictured, questions: Sequence[Question]) -> Asking[list[Answer]]:
        caption = yield Ask(ANSWERER, self.settings.describe, (picture,))
        if not caption:
            raise ValueError(f"the model gave no caption: {caption.reason}")
        put = self.settings.prompt.replace("{caption}", caption)
        texts = [put.replace("{question}", one.text) for one in questions]
        return (yield from chosen("language_model", questions, texts))
