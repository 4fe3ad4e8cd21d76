"""Captions of scenes as references say them and as small captioners do; for lessons in language no picture is drawn."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from models.training.readings import BEFORE, BEHIND, ORDER, Thing, article
from models.worlds.expressions import ANY_SHAPE
from models.worlds.grammar import BACKGROUNDS, BETWEEN, MEANING, WORDS, references
from models.worlds.scenes import COUNTS, attributes, layout

Rng = np.random.Generator

UNKNOWN = ("dog", "car", "very", "wooden", "shiny", "the", "image", "shows", "near", "house", "tree")
"""Words that no world has; they have to be read over."""


def scene(rng: Rng) -> dict[str, Any]:
    """A scene graph without a picture; in a third of them objects are alike."""
    objects, count = None, 1 + int(rng.choice(3, p=COUNTS))
    few = {name: rng.choice(list(WORDS[name]), 2) for name in ("shape", "color")} if rng.random() < 0.3 else {}
    while objects is None:
        alike = [{name: str(rng.choice(values)) for name, values in few.items()} for _ in range(count)]
        objects = layout(rng, [attributes(rng) | given for given in alike])
    return {"background": str(rng.choice(BACKGROUNDS)), "objects": objects}


def caption(rng: Rng, graph: dict[str, Any] | None = None) -> str:
    """A reference of a scene, or what a captioner might make of it."""
    graph = graph or scene(rng)
    if rng.random() < 0.06:
        return dressed(expression(graph, rng), rng)
    text = references(graph, rng)[rng.choice(5, p=(0.2, 0.35, 0.15, 0.15, 0.15))]
    text = text.replace(":", " :" if rng.random() < 0.6 else ":")  # as word pieces are put together
    if rng.random() < 0.15:
        text += f"{rng.choice([', and', '. there is', ', with'])} {article(described(rng, Thing()))}"
    if rng.random() < 0.12:
        clauses = text.split(", ")
        text = ", ".join(clauses[: rng.integers(1, len(clauses) + 1)])
    if rng.random() < 0.35:
        text = blurred(text, rng)
    return dressed(text, rng)


def expression(graph: dict[str, Any], rng: Rng) -> str:
    """A phrase for one object, in the manner of the ``referring`` world; it need not single it out."""
    one, other = (graph["objects"][rng.integers(len(graph["objects"]))] for _ in range(2))
    said = [str(rng.choice(WORDS[name][one[name]])) for name in ORDER[:3] if rng.random() < 0.4]
    noun = " ".join([*said, str(rng.choice(WORDS["shape"][one["shape"]] if rng.random() < 0.6 else ANY_SHAPE))])
    luck = rng.random()
    if luck < 0.3:
        return f"the {rng.choice(sorted(BEFORE))} {noun}"
    if luck < 0.7:
        return f"the {noun} {rng.choice(sorted(BEHIND))}"
    side = str(rng.choice(list(BETWEEN)))
    return f"the {noun} {rng.choice(BETWEEN[side])} the {other['color']} {other['shape']}"


def blurred(text: str, rng: Rng) -> str:
    """Words exchanged for others of their kind, left out, said twice, and words that mean nothing here."""
    words: list[str] = []
    for word in text.split():
        bare = word.strip(",.")
        attribute = MEANING[bare][0] if bare in MEANING else ""
        luck = rng.random()
        if attribute and luck < 0.06:
            value = str(rng.choice(list(WORDS[attribute])))
            word = word.replace(bare, str(rng.choice(WORDS[attribute][value])))
        elif attribute and attribute != "shape" and luck < 0.25:
            continue
        elif luck > 0.985:
            words.append(str(rng.choice(UNKNOWN)))
        elif not attribute and luck < 0.02 and bare != "side":
            continue
        elif luck > 0.975:
            words += [word] * int(rng.integers(1, 5))
        words.append(word)
    if words and rng.random() < 0.3:
        begin, length = int(rng.integers(len(words))), int(rng.integers(1, 6))
        words[begin:begin] = words[begin : begin + length]
    return re.sub(r"\ban?\b(?= (\w))", lambda a: "an" if a[1] in "aeiou" else "a", " ".join(words))


def dressed(text: str, rng: Rng) -> str:
    """Sometimes with a capital, and sometimes with an end mark."""
    luck = rng.random()
    text = text[:1].upper() + text[1:] if luck < 0.15 else text
    return text + "." * (0.05 < luck < 0.25)


def described(rng: Rng, thing: Thing) -> str:
    """All attributes of a thing, in any words of their meaning; what is not said of it is drawn."""
    values = {name: thing.meaning(name) if thing.meaning(name) in WORDS[name] else str(rng.choice(list(WORDS[name])))
              for name in ORDER}  # fmt: skip
    first = rng.random() < 0.6  # as the captioners of the family answer
    return " ".join(value if first else str(rng.choice(WORDS[name][value])) for name, value in values.items())


def reworded(phrase: str, rng: Rng) -> str:
    """The phrase, perhaps in other words of the same meaning."""
    if rng.random() < 0.5:
        return phrase
    return " ".join(str(rng.choice(WORDS[MEANING[word][0]][MEANING[word][1]])) if word in MEANING else word
                    for word in phrase.split())  # fmt: skip


def drawn(name: str, rng: Rng) -> str:
    return str(rng.choice(WORDS[name][str(rng.choice(list(WORDS[name])))]))
