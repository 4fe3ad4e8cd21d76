"""Indexing measurements against pandas.to_sql and MLflow's metrics, and recall of known keys, on SQLite and PostgreSQL.

    python -m tests.bench.bench_indexing [rows] [items]

All write the same rows into the same empty table, with its primary and foreign key. Ours begins with item keys, is
done once more with rows that are there, and could be at any time; pandas is given row ids, may not meet a row that is
there, and writes as it does by default and with ``method="multi"``. MLflow logs a twentieth of the rows to its SQLite
store. Prints rates in rows per second and ratios of rates: ours to the other's. PostgreSQL is an embedded server that
does not wait for its disk; SQLite runs as it does in a checkout.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import delete

from registry.indexing import Index
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore, ids_of
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.store.schema import Measurement
from tests.databases import KINDS, Databases

METRICS = 10
RUNS = 3
A_BATCH = 10_000
PARAMETERS = 32_000
"""SQLite takes 32,766 in a statement."""


def seconds(work: Callable[[], object], before: Callable[[], object] = lambda: None, runs: int = RUNS) -> float:
    """The fastest of several runs: what else the machine does only ever adds."""
    found = []
    for _ in range(runs):
        before()
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def mlflow_rate(rows: int) -> float:
    """Metrics per second by ``log_batch``, as many a call as MLflow allows."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        run = client.create_run(client.create_experiment("bench", folder)).info.run_id
        metrics = [Metric(f"metric_{n % METRICS}", n / 7, 0, n // METRICS) for n in range(rows)]
        calls = [metrics[start : start + 1000] for start in range(0, rows, 1000)]
        return rows / seconds(lambda: [client.log_batch(run, metrics=some) for some in calls], runs=1)


def bench(store: ItemStore, rows: int, items: int) -> tuple[dict[str, float], float, float]:
    """Rows per second of each way of writing them; items per second that are remembered, and recalled."""
    store.open_run(Execution("r", "s", "c", "cpu", "local", datetime.now(UTC)))
    findings = [
        Finding(item_key("caption", {"n": n}), "caption", {"n": n}, value={"caption": f"a picture of thing {n}"})
        for n in range(max(items, rows // METRICS))
    ]
    batches = [findings[start : start + A_BATCH] for start in range(0, len(findings), A_BATCH)]
    remembered = len(findings) / seconds(lambda: [store.remember("r", batch) for batch in batches], runs=1)
    keys = [finding.key for finding in findings[:items]]
    if len(store.recall(keys)) != items:
        raise RuntimeError("The registry does not know what it was told.")
    recalled = items / seconds(lambda: store.recall(keys))

    values = [(f.key, f"metric_{m}", "", -1, m / 7) for f in findings[: rows // METRICS] for m in range(METRICS)]
    with store.engine.connect() as connection:
        ids = ids_of(connection, (key for key, *_ in values))
    frame = pd.DataFrame(
        [(ids[key], *rest) for key, *rest in values], columns=["item_id", "metric", "region", "layer", "value"]
    )

    def ours() -> None:
        with store.engine.begin() as connection:
            Index(connection, {}).measure(values)

    def empty() -> None:
        with store.engine.begin() as connection:
            connection.execute(delete(Measurement))

    def pandas(method: str | None) -> None:
        with store.engine.begin() as connection:
            size = PARAMETERS // len(frame.columns) if method else None
            frame.to_sql("measurement", connection, if_exists="append", index=False, method=method, chunksize=size)

    took = {
        "ours, new": seconds(ours, before=empty),
        "ours, known": seconds(ours),
        "pandas": seconds(lambda: pandas(None), before=empty),
        "pandas, multi": seconds(lambda: pandas("multi"), before=empty),
    }
    return {name: rows / time for name, time in took.items()}, remembered, recalled


def main(rows: int = 100_000, items: int = 100_000) -> dict[str, float]:
    """Print the figures and return the ratios."""
    ratios = {}
    mlflow = mlflow_rate(max(rows // 20, 1))
    with Databases() as databases, tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            store = ItemStore(connect(databases.new(kind, migrated=True)), ObjectStore(str(Path(folder) / kind)))
            rates, remembered, recalled = bench(store, rows, items)
            store.engine.dispose()
            rates["mlflow"] = mlflow
            for name, rate in rates.items():
                ratios[f"{kind}, {name}"] = ratio = rates["ours, new"] / rate
                print(f"{kind:10}  {name:13}  {rate:9,.0f} rows/s   ours is {ratio:8.2f} times that")
            print(f"{kind:10}  remember       {remembered:9,.0f} items/s")
            print(f"{kind:10}  recall         {recalled:9,.0f} items/s   {items:,} keys in {items / recalled:.2f} s")
    return ratios


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
