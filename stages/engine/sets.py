"""Caption sets as others read them: pairs of a picture and its caption, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from registry.store.dag import STAGES
from stages.engine.pictures import Picture, picture_of
from stages.engine.shards import DISK, Outputs

PREPARED, COMPOSED = (STAGES[name].folder() for name in ("prepare", "compose"))
CAPTION = ("corpus", "sample", "key", "parents", "status", "caption", "sentences")
PICTURE = ("key", "image_digest")


class Pair(NamedTuple):
    """A caption of a set and its picture; ``key`` is the caption's, ``sentences`` are what it is composed of."""

    corpus: str
    sample: str
    key: str
    caption: str
    sentences: Sequence[Mapping[str, Any]]
    """Each with its ``text``, whether it is ``negative``, and of which ``kind``; none where nobody composed it."""
    picture: Picture


def pairs_of(name: str, outputs: Outputs = DISK) -> Iterator[Pair]:
    """The pairs of a set, by the name of its variant: corpus by corpus, shard by shard, and in a shard by sample.

    A picture that has no caption is in no pair. Each caption names its picture by key, so that none gets another's.

    Raises ``ValueError`` where the set has no pair, or a picture is not there as the set was made of it.
    """
    found = False
    for path in outputs.shards(COMPOSED / name):
        held = PREPARED / path.relative_to(COMPOSED / name)
        pictures = {row["key"]: picture_of(row, held) for row in outputs.read(held, PICTURE)}
        for row in outputs.read(path, CAPTION):
            if row["status"] != "ok":
                continue
            if row["parents"][0] not in pictures:
                raise ValueError(
                    f"{held} lacks the picture of {row['sample']} in {path}: run `palimpsest repro` first."
                )
            found = True
            picture = pictures[row["parents"][0]]
            yield Pair(row["corpus"], row["sample"], row["key"], row["caption"], row["sentences"], picture)
    if not found:
        raise ValueError(
            f"The caption set {name} is empty: every picture lacks a caption, for reasons that "
            f"data/runs/compose@{name.partition('/')[0]}.json counts; mend `captions` of the study."
        )
