"""RICO: recaptioning by visual reconstruction (paper *RICO*, sections 3.1 to 3.3 and table 12).

A painter paints what the caption says, a reviser compares the painting with the picture and revises the caption; so for
some rounds: c_i = R(T(c_{i-1}), v_0, c_{i-1}).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Conversation, Encode, Paint, Pictured, together
from models.adapters.roles import Reply
from models.measures.judged.questions import CaptionQa, answer_of
from models.recaptioners import NOTHING, Case, Rewriting, filled

TASK = (
    "A caption was written of the first image. From the caption alone a text-to-image model painted the second image. "
    "Compare the two images: where they differ, the caption is wrong, ambiguous or incomplete. Revise the caption so "
    "that an image painted of it would come closer to the first image."
)
ALONE = "A caption was written of the image. Correct what is wrong or ambiguous in it, and add details that it lacks."
ASPECTS = """
What to compare:
- Visual details: colour, shape, texture and material of objects.
- Composition and layout: where things are, how they stand to each other, the structure of the scene.
- People, if there are any: pose, expression, skin tone, clothes, hair.
- Perspective and style: kind of image, camera angle, depth of field, light, artistic style.
- Text in the image: words, symbols and signs, letter by letter.
- Image quality: blur, artefacts, objects that are drawn inconsistently.
- World knowledge: names and real things that should be kept.
- Colour aesthetics: palette, grading, mood."""
ADVICE = """
How to improve the caption:
- Add details that were lost.
- Make ambiguous descriptions precise.
- Correct what is wrong.
- Say key attributes: "a red leather couch", not "a couch".
Keep it natural, and shorter than 512 tokens."""
CAPTION = "\nThe caption is: {caption}\n"
REPLY = "Write the revised caption between <revised_caption> and </revised_caption>."
ANALYSIS = " Behind it write your analysis of the differences between <analysis> and </analysis>."

QUESTION = CaptionQa.Settings().prompt

Variant = Literal["full", "without-tips", "without-analysis", "edit"]

TAGGED = r"<\s*{0}\s*>(.*?)(?:<\s*/\s*{0}\s*>|\Z)"
REVISED = re.compile(TAGGED.format(r"revised[\s_-]*caption"), re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<\s*/?\s*revised[\s_-]*caption\s*>?", re.IGNORECASE)
ANALYSED = re.compile(TAGGED.format("analysis"), re.IGNORECASE | re.DOTALL)


def prompt(variant: Variant) -> str:
    """The reviser's prompt: the paper's (table 12) in our words, or one of its ablations (table 6; table 2's edit).

    >>> "<analysis>" in prompt("full"), "<analysis>" in prompt("without-analysis"), "What to" in prompt("without-tips")
    (True, False, False)
    """
    task = ALONE if variant == "edit" else TASK
    tips = "" if variant in {"without-tips", "edit"} else ASPECTS + ADVICE
    analysis = "" if variant in {"without-analysis", "edit"} else ANALYSIS
    return task + tips + CAPTION + REPLY + analysis


class Revision(NamedTuple):
    """A revised caption, and the analysis that came with it."""

    caption: str
    analysis: str


def revision(reply: Reply) -> Revision:
    """Read a reviser's reply; tags in any case, with a blank, a hyphen or an underscore, and without their end.

    Of several revised captions outside the analysis the last one counts.

    Raises
    ------
    ValueError
        There is no revised caption in it, or one that was cut off. The released code takes the whole reply then.

    >>> revision(Reply("<Revised caption>A red star.</revised_caption> <analysis>It was blue.", "stop"))
    Revision(caption='A red star.', analysis='It was blue.')
    >>> revision(Reply("A red star.", "stop"))
    Traceback (most recent call last):
    ValueError: there is no <revised_caption> in the reply
    """
    analysis = " ".join(part.strip() for part in ANALYSED.findall(reply.text))
    text = reply.text.replace(REPLY, "\n")  # which some models say back
    found = list(REVISED.finditer(ANALYSED.sub("\n", text)))
    if not found:
        raise ValueError("there is no <revised_caption> in the reply")
    if reply.finish == "length" and found[-1].end() == len(found[-1].string) and "</" not in found[-1].group():
        raise ValueError("the revised caption was cut off at `max_tokens`: raise it")
    caption = " ".join(found[-1].group(1).split())
    if caption.strip(" .").lower() in NOTHING:
        raise ValueError(f"the revised caption is {caption!r}")
    if TAG.search(caption):
        raise ValueError("there are tags inside of the revised caption")
    return Revision(caption, analysis)


def unmarked(reply: Reply) -> Revision:
    """Read a reply as the released code does (``seperate_cap_any`` at 895afd9): all before ``<analysis>`` is the
    caption, and where there is none the whole reply, be it prose, JSON or a refusal.

    Unlike there, an empty reply and "None" are no caption, nor is one that was cut off before its analysis; tags are
    left out however they are spelt, and also where there is no analysis.

    Raises
    ------
    ValueError
        The reply is no caption even so.

    >>> unmarked(Reply("Sure! <revised caption>A star.</revised caption> <analysis>It was blue.</analysis>", "stop"))
    Revision(caption='Sure! A star.', analysis='It was blue.')
    """
    text, marked, analysis = reply.text.partition("<analysis>")
    caption = " ".join(TAG.sub(" ", text).split())
    if caption.strip(" .").lower() in NOTHING:
        raise ValueError(f"the revised caption is {caption!r}")
    if reply.finish == "length" and not marked:
        raise ValueError("the revised caption was cut off at `max_tokens`: raise it")
    return Revision(caption, analysis.replace("</analysis>", "").strip())


class Rico(Rewriting):
    """Revises a caption by what a painting of it shows.

    ``rounds`` is the paper's N. Variants ``without-tips`` and ``without-analysis`` are the ablations of its table 6,
    ``edit`` is the revision without a painting of its table 2. ``prompt`` takes the place of the paper's; ``{caption}``
    in it stands for the caption. ``reading: released`` reads replies as the released code does (:func:`unmarked`).

    With ``accept: closer`` a revision counts only where its painting is closer to the picture than that of the caption
    before, by the cosine of a judge's vectors; with ``accept: answers``, where an answerer, who sees it alone, answers
    more of the corpus' questions about the picture rightly than from the caption before. It asks as the measure
    ``caption-qa`` does, so that these answers are shared. A round without a revision that counts is the last.

    The paper takes every revision; rounds behind one that changed nothing ask what was asked, which costs nothing.
    """

    VERSION: ClassVar[int] = 2  # what a reviser says back of its instruction is no caption
    ROLES: ClassVar[Mapping[str, str]] = {
        "painter": "painters",
        "reviser": "chat",
        "judge": "encoders",
        "answerer": "chat",
    }

    class Settings(roles.Settings):
        rounds: int = Field(2, ge=1)
        variant: Variant = "full"
        prompt: str = ""
        accept: Literal["always", "closer", "answers"] = "always"
        reading: Literal["tagged", "released"] = "tagged"

        @field_validator("prompt")
        @classmethod
        def _holds_the_caption(cls, text: str) -> str:
            if text and "{caption}" not in text:
                raise ValueError("should hold {caption}, where the caption goes")
            return text

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.prompt = settings.prompt or prompt(settings.variant)

    @property
    def paints(self) -> bool:
        """Whether the reviser sees a painting."""
        return self.settings.variant != "edit"

    @property
    def asks(self) -> frozenset[str]:
        accepting = {"always": set(), "closer": {"painter", "judge"}, "answers": {"answerer"}}
        return frozenset({"reviser", *accepting[self.settings.accept], *({"painter"} if self.paints else ())})

    def identity(self) -> dict[str, Any]:
        hidden = {"prompt"} | ({"reading"} if self.settings.reading == "tagged" else set())  # of which no old key tells
        return {**self.settings.model_dump(exclude=hidden), "prompt": self.prompt}

    def most(self, caption: str) -> dict[str, int | None]:
        rounds, closer = self.settings.rounds, self.settings.accept == "closer"
        paintings = rounds + 1 if closer else rounds if self.paints else 0
        counted = {"painter": paintings, "reviser": rounds, "judge": paintings + 1 if closer else 0, "answerer": None}
        return {role: counted[role] for role in self.asks}

    def recaption(self, case: Case) -> Conversation:
        if self.settings.accept == "answers" and not case.questions:
            raise ValueError(
                "the picture has no questions to accept a revision by: name corpora with questions, such as capsbench "
                "or capeval, under `corpora`"
            )
        caption, steps = case.caption, [{"caption": case.caption}]
        shown: tuple[Pictured, ...] = (case.picture,)
        for _ in range(self.settings.rounds):
            if self.paints:
                painting = yield Paint("painter", caption)
                if not painting:
                    break
                shown = (case.picture, painting)
                steps[-1]["painting"] = painting.digest
            asked = filled(self.prompt, caption=caption)
            read = revision if self.settings.reading == "tagged" else unmarked
            revised = yield Ask("reviser", asked, pictures=shown, read=read)
            if not revised:
                break  # asked the same again, it would say the same
            steps[-1]["analysis"] = revised.analysis
            if not (yield from self._accepted(case, caption, revised.caption)):
                steps[-1]["refused"] = revised.caption
                break
            caption = revised.caption
            steps.append({"caption": caption})
        return {"caption": caption, "steps": steps}

    def _accepted(self, case: Case, before: str, after: str) -> Asking[bool]:
        """Whether a revision counts."""
        if self.settings.accept == "closer":
            return (yield from self._closer(case, before, after))
        if self.settings.accept == "answers":
            first, second = yield from together([self._right(case, caption) for caption in (before, after)])
            return second > first
        return True

    def _right(self, case: Case, caption: str) -> Asking[int]:
        """How many of the questions about the picture are answered rightly from a caption alone."""
        said = yield [
            Ask("answerer", filled(QUESTION, caption=caption, question=one["question"]), read=answer_of)
            for one in case.questions
        ]
        return sum(answer == one["answer"] for answer, one in zip(said, case.questions, strict=True))

    def _closer(self, case: Case, before: str, after: str) -> Asking[bool]:
        """Whether the painting of a caption is closer to the picture than that of the caption before."""
        paintings = yield [Paint("painter", before), Paint("painter", after)]
        if not all(paintings):
            return False
        vectors = yield [Encode("judge", picture) for picture in (case.picture, *paintings)]
        if not all(isinstance(vector, np.ndarray) for vector in vectors):
            return False
        original, first, second = (vector / np.linalg.norm(vector) for vector in vectors)
        return bool(original @ second > original @ first)
