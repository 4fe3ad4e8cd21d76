"""What a caption of shapes says, in its own words, and captions made of that: what lessons for a language model need.

:func:`models.worlds.grammar.parse` reads what is meant; here the words are kept, and places, so that a merged caption
speaks as its sources do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations

from models.worlds.expressions import _EXTREMES, _PLACES, ANY_SHAPE
from models.worlds.grammar import BACKGROUNDS, BESIDE, BETWEEN, MEANING, OPPOSITE
from models.worlds.instructions import THIRDS

ORDER = ("size", "color", "texture", "shape")
_PREDICATE = {phrase: name for table in (BETWEEN, BESIDE) for name, phrases in table.items() for phrase in phrases}
_BACKWARDS = {phrase for phrases in BESIDE.values() for phrase in phrases}
PLACES = [f"in the {place}" for row in THIRDS for place in row]
"""Where captioners say that an object is."""
BEHIND = set(PLACES) | {
    phrase for table in (_EXTREMES, _PLACES) for phrases in table.values() for phrase in phrases if " " in phrase
}
BEFORE = {phrase for phrases in _EXTREMES.values() for phrase in phrases if " " not in phrase}
_COUNTED = {f"{count} shape{'s' * (count != 'one')}" for count in ("one", "two", "three", "four", "five")}
_TOKENS = re.compile(
    rf"\b(?P<ground>(?:on|against)(?: an?)? (?P<named>{'|'.join(BACKGROUNDS)}))\b|\b(?P<phrase>"
    + "|".join(sorted({*_PREDICATE, *BEHIND, *BEFORE, *_COUNTED, *MEANING, *ANY_SHAPE}, key=len, reverse=True))
    + r")\b"
)
_STUTTER = re.compile(r"\b((?!and )\w+(?: (?!and )\w+){0,5})(?: \1\b)+")
"""What is said twice in a row; two alike things, joined by "and", are two."""


@dataclass
class Thing:
    """A mention of an object: attribute -> its word, and where in the picture it is said to be."""

    words: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def meaning(self, attribute: str) -> str:
        """The attribute's value; empty where it is not named."""
        word = self.words.get(attribute, "")
        return MEANING[word][1] if word in MEANING else word

    def phrase(self, *attributes: str) -> str:
        """The words of these attributes, of all where none is named."""
        return " ".join(self.words[name] for name in ORDER if name in self.words and name in (attributes or ORDER))

    def name(self) -> str:
        """Colour and shape: what a question about it calls it."""
        return self.phrase("color", "shape")


@dataclass
class Reading:
    """What a caption says. ``links``: (subject, other) -> the phrase between them."""

    things: list[Thing] = field(default_factory=list)
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    ground: str = ""
    count: str = ""

    def relation(self, one: int, other: int) -> str:
        """How ``one`` lies from ``other``, said of either of them; empty where nothing is."""
        if (one, other) in self.links:
            return _PREDICATE[self.links[one, other]]
        return OPPOSITE[_PREDICATE[self.links[other, one]]] if (other, one) in self.links else ""

    def link(self, one: int, other: int) -> str:
        """The phrase between two, turned round where it was said the other way; empty where there is none."""
        if (one, other) in self.links or (other, one) not in self.links:
            return self.links.get((one, other), "")
        return turned(self.links[other, one])

    def short(self, index: int) -> str:
        """The shape alone where no other thing has it, else with its colour."""
        thing = self.things[index]
        alone = sum(one.meaning("shape") == thing.meaning("shape") for one in self.things) == 1
        return thing.words["shape"] if alone else thing.name()


def turned(phrase: str) -> str:
    """The phrase of the opposite relation that is worded alike.

    >>> turned("to the left of"), turned("over")
    ('to the right of', 'under')
    """
    said = BETWEEN[_PREDICATE[phrase]].index(phrase)
    return BETWEEN[OPPOSITE[_PREDICATE[phrase]]][said]


def beside(phrase: str) -> str:
    """The phrase with an object after it for one that stands behind its subject.

    >>> beside("on its left side"), beside("under it")
    ('on the left side of', 'under')
    """
    return phrase.removesuffix(" it") if phrase.endswith(" it") else {
        "to its": f"to the {phrase.split()[-1]} of", "on its": f"on the {phrase.split()[2]} side of"
    }[" ".join(phrase.split()[:2])]  # fmt: skip


