"""Stage outputs: Parquet shards whose bytes depend on their rows alone.

A corpus' samples are bucketed by a hash of their id, about 256 to a shard, and the rows of a shard are sorted, so that
equal items give equal bytes and one changed item rewrites one shard. Every stage buckets by sample, so ``part-03`` of a
repainted corpus holds the same samples as ``part-03`` of the corpus. Images are ``{bytes, path}`` structs, the
convention of Hugging Face ``datasets``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SAMPLES_A_SHARD = 256
WHOLE = "corpus.parquet"
"""The file of the items that are about a corpus as a whole, beside its shards."""

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = pa.list_(pa.string())
PLANNED: ContextVar[dict[Path, list[dict[str, Any]]] | None] = ContextVar("PLANNED", default=None)
"""Where a plan is made for a study that has not run: the rows of its shards as far as they are known. They are read in
place of what is on the disk."""

COMMON = [
    ("corpus", pa.string()),
    ("sample", pa.string()),
    ("key", pa.string()),
    ("parents", TEXTS),
    ("parts", pa.string()),
    ("value", pa.string()),
    ("status", pa.string()),
    ("reason", pa.string()),
]


def shard_count(samples: int) -> int:
    """How many shards hold so many samples: the power of two that leaves at most 256 in one, on average.

    >>> [shard_count(n) for n in (0, 256, 257, 4000)]
    [1, 1, 2, 16]
    """
    count = 1
    while count * SAMPLES_A_SHARD < samples:
        count *= 2
    return count


def shard_of(sample: str, count: int) -> str:
    """The file name of the shard that a sample belongs to, by a hash of its id.

    >>> shard_of("any", 1)
    'part-00.parquet'
    """
    bucket = int.from_bytes(hashlib.sha256(sample.encode()).digest()[:8], "big") % count
    return f"part-{bucket:02d}.parquet"


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]], fields: Sequence[tuple[str, pa.DataType]]) -> None:
    """Write rows in the order given, with fixed settings and no metadata but the schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=pa.schema([*COMMON, *fields]))
    pq.write_table(table, path, compression="zstd", compression_level=3, version="2.6", row_group_size=256)


def storable(text: str) -> str:
    """``text`` without NUL and lone surrogates, which neither UTF-8 files nor databases can hold.

    >>> storable("a\\0 b\\ud800")
    'a b'
    """
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def read_shard(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a shard; a shard that does not exist holds none."""
    if (planned := PLANNED.get()) is not None:
        return planned.get(path, [])
    return pq.read_table(path, columns=columns and list(columns)).to_pylist() if path.exists() else []


def shards(folder: Path) -> list[Path]:
    """The shards below a folder, in the order of their names."""
    if (planned := PLANNED.get()) is not None:
        return sorted(path for path in planned if path.is_relative_to(folder))
    return sorted(folder.rglob("part-*.parquet"))


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """All rows below a folder, shard by shard."""
    for path in shards(folder):
        yield from read_shard(path, columns)


def count_rows(paths: Iterable[Path]) -> int:
    """The number of rows in some shards, from their footers."""
    if (planned := PLANNED.get()) is not None:
        return sum(len(planned.get(path, [])) for path in paths)
    return sum(pq.read_metadata(path).num_rows for path in paths if path.exists())


def image(data: bytes | None, name: str) -> dict[str, Any] | None:
    """An image column's value; null where there is no image.

    >>> image(b"...", "scenes/00001.png")["path"]
    'scenes/00001.png'
    """
    return None if data is None else {"bytes": data, "path": name}
