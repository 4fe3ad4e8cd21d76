"""Captions of generated pictures against what the pictures show: which objects, attributes and relations are right.

Precision and recall of a scene graph as in SPICE (Anderson et al. 2016, arXiv 1607.08822, section 3), object by object
and with an exact truth; *hallucination* is CHAIR's question (Rohrbach et al. 2018), put to attributes and relations as
well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from models.adapters import roles
from models.measures import Metric
from models.measures.captions.accounts import coverage, world_of
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need, some
from models.measures.captions.claims import FAMILIES, Tally, ratios, tally
from models.measures.regions import REGIONS
from models.media.images import decode_mask

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

_share = partial(Metric, high=1, regional=True)


class Grounding(CaptionMeasure):
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

    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references", "annotations", "mask"})
    """References are not looked at; keys have held them from the start, and keep them."""

    METRICS: ClassVar[tuple[Metric, ...]] = (
        _share("object_precision", "Object precision", 501, "other", "share of the objects named that are those shown"),
        _share("object_recall", "objects ✓", 301, "grounding", "share of the objects shown that the caption names"),
        _share(
            "object_hallucination",
            "objects ✗",
            302,
            "grounding",
            "share of the objects named that are nowhere in the picture",
            higher_is_better=False,
        ),
        _share(
            "attribute_precision",
            "Attribute precision",
            502,
            "other",
            "share of the attributes said that their object has",
        ),
        _share(
            "attribute_recall", "attributes ✓", 303, "grounding", "share of the attributes shown that the caption says"
        ),
        _share(
            "attribute_hallucination",
            "attributes ✗",
            304,
            "grounding",
            "share of the attributes said that nothing has",
            higher_is_better=False,
        ),
        _share(
            "relation_precision",
            "Relation precision",
            503,
            "other",
            "share of the relations said that hold between their objects",
        ),
        _share(
            "relation_recall",
            "relations ✓",
            305,
            "grounding",
            "share of the neighbours whose relation the caption says",
        ),
        _share(
            "relation_hallucination",
            "relations ✗",
            306,
            "grounding",
            "share of the relations said that hold nowhere",
            higher_is_better=False,
        ),
        Metric(
            "parser_coverage",
            "Parser coverage",
            504,
            "other",
            "share of the content words that the world's parser understood",
            high=1,
        ),
    )

    class Settings(roles.Settings):
        """There is nothing to set."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def identity(self) -> dict[str, Any]:
        """Nothing beside the version: an item depends on its caption, annotations and mask."""
        return {}

    def load(self) -> None:
        """Nothing to load."""

    def fit(self, corpus: Corpus) -> None:
        """Drop what was counted of another corpus; raises ``ValueError`` where it is of no generated world."""
        for one in corpus.annotations.values():
            world_of(one)
        self._tallies: dict[tuple[str, str, bytes | None], Tally] = {}
        self._coverages: dict[tuple[str, str], float | None] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Metric -> region -> value of each caption; ``parser_coverage`` -> value.

        What a world lacks is not there: families, and regions where nothing has a box or there is no mask. Raises
        ``ValueError`` where annotations are of no generated world.
        """
        return [self._values([record]) for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """Values of all captions as one: claims and facts are pooled, coverage is the mean.

        Raises as :meth:`score`, and where there is no caption.
        """
        return self._values(some(records))

    def _values(self, records: Sequence[Candidate]) -> dict[str, Any]:
        worlds = [world_of(record.annotations) for record in records]
        pooled: Tally = Counter()
        for record in records:
            pooled.update(self._tally(record))
        covered = [self._coverage(world, record.text) for world, record in zip(worlds, records, strict=True)]
        known = [value for value in covered if value is not None]
        families = [family for family in FAMILIES if any(family in FACTS[world] for world in worlds)]
        masked = (world for world, record in zip(worlds, records, strict=True) if record.mask is not None)
        values = ratios(pooled, families, REGIONS if any(world in LOCATED for world in masked) else REGIONS[:1])
        return values | {"parser_coverage": sum(known) / len(known) if known else None}

    def _tally(self, record: Candidate) -> Tally:
        asked = record.sample, record.text, record.mask
        if asked not in self._tallies:
            region = None if record.mask is None else decode_mask(record.mask)
            self._tallies[asked] = tally(record.text, record.annotations, region)
        return self._tallies[asked]

    def _coverage(self, world: str, caption: str) -> float | None:
        asked = world, caption
        if asked not in self._coverages:
            self._coverages[asked] = coverage(world, caption)
        return self._coverages[asked]
