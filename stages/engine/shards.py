"""Stage outputs: Parquet shards whose bytes depend on their rows alone.

A corpus' samples are bucketed by a hash of their id, about 256 to a shard, and the rows of a shard are sorted, so that
equal items give equal bytes and one changed item rewrites one shard. Every stage buckets by sample, so ``part-03`` of a
repainted corpus holds the same samples as ``part-03`` of the corpus. Images are ``{bytes, path}`` structs, the
convention of Hugging Face ``datasets``; behind each stands the digest of its bytes, so that a plan need not read them.

Every page has a checksum, which readers hold it against. Shards of before that (version 0.1) have none; they are read,
and ``dvc.lock`` alone says whether they are whole, as it does of every file (:mod:`registry.lineage.outputs`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from registry.store.dag import IMAGE, TEXTS
from registry.store.keys import digest

SAMPLES_A_SHARD = 256
ROWS_A_GROUP = 256
WHOLE = "corpus.parquet"
"""The file of the items that are about a corpus as a whole, beside its shards."""

Fields = Sequence[tuple[str, pa.DataType]]

COMMON: Fields = (
    ("corpus", pa.string()),
    ("sample", pa.string()),
    ("key", pa.string()),
    ("parents", TEXTS),
    ("parts", pa.string()),
    ("value", pa.string()),
    ("status", pa.string()),
    ("reason", pa.string()),
)


def shard_count(samples: int) -> int:
    """Number of shards for a number of samples: the power of two that leaves at most 256 in one, on average.

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


def digest_of(column: str) -> str:
    """The column that holds the digests of an image column.

    >>> digest_of("mask")
    'mask_digest'
    """
    return f"{column}_digest"


def with_digests(fields: Fields) -> Fields:
    """The fields, with the digest of each image column behind all of them."""
    return (*fields, *((digest_of(name), pa.string()) for name, kind in fields if kind == IMAGE))


def write_shard(path: Path, rows: Sequence[dict[str, Any]], fields: Fields) -> None:
    """Write rows in the order given, with fixed settings; metadata are the schema and which columns are pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [name for name, kind in fields if kind == IMAGE]
    digested = [
        row | {digest_of(n): digest(row[n]["bytes"]) for n in images if row[n] and digest_of(n) not in row}
        for row in rows
    ]
    schema = pa.schema([*COMMON, *with_digests(fields)], metadata=pictures(images))
    table = pa.Table.from_pylist(digested, schema=schema)
    pq.write_table(
        table, path, compression="zstd", compression_level=3, version="2.6", row_group_size=ROWS_A_GROUP,
        write_page_checksum=True,
    )  # fmt: skip


@contextmanager
def parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file, each of whose pages is held against its checksum when it is read.

    Raises ``ValueError``, here and in the context, where it is damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is damaged: {reason}. `palimpsest doctor --full` says what else is, and what to do."
        ) from None


def pictures(columns: Sequence[str]) -> dict[str, str] | None:
    """What tells Hugging Face's ``datasets`` that some columns are pictures, in the metadata of a schema.

    >>> pictures(["image"])
    {'huggingface': '{"info": {"features": {"image": {"_type": "Image"}}}}'}
    """
    features = {name: {"_type": "Image"} for name in columns}
    return {"huggingface": json.dumps({"info": {"features": features}})} if features else None


def storable(text: str) -> str:
    """``text`` without NUL and lone surrogates, which neither UTF-8 files nor databases can hold.

    >>> storable("a\\0 b\\ud800")
    'a b'
    """
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def image(data: bytes | None, name: str) -> dict[str, Any] | None:
    """An image column's value; null where there is no image.

    >>> image(b"...", "scenes/00001.png")["path"]
    'scenes/00001.png'
    """
    return None if data is None else {"bytes": data, "path": name}


def files_of(value: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the files that an item left, by name: they lie in the object store, and beside its shard.

    >>> files_of({"files": {"a.safetensors": "0f"}}), files_of({"caption": "a cat"})
    ({'a.safetensors': '0f'}, {})
    """
    return dict(value.get("files") or {})


class Outputs:
    """Outputs of stages: rows, shard by shard. A plan reads them and no pixels."""

    def shards(self, folder: Path) -> list[Path]:
        """The shards below a folder, in the order of their names."""
        return sorted(folder.rglob("part-*.parquet"))

    def read(self, path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows of a shard, with the columns named; a shard that does not exist holds none."""
        if not path.exists():
            return []
        with parquet(path) as file:
            return file.read(columns and list(columns)).to_pylist()

    def distinct(self, path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The different rows that a shard has in some columns."""
        with parquet(path) as file:
            return file.read(list(columns)).group_by(list(columns)).aggregate([]).to_pylist()

    def count(self, paths: Iterable[Path]) -> int:
        """The number of rows in some shards, from their footers."""
        return sum(pq.read_metadata(path).num_rows for path in paths if path.exists())

    def rows(self, folder: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Read all rows below a folder, shard by shard."""
        for path in self.shards(folder):
            yield from self.read(path, columns)


DISK = Outputs()
"""The outputs in this checkout."""


class Planned(Outputs):
    """Outputs that stages would write, as far as the registry knows their items. Use it as a context.

    They lie in a temporary folder, as their stages would write them but for pictures, parts and most of values, so that
    a plan takes no more memory where more is known.
    """

    def __enter__(self) -> Planned:
        self.folder = TemporaryDirectory(prefix="palimpsest-")
        self.root = Path(self.folder.name)
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def write(self, path: Path, rows: Sequence[dict[str, Any]], fields: Fields) -> None:
        """Keep the known rows of a shard for the plans of later stages; where there are none, that there is a shard."""
        write_shard(self.root / path, rows, fields)

    def shards(self, folder: Path) -> list[Path]:
        return [path.relative_to(self.root) for path in super().shards(self.root / folder)]

    def read(self, path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        return super().read(self.root / path, columns)

    def count(self, paths: Iterable[Path]) -> int:
        return super().count(self.root / path for path in paths)
