"""Which execution computed each item of a stage's output.

Shards hold only what follows from the inputs, so that two computations of the same items give the same bytes; who
computed them, when and where, is kept in one small Parquet file beside them. From both the registry can be rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from registry.store.items import Execution
from stages.engine.shards import parquet

FOLDER = Path("data/provenance")
COLUMNS = [name for name in Execution.__slots__ if name != "started_at"]
SCHEMA = pa.schema(
    [("key", pa.string()), *((c, pa.string()) for c in COLUMNS), ("started_at", pa.timestamp("s", "UTC"))]
)


def write_provenance(stage: str, items: Sequence[tuple[str, Execution]]) -> None:
    """Write ``data/provenance/<stage>.parquet``: one row an item, its key and its execution."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    columns = {name: [getattr(run, name) for _, run in items] for name in Execution.__slots__}
    table = pa.table({"key": [key for key, _ in items], **columns}, schema=SCHEMA)
    pq.write_table(table, FOLDER / f"{stage}.parquet", compression="zstd", write_page_checksum=True)


def read_provenance(stage: str) -> dict[str, Execution]:
    """The execution that computed each key of a stage's output, one for all that it computed; empty where the stage
    never ran."""
    made: dict[str, Execution] = {}
    path = FOLDER / f"{stage}.parquet"
    if not path.exists():
        return made
    runs: dict[tuple[object, ...], Execution] = {}
    with parquet(path) as file:
        for batch in file.iter_batches():
            rows = zip(*(batch[name].to_pylist() for name in Execution.__slots__), strict=True)
            for key, row in zip(batch["key"].to_pylist(), rows, strict=True):
                made[key] = runs.get(row) or runs.setdefault(row, Execution(*row))
    return made
