"""Questions about a picture, answered from its caption alone: of any corpus, of CapsBench (Liu et al. 2024, arXiv
2409.10695), and of CAPEval's checklist (Liu et al. 2026, arXiv 2608.02589)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Choose
from models.adapters.roles import Reply
from models.measures import Metric
from models.measures.captions.candidates import Candidate, Need
from models.measures.judged import JudgedMeasure, given, share
from models.recaptioners import filled

YES, NO, NOT_SAID = ANSWERS = ("yes", "no", "n/a")
SPELT = re.compile(r"\W*(?:(yes)|(no)|(n/?a|not[ _]mentioned|not applicable))\b(?!\s*/)", re.IGNORECASE)

CATEGORIES = (
    "general", "image type", "text", "color", "position", "relation", "relative position", "entity", "entity size",
    "entity shape", "count", "emotion", "blur", "image artifacts", "proper noun", "color palette", "color grading",
)  # fmt: skip
"""CapsBench's, as its card lists them; its file calls one of them "artifacts"."""


class Answer(NamedTuple):
    """An answer to a question about a picture, from the caption alone."""

    category: str
    expected: str
    """``yes`` or ``no``, as the picture has it."""
    said: str | None
    """One of :data:`ANSWERS`; None where the reply cannot be read."""
    probability: float | None = None
    """Of the expected answer, where the judge was asked to choose."""


def answer_of(reply: Reply) -> str:
    """The answer that a reply begins with; raises ValueError where it begins with none.

    >>> [answer_of(Reply(text, "stop")) for text in ("**Yes**, it is.", "No", "N/A", "not_mentioned")]
    ['yes', 'no', 'n/a', 'n/a']
    >>> answer_of(Reply("Maybe.", "stop"))
    Traceback (most recent call last):
    ValueError: the reply 'Maybe.' is none of yes, no, n/a
    """
    found = SPELT.match(reply.text)
    if not found:
        raise ValueError(f"the reply {reply.text[:40]!r} is none of {', '.join(ANSWERS)}")
    return ANSWERS[next(place for place, one in enumerate(found.groups()) if one)]


def questions_of(record: Candidate) -> list[Mapping[str, str]]:
    """The questions about a picture: ``question``, ``answer`` (yes or no), ``category``; raises ValueError for none."""
    asked = record.annotations.get("questions")
    if not asked:
        raise ValueError(
            f"{record.sample!r} has no `questions` in its annotations: name corpora with questions, such as capsbench "
            "or capeval, under `corpora` of the entry"
        )
    return list(asked)


class Questioned(JudgedMeasure):
    """Base of measures that ask a judge every question about a picture, one request each.

    With ``choose``, an answer is the most probable of the three, and its probability is known; else what the judge
    writes, and what begins with none of the three is counted as unreadable and never taken for one of them.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"annotations"})
    ROLES: ClassVar[Mapping[str, str]] = {"judge": "chat"}

    class Settings(roles.Settings):
        prompt: str
        choose: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, record: Candidate) -> Asking[list[Answer]]:
        asked = questions_of(record)
        texts = [filled(self.settings.prompt, caption=record.text, question=one["question"]) for one in asked]
        if self.settings.choose:
            replies = yield [Choose("judge", text, choices=ANSWERS) for text in texts]
            return [_chosen(one, given(shares)) for one, shares in zip(asked, replies, strict=True)]
        replies = yield [Ask("judge", text, read=answer_of) for text in texts]
        return [Answer(one["category"], one["answer"], given(said)) for one, said in zip(asked, replies, strict=True)]


def _chosen(asked: Mapping[str, str], shares: Sequence[float]) -> Answer:
    likeliest = ANSWERS[int(np.argmax(shares))]
    return Answer(asked["category"], asked["answer"], likeliest, shares[ANSWERS.index(asked["answer"])])


def unreadable(answers: Iterable[Answer]) -> float | None:
    """Share of the answers that cannot be read."""
    missing = [one.said is None for one in answers]
    return share(sum(missing), len(missing))


def accuracy(answers: Iterable[Answer]) -> float | None:
    """Answers that are right / questions: ``n/a`` is always wrong, and so is what cannot be read.

    >>> accuracy([Answer("color", "yes", "yes"), Answer("color", "no", "n/a")])
    0.5
    """
    right = [one.said == one.expected for one in answers]
    return share(sum(right), len(right))


def _metrics(name: str, label: str, place: int, other: int, definition: str) -> tuple[Metric, ...]:
    """An accuracy, the probability behind it, and the share of replies that are no answer."""
    return (
        Metric(name, label, place, "grounding", definition, high=1, checkpoint=True),
        Metric(
            f"{name}_probability",
            f"{label} P",
            other,
            "other",
            f"{label}: mean probability of the right answer",
            high=1,
            checkpoint=True,
        ),
        Metric(
            f"{name}_unreadable",
            f"{label} unreadable",
            other + 1,
            "other",
            f"{label}: share of the judge's replies that are no answer",
            higher_is_better=False,
            high=1,
            checkpoint=True,
        ),
    )


class CaptionQa(Questioned):
    """Accuracy over all questions of all captions together (*micro*), on any corpus with questions of yes and no."""

    NAME: ClassVar[str] = "caption_qa"
    METRICS: ClassVar[tuple[Metric, ...]] = _metrics(
        "caption_qa", "Caption QA", 330, 525,
        "share of the questions about a picture that are answered rightly from the caption alone",
    )  # fmt: skip

    class Settings(Questioned.Settings):
        prompt: str = """\
