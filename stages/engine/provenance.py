"""Which execution computed each item of a stage's output.

Shards hold only what follows from the inputs, so that two computations of the same items give the same bytes; who
computed them, when and where, is kept in one small Parquet file beside them. From both the registry can be rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
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
    rows = [{"key": key, **asdict(run)} for key, run in items]
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table, FOLDER / f"{stage}.parquet", compression="zstd", write_page_checksum=True)


def read_provenance(stage: str) -> dict[str, Execution]:
    """The execution that computed each key of a stage's output; empty where the stage never ran."""
    path = FOLDER / f"{stage}.parquet"
    if not path.exists():
        return {}
    with parquet(path) as file:
        rows = file.read().to_pylist()
    return {row["key"]: Execution(**{name: row[name] for name in Execution.__slots__}) for row in rows}
