"""What chat models are asked: for replies, and how probable words are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from models.adapters.ahead import prepared
from models.adapters.decoding import Decoding
from models.adapters.requests.base import Request, Value
from models.adapters.roles import Logits, Pictured, Reply, Scores, Turn

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a conversation: pictures by reference, and then text."""

    role: Literal["system", "user", "assistant"]
    text: str
    pictures: tuple[Pictured, ...] = ()

    def parts(self) -> dict[str, Any]:
        """Parts that enter a key."""
        return {"role": self.role, "text": self.text, "pictures": [picture.digest for picture in self.pictures]}

    def turn(self) -> Turn:
        """The message with its pixels."""
        return Turn(self.role, self.text, tuple(picture.pixels() for picture in self.pictures))


@dataclass(frozen=True)
class Spoken(Request):
    """A request to a chat model: a user's text and pictures, behind what was said before."""

    PLAYED_BY: ClassVar[str] = "chat"

    text: str
    pictures: tuple[Pictured, ...] = ()
    before: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The whole conversation."""
        return (*self.before, Line("user", self.text, self.pictures))

    def parts(self) -> dict[str, Any]:
        return {"turns": [line.parts() for line in self.lines]}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return tuple(picture for line in self.lines for picture in line.pictures)

    def size(self) -> tuple[int, ...]:
        """Number of pictures, and of words and marks.

        >>> Ask("captioner", "Is it red, or a star?").size()
        (0, 8)
        """
        return len(self.pictures_seen()), sum(len(WORD.findall(line.text)) for line in self.lines)

    def conversation(self) -> list[Turn]:
        """The whole conversation with its pixels."""
        return [line.turn() for line in self.lines]


def text_of(reply: Reply) -> str:
    """The text of a reply.

    Raises ``ValueError`` where it is empty.
    """
    if not reply.text:
        raise ValueError("the reply is empty")
    return reply.text


@dataclass(frozen=True)
class Ask(Spoken):
    """Ask a question. The reply is what ``read`` makes of the answer: by default its text, which is not empty.

    ``read`` raises ``ValueError`` where it cannot read an answer. Of equal questions each ``draw`` is answered anew.
    """

    KIND: ClassVar[str] = "ask"
    DECODED: ClassVar[bool] = True

    draw: int = 0
    read: Callable[[Reply], Any] = field(default=text_of, compare=False)

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "draw": self.draw}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Ask], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        replies = model.answer(prepared(Spoken.conversation, requests), decoding, seeds)
        return [({"text": some[0].text, "finish": some[0].finish}, None) for some in replies]

    def reply(self, value: Value, picture: Pictured | None) -> Any:
        return self.read(Reply(value["text"], value["finish"]))


@dataclass(frozen=True)
class Choose(Spoken):
    """Ask how probable each of some answers is, if it is one of them. The reply are probabilities of sum 1."""

    KIND: ClassVar[str] = "choose"

    choices: tuple[str, ...] = ()

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "choices": list(self.choices)}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Choose], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        found = model.choose(prepared(Spoken.conversation, requests), [one.choices for one in requests])
        return [({"probabilities": [float(share) for share in shares]}, None) for shares in found]

    def reply(self, value: Value, picture: Pictured | None) -> tuple[float, ...]:
        return tuple(value["probabilities"])


@dataclass(frozen=True)
class LogProbs(Spoken):
    """Ask how probable a continuation is. The reply are the :class:`Scores` of it, given what stands before it.

    With ``begun`` it goes on behind the beginning of a reply.
    """

    KIND: ClassVar[str] = "logprobs"

    continuation: str = ""
    begun: str = ""

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "continuation": self.continuation}

    def size(self) -> tuple[int, ...]:
        """Those of the continuation besides."""
        return *super().size(), len(WORD.findall(self.continuation))

    @property
    def lines(self) -> tuple[Line, ...]:
        asked = super().lines
        return (*asked, Line("assistant", self.begun)) if self.begun else asked

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[LogProbs], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        conversations = prepared(Spoken.conversation, requests)
        found = model.log_probabilities(conversations, [one.continuation for one in requests])
        return [(kept(one), None) for one in found]

    def reply(self, value: Value, picture: Pictured | None) -> Scores:
        return scores_of(value)


def kept(scores: Scores) -> dict[str, Any]:
    """What an item keeps of scores."""
    return {"log_probabilities": scores.log_probabilities.tolist(), "spans": scores.spans}


def scores_of(value: Value) -> Scores:
    """Scores from what was kept of them."""
    spans = tuple((start, end) for start, end in value["spans"])
    return Scores(np.array(value["log_probabilities"], np.float64), spans)


class Said(NamedTuple):
    """A reply as it was read, with its :class:`Scores`; None where the model does not tell, or reading changed it."""

    read: Any
    scores: Scores | None


@dataclass(frozen=True)
class Scored(Ask):
    """Ask a question, and keep how probable the reply was as it was written. The reply is :class:`Said`.

    It is another item than the same question asked by :class:`Ask`, and its scores are those of
    :class:`LogProbs` up to rounding, without a forward of their own.
    """

    KIND: ClassVar[str] = "scored"

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Ask], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        found = model.answer_scored(prepared(Spoken.conversation, requests), decoding, seeds)
        return [
            ({"text": reply.text, "finish": reply.finish} | (kept(scores) if scores else {}), None)
            for reply, scores in found
        ]

    def reply(self, value: Value, picture: Pictured | None) -> Said:
        read = super().reply(value, picture)
        return Said(read, scores_of(value) if "spans" in value and read == value["text"] else None)


@dataclass(frozen=True)
class RawScores(LogProbs):
    """Ask for what a model gives a continuation before the softmax. The reply are its :class:`Logits`."""

    KIND: ClassVar[str] = "logits"

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[LogProbs], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        found = model.logits(prepared(Spoken.conversation, requests), [one.continuation for one in requests])
        return [({"logits": one.logits.tolist(), "spans": one.spans}, None) for one in found]

    def reply(self, value: Value, picture: Pictured | None) -> Any:
        return Logits(np.array(value["logits"], np.float64), tuple((start, end) for start, end in value["spans"]))
