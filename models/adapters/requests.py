"""Requests: what a method asks of models.

A method is a generator that names roles. It yields a request, or a list of requests that do not depend on each other,
and is sent the reply, or a list of replies; what it returns are the values of its item, by column. Which models play
its roles is the study's business, as are keys, batches and order::

    def described(case, settings):
        words = yield Ask("captioner", "Describe the image.", pictures=(case.picture,))
        picture = yield Paint("painter", words)
        shorter = yield Ask("captioner", "Say it in ten words.", pictures=(case.picture, picture), read=ten_words)
        return {"caption": shorter or words}

A reply that was not given, or that ``read`` cannot read, arrives as a :class:`Failure`, which is false; the method says
what then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from models.adapters.decoding import Decoding
from models.adapters.roles import Detection, Reply, Scores, Turn
from models.adapters.roles import Pictured as Pictured
from models.media.images import encode_png


@dataclass(frozen=True, slots=True)
class Failure:
    """In place of a reply: why there is none.

    >>> Failure("no list of questions") or "what was there before"
    'what was there before'
    """

    reason: str
    answered: bool = False
    """Whether there was a reply, which could not be read."""

    def __bool__(self) -> bool:
        return False


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


Value = Mapping[str, Any]
"""What an item keeps of a reply: JSON, and beside it the PNG of a picture."""


@dataclass(frozen=True)
class Request(ABC):
    """One question to the model that plays ``role``; each is an item of its own, of this ``KIND``."""

    KIND: ClassVar[str]
    PLAYED_BY: ClassVar[str]
    """The role of the catalogue whose models can answer it."""
    DECODED: ClassVar[bool] = False
    """Whether the reply depends on how words are chosen."""

    role: str

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Parts of the key: all that the reply depends on beside the model."""

    def pictures_seen(self) -> tuple[Pictured, ...]:
        """The pictures that the model sees."""
        return ()

    @classmethod
    @abstractmethod
    def answers(
        cls, model: Any, requests: Sequence[Any], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        """Ask the model several requests of one kind, and return what is kept of each reply."""

    @abstractmethod
    def reply(self, value: Value, picture: Pictured | None) -> Any:
        """The reply as the method gets it, from what was kept; raises ``ValueError`` where it cannot be read."""


@dataclass(frozen=True)
class Paint(Request):
    """Paint what a text says. The reply is the picture.

    Of equal texts each ``draw`` is a picture of its own.
    """

    KIND: ClassVar[str] = "paint"
    PLAYED_BY: ClassVar[str] = "painters"

    text: str
    draw: int = 0

    def parts(self) -> dict[str, Any]:
        return {"text": self.text, "draw": self.draw}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Paint], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [({}, encode_png(picture)) for picture in model.paint([one.text for one in requests], seeds)]

    def reply(self, value: Value, picture: Pictured | None) -> Pictured | None:
        return picture


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
        replies = model.answer([one.conversation() for one in requests], decoding, seeds)
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
        found = model.choose([one.conversation() for one in requests], [one.choices for one in requests])
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

    @property
    def lines(self) -> tuple[Line, ...]:
        asked = super().lines
        return (*asked, Line("assistant", self.begun)) if self.begun else asked

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[LogProbs], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        conversations = [one.conversation() for one in requests]
        found = model.log_probabilities(conversations, [one.continuation for one in requests])
        return [({"log_probabilities": one.log_probabilities.tolist(), "spans": one.spans}, None) for one in found]

    def reply(self, value: Value, picture: Pictured | None) -> Scores:
        spans = tuple((start, end) for start, end in value["spans"])
        return Scores(np.array(value["log_probabilities"], np.float64), spans)


@dataclass(frozen=True)
class Embed(Request):
    """Ask for the vector of a text. The reply is (D,) float32 of unit norm."""

    KIND: ClassVar[str] = "embed"
    PLAYED_BY: ClassVar[str] = "embedders"

    text: str

    def parts(self) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Embed], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [({"vector": vector.tolist()}, None) for vector in model.embed([one.text for one in requests])]

    def reply(self, value: Value, picture: Pictured | None) -> np.ndarray:
        return np.array(value["vector"], np.float32)


