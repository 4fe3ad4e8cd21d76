"""Captions as others read them: each with its picture, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from registry.store.dag import STAGES
from stages.engine.pictures import Picture, picture_of
from stages.engine.shards import DISK, Outputs

PREPARED, COMPOSED = (STAGES[name].folder() for name in ("prepare", "compose"))
CAPTION = ("corpus", "sample", "key", "parents", "status", "caption", "sentences")
PICTURE = ("key", "image_digest")


def captioned(
    folder: Path, columns: Sequence[str], outputs: Outputs = DISK, corpus: str = ""
) -> Iterator[tuple[Path, Mapping[str, Any], Picture | None]]:
    """The captions in a folder of a captioner, a recaptioner or a caption set, each with its shard, row and original.

    They come corpus by corpus, shard by shard, and in a shard by sample; a picture that has no caption is passed over.

    Each caption names its picture by key, so that none gets another's; None where it is of no original that is there.
    """
    for path in outputs.shards(folder / corpus):
        held = PREPARED / path.relative_to(folder)
        pictures = {row["key"]: picture_of(row, held) for row in outputs.read(held, PICTURE)}
        for row in outputs.read(path, columns):
            if row["status"] == "ok":
                yield path, row, pictures.get(row["parents"][0])


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
    """The pairs of a set, by the name of its variant, in the order of :func:`captioned`.

    Raises ``ValueError`` where the set has no pair, or a picture is not there as the set was made of it.
    """
    found = False
    for path, row, picture in captioned(COMPOSED / name, CAPTION, outputs):
        if picture is None:
            held = PREPARED / path.relative_to(COMPOSED / name)
            raise ValueError(f"{held} lacks the picture of {row['sample']} in {path}: run `palimpsest repro` first.")
        found = True
        yield Pair(row["corpus"], row["sample"], row["key"], row["caption"], row["sentences"], picture)
    if not found:
        raise ValueError(
            f"The caption set {name} is empty: every picture lacks a caption, for reasons that "
            f"data/runs/compose@{name.partition('/')[0]}.json counts; mend `captions` of the study."
        )
