"""VQAScore: how probable it is that a model says yes when asked whether a picture shows its prompt (Lin et al. 2024,
arXiv 2404.01291)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Choose, Conversation, LogProbs
from models.measures import Metric
from models.measures.prompted import YES_NO, Painting, PaintingJudge
from models.recaptioners import filled

QUESTION = 'Does this figure show "{text}"? Please answer yes or no.'
"""The paper's."""


class VqaScore(PaintingJudge):
    """P("Yes") given that the reply is one of two ``answers``; with ``bare`` as in the paper, among all replies.

    A model that says "yes" in other words, such as "Sure", loses by the bare score and not by the other one.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"answerer": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("vqascore", "VQAScore", 651, "other", "P(Yes) of Yes and No to whether the picture shows the prompt",
               high=1.0, checkpoint=True),
        Metric("vqascore_bare", "VQAScore bare", 652, "other", "P(Yes) of all replies (Lin et al. 2024)",
               high=1.0, checkpoint=True),
    )  # fmt: skip

    class Settings(roles.Settings):
        prompt: str = QUESTION
        answers: tuple[str, str] = YES_NO
        bare: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The one that it gives as it is set."""
        return self.METRICS[self.settings.bare :][:1]

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, painting: Painting) -> Conversation:
        question = filled(self.settings.prompt, text=painting.prompt.text)
        seen = (painting.picture,)
        if self.settings.bare:
            reply = yield LogProbs("answerer", question, seen, continuation=self.settings.answers[0])
        else:
            reply = yield Choose("answerer", question, seen, choices=self.settings.answers)
        if not reply:
            raise ValueError(f"the answerer gave no probability: {reply.reason}")
        value = math.exp(reply.log_probabilities.sum()) if self.settings.bare else reply[0]
        return {self.metrics[0].name: value, "steps": {}}
