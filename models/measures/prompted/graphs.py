"""A chat model answers a prompt's graph of questions about its painting: DSG and DPG-Bench as a judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Choose, Conversation
from models.measures import Metric
from models.measures.prompted import YES_NO, Painting, PaintingJudge
from models.measures.prompted.dependencies import Rule, Scores, by_category, flat, hard, mean, soft
from models.recaptioners import filled

CATEGORIES = ("entity", "attribute", "relation", "global", "other")


def _metric(name: str, label: str, position: int, definition: str) -> Metric:
    return Metric(name, label, position, "other", definition, high=1.0)


class DependencyGraph(PaintingJudge):
    """Asks all questions of a prompt at once, each to be answered with yes or no.

    ``rule`` says whose no makes a question count 0 (:data:`~models.measures.prompted.dependencies.Rule`). Questions
    without an answer are left out, and counted as ``unanswered``.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"answerer": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)
    METRICS: ClassVar[tuple[Metric, ...]] = (
        _metric("dsg", "DSG", 631, "share of questions answered yes, as all above them (Cho et al. 2024, DPG-Bench)"),
        _metric("dsg_soft", "DSG soft", 632, "mean over questions of the product of P(yes) of it and all above it"),
        _metric("dsg_flat", "DSG flat", 633, "share of the questions answered yes, whatever those above are"),
        *(
            _metric(f"dsg_{name}", f"DSG {name}", 634 + n, f"DSG over the questions about {name}")
            for n, name in enumerate(CATEGORIES)
        ),
        *(
            _metric(f"dsg_{name}_flat", f"DSG {name} flat", 639 + n, f"DSG flat over those about {name}: DPG's code")
            for n, name in enumerate(CATEGORIES)
        ),
    )

    class Settings(roles.Settings):
        prompt: str = "{question} Answer yes or no."
        answers: tuple[str, str] = YES_NO
        rule: Rule = "ancestors"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, painting: Painting) -> Conversation:
        questions = painting.prompt.questions
        if not questions:
            raise ValueError(
                f"the prompt {painting.prompt.sample!r} has no questions: take a corpus with some, as DSG's"
            )
        replies = yield [
            Choose("answerer", filled(self.settings.prompt, question=question.text), pictures=(painting.picture,),
                   choices=self.settings.answers)
            for question in questions
        ]  # fmt: skip
        answers = {
            question.name: reply[0] if reply else None for question, reply in zip(questions, replies, strict=True)
        }
        counted, said = hard(questions, answers, self.settings.rule), flat(questions, answers)
        if not said:
            raise ValueError(f"none of the {len(questions)} questions was answered: {replies[0].reason}")

        def about(scores: Scores, suffix: str) -> dict[str, float | None]:
            found = by_category(questions, scores)
            some = ((name, found.get(name)) for name in CATEGORIES)
            return {f"dsg_{name}{suffix}": sum(own) / len(own) if own else None for name, own in some}

        return {
            "dsg": mean(counted),
            "dsg_soft": mean(soft(questions, answers)),
            "dsg_flat": mean(said),
            **about(counted, ""),
            **about(said, "_flat"),
            "unanswered": len(questions) - len(said),
            "steps": {"answers": answers},
        }
