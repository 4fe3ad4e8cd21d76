"""Scene graphs of captions: objects, attributes, relations, as a parser writes them; how many of two graphs agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from models.adapters.roles import Reply
from models.measures.captions.wordnet import ADJECTIVE, lemma, senses
from models.recaptioners.sentences import FUNCTION_WORDS, WORD

Triple = tuple[str, ...]
"""(object,), (object, "is", attribute), or (object, relation, object)."""
Relation = tuple[str, str, str]

THERE = re.compile(r"there is (?:an? |the )?(?P<thing>.+)")
TIED = re.compile(r"the (?P<thing>.+?) is (?P<tie>.+) the (?P<other>.+)")
IS = re.compile(r"the (?P<thing>.+?) is (?P<said>.+)")
DOES = re.compile(r"the (?P<thing>\w+) (?P<said>.+)")


class Graph(NamedTuple):
    """What a text says, each once and in its order; attributes are (object, attribute)."""

    objects: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    relations: tuple[Relation, ...] = ()


def triples(reply: Reply) -> list[Triple]:
    """The triples of a graph as FACTUAL's parsers write it (Li et al. 2023, arXiv 2305.17497).

    Raises
    ------
    ValueError
        There is none, or the reply was cut off.

    >>> triples(Reply("( pigs , is , 2 ) , ( pigs , fly on , sky ), ( bag )", "stop"))
    [('pigs', 'is', '2'), ('pigs', 'fly on', 'sky'), ('bag',)]
    """
    some = [tuple(part.strip().lower() for part in one.split(",")) for one in re.findall(r"\(([^()]*)\)", reply.text)]
    return _some([one for one in some if len(one) in (1, 3) and all(one)], reply)


def facts(reply: Reply) -> list[Triple]:
    """The triples of sentences of one fact each, one a line, as the pocket language model splits captions.

    Raises
    ------
    ValueError
        There is none, or the reply was cut off.

    >>> facts(Reply("There is a red ring.\\nThe red ring is small.\\nThe ring is to the left of the star.", "stop"))
    [('ring',), ('ring', 'is', 'red'), ('ring', 'is', 'small'), ('ring', 'to the left of', 'star')]
    """
    found: list[Triple] = []
    for line in reply.text.lower().splitlines():
        sentence = line.strip(" .")
        for kind in (THERE, TIED, IS, DOES):
            if said := kind.fullmatch(sentence):
                parts = said.groupdict()
                *adjectives, name = parts["thing"].split()
                found += [(name,), *((name, "is", one) for one in adjectives)]
                if "tie" in parts:
                    found.append((name, parts["tie"], parts["other"].split()[-1]))
                elif "said" in parts:
                    found.append((name, "is", parts["said"]))
                break
    return _some(list(dict.fromkeys(found)), reply)


def _some(found: list[Triple], reply: Reply) -> list[Triple]:
    if not found or reply.finish == "length":
        raise ValueError(f"there is no graph, or not all of one, in the reply {reply.text[:40]!r}")
    return found


def graph(text: str, said: Iterable[Triple], stop_words: frozenset[str]) -> Graph:
    """The graph of a text from the triples of its sentences, in base forms.

    Things count whose words, or synonyms of them, stand in the text; objects none of ``stop_words``. Numbers and
    attributes with an "of" are left out.

    >>> graph("Two red cars.", [("cars", "is", "red"), ("cars", "is", "2"), ("cars", "on", "road")], frozenset())
    Graph(objects=('car',), attributes=(('car', 'red'),), relations=())
    """
    words = {lemma(word) for one in WORD.finditer(text.lower()) if (word := one.group()) not in FUNCTION_WORDS}

    def stands(thing: str) -> bool:
        return all(word in words or any(senses(word) & senses(one) for one in words) for word in thing.split())

    objects: dict[str, None] = {}
    attributes: dict[tuple[str, str], None] = {}
    relations: dict[Relation, None] = {}
    for triple in said:
        thing = lemma(triple[0])
        if not stands(thing):
            continue
        objects[thing] = None
        if len(triple) == 1:
            continue
        tie, end = triple[1], triple[2]
        if tie != "is":
            other = lemma(end)
            if stands(other):
                objects[other] = None
                relations[thing, tie, other] = None
        elif not end.isdigit() and " of" not in end:
            attributes[thing, lemma(end, ADJECTIVE)] = None
    return Graph(tuple(one for one in objects if one not in stop_words), tuple(attributes), tuple(relations))


Named = TypeVar("Named", str, Relation)
Alike = Callable[[str, str], bool]


def alike(one: str, other: str) -> bool:
    """Whether two phrases may be said for each other: a set of synonyms has both, or one has all words of the other.

    >>> alike("clock tower", "tower"), alike("man", "woman"), alike("auto", "car"), alike("circle", "ring")
    (True, False, True, False)
    """
    some, others = set(one.split()), set(other.split())
    return some <= others or others <= some or bool(senses(one) & senses(other))


def paired(
    said: Sequence[Named], true: Sequence[Named], same: Alike, greedy: bool = False
) -> tuple[int, list[Named], list[Named]]:
    """How many of two lists are equal or, of the others, alike one to one; and what is left of each.

    Of those alike as many pairs as there can be are made, whatever the order; ``greedy``: each in turn takes the first.
    """
    left, right = list(said), list[Named]()
    for one in true:
        if one in left:
            left.remove(one)
        else:
            right.append(one)
    equal = len(said) - len(left)
    if not greedy:
        left, right = sorted(left), sorted(right)
    table = np.array([[_alike(one, other, same) for other in right] for one in left], bool)
    pairs = _first(table) if greedy else _most(table)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    alone = [one for row, one in enumerate(left) if row not in rows]
    return equal + len(pairs), alone, [one for column, one in enumerate(right) if column not in columns]


def _alike(one: Named, other: Named, same: Alike) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return same(one, other)
    return all(same(a, b) for a, b in zip(one, other, strict=True))


def _first(table: np.ndarray) -> list[tuple[int, int]]:
    pairs: dict[int, int] = {}
    for row, some in enumerate(table):
        free = (int(column) for column in np.flatnonzero(some) if column not in pairs.values())
        if (column := next(free, None)) is not None:
            pairs[row] = column
    return list(pairs.items())


def _most(table: np.ndarray) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    if not table.size:
        return []
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if table[row, column]]
