"""Plays a method by hand: what it asks is answered by a function, and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.adapters.requests import Failure
from models.recaptioners import Case


@dataclass(frozen=True)
class Named:
    """A picture of which nothing but its name matters."""

    digest: str

    def pixels(self) -> np.ndarray:
        raise AssertionError("a method looks at no pixels")


ORIGINAL = Named("original")


def played(method: Any, caption: str, answer: Callable[[Any], Any]) -> tuple[dict[str, Any], list[Any]]:
    """What a method returns where ``answer`` replies to its requests, and what it asked."""
    return conversed(method.recaption(Case(ORIGINAL, caption)), answer)


def conversed(conversation: Any, answer: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
    """What a conversation returns where ``answer`` replies to its requests, and what was asked."""
    asked: list[Any] = []

    def reply(request: Any) -> Any:
        asked.append(request)
        try:
            return answer(request)
        except ValueError as error:
            return Failure(str(error), answered=True)

    try:
        request = next(conversation)
        while True:
            request = conversation.send(
                [reply(one) for one in request] if isinstance(request, list) else reply(request)
            )
    except StopIteration as end:
        return end.value, asked
