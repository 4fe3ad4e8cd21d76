"""Pictures by reference: tasks carry where a picture lies, and a worker fetches the pictures of its batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models.media.images import decode_mask, decode_png
from registry.store import places
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from stages.engine.shards import ROWS_A_GROUP, digest_of, parquet

FETCHED = 64
"""Number of pictures kept for the next task, which often looks at the same original."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture or a mask as PNG, by the digest of its bytes; ``shard`` holds it too, in ``column``."""

    digest: str
    shard: str = field(default="", compare=False)
    column: str = "image"
    item: str = field(default="", compare=False)
    """The key of the item that it is the picture of, where that is asked for."""

    def pixels(self) -> np.ndarray:
        """The picture (H, W, 3) uint8."""
        return decode_png(fetch(self))

    def mask(self) -> np.ndarray:
        """The mask (H, W) bool; True = repaint."""
        return decode_mask(fetch(self))


def picture_of(row: Mapping[str, Any], shard: Path, column: str = "image") -> Picture:
    """The picture in a row of a shard, of which only the digest was read.

    >>> picture_of({"image_digest": "0f"}, Path("part-00.parquet"))
    Picture(digest='0f', shard='part-00.parquet', column='image', item='')
    """
    return Picture(row[digest_of(column)], str(shard), column, row.get("key", ""))


@lru_cache(FETCHED)
def fetch(picture: Picture) -> bytes:
    """The bytes of a picture: from the object store or, where that has lost them, from the shard; a shard on this disk
    is nearer than a bucket.

    Raises ``FileNotFoundError`` where neither holds them.
    """
    ways = [stored, sharded]
    if store(places.objects_url()).bucket:
        ways.reverse()
    for way in ways:
        if (data := way(picture)) is not None:
            return data
    raise FileNotFoundError(
        f"Picture {picture.digest} is neither in the object store nor in {picture.shard or 'a shard'}; "
        "`palimpsest repro --force` makes it again."
    )


def stored(picture: Picture) -> bytes | None:
    """The bytes in the object store, which has no masks; None where they are missing or damaged."""
    if picture.column != "image":
        return None
    try:
        return store(places.objects_url()).get(picture.digest)
    except (FileNotFoundError, ValueError):
        return None


def sharded(picture: Picture) -> bytes | None:
    """The bytes in the shard; None where they are missing or damaged."""
    path = Path(picture.shard)
    if not (picture.shard and path.is_file()):
        return None
    written = path.stat().st_mtime_ns
    row = rows(path, picture.column, written).get(picture.digest)
    if row is None:
        return None
    group, inside = divmod(row, ROWS_A_GROUP)
    data = group_of(path, picture.column, group, written)[inside]
    return data if digest(data) == picture.digest else None


@cache
def store(url: str) -> ObjectStore:
    """The object store at a URL, opened once a process."""
    return ObjectStore(url)


@lru_cache(4)
def rows(path: Path, column: str, written: int) -> dict[str, int]:
    """The row of each picture in a shard, by its digest; ``written`` distinguishes versions of a file."""
    with parquet(path) as file:
        digests = file.read([digest_of(column)])[digest_of(column)].to_pylist()
    return {one: row for row, one in enumerate(digests) if one}


@lru_cache(2)
def group_of(path: Path, column: str, group: int, written: int) -> list[bytes]:
    """The pictures in one row group of a shard."""
    with parquet(path) as file:
        found = file.read_row_group(group, columns=[column])[column]
    return [one["bytes"].as_py() if one.is_valid else b"" for one in found]
