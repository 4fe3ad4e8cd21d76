"""Pictures that are not kept twice: shards in DVC's cache hold their bytes, and recall reads them there.

Only for an object store inside a checkout: another that a team shares is read by people who have not this cache. A
shard in the cache is named by its MD5 and never changes; what ``dvc gc`` takes from it is computed again when it is
needed, or put back from a stage's output by the next index.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from registry.store.keys import digest

INDEX = "shelved.json"


class Shelved:
    """Index of the addresses whose bytes are in shards: shard and row of each. It lies beside the objects."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / INDEX
        self.shards: dict[str, list[str]] = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.places = {
            address: (shard, row)
            for shard, addresses in self.shards.items()
            for row, address in enumerate(addresses)
            if address
        }

    def sizes(self) -> dict[str, int]:
        """The addresses whose shards are still there. They take no room of their own."""
        there = {shard for shard in self.shards if (self.file.parent / shard).is_file()}
        return {address: 0 for address, (shard, _) in self.places.items() if shard in there}

    def get(self, address: str) -> bytes:
        """The bytes of an address, not yet checked; raises ``FileNotFoundError`` where they are in no shard."""
        if address not in self.places:
            raise FileNotFoundError(f"Object {address} is neither in {self.file.parent} nor in a shard of DVC's cache.")
        shard, row = self.places[address]
        try:
            return pictures(self.file.parent / shard)[row]["bytes"].as_py()
        except (pa.ArrowException, IndexError) as error:
            raise ValueError(f"Object {address} cannot be read from {shard}: {error}") from None

    def add(self, shards: Mapping[Path, list[str]]) -> None:
        """Add the addresses that shards hold, row for row; the index is written whole or not at all."""
        self.shards |= {os.path.relpath(path, self.file.parent): held for path, held in shards.items()}
        half = self.file.with_suffix(".half")
        half.write_text(json.dumps(self.shards))
        half.replace(self.file)


@lru_cache(maxsize=4)
def pictures(shard: Path) -> pa.ChunkedArray:
    """The picture column of a shard; kept for a while, since items of one shard are asked for together."""
    return pq.read_table(shard, columns=["image"])["image"]


def cached(cache: Path) -> Iterator[tuple[Path, list[str]]]:
    """The shards with pictures in a DVC cache, and the addresses of these, row for row; empty where there is none."""
    for path in sorted(cache.glob("files/md5/??/*")):
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                continue
        if "image" in pq.read_schema(path).names:
            column = pq.read_table(path, columns=["image"])["image"]
            yield path, [digest(one["bytes"].as_py()) if one.is_valid else "" for one in column]
