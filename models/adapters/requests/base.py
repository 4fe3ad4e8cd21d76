"""What a request is, and how methods ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from models.adapters.decoding import Decoding
from models.adapters.roles import Pictured


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

    def size(self) -> tuple[int, ...]:
        """About how much the model has to read; requests of one size are answered beside each other."""
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
