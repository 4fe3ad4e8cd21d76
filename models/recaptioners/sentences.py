"""Sentences of a caption, and the words in them that say something."""

from __future__ import annotations

import re
from pathlib import Path

ABBREVIATION = re.compile(r"mr|mrs|ms|dr|prof|st|jr|sr|vs|e\.g|i\.e|cf|figs?|approx|inc|ltd|dept|ft|oz|lbs?")
END = re.compile(r"""[.!?…]+["'”’)\]]*(?=\s|$)|\n+""")

FUNCTION_WORDS = frozenset(Path(__file__).with_name("function_words.txt").read_text(encoding="utf-8").split())
"""Words of English's closed classes: articles, pronouns, prepositions, conjunctions, auxiliaries and particles. The
paper finds them by a tagger; what is in a closed class and in an open one ("like", "down", "one") counts as closed."""

QUOTES = frozenset("\"'”’)]")

WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")


def spans(text: str) -> list[tuple[int, int]]:
    """The sentences of a text as spans (start, end) of characters, without blanks around them.

    A sentence ends with ``. ! ? …`` before a blank, at the end of a line, or with the text; not behind an abbreviation,
    an initial or a list's number, and never inside of a number.

    >>> text = 'A sign says "Stop!" It is 3.5 m high, e.g. like Mr. J. Doe. No end mark'
    >>> [text[start:end] for start, end in spans(text)]
    ['A sign says "Stop!"', 'It is 3.5 m high, e.g. like Mr. J. Doe.', 'No end mark']
    """
    found, start = [], 0
    for end in END.finditer(text):
        before = text[start : end.start()].split()
        word = before[-1].lower().lstrip("([\"'“‘") if before else ""
        single = len(before) == 1 and word.isdigit() or len(word) == 1 and word.isalpha() and word != "i"
        quoted = end.group()[-1] in QUOTES and text[end.end() :].lstrip()[:1].islower()
        if quoted or end.group() == "." and (ABBREVIATION.fullmatch(word) or single) and end.end() < len(text.rstrip()):
            continue
        found.append((start, end.end()))
        start = end.end()
    found.append((start, len(text)))
    cut = ((begin + len(part) - len(part.lstrip()), begin + len(part.rstrip())) for begin, end in found
           if (part := text[begin:end]))  # fmt: skip
    return [(begin, end) for begin, end in cut if WORD.search(text, begin, end)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order.

    >>> sentences("A red star. A blue disc")
    ['A red star.', 'A blue disc']
    """
    return [text[start:end] for start, end in spans(text)]


def critical(text: str) -> list[tuple[int, int]]:
    """The spans of a text's words of open classes: nouns, verbs, adjectives, adverbs, numbers and names.

    >>> text = "The star is on the left of 3.5 discs"
    >>> [text[start:end] for start, end in critical(text)]
    ['star', 'left', '3.5', 'discs']
    """
    words = ((re.sub("n?['’].*", "", word.group().lower()), word.span()) for word in WORD.finditer(text))
    return [span for word, span in words if word not in FUNCTION_WORDS]
