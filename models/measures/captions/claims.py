"""The claims of a caption and the facts of a generated picture, counted by family and region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from models.measures.captions.accounts import READ, Account, Thing, expression, paired, truth, world_of
from models.measures.captions.candidates import Annotations
from models.measures.regions import REGIONS, lies_inside
from models.worlds.expressions import resolve

FAMILIES = ("object", "attribute", "relation")
RATIOS = {"precision": ("right", "said"), "recall": ("found", "true"), "hallucination": ("invented", "said")}
"""Ratio -> what is counted above and below its line.

``said`` are the claims of a caption: ``right`` are those that are true of the very object they are made of, and
``invented`` those that are true of nothing in the picture. ``true`` are the facts, ``found`` those that are said.
"""

Tally = Counter[tuple[str, str, str]]
"""Family, region and what is counted -> how often."""


def ratios(
    counted: Tally, families: Sequence[str] = FAMILIES, regions: Sequence[str] = REGIONS
) -> dict[str, dict[str, float | None]]:
    """Metric -> region -> value; a ratio over nothing is None.

    >>> ratios(Counter({("object", "whole", "said"): 2, ("object", "whole", "right"): 1}))["object_precision"]
    {'whole': 0.5, 'region': None, 'outside': None}
    """

    def ratio(family: str, region: str, above: str, below: str) -> float | None:
        whole = counted[family, region, below]
        return counted[family, region, above] / whole if whole else None

    return {
        f"{family}_{name}": {region: ratio(family, region, *counts) for region in regions}
        for family in families
        for name, counts in RATIOS.items()
    }


def tally(caption: str, annotations: Annotations, mask: np.ndarray | None = None) -> Tally:
    """Count what a caption says and what it leaves out; raises ValueError as :func:`world_of` does.

    ``mask`` (H, W) bool is True where the picture is repainted; without one nothing has a region.

    >>> ratios(tally("a bell sound", {"kind": "drum", "clip": {}}))["object_hallucination"]["whole"]
    1.0
    """
    world, true = world_of(annotations), truth(annotations)
    counts = _Counts(true, mask)
    if world == "referring":
        _refer(caption, annotations, counts)
    else:
        _compare(READ[world](caption), true, counts)
    return counts.tally


class _Counts:
    """A tally that knows where the true objects lie."""

    def __init__(self, true: Account, mask: np.ndarray | None) -> None:
        self.tally: Tally = Counter()
        self.inside = [
            None if mask is None or thing.box is None else lies_inside(thing.box, mask) for thing in true.things
        ]

    def add(self, family: str, owners: Sequence[int | None], **what: int) -> None:
        """Count what is about some objects; an owner of None is no true one, and no owner is the picture as a whole."""
        inside = [None if owner is None else self.inside[owner] for owner in owners]
        regions = ["whole"]
        if inside and None not in inside:
            regions.append("region" if any(inside) else "outside")
        self.tally.update({(family, region, name): int(n) for region in regions for name, n in what.items()})


def _compare(said: Account, true: Account, counts: _Counts) -> None:
    partners, equals = paired(said.things, true.things)
    kinds = {thing.kind for thing in true.things}
    values = {item for thing in true.things for item in thing.attributes.items()}
    for name, value in said.picture.items():
        right = true.picture.get(name) == value
        counts.add("attribute", (), said=1, right=right, invented=not right)
    for name, value in true.picture.items():
        counts.add("attribute", (), true=1, found=said.picture.get(name) == value)
    for i, thing in enumerate(said.things):
        j = partners.get(i)
        shows = true.things[j] if j is not None else Thing("", {})
        counts.add("object", (j,), said=1, right=thing.kind == shows.kind, invented=thing.kind not in kinds)
        for name, value in thing.attributes.items():
            right = shows.attributes.get(name) == value
            counts.add("attribute", (j,), said=1, right=right, invented=(name, value) not in values)
    mentions = {j: said.things[i] for i, j in partners.items()}
    for j, thing in enumerate(true.things):
        mention = mentions.get(j, Thing("", {}))
        counts.add("object", (j,), true=1, found=thing.kind == mention.kind)
        for name, value in thing.attributes.items():
            counts.add("attribute", (j,), true=1, found=mention.attributes.get(name) == value)
    _compare_relations(said, true, counts, partners, equals)


def _compare_relations(
    said: Account, true: Account, counts: _Counts, partners: Mapping[int, int], equals: Mapping[int, Sequence[int]]
) -> None:
    holding, stated = set(true.relations), set()
    for subject, predicate, other in said.relations:
        meant = [
            (a, b) for a in equals.get(subject, ()) for b in equals.get(other, ()) if (a, predicate, b) in holding
        ]  # fmt: skip
        stated |= {frozenset(pair) for pair in meant}
        pair = partners.get(subject), partners.get(other)
        ends = said.things[subject].kind, said.things[other].kind
        somewhere = any(
            link == predicate and (true.things[a].kind, true.things[b].kind) == ends for a, link, b in holding
        )
        owners = meant[0] if meant and pair not in meant else pair
        counts.add("relation", owners, said=1, right=bool(meant), invented=not meant and not somewhere)
    if holding:
        for k in range(len(true.things) - 1):
            counts.add("relation", (k, k + 1), true=1, found=frozenset((k, k + 1)) in stated)


def _refer(caption: str, annotations: Annotations, counts: _Counts) -> None:
    """Count what an expression applies to, and what it says of its target."""
    objects, target = annotations["objects"], annotations["target"]
    applies = resolve(caption, annotations)
    right = target in applies
    counts.add("object", (0,), said=max(len(applies), 1), right=right, invented=not applies, true=1, found=right)
    named, relation = expression(caption)
    for name, value in named.items():
        invented = all(thing[name] != value for thing in objects)
        counts.add("attribute", (0,), said=1, right=objects[target][name] == value, invented=invented)
    if relation:
        lying_so = resolve(f"shape {relation}", annotations)
        counts.add("relation", (0,), said=1, right=target in lying_so, invented=not lying_so)