@dataclass(frozen=True)
class Encode(Request):
    """Ask for the vector of a picture, an encoder's CLS. The reply is (D,) float32."""

    KIND: ClassVar[str] = "encode"
    PLAYED_BY: ClassVar[str] = "encoders"

    picture: Pictured

    def parts(self) -> dict[str, Any]:
        return {"picture": self.picture.digest}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,)

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Encode], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [
            ({"vector": vector.tolist()}, None)
            for vector, _ in model.encode([one.picture.pixels() for one in requests])
        ]

    def reply(self, value: Value, picture: Pictured | None) -> np.ndarray:
        return np.array(value["vector"], np.float32)


@dataclass(frozen=True)
class Measure(Request):
    """Ask how good a caption is by a measure. The reply are its values by metric, None where one is undefined."""

    KIND: ClassVar[str] = "measure"
    PLAYED_BY: ClassVar[str] = "measures"

    text: str
    picture: Pictured | None = None
    references: tuple[str, ...] = ()

    def parts(self) -> dict[str, Any]:
        seen = self.picture and self.picture.digest
        return {"text": self.text, "picture": seen, "references": list(self.references)}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,) if self.picture else ()

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Measure], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        from models.measures.captions.candidates import Candidate, Corpus

        records = [Candidate(str(n), one.text, one.references, picture=one.picture) for n, one in enumerate(requests)]
        model.fit(Corpus({one.sample: one.references for one in records}, texts=[one.text for one in records]))
        return [(values, None) for values in model.score(records)]

    def reply(self, value: Value, picture: Pictured | None) -> Value:
        return value


class Detected(NamedTuple):
    """What a detector found in a picture, whose sides are in pixels."""

    width: int
    height: int
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class Detect(Request):
    """Ask where things of some names are in a picture. The reply is :class:`Detected`."""

    KIND: ClassVar[str] = "detect"
    PLAYED_BY: ClassVar[str] = "detectors"

    picture: Pictured
    names: tuple[str, ...]

    def parts(self) -> dict[str, Any]:
        return {"picture": self.picture.digest, "names": list(self.names)}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,)

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Detect], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        pictures = [one.picture.pixels() for one in requests]
        found = model.detect(pictures, [one.names for one in requests])
        return [
            (
                {"height": picture.shape[0], "width": picture.shape[1], "detections": [one._asdict() for one in some]},
                None,
            )
            for picture, some in zip(pictures, found, strict=True)
        ]

    def reply(self, value: Value, picture: Pictured | None) -> Detected:
        some = (Detection(one["label"], one["score"], tuple(one["box"])) for one in value["detections"])
        return Detected(value["width"], value["height"], tuple(some))


Replies = Any
"""The reply to one request, or a list of replies to a list of requests."""

Returned = TypeVar("Returned")

Asking = Generator[Request | list[Request], Replies, Returned]
"""A part of a method that asks, and what it returns to the rest."""

Conversation = Asking[Value]
"""A method that was called."""


def together(parts: Sequence[Asking[Returned]]) -> Asking[list[Returned]]:
    """Let parts that do not depend on each other ask at the same time, and return what each returns."""
    returned: dict[int, Returned] = {}
    replies: dict[int, Replies] = dict.fromkeys(range(len(parts)))
    while len(returned) < len(parts):
        asked: dict[int, Request | list[Request]] = {}
        for number in replies:
            try:
                asked[number] = parts[number].send(replies[number])
            except StopIteration as end:
                returned[number] = end.value
        if asked:
            flat = [one for some in asked.values() for one in (some if isinstance(some, list) else [some])]
            received = iter((yield flat))
            replies = {
                number: [next(received) for _ in some] if isinstance(some, list) else next(received)
                for number, some in asked.items()
            }
    return [returned[number] for number in range(len(parts))]
