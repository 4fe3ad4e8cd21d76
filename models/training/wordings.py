"""Training data of the pocket sentence embedders: captions that mean the same, and captions that are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu

from models.training.data import Examples
from models.worlds import expressions, grammar, radiographs, trends
from models.worlds.grammar import BACKGROUNDS, WORDS
from models.worlds.spectrograms import KINDS

Graph = dict[str, Any]
Families = tuple[tuple[tuple[str, ...], ...], ...]

_SHAPES: Families = (
    *(tuple(values.values()) for values in WORDS.values()),
    tuple((ground,) for ground in BACKGROUNDS),
    (("left",), ("right",)),
    (("above", "over"), ("below", "under")),
    (("top",), ("bottom",)),
    (("upper",), ("lower",)),
    (("leftmost",), ("rightmost",)),
    (("topmost", "highest"), ("lowest",)),
    (("larger", "bigger"), ("smaller",)),
    (("largest", "biggest"), ("smallest",)),
)
_SERIES: Families = (
    (
        ("rises", "increases", "climbs", "goes up"),
        ("falls", "decreases", "declines", "drops"),
        ("stays flat", "remains constant", "stays level"),
    ),
    (
        ("at the beginning", "in the beginning", "near the start"),
        ("in the middle", "around the middle", "near the middle"),
        ("at the end", "towards the end", "near the end"),
    ),
    (
        ("peaks", "reaches its highest point", "has its maximum"),
        ("dips", "bottoms out", "reaches its lowest point", "has its minimum"),
    ),
    (("jumps up", "rises sharply", "shoots up"), ("plunges", "drops sharply", "falls suddenly")),
    (("recovers", "rises again"), ("falls off",)),
    (("ends higher",), ("ends lower",)),
)
FAMILIES: dict[str, Families] = {
    "scenes": _SHAPES,
    "referring": _SHAPES,
    "series": _SERIES,
    "plots": _SERIES,
    "radiographs": (
        (("left",), ("right",)),
        (("upper lobe",), ("mid lung",), ("lower lobe",)),
        (("airspace opacity", "opacity"), ("pulmonary nodule", "nodule")),
    ),
    "spectrograms": (tuple((kind,) for kind in KINDS),),
}
"""World -> families of alternatives that exclude each other, each of one or more phrases that mean the same."""

WHOLE = (
    radiographs.NORMAL,
    radiographs.WORDINGS["cardiomegaly"],
    ("pleural effusion",),
    ("airspace opacity",),
    ("pulmonary nodule",),
)
"""Alternatives that are a caption of their own."""


def _series_facts(graph: Graph) -> dict[str, str]:
    return graph.get("facts") or trends.facts(graph["series"]["values"])


_WRONG: dict[str, Callable[[str, Graph], bool]] = {
    "referring": lambda text, graph: expressions.resolve(text, graph) != [graph["target"]],
    "series": lambda text, graph: any(
        _series_facts(graph).get(name, value) != value for name, value in trends.parse(text).items()
    ),
    "radiographs": lambda text, graph: radiographs.agreement(radiographs.parse(text), graph)["precision"] < 1,
}
_WRONG["plots"] = _WRONG["series"]
"""World -> whether a text is wrong about a graph; in other worlds any exchange within a family makes it wrong."""

_MEANING: dict[str, Callable[[Graph], Any]] = {
    "scenes": lambda graph: [
        graph["background"],
        [[thing[name] for name in ("size", "color", "texture", "shape")] for thing in graph["objects"]],
        [one["predicate"] for one in graph["relations"]],
    ],
    "series": lambda graph: graph["facts"],
    "radiographs": lambda graph: sorted(str([one["label"], one["side"], one["zone"]]) for one in graph["findings"]),
    "spectrograms": lambda graph: graph["kind"],
}
"""World -> all that a caption can say of a graph; elsewhere no two pictures are taken to show the same."""


_ANEW: dict[str, Callable[[Graph, np.random.Generator], list[str] | None]] = {
    "scenes": grammar.references,
    "referring": expressions.expressions,
    "series": lambda graph, rng: trends.captions(graph["facts"], rng),
    "radiographs": radiographs.references,
}
"""World -> more captions of a graph; the ten kinds of ``spectrograms`` have no others."""


class Group(NamedTuple):
    """The distinct captions of pictures that show the same."""

    world: str
    texts: list[str]
    graph: Graph


def groups(world: str, examples: Examples) -> list[Group]:
    """Examples by what their captions can say, in the order in which each meaning first occurs."""
    found: dict[str, Group] = {}
    for texts, graph in zip(examples.captions, examples.annotations, strict=True):
        meaning = json.dumps(_MEANING.get(world, lambda whole: whole)(graph), sort_keys=True)
        group = found.setdefault(meaning, Group(world, [], graph))
        group.texts.extend(text for text in texts if text not in group.texts)
    return list(found.values())


def contradiction(world: str, text: str, graph: Graph, rng: np.random.Generator) -> str | None:
    """The text with one phrase exchanged so that it is wrong about ``graph``; None where no exchange does that.

    >>> contradiction("spectrograms", "a hum sound", {"kind": "hum"}, np.random.default_rng(0))
    'a chord sound'
    """
    family = {phrase: (f, a) for f, alternatives in enumerate(FAMILIES[world])
              for a, phrases in enumerate(alternatives) for phrase in phrases}  # fmt: skip
    pattern = rf"\b(?:{'|'.join(sorted(family, key=len, reverse=True))})\b"
    spots = []
    for match in re.finditer(pattern, text):
        number, own = family[match[0]]
        others = [phrases for a, phrases in enumerate(FAMILIES[world][number]) if a != own]
        spots.append((match.start(), match.end(), others))
    if any(text in phrases for phrases in WHOLE):
        spots.append((0, len(text), [phrases for phrases in WHOLE if text not in phrases]))
    for spot in rng.permutation(len(spots)):
        first, last, others = spots[spot]
        for other in rng.permutation(len(others)):
            changed = text[:first] + str(rng.choice(others[other])) + text[last:]
            changed = re.sub(r"\ban?\b(?= (\w))", lambda a: "an" if a[1] in "aeiou" else "a", changed)
            if _WRONG.get(world, lambda *_: True)(changed, graph):
                return changed
    return None


def figures(embed: Callable[[Sequence[str]], np.ndarray], held_out: Mapping[str, Sequence[Group]]) -> dict[str, float]:
    """Quality of unit vectors of captions, on at most 200 groups of each world that have two wordings.

    ``retrieval``: how often the wording nearest to one wording, among another of each group, is of the same group.
    ``auc``: how often the cosine of two wordings of one picture is above that of one wording and another with one
    attribute changed (the area under the ROC curve). ``measured``: how often a new wording is nearer to the nearest of
    all wordings of its group than the same with one attribute changed; ties count half. ``alignment`` (mean squared
    distance of two wordings) and ``uniformity`` (log of the mean of exp(-2 d²) over pairs of groups) are those of Wang
    and Isola (2020), over all worlds: lower is better.
    """
    found, distances, spread = {}, [], []
    for world, some in held_out.items():
        rng = np.random.default_rng(0)
        chosen = [group for group in some if len(group.texts) > 1][:200]
        pairs = [[str(text) for text in rng.permutation(group.texts)[:2]] for group in chosen]
        asked, stored = (embed([pair[k] for pair in pairs]) for k in (0, 1))
        found[f"{world} retrieval"] = float(((asked @ stored.T).argmax(1) == np.arange(len(pairs))).mean())
        same = (asked * stored).sum(1)
        wrong = [contradiction(world, pair[1], group.graph, rng) for pair, group in zip(pairs, chosen, strict=True)]
        kept = {i: text for i, text in enumerate(wrong) if text is not None}
        cosines = (asked[list(kept)] * embed(list(kept.values()))).sum(1)
        found[f"{world} auc"] = float(mannwhitneyu(same, cosines).statistic / len(same) / len(cosines))
        if world in _ANEW:
            found[f"{world} measured"] = _measured(embed, chosen, rng)
        distances.append(((asked - stored) ** 2).sum(1))
        spread.append(asked)
    cosines = np.concatenate(spread) @ np.concatenate(spread).T
    apart = 2 - 2 * cosines[np.triu_indices(len(cosines), 1)]
    found["alignment"] = float(np.concatenate(distances).mean())
    found["uniformity"] = float(np.log(np.exp(-2 * apart).mean()))
    return found


def _measured(embed: Callable[[Sequence[str]], np.ndarray], some: Sequence[Group], rng: np.random.Generator) -> float:
    better = []
    for group in some:
        fresh = [text for text in _ANEW[group.world](group.graph, rng) or () if text not in group.texts]
        wrong = contradiction(group.world, fresh[0], group.graph, rng) if fresh else None
        if wrong is not None:
            vectors = embed([fresh[0], wrong, *group.texts])
            right, changed = (vectors[:2] @ vectors[2:].T).max(1)
            better.append((right > changed) + 0.5 * (right == changed))
    return float(np.mean(better))
