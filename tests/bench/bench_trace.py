"""Lineage and views of a large registry, against the walk and the query that one would write with pandas.

    python -m tests.bench.bench_trace [samples]

500 samples in each of five corpora make 250,000 captions and two million measurements in SQLite. The naive walk reads
the tables that it needs whole and follows the edges; both must find the same way and the same number. Each side runs
twice in turns, and the better time counts. Prints seconds and ratios.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from sqlalchemy import Engine

from registry.lineage.groups import Group
from registry.lineage.ids import trace
from registry.lineage.walk import Trace
from registry.store.database import connect, migrate_when_behind
from registry.store.objects import ObjectStore
from tests.bench.bench_report import fill

T = TypeVar("T")
TURNS = 2
METRIC = "cider"
CELL = ("corpus-2", "blur", "painter-3", "speaker-1")
STAGE = "caption@speaker-1"
SHOWN = ["corpus", "sample", "degradation", "inpainter", "captioner", "value"]
VIEW = f"SELECT {', '.join(SHOWN)} FROM v_measurements WHERE study = 'large' AND metric = '{METRIC}'"


class Found(NamedTuple):
    """The keys from an item back to the original, and the number asked for."""

    way: list[str]
    number: float = 0

    def agrees(self, other: Found) -> bool:
        return self.way == other.way and math.isclose(self.number, other.number)


def ours(engine: Engine, id: str) -> Found:
    """What ``trace`` says of an ID: of a group its example, and a mean or how many items there are."""
    traced = trace(engine, id)
    if isinstance(traced, Group):
        number = traced.means[0].mean if traced.means else sum(traced.items.values())
        return Found(way(traced.example), number)
    return Found(way(traced), traced.numbers[0].value if ":" in id else 0)


def way(traced: Trace) -> list[str]:
    node, keys = traced.item, [traced.item.key]
    while node.parents:
        node = node.parents[0]
        keys.append(node.key)
    return keys


class Naive:
    """The same with pandas."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, table: str) -> pd.DataFrame:
        return pd.read_sql(f"SELECT * FROM {table}", self.engine)

    def walk(self, items: pd.DataFrame, item: int) -> list[str]:
        parents = self.read("parent")
        keys = items.set_index("id")["key"]
        found = [keys[item]]
        while not (up := parents.loc[parents["item_id"] == item, "parent_id"]).empty:
            item = up.iloc[0]
            found.append(keys[item])
        return found

    def item(self, key: str) -> Found:
        items = self.read("item")
        return Found(self.walk(items, items.loc[items["key"] == key, "id"].iloc[0]))

    def measurement(self, key: str) -> Found:
        items, measured = self.read("item"), self.read("measurement")
        item = items.loc[items["key"] == key, "id"].iloc[0]
        number = measured.loc[(measured["item_id"] == item) & (measured["metric"] == METRIC), "value"].iloc[0]
        return Found(self.walk(items, item), number)

    def measurements(self) -> pd.DataFrame:
        """One row a measurement of the metric, with where it stands."""
        measured = self.read("measurement")
        measured = measured[measured["metric"] == METRIC]
        corpora, samples, configurations = (self.read(name) for name in ("corpus", "sample", "configuration"))
        return (
            measured.merge(self.read("placement"), on="item_id")
            .merge(samples.rename(columns={"id": "sample_id", "name": "sample"}), on="sample_id")
            .merge(corpora.rename(columns={"id": "corpus_id", "name": "corpus"}), on="corpus_id", suffixes=("", "_of"))
            .merge(configurations, left_on="configuration_id", right_on="id", suffixes=("", "_of"))
        )

    def cell(self, corpus: str, degradation: str, inpainter: str, captioner: str) -> Found:
        rows = self.measurements()
        rows = rows[(rows["corpus"] == corpus) & (rows["degradation"] == degradation)]
        rows = rows[(rows["inpainter"] == inpainter) & (rows["captioner"] == captioner)]
        return Found(self.walk(self.read("item"), rows.sort_values("sample")["item_id"].iloc[0]), rows["value"].mean())

    def stage(self, name: str) -> Found:
        items, runs = self.read("item"), self.read("run")
        mine = items[items["run_id"].isin(runs.loc[runs["stage"] == name, "id"])]
        return Found(self.walk(items, mine["id"].min()), len(mine))

    def view(self) -> pd.DataFrame:
        return self.measurements()[SHOWN]


def equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames hold the same rows in any order."""
    one, other = (frame.sort_values(SHOWN).reset_index(drop=True).fillna("") for frame in (one, other))
    return one.astype(object).equals(other.astype(object))


def compare(name: str, ours: Callable[[], T], naive: Callable[[], T], agree: Callable[[T, T], bool]) -> float:
    """Both sides in turns; prints a line and returns how many times longer the naive side takes."""
    best = [math.inf, math.inf]
    for _ in range(TURNS):
        found = []
        for side, work in enumerate((ours, naive)):
            started = time.perf_counter()
            found.append(work())
            best[side] = min(best[side], time.perf_counter() - started)
        if not agree(*found):
            raise RuntimeError(f"The two do not find the same for {name}.")
    print(f"{name:18}  ours {best[0]:8.4f} s   pandas {best[1]:8.3f} s   ratio {best[1] / best[0]:8.1f}", flush=True)
    return best[1] / best[0]


def last_score(engine: Engine) -> tuple[str, str]:
    """The keys of a caption and of its scores: those that were made last."""
    asked = "SELECT kind, key FROM item WHERE kind IN ('caption', 'quality.lexical') ORDER BY id DESC LIMIT 2"
    keys = pd.read_sql(asked, engine).set_index("kind")["key"]
    return keys["caption"], keys["quality.lexical"]


def main(samples: int = 500) -> dict[str, float]:
    """Print the figures and return the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        engine, objects = connect(f"sqlite:///{folder}/registry.db"), ObjectStore(str(Path(folder) / "objects"))
        migrate_when_behind(engine)
        started = time.perf_counter()
        captions, measurements = fill(engine, objects, samples)
        print(
            f"{captions:,} captions, {measurements:,} measurements, made in {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        naive, (caption, score) = Naive(engine), last_score(engine)
        cell = "/".join((*CELL, METRIC))
        traced = {
            "item": (caption, lambda: naive.item(caption)),
            "measurement": (f"{score}:{METRIC}", lambda: naive.measurement(score)),
            "cell": (cell, lambda: naive.cell(*CELL)),
            "stage": (STAGE, lambda: naive.stage(STAGE)),
        }
        ratios = {
            name: compare(f"trace, {name}", lambda id=id: ours(engine, id), walk, Found.agrees)
            for name, (id, walk) in traced.items()
        }
        ratios["view"] = compare("v_measurements", lambda: pd.read_sql(VIEW, engine), naive.view, equal_rows)
        engine.dispose()
    return ratios


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
