"""ScaleCap: questions raised from what a caption says, and sentences kept that the picture made likely (paper
*ScaleCap*, sections 2.1 to 2.3, figures 8 and 9).

A captioner's sentences are rated by how much likelier the picture makes them; golden sentences name objects; a language
model asks about each and about its position; the captioner answers, and the language model puts it all together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from models.adapters import roles
from models.adapters.requests import (
    Ask,
    Asking,
    Conversation,
    Failure,
    LogProbs,
    RawScores,
    Request,
    Said,
    Scored,
    Tag,
    together,
)
from models.adapters.roles import Reply
from models.recaptioners import Case, filled, plain
from models.recaptioners.ratings import open_words, ratings, released
from models.recaptioners.sentences import sentences, spans

DESCRIBE = (
    "Describe the fine-grained content of the image, including scenes, objects, relationships, instance location, and "
    "any text present."
)
"""Prism's prompt, with which the paper's first captions are written."""

QUESTIONS = """\
Turn every object that a sentence mentions into an instruction of the form \
"Describe more details about the [object].", \
one a line. Leave out objects that the sentence only supposes, as behind "it might be" or "there are probably". Write \
the instructions and nothing else.

Sentence: A woman in a green coat walks a dog past the window of a bakery.
Instructions:
Describe more details about the woman.
Describe more details about the coat.
Describe more details about the dog.
Describe more details about the window.
Describe more details about the bakery.

Sentence: The sign reads "Open all day", which suggests that there are probably customers inside.
Instructions:
Describe more details about the sign.

Sentence: On the shelf are two jars, a scale and some spices.
Instructions:
Describe more details about the shelf.
Describe more details about the jars.
Describe more details about the scale.
Describe more details about the spices.

Sentence: {sentence}
Instructions:"""
"""The paper's instruction with examples (figure 9), in our words."""

OBJECTS = """\
Context: {context}
Descriptions:
{descriptions}
Collect all details about each object from the descriptions: its appearance, structure, material, and marks or logos. \
No analysis and no opinion."""
POSITIONS = """\
Context: {context}
Descriptions:
{descriptions}
Extract only the position of each object from the descriptions. No analysis and no opinion."""
FINAL = """\
Basic context: {context}
Object information: {objects}
Position information: {positions}
Following the order of the basic context, put all details of the object and position information into one \
comprehensive description of the image. No analysis and no opinion."""

INSTRUCTION = re.compile(r"[\W\d]*Describe more details about (.+?)\.?\s*", re.IGNORECASE)


def instructions(reply: Reply) -> list[str]:
    """The objects to be asked about, in order, each once: lines "Describe more details about the X." and no others.

    Raises
    ------
    ValueError
        There is no such line; a reply that was cut off loses its last line.

    >>> line = "Describe more details about the star."
    >>> instructions(Reply(f"Sure!\\n1. {line}\\n{line}", ""))
    ['the star']
    """
    lines = reply.text.splitlines()
    found = [match[1] for line in (lines[:-1] if reply.finish == "length" else lines)
             if (match := INSTRUCTION.fullmatch(line))]  # fmt: skip
    if not found:
        raise ValueError(f"there is no instruction in the reply {reply.text[:80]!r}")
    return list(dict.fromkeys(found))


