"""WordNet's synonyms and base forms, from the tables that METEOR's program carries."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from models.measures.captions.java import METEOR, carried

NOUN = (
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("s", ""),
)
ADJECTIVE = (("er", ""), ("est", ""), ("er", "e"), ("est", "e"))
VERB = (("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""), ("s", ""))
"""Endings of a word's forms, and of the word that they are of (Princeton's ``morphy``)."""

Endings = tuple[tuple[str, str], ...]


@cache
def synsets() -> Mapping[str, frozenset[str]]:
    """Words, several joined by underscores, and the ids of the sets of synonyms that they are in."""
    lines = _table("synsets")
    return {word: frozenset(ids.split()) for word, ids in zip(lines[::2], lines[1::2], strict=True)}


@cache
def _bases() -> Mapping[str, str]:
    """Irregular forms, and the first word that each is of."""
    lines = _table("exceptions")
    found: dict[str, str] = {}
    for base, forms in zip(lines[::2], lines[1::2], strict=True):
        for form in forms.split():
            found.setdefault(form, base)
    return found


@cache
def _members() -> Mapping[str, frozenset[str]]:
    """The words of each set of synonyms."""
    found = defaultdict(set)
    for word, ids in synsets().items():
        for one in ids:
            found[one].add(word)
    return {one: frozenset(words) for one, words in found.items()}


def _table(name: str) -> list[str]:
    with zipfile.ZipFile(carried(METEOR)) as jar:
        return jar.read(f"synonym/english.{name}").decode().splitlines()


def lemma(words: str, endings: Endings = NOUN) -> str:
    """The base form of a noun, or of a word with other endings; of several words the last one's.

    A form counts as regular only where WordNet has its base, of three letters or more.

    >>> [lemma(word) for word in ("dogs", "women", "glasses", "gas", "red buses", "qqqs")]
    ['dog', 'woman', 'glass', 'gas', 'red bus', 'qqqs']
    >>> lemma("larger", ADJECTIVE)
    'large'
    """
    before, blank, word = words.rpartition(" ")
    return before + blank + _lemma(word, endings)


@cache
def _lemma(word: str, endings: Endings) -> str:
    if endings is NOUN and word in _bases():
        return _bases()[word]
    if word.endswith("ss"):
        return word
    bases = (word.removesuffix(end) + base for end, base in endings if word.endswith(end))
    return next((base for base in bases if len(base) > 2 and base in synsets()), word)


@cache
def senses(words: str) -> frozenset[str]:
    """The sets of synonyms that words are in, in whatever form they stand."""
    joined = "_".join(words.split())
    forms = {joined, _bases().get(joined, joined), *(_lemma(joined, endings) for endings in (NOUN, ADJECTIVE, VERB))}
    return frozenset().union(*(synsets().get(form, frozenset()) for form in forms))


@cache
def synonyms(words: str) -> frozenset[str]:
    """All words of all sets of synonyms that words are in, themselves among them.

    >>> "band" in synonyms("ring") & synonyms("circle"), bool(senses("ring") & senses("circle"))
    (True, False)
    """
    return frozenset().union(*(_members()[one] for one in senses(words)))
