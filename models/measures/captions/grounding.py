"""Captions of generated pictures against what the pictures show: which objects, attributes and relations are right.

Precision and recall of a scene graph as in SPICE (Anderson et al. 2016, arXiv 1607.08822, section 3), object by object
and with an exact truth; *hallucination* is CHAIR's question (Rohrbach et al. 2018), put to attributes and relations as
well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters import roles
from models.measures.captions.accounts import (
    READ,
    Account,
    Annotations,
    Thing,
    coverage,
    expression,
    paired,
    truth,
    world_of,
)
from models.measures.captions.references import check_hypotheses
from models.measures.regions import REGIONS, lies_inside
from models.media.images import decode_mask
from models.worlds.expressions import resolve

FAMILIES = ("object", "attribute", "relation")
RATIOS = {"precision": ("right", "said"), "recall": ("found", "true"), "hallucination": ("invented", "said")}
"""Ratio -> what is counted above and below its line.

``said`` are the claims of a caption: ``right`` are those that are true of the very object they are made of, and
``invented`` those that are true of nothing in the picture. ``true`` are the facts, ``found`` those that are said.
"""

FACTS = {
    "scenes": FAMILIES,
    "referring": FAMILIES,
    "series": ("attribute",),
    "radiographs": ("object", "attribute"),
    "spectrograms": ("object",),
}
"""World -> the families that there are in it."""

LOCATED = ("scenes", "referring", "radiographs")
"""The worlds whose objects have boxes."""

NO_MASKS: Mapping[str, bytes] = {}

Tally = Counter[tuple[str, str, str]]
"""Family, region and what is counted -> how often."""


class Grounding:
    """Object, attribute and relation precision, recall and hallucination of captions, whole and by region.

    *Pairing.* The objects that a caption names are paired with the true ones so that most agrees, a pair agreeing in
    something. One of another kind than its partner is a wrong object; one without a partner belongs to no region.

    *Objects* (shapes, findings, kinds of sound) are right where they are of their partner's kind, and invented where
    the picture shows none of the kind. *Attributes* (colours, textures and sizes, sides and zones) are right where the
    partner has them, and invented where nothing in the picture has. Attributes of the picture itself (a background,
    that a film is normal, all that is true of a series) have no region. *Relations* are right where they hold between
    the partners, or others that agree with what is said just as well, and invented where they do not and hold between
    no objects of the kinds said; ``true`` are those of neighbours, from left to right, from which the others mostly
    follow.

    A *referring expression* is about one object: ``object_precision`` is the share of the target among the objects that
    it applies to, ``object_recall`` whether the target is one of them, and one that applies to nothing is invented. Of
    its attributes (the shape among them) and its relation there is no recall: it need not say all. All is the target's.

    *Regions.* A claim or fact about an object is in ``region`` where half of the object's box or more is repainted, and
    else ``outside``; one about two objects is ``outside`` where both are. A ratio over nothing is None. The value of a
    corpus is that of all claims and facts together.

    ``parser_coverage`` is the share of content words that the parser understood: how far the other values can be
    believed.
    """

    VERSION: ClassVar[int] = 1
    """Raised as well when a world's parser reads other things."""

    REGIONAL: ClassVar[tuple[str, ...]] = tuple(f"{family}_{ratio}" for family in FAMILIES for ratio in RATIOS)
    METRICS: ClassVar[tuple[str, ...]] = (*REGIONAL, "parser_coverage")
    corpus_wide: ClassVar[bool] = False
    grounded: ClassVar[bool] = True

    class Settings(roles.Settings):
        """There is nothing to set."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Nothing beside the version: an item depends on its caption, annotations and mask."""
        return {}

    def load(self) -> None:
        """Nothing to load."""

    def fit(
        self,
        references: Mapping[str, Sequence[str]],
        captions: Iterable[str],
        annotations: Mapping[str, Annotations],
    ) -> None:
        """Take the annotations of a corpus, by id; nothing else is looked at.

        Raises
        ------
        ValueError
            The annotations of a picture are of no generated world.
        """
        self._annotations = annotations
        self._worlds = {key: world_of(one) for key, one in self._annotations.items()}
        self._tallies: dict[tuple[str, str, bytes | None], Tally] = {}
        self._coverages: dict[tuple[str, str], float | None] = {}

    def score(self, hypotheses: Mapping[str, str], masks: Mapping[str, bytes] = NO_MASKS) -> dict[str, dict[str, Any]]:
        """Metric -> region -> value of each caption, id -> text; ``parser_coverage`` -> value. Masks are PNG, by id.

        What a world lacks is not there: families, and regions where nothing has a box or there is no mask.

        Raises
        ------
        ValueError
            An id without annotations (naming the nearest), or a caption that is not a text.
        """
        return {key: self._values({key: caption}, masks) for key, caption in hypotheses.items()}

    def corpus(self, hypotheses: Mapping[str, str], masks: Mapping[str, bytes] = NO_MASKS) -> dict[str, Any]:
        """The same of all captions as one: claims and facts are pooled, coverage is the mean.

        Raises as :meth:`score`, and where there is no caption.
        """
        if not hypotheses:
            raise ValueError("there are no captions: give at least one")
        return self._values(hypotheses, masks)

    def _values(self, captions: Mapping[str, str], masks: Mapping[str, bytes]) -> dict[str, Any]:
        check_hypotheses(captions, self._annotations, "annotations")
        pooled: Tally = Counter()
        for key, caption in captions.items():
            pooled.update(self._tally(key, caption, masks.get(key)))
        covered = [self._coverage(self._worlds[key], caption) for key, caption in captions.items()]
        known = [value for value in covered if value is not None]
        families = [family for family in FAMILIES if any(family in FACTS[self._worlds[key]] for key in captions)]
        located = any(key in masks and self._worlds[key] in LOCATED for key in captions)
        values = ratios(pooled, families, REGIONS if located else REGIONS[:1])
        return values | {"parser_coverage": sum(known) / len(known) if known else None}

    def _tally(self, key: str, caption: str, mask: bytes | None) -> Tally:
        asked = key, caption, mask
        if asked not in self._tallies:
            region = None if mask is None else decode_mask(mask)
            self._tallies[asked] = tally(caption, self._annotations[key], region)
        return self._tallies[asked]

    def _coverage(self, world: str, caption: str) -> float | None:
        asked = world, caption
        if asked not in self._coverages:
            self._coverages[asked] = coverage(world, caption)
        return self._coverages[asked]


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
    """What a caption says and what it leaves out, counted; raises ValueError as :func:`world_of` does.

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
    tellers = {j: said.things[i] for i, j in partners.items()}
    for j, thing in enumerate(true.things):
        teller = tellers.get(j, Thing("", {}))
        counts.add("object", (j,), true=1, found=thing.kind == teller.kind)
        for name, value in thing.attributes.items():
            counts.add("attribute", (j,), true=1, found=teller.attributes.get(name) == value)
    _compare_relations(said, true, counts, partners, equals)


def _compare_relations(
    said: Account, true: Account, counts: _Counts, partners: Mapping[int, int], equals: Mapping[int, Sequence[int]]
) -> None:
    holding, told = set(true.relations), set()
    for subject, predicate, other in said.relations:
        meant = [
            (a, b) for a in equals.get(subject, ()) for b in equals.get(other, ()) if (a, predicate, b) in holding
        ]  # fmt: skip
        told |= {frozenset(pair) for pair in meant}
        pair = partners.get(subject), partners.get(other)
        ends = said.things[subject].kind, said.things[other].kind
        somewhere = any(
            link == predicate and (true.things[a].kind, true.things[b].kind) == ends for a, link, b in holding
        )
        owners = meant[0] if meant and pair not in meant else pair
        counts.add("relation", owners, said=1, right=bool(meant), invented=not meant and not somewhere)
    if holding:
        for k in range(len(true.things) - 1):
            counts.add("relation", (k, k + 1), true=1, found=frozenset((k, k + 1)) in told)


def _refer(caption: str, annotations: Annotations, counts: _Counts) -> None:
    """What an expression applies to, and what it says of its target."""
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
