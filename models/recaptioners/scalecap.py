"""ScaleCap: questions raised from what a caption says, and sentences kept that the picture made likely (paper
*ScaleCap*, sections 2.1 to 2.3, figures 8 and 9).

A captioner's sentences are rated by how much likelier the picture makes them; golden sentences name objects; a language
model asks about each and about its position; the captioner answers, and the language model puts it all together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Conversation, LogProbs
from models.adapters.roles import Reply, Scores
from models.recaptioners import Case, filled, plain
from models.recaptioners.sentences import critical, spans

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


def ratings(text: str, seeing: Scores, blind: Scores) -> list[float]:
    """How much the picture makes each sentence of a text likelier: max over its critical tokens of p - p' (eq. 4, 5).

    A sentence without a critical token has -1, the least that there can be.
    """
    gaps = np.exp(seeing.log_probabilities) - np.exp(blind.log_probabilities)
    words = critical(text)
    inside = [any(start < stop and end > begin for start, end in words) for begin, stop in seeing.spans]
    rated = []
    for start, end in spans(text):
        own = [gap for gap, (begin, stop), counts in zip(gaps, seeing.spans, inside, strict=True)
               if counts and begin < end and stop > start]  # fmt: skip
        rated.append(float(max(own, default=-1.0)))
    return rated


class ScaleCap:
    """Enriches a caption by questions about what its golden sentences name.

    ``budget`` is the most questions asked, objects and positions in turn; unlimited where absent. ``threshold`` is the
    paper's tau. Where no sentence is golden, all count, as in the released code. With ``rate_answers`` the answers'
    sentences are rated too. The prompts take the place of the paper's; the words in braces stand for what they name.
    ``detail`` is a line of descriptions: an ``answer``, and what it is about, ``object`` ("the star") or its ``name``.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "chat", "language_model": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)

    class Settings(roles.Settings):
        budget: int | None = Field(None, ge=1)
        threshold: float = Field(0.0, ge=-1, le=1)
        rate_answers: bool = False
        prompt: str = DESCRIBE
        object_question: str = "Describe more details about {object}."
        position_question: str = "Describe more details about the position of {object}."
        detail: str = "{answer}"
        questions: str = QUESTIONS
        objects: str = OBJECTS
        positions: str = POSITIONS
        final: str = FINAL

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def most(self, caption: str) -> dict[str, int | None]:
        budget = self.settings.budget
        each = 3 if self.settings.rate_answers else 1
        asked = len(spans(caption)) + 3 if caption else None
        return {"captioner": budget and 2 + each * budget, "language_model": asked}

    def recaption(self, case: Case) -> Conversation:
        said = self.settings
        (rated,) = yield from self._rated(case, [(said.prompt, case.caption)])
        golden = self._golden(rated) or [text for text, _ in rated]
        steps: dict[str, Any] = {"sentences": [{"text": text, "rating": rating} for text, rating in rated]}
        found = yield [
            Ask("language_model", filled(said.questions, sentence=text), read=instructions) for text in golden
        ]
        objects = dict.fromkeys(chain.from_iterable(some for some in found if some))
        forms = (said.object_question, said.position_question)
        asked = [(form, name, filled(form, object=name)) for name in objects for form in forms][: said.budget]
        if not asked:
            return {"caption": case.caption, "steps": steps}
        answers = yield [Ask("captioner", text, pictures=(case.picture,), read=plain) for *_, text in asked]
        if said.rate_answers:
            some = yield from self._rated(
                case, [(text, one or "") for (*_, text), one in zip(asked, answers, strict=True)]
            )
            answers = [" ".join(self._golden(one)) for one in some]
        steps["questions"] = [
            {"question": text, "answer": one or None} for (*_, text), one in zip(asked, answers, strict=True)
        ]
        told: dict[str, list[str]] = {form: [] for form in forms}
        for (form, name, _), answer in zip(asked, answers, strict=True):
            if answer:
                fields = {"object": name, "name": name.removeprefix("the "), "answer": answer}
                told[form].append(filled(said.detail, **fields))
        context, prompts = " ".join(golden), dict(zip(forms, (said.objects, said.positions), strict=True))
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
        return {"caption": caption or case.caption, "steps": steps}

    def _rated(self, case: Case, texts: Sequence[tuple[str, str]]) -> Asking[list[list[tuple[str, float | None]]]]:
        """The sentences of texts with their ratings, each text a reply to its prompt; None where there are no
        probabilities to rate them by."""
        there = [(prompt, text) for prompt, text in texts if spans(text)]
        scores = yield [
            LogProbs("captioner", prompt, pictures=pictures, continuation=text)
            for prompt, text in there
            for pictures in ((case.picture,), ())
        ]
        pairs = dict(zip(there, zip(scores[::2], scores[1::2], strict=True), strict=True))
        rated = []
        for prompt, text in texts:
            found = [text[start:end] for start, end in spans(text)]
            seeing, blind = pairs.get((prompt, text), (None, None))
            known: Sequence[float | None] = [None] * len(found)
            if seeing and blind:
                known = ratings(text, seeing, blind)
            rated.append(list(zip(found, known, strict=True)))
        return rated

    def _golden(self, rated: Sequence[tuple[str, float | None]]) -> list[str]:
        """The sentences rated above the threshold, and those that could not be rated."""
        return [text for text, rating in rated if rating is None or rating > self.settings.threshold]