Answer a question about an image from its caption alone: "yes", "no", or "n/a" where the caption does not say. Write \
the answer and nothing else.
Caption: {caption}
Question: {question}"""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All but what there is not: probabilities of what is written, unreadable replies of what is chosen."""
        left_out = f"{self.NAME}_{'unreadable' if self.settings.choose else 'probability'}"
        return tuple(metric for metric in self.METRICS if metric.name != left_out)

    def values(self, answered: Sequence[Sequence[Answer]]) -> dict[str, float | None]:
        answers = list(chain.from_iterable(answered))
        found = {self.NAME: accuracy(answers)}
        if not self.settings.choose:
            return found | {f"{self.NAME}_unreadable": unreadable(answers)}
        probable = [one.probability for one in answers if one.probability is not None]
        return found | {f"{self.NAME}_probability": share(sum(probable), len(probable))}


class CapsBench(CaptionQa):
    """CapsBench: accuracy whole and by category.

    Answers are counted here. Where a language model is asked to count its own, as one program that goes about does, it
    finds too many: of the answers published with it for 182 captions, 71.3 % are right on the mean of captions, and not
    74.4 % as it says.
    """

    NAME: ClassVar[str] = "capsbench"
    METRICS: ClassVar[tuple[Metric, ...]] = (
        *_metrics(
            "capsbench", "CapsBench", 331, 531,
            "share of CapsBench's questions that are answered rightly from the caption alone (Liu et al. 2024)",
        ),
        *(
            Metric(
                f"capsbench_{name.replace(' ', '_')}",
                f"CapsBench {name}",
                533 + place,
                "other",
                f"share of CapsBench's questions of {name} that are answered rightly from the caption alone",
                high=1,
                checkpoint=True,
            )
            for place, name in enumerate(CATEGORIES)
        ),
    )  # fmt: skip

    def values(self, answered: Sequence[Sequence[Answer]]) -> dict[str, float | None]:
        answers = list(chain.from_iterable(answered))
        by_category = {
            f"capsbench_{name.replace(' ', '_')}": accuracy(one for one in answers if _named(one.category) == name)
            for name in CATEGORIES
        }
        return super().values(answered) | by_category


def _named(category: str) -> str:
    return "image artifacts" if category == "artifacts" else category


class CapEval(Questioned):
    """CAPEval: every question is answered by yes in the picture, so that what the caption says of it is right or wrong.

    ``capeval_coverage`` is (yes + no) / questions, ``capeval_precision`` yes / (yes + no), of a corpus those of all
    captions together; None over nothing, where the authors' program gives 0. That program asks all questions of a
    picture at once, and takes an answer that it cannot read, or does not find, for "not mentioned" without a word.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "capeval_coverage",
            "CAPEval coverage",
            341,
            "grounding",
            "share of a checklist's questions that the caption answers, rightly or wrongly (Liu et al. 2026)",
            high=1,
            checkpoint=True,
        ),
        Metric(
            "capeval_precision",
            "CAPEval precision",
            342,
            "grounding",
            "share of the checklist's questions that the caption answers, of those that it answers rightly",
            high=1,
            checkpoint=True,
        ),
        Metric(
            "capeval_unreadable",
            "CAPEval unreadable",
            551,
            "other",
            "share of the judge's replies to CAPEval that are no answer",
            higher_is_better=False,
            high=1,
            checkpoint=True,
        ),
    )

    class Settings(Questioned.Settings):
        prompt: str = """\
Judge from a caption alone what a question asks about its image. Answer "yes" where the caption says so, "no" where it \
speaks of it and contradicts, "n/a" where it does not speak of it or is too vague to tell. Where the question is about \
an absence, "yes" means that the caption agrees. Write the answer and nothing else.
Caption: {caption}
Question: {question}"""

    def values(self, answered: Sequence[Sequence[Answer]]) -> dict[str, float | None]:
        answers = list(chain.from_iterable(answered))
        right, wrong = (sum(one.said == said for one in answers) for said in (YES, NO))
        return {
            "capeval_coverage": share(right + wrong, len(answers)),
            "capeval_precision": share(right, right + wrong),
            "capeval_unreadable": unreadable(answers),
        }