class ScaleCap:
    """Enriches a caption by questions about what its golden sentences name.

    ``budget`` is the most questions asked, objects and positions in turn; unlimited where absent. ``threshold`` is the
    paper's tau. Where no sentence is golden, all count, as in the released code. With ``rate_answers`` the answers'
    sentences are rated too. The prompts take the place of the paper's; the words in braces stand for what they name.
    ``detail`` is a line of descriptions: an ``answer``, and what it is about, ``object`` ("the star") or its ``name``.

    ``rating``: critical tokens are those of words of open classes, which are those not ``listed`` as function words, or
    what a ``tagger`` says where they are ``tagged``. ``released`` rates as the released code does
    (:func:`~models.recaptioners.ratings.released`): where nothing is golden, the caption or answer counts as a whole.

    With ``as_written``, what the captioner is asked for keeps its probabilities as it was written, so that of a rating
    only the pass without the picture is left to compute: of answers, and of the first caption where there is none yet,
    which this method asks for then, by ``prompt``. Captions that are there were written by who knows whom. Such replies
    are items of their own: an entry without ``as_written`` that asks the same shares none of them.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "chat", "language_model": "chat", "tagger": "taggers"}
    samples: ClassVar[None] = None

    class Settings(roles.Settings):
        budget: int | None = Field(None, ge=1)
        threshold: float = Field(0.0, ge=-1, le=1)
        rate_answers: bool = False
        rating: Literal["listed", "tagged", "released"] = "listed"
        as_written: bool = False
        prompt: str = DESCRIBE
        object_question: str = "Describe more details about {object}."
        position_question: str = "Describe more details about the position of {object}."
        detail: str = "{answer}"
        questions: str = QUESTIONS
        objects: str = OBJECTS
        positions: str = POSITIONS
        final: str = FINAL

        @model_validator(mode="after")
        def _kept_can_be_rated(self) -> Self:
            if self.as_written and self.rating == "released":
                raise ValueError("`as_written` keeps probabilities, and `rating: released` takes logits: leave one out")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def asks(self) -> frozenset[str]:
        return frozenset(self.ROLES) - (set() if self.settings.rating == "tagged" else {"tagger"})

    @property
    def first_prompt(self) -> str:
        """With what first captions are asked for: they are rated as replies to it."""
        return self.settings.prompt

    @property
    def describes(self) -> bool:
        """Whether it asks for the first caption of a picture that has none."""
        return self.settings.as_written

    def identity(self) -> dict[str, Any]:
        later = {"rating": "listed", "as_written": False}  # what keys of before do not name
        return {name: value for name, value in self.settings if (name, value) not in later.items()}

    def most(self, caption: str) -> dict[str, int | None]:
        budget = self.settings.budget
        each = 3 if self.settings.rate_answers else 1
        asked = len(spans(caption)) + 3 if caption else None
        most = {"captioner": budget and 2 + each * budget, "language_model": asked}
        if self.settings.rating == "tagged":
            most["tagger"] = 1 if not self.settings.rate_answers else budget and 1 + budget
        return most

    def recaption(self, case: Case) -> Conversation:
        if case.caption or not self.describes:
            return (yield from self._scaled(case, Said(case.caption, None)))
        first = yield self._asked(case, self.first_prompt)
        if not first:
            raise ValueError(f"the picture has no first caption: {first.reason}")
        return {**(yield from self._scaled(case, first)), "first": first.read}

    def _scaled(self, case: Case, first: Said) -> Conversation:
        said = self.settings
        rated = yield from self._rated(case, self.first_prompt, first)
        golden = self._golden(rated, first.read) or [text for text, _ in rated]
        steps: dict[str, Any] = {"sentences": [{"text": text, "rating": rating} for text, rating in rated]}
        found = yield [
            Ask("language_model", filled(said.questions, sentence=text), read=instructions) for text in golden
        ]
        objects = dict.fromkeys(chain.from_iterable(some for some in found if some))
        forms = (said.object_question, said.position_question)
        asked = [(form, name, filled(form, object=name)) for name in objects for form in forms][: said.budget]
        if not asked:
            return {"caption": first.read, "steps": steps}
        answers = yield from self._answers(case, [text for *_, text in asked])
        steps["questions"] = [
            {"question": text, "answer": one or None} for (*_, text), one in zip(asked, answers, strict=True)
        ]
        told: dict[str, list[str]] = {form: [] for form in forms}
        for (form, name, _), answer in zip(asked, answers, strict=True):
            if answer:
                fields = {"object": name, "name": name.removeprefix("the "), "answer": answer}
                told[form].append(filled(said.detail, **fields))
        context, prompts = self._joined(golden), dict(zip(forms, (said.objects, said.positions), strict=True))
        lines = {form: "\n".join(some) for form, some in told.items() if some}
        summaries = yield [
            Ask("language_model", filled(prompts[form], context=context, descriptions=text), read=plain)
            for form, text in lines.items()
        ]
        known = {form: one or text for (form, text), one in zip(lines.items(), summaries, strict=True)}
        about, where = (known.get(form, "") for form in forms)
        steps["summaries"] = {"objects": about, "positions": where}
        caption = yield Ask(
            "language_model", filled(said.final, context=context, objects=about, positions=where), read=plain
        )
        return {"caption": caption or first.read, "steps": steps}

    def _answers(self, case: Case, questions: Sequence[str]) -> Asking[list[str]]:
        """The answers to questions about the picture, or their golden sentences; empty where there is none."""
        replies = yield [self._asked(case, text) for text in questions]
        said = [one if isinstance(one, Said) else Said(one or "", None) for one in replies]
        if not self.settings.rate_answers:
            return [one.read for one in said]
        rated = yield from together([self._rated(case, text, one) for text, one in zip(questions, said, strict=True)])
        return [self._joined(self._golden(some, one.read)) for some, one in zip(rated, said, strict=True)]

    def _asked(self, case: Case, text: str) -> Ask:
        """A question about the picture; the answer keeps its probabilities where they are wanted."""
        kind = Scored if self.settings.as_written else Ask
        return kind("captioner", text, pictures=(case.picture,), read=plain)

    def _rated(self, case: Case, prompt: str, said: Said) -> Asking[Sequence[tuple[str, float | None]]]:
        """The sentences of a reply to a prompt with their ratings; None where there is nothing to rate them by."""
        text, rating = said.read, self.settings.rating
        if not spans(text):
            return []
        kind = RawScores if rating == "released" else LogProbs
        asked: list[Request] = [
            kind("captioner", prompt, pictures=pictures, continuation=text)
            for pictures in ((case.picture,), ())
            if not (pictures and said.scores)
        ]
        if rating == "tagged":
            asked.append(Tag("tagger", text))
        replies = yield asked
        tags = replies.pop() if rating == "tagged" else None
        seeing, blind = replies if said.scores is None else (said.scores, *replies)
        if isinstance(tags, Failure) or not (seeing and blind and seeing.spans == blind.spans):
            return [(one, None) for one in sentences(text)]
        if rating == "released":
            return released(text, seeing, blind, self.settings.threshold)
        words = None if tags is None else open_words(tags)
        return list(zip(sentences(text), ratings(text, seeing, blind, words), strict=True))

    def _golden(self, rated: Sequence[tuple[str, float | None]], whole: str) -> list[str]:
        """The sentences rated above the threshold, and those that could not be rated.

        Where there is none, the whole in the released code.
        """
        golden = [text for text, rating in rated if rating is None or rating > self.settings.threshold]
        return [whole] if whole and not golden and self.settings.rating == "released" else golden

    def _joined(self, golden: Sequence[str]) -> str:
        """Sentences as a text; those of the released code have lost their ends."""
        return (". " if self.settings.rating == "released" else " ").join(golden)
