"""Methods that rewrite captions by asking several models, each to be read beside its paper.

A method is a class whose ``recaption`` is a generator over requests (:mod:`models.adapters.requests`): it yields what
it asks of the models that play its roles, is sent the replies, and returns the new caption with what led to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from models.adapters.requests import Conversation, Pictured
from models.adapters.roles import Reply

NOTHING = frozenset({"", "none", "null", "n/a", "na", "no caption", "no change", "no changes"})
"""What models say where they have no caption; RICO's released code keeps "None" as one."""
FIRST_PROMPT = "Describe this image in detail. Your answer should be concise and informative."
"""Prompt #1 of paper *RICO* (table 10)."""


@dataclass(frozen=True)
class Case:
    """A picture with its first caption, which may be empty."""

    picture: Pictured
    caption: str
    sample: str = ""
    questions: Sequence[Mapping[str, str]] = ()
    """What its corpus asks about the picture: ``question`` and ``answer``, for methods that have an ``answerer``."""


class Recaptioner(Protocol):
    """Rewrites a caption. What it returns are the columns of an item: ``caption``, and ``steps`` that led to it."""

    VERSION: ClassVar[int]

    @property
    def Settings(self) -> type[BaseModel]:
        """The pydantic model of its settings in ``params.yaml``."""

    ROLES: ClassVar[Mapping[str, str]]
    """The roles of the models that it may ask, each with the role of the catalogue whose models can play it."""

    @property
    def asks(self) -> frozenset[str]:
        """The roles of the models that it asks as it is set."""

    @property
    def samples(self) -> Collection[str] | None:
        """The samples that it has captions of, if it goes by samples; None where pictures and captions alone count."""

    @property
    def first_prompt(self) -> str:
        """With what the first caption of a picture without one is asked for, unless the study says otherwise."""

    @property
    def describes(self) -> bool:
        """Whether it asks for that caption itself."""

    def identity(self) -> dict[str, Any]:
        """JSON-able parts of the key: its settings."""

    def most(self, caption: str) -> dict[str, int | None]:
        """How many requests of each role a case asks for at most, by its first caption, empty where it is unknown.

        None where nothing bounds them beforehand.
        """

    def recaption(self, case: Case) -> Conversation:
        """The requests of one case, and in the end its new caption."""


class Rewriting:
    """Base of methods to which pictures and captions alone count, whoever wrote them."""

    samples: ClassVar[None] = None
    first_prompt: ClassVar[str] = FIRST_PROMPT
    describes: ClassVar[bool] = False


def plain(reply: Reply) -> str:
    """The text of a reply that is a caption and nothing else.

    Raises
    ------
    ValueError
        It is empty, says that there is none, or was cut off.

    >>> plain(Reply(" A red star. ", "stop"))
    'A red star.'
    >>> plain(Reply("None", "stop"))
    Traceback (most recent call last):
    ValueError: the reply 'None' is no caption
    """
    text = " ".join(reply.text.split())
    if text.strip(" .").lower() in NOTHING:
        raise ValueError(f"the reply {text!r} is no caption")
    if reply.finish == "length":
        raise ValueError("the reply was cut off at `max_tokens`: raise it")
    return text


def filled(prompt: str, **words: str) -> str:
    """A prompt with words in place of their names in braces; braces in the words stay.

    >>> filled("Rewrite: {caption}", caption="a {red} star")
    'Rewrite: a {red} star'
    """
    return re.sub(r"\{(\w+)\}", lambda name: words.get(name[1], name[0]), prompt)