def read(text: str) -> Reading:
    """What a caption, or an answer behind its subject, says; a word or phrase said twice in a row counts once.

    >>> found = read("a big red striped disc in the upper left to the left of of a plain star, on a sky backdrop")
    >>> found.things[0].phrase(), found.things[0].place, found.links, found.ground
    ('big red striped disc', 'in the upper left', {(0, 1): 'to the left of'}, 'sky')
    """
    found, named, waiting, before = Reading(), {}, "", ""
    said = " ".join(re.sub(r"[^a-z,.;:]+", " ", text.lower()).split())
    for match in _TOKENS.finditer(_STUTTER.sub(r"\1", said)):
        phrase, last = match["phrase"], len(found.things) - 1
        if match["ground"]:
            found.ground = found.ground or match["named"]
        elif phrase in _COUNTED:
            found.count = phrase
        elif phrase in BEFORE:
            before = phrase
        elif phrase in BEHIND:
            if last >= 0:
                found.things[last].place = phrase
        elif phrase in _BACKWARDS:
            if last > 0:
                found.links.setdefault((last, 0), beside(phrase))
        elif phrase in _PREDICATE:
            waiting = phrase if last >= 0 else ""
        else:
            attribute = "shape" if phrase in ANY_SHAPE else MEANING[phrase][0]
            named[attribute] = phrase
            if attribute == "shape":
                found.things.append(Thing(named, before))
                if waiting:
                    found.links.setdefault((last, last + 1), waiting)
                named, waiting, before = {}, "", ""
    return found


def written(reading: Reading) -> str:
    """The caption that names every thing once, in the order in which most known relations join neighbours.

    >>> written(read("a red ring and a star. the ring is over a star, on a mint background"))
    'a red ring and a star and a ring over a star, on a mint background'
    """
    indices = range(len(reading.things))
    order = max(permutations(indices), key=lambda some: sum(
        bool(reading.link(a, b)) for a, b in zip(some, some[1:], strict=False)
    ))  # fmt: skip
    text, before, linked = "", -1, 0
    for index in order:
        thing = reading.things[index]
        if before >= 0 and (phrase := reading.link(before, index)):
            text += f"{', which is' if linked else ',' * bool(reading.things[before].place)} {phrase} "
            linked += 1
        elif before >= 0:
            text, linked = f"{text} and ", 0
        text += " ".join(part for part in (article(thing.phrase()), thing.place) if part)
        before = index
    if not reading.ground:
        return text
    return f"{text}, on a {reading.ground} background" if text else f"a {reading.ground} background"


def facts(reading: Reading) -> list[str]:
    """Sentences of one fact each: things with their attributes, how they lie, the ground.

    >>> facts(read("a red ring above a small star on a sky backdrop"))[:3]
    ['There is a ring.', 'The ring is red.', 'There is a star.']
    """
    found = [f"There {'is' if reading.count.startswith('one') else 'are'} {reading.count}."] if reading.count else []
    for index, thing in enumerate(reading.things):
        name = reading.short(index)
        found.append(f"There is {article(name)}.")
        said = [thing.words[part] for part in ("color", "size", "texture") if part in thing.words]
        found += [f"The {name} is {word}." for word in [*said, thing.place] if word and word not in name.split()]
    found += [f"The {reading.short(i)} is {phrase} the {reading.short(j)}." for (i, j), phrase in reading.links.items()]
    found += [f"The background is {reading.ground}."] if reading.ground else []
    return list(dict.fromkeys(found))


def meant(reading: Reading) -> Counter[str]:
    """Facts in the world's first words, to be counted in two captions that are worded differently."""
    names = [" ".join((thing.meaning("color"), thing.meaning("shape"))) for thing in reading.things]
    found = Counter(names)
    for name, thing in zip(names, reading.things, strict=True):
        found.update(f"{name} {value}" for value in (thing.meaning("size"), thing.meaning("texture"), thing.place)
                     if value)  # fmt: skip
    for i, j in reading.links:
        one, other = (i, j) if names[i] <= names[j] else (j, i)
        found[f"{names[one]} {reading.relation(one, other)} {names[other]}"] += 1
    found.update([f"ground {reading.ground}"] if reading.ground else [])
    return found


def article(noun: str) -> str:
    """The noun phrase with its article.

    >>> article("orange ring")
    'an orange ring'
    """
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def same(one: Thing, other: Thing, attributes: Sequence[str]) -> bool:
    """Whether two mentions agree in these attributes as far as both name them."""
    return all(one.meaning(name) == other.meaning(name) for name in attributes
               if name in one.words and name in other.words)  # fmt: skip
