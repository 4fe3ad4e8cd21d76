"""The things that a prompt names, with their attributes: "a green bench", "a red car"."""

from __future__ import annotations

import re
from typing import Any, Literal

from models.adapters.requests import Ask, Asking
from models.adapters.roles import Reply
from models.recaptioners import filled
from models.recaptioners.sentences import FUNCTION_WORDS

ARTICLES = frozenset({"a", "an", "the"})
WITHIN = frozenset({"of", "for", "can"})
"""Function words that can stand within a name: "a can of soup"."""

NAMED = """\
List the things that a sentence names, each with the adjectives that belong to it, one a line and nothing else.

Sentence: A black cat with a white tail sleeps on the wooden floor.
Things:
a black cat
a white tail
the wooden floor

Sentence: {sentence}
Things:"""

Source = Literal["listed", "asked"]
"""Where names come from: a prompt that is a list of them, or a language model."""


def listed(text: str) -> list[str]:
    """The phrases of a prompt that is nothing but a list of them, as four of five of T2I-CompBench's attributes are.

    (Their code takes the noun chunks of spaCy's small English model.)

    Raises
    ------
    ValueError
        It says more than that.

    >>> listed("a triangular slice of cheese and rubber gloves.")
    ['a triangular slice of cheese', 'rubber gloves']
    >>> listed("A green bench stands in the rain")
    Traceback (most recent call last):
    ValueError: the prompt 'A green bench stands in the rain' is no list of things: take `phrases: asked`
    """
    parts = [part.strip() for part in re.split(r",? and |, ", text.strip().rstrip("."))]
    for part in parts:
        words = part.split()
        begun = words[:1] and words[0] in ARTICLES
        rest = [word.lower() for word in words[1 if begun else 0 :]]
        if not rest or rest[0] in WITHIN or not FUNCTION_WORDS.isdisjoint(set(rest) - WITHIN) or words[0][0].isupper():
            raise ValueError(f"the prompt {text!r} is no list of things: take `phrases: asked`")
    return parts


def lines(reply: Reply) -> list[str]:
    """The phrases of a reply, one a line, each once, without bullets, numbers and full stops.

    Raises
    ------
    ValueError
        There is none.

    >>> lines(Reply("1. a black cat\\n- a white tail.\\n\\na black cat", "stop"))
    ['a black cat', 'a white tail']
    """
    some = (re.sub(r"^(?:\d+[.)]|[-*•])\s*", "", line.strip()).rstrip(".") for line in reply.text.splitlines())
    found = [line for line in dict.fromkeys(some) if line]
    if reply.finish == "length":
        raise ValueError("the reply was cut off at `max_tokens`: raise it")
    if not found:
        raise ValueError("the reply names nothing")
    return found


def named(text: str, source: Source) -> Asking[Any]:
    """The phrases of a prompt; raises ``ValueError`` where there are none to be had."""
    if source == "listed":
        return listed(text)
    found = yield Ask("language_model", filled(NAMED, sentence=text), read=lines)
    if not found:
        raise ValueError(f"the language model named nothing: {found.reason}")
    return found
