"""A registry as it grows: how fast it takes more, and whether what is asked of one corpus depends on all others.

    python -m tests.bench.bench_scale [--sizes 4 40 400] [--samples 90] [--kind postgresql] [--url URL] [--slow 1]

A corpus of 90 samples, each degraded, repainted and captioned as in ``bench_report``, makes 25,000 items and 125,000
measurements, and is a study of its own; the studies share their configurations. One corpus of each size is written by
``ItemStore.remember`` and ``Index``, and timed; the others are the first one again under other keys, copied inside the
database, row for row. Then at each size: recall of 100,000 keys, the corpus indexed again, its report, traces, ``gc``
without ``--yes``. Prints seconds of processors (of this process and the server, so that what else the machine does
counts little) and of the clock, the most memory so far, and of statements that take longer than ``--slow`` seconds
their plans. PostgreSQL is an embedded server with its own defaults that does not wait for its disk. With ``--url`` a
registry that this bench has begun goes on growing, and stays.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import DBAPIError

from registry.cells import cell_means, examples
from registry.garbage import sweep
from registry.indexing import Index
from registry.lineage.ids import trace
from registry.store.axes import AXES as NAMES
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import digest, item_key
from registry.store.objects import ObjectStore
from registry.store.schema import PER_ITEM, Corpus, Item, Measurement, Sample
from reports.report import build
from tests.bench.bench_report import AXES, FIDELITY, PARAMS, STAGES, picture, sentence, stage_of
from tests.databases import KINDS, Databases

SAMPLES = 90
SIZES = (4, 40, 400)
KEYS = 100_000
A_BATCH = 10_000
A_SHARD = 256
PLANS = 12
"""Of so many statements at most."""
CAPTIONS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "meteor", "sbert", "length", "object_recall")
DRIFT = tuple(product(("tvd_sum",), ("region", "whole"), range(4)))
GRID = [(None, None), *product(AXES["degradations"], AXES["inpainters"])]
PICTURE = picture(90)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = "an earlier prompt"
"""What was asked for once, and stands in no cell any more."""

COPIES = {
    "run": "INSERT INTO run SELECT substr({other_id}, 1, 32), stage, git_commit, device, engine, started_at FROM run "
    "WHERE id IN (SELECT run_id FROM item WHERE id <= {last})",
    "corpus": "INSERT INTO corpus (id, name, settings, problems) SELECT {corpus}, 'corpus-{name}', settings, "
    "problems FROM corpus WHERE id = 1",
    "sample": "INSERT INTO sample (id, corpus_id, name, split, width, height, annotations) SELECT id + {samples}, "
    "{corpus}, name, split, width, height, annotations FROM sample WHERE corpus_id = 1",
    "reference": "INSERT INTO reference (sample_id, position, text) SELECT sample_id + {samples}, position, text "
    "FROM reference WHERE sample_id <= {first_samples}",
    "item": "INSERT INTO item (id, key, kind, status, reason, value, digest, object, parts, run_id) "
    "SELECT id + {items}, {other_key}, kind, status, reason, value, digest, "
    "CASE WHEN object IS NOT NULL THEN {other_object} END, parts, "
    "substr({other_run_id}, 1, 32) FROM item WHERE id <= {last} ORDER BY id",
    "parent": "INSERT INTO parent SELECT item_id + {items}, parent_id + {items} FROM parent WHERE item_id <= {last}",
    "placement": "INSERT INTO placement (kind, sample_id, configuration_id, item_id) SELECT kind, "
    "sample_id + {samples}, configuration_id, item_id + {items} FROM placement WHERE item_id <= {last} ORDER BY id",
    "measurement": "INSERT INTO measurement SELECT item_id + {items}, metric, region, layer, value FROM measurement "
    "WHERE item_id <= {last}",
    "study": "INSERT INTO study (id, name, params) SELECT {corpus}, 'study-{name}', params FROM study WHERE id = 1",
    "cell": "INSERT INTO cell SELECT {corpus}, {corpus}, configuration_id FROM cell WHERE study_id = 1",
}
"""One more corpus from the first, by table."""


class Unkept(ObjectStore):
    """An object store that keeps nothing and shows the same picture for all: the registry is measured, not a disk."""

    def put(self, data: bytes) -> str:
        return digest(data)

    def get(self, address: str) -> bytes:
        return PICTURE


class Made(NamedTuple):
    """An item: where it stands, and what is measured by it."""

    finding: Finding
    sample: str
    names: tuple[str | None, ...]
    values: list[tuple[str, str, int]]

    def row(self, corpus: str) -> dict[str, Any]:
        axes = dict.fromkeys(NAMES) | dict(zip(NAMES, self.names, strict=False))
        made = {"key": self.finding.key, "parents": self.finding.parents}
        return {"corpus": corpus, "sample": self.sample} | made | axes


def made(corpus: str, samples: int) -> Iterator[Made]:
    """The items of a corpus, sample by sample."""
    rng = np.random.default_rng(0)

    def one(kind: str, sample: str, names: tuple[str | None, ...], parent: Made | None = None, **more: Any) -> Made:
        measured = more.pop("measured", [])
        model = {"adapter": kind, "checkpoint": "a/checkpoint", "revision": "0" * 40, "names": names, "steps": 20}
        above = () if parent is None else (parent.finding.key,)
        parts = {"picture": above and above[0], "corpus": corpus, "sample": sample, "model": model, "seed": 0}
        key = item_key(kind, parts)
        if "value" not in more:
            more = {"value": {"width": 32, "height": 32}, "data": key.encode()}
        return Made(Finding(key, kind, parts, above, **more), sample, names, measured)

    for n in range(samples):
        sample = f"s{n:06}"
        original = one("original", sample, (None, None, None))
        spoiled = {name: one("degraded", sample, (name, None, None), original) for name in AXES["degradations"]}
        yield from (original, *spoiled.values())
        for degradation, inpainter in GRID:
            shown = original
            if inpainter:
                names = (degradation, inpainter, None)
                shown = one("repainted", sample, names, spoiled[degradation])
                pixels = [(metric, region, PER_ITEM) for metric, region in FIDELITY]
                yield from (
                    shown,
                    one("fidelity.pixel", sample, names, shown, value={"mse": 0.1}, measured=pixels),
                    one("represent.vit", sample, names, shown, value={"tvd": [0.1]}, measured=[*DRIFT]),
                )
            for captioner in AXES["captioners"]:
                names = (degradation, inpainter, captioner)
                caption = one("caption", sample, names, shown, value={"caption": sentence(rng)})
                scores = [(metric, "", PER_ITEM) for metric in CAPTIONS]
                yield from (
                    caption,
                    one("quality.lexical", sample, names, caption, value={"cider": 0.1}, measured=scores),
                )
        yield one("caption", sample, (None, None, NEVER), original, value={"caption": sentence(rng)})


class Timed:
    """Seconds of processors by name, here and in the database server, and the slow statements behind them."""

    def __init__(self, engine: Engine, slow: float) -> None:
        self.engine, self.slow = engine, slow
        self.seconds: dict[str, float] = {}
        self.name = ""
        self.slowest: dict[str, tuple[float, str, Any]] = {}
        self.server: psutil.Process | None = None
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                self.server = psutil.Process(connection.scalar(select(func.pg_backend_pid()))).parent()
        event.listen(engine, "before_cursor_execute", self.before)
        event.listen(engine, "after_cursor_execute", self.after)

    def before(self, connection: Connection, *_: Any) -> None:
        connection.info["began"] = time.perf_counter()

    def after(self, connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        took = time.perf_counter() - connection.info["began"]
        if self.name and took > max(self.slow, self.slowest.get(statement, (0.0,))[0]):
            self.slowest[statement] = took, self.name, parameters

    def processors(self) -> float:
        """Seconds of processors so far; those of a server's processes that have ended are its own."""
        spent = time.process_time()
        if self.server:
            times = self.server.cpu_times()
            spent += times.children_user + times.children_system
            for process in self.server.children():
                with suppress(psutil.NoSuchProcess):
                    spent += sum(process.cpu_times()[:2])
        return spent

    @contextmanager
    def of(self, name: str, many: int = 0) -> Iterator[None]:
        self.name, started, spent = name, time.perf_counter(), self.processors()
        yield
        took, self.name = time.perf_counter() - started, ""
        self.seconds[name] = used = self.processors() - spent
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rate = f"{many / max(used, 1e-6):12,.0f} /s" if many else " " * 15
        print(f"  {name:28}{used:9.2f} s of processors{rate}   {took:9.2f} s   {memory:7,.0f} MB", flush=True)

    def plans(self) -> None:
        """Print the plans of the slowest statements."""
        explain = "EXPLAIN QUERY PLAN " if self.engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS) "
        slowest = sorted(self.slowest.items(), key=lambda item: -item[1][0])[:PLANS]
        for statement, (took, name, parameters) in slowest:
            print(f"\n  {name}, {took:.1f} s: {' '.join(statement.split())[-700:]}")
            if statement.startswith("SELECT"):
                with suppress(DBAPIError), self.engine.connect() as connection:  # a temporary table is gone
                    plan = connection.exec_driver_sql(explain + statement, parameters)
                    print("\n".join(f"    {row[-1]}"[:160] for row in plan), flush=True)
        self.slowest = {}


def add(store: ItemStore, number: int, samples: int, timed: Timed) -> None:
    """Write one corpus by the paths that stages take."""
    name, began = f"corpus-{number}", time.perf_counter()
    runs = {stage: digest(f"{stage} {number}".encode())[:32] for stage in STAGES}
    for stage, id in runs.items():
        store.open_run(Execution(id, stage, "0" * 40, "cpu", "local", BEGAN))
    items = list(made(name, samples))
    print(f"  {len(items):,} items made in {time.perf_counter() - began:.0f} s")
    by_stage: dict[str, list[Made]] = {stage: [] for stage in STAGES}
    for item in items:
        by_stage[stage_of(item.finding.kind, item.names).replace(NEVER, "speaker-0")].append(item)
    with timed.of("remember", len(items)):
        for stage, some in by_stage.items():
            for start in range(0, len(some), A_BATCH):
                store.remember(runs[stage], [item.finding for item in some[start : start + A_BATCH]])
    index_all(store, number, samples, items, timed)


def index_all(
    store: ItemStore, number: int, samples: int, items: Sequence[Made], timed: Timed, again: str = ""
) -> None:
    """Place and measure the items of a corpus, shard by shard."""
    name = f"corpus-{number}"
    standing = [item for item in items if NEVER not in item.names]
    about = {"split": "test", "width": 32, "height": 32, "annotations": {}}
    rows = [about | {"sample": f"s{n:06}", "references": [f"sentence {m}" for m in range(5)]} for n in range(samples)]
    shards: dict[tuple[str, str], list[Made]] = defaultdict(list)
    for item in standing:
        shards[item.finding.kind, str(int(item.sample[1:]) // A_SHARD)].append(item)
    measurements = sum(len(item.values) for item in standing)
    with store.engine.begin() as connection:
        index = Index(connection, {f"{section[:-1]}": entries for section, entries in AXES.items()})
        with timed.of(f"corpus{again}", samples):
            index.corpus(name, AXES["corpora"]["corpus-0"], {}, rows)
        with timed.of(f"place{again}", len(standing)):
            for (kind, _), some in shards.items():
                index.place(kind, [item.row(name) for item in some])
        with timed.of(f"measure{again}", measurements):
            for some in shards.values():
                index.measure(
                    (item.finding.key, metric, region, layer, 0.5)
                    for item in some
                    for metric, region, layer in item.values
                )
        index.study(f"study-{number}", PARAMS | {"study": f"study-{number}", "corpora": {name: {"adapter": "folder"}}})


def multiply(engine: Engine, corpora: int, samples: int) -> None:
    """Copy the first corpus until there are so many."""
    postgresql = engine.dialect.name == "postgresql"
    hashed = "encode(sha256(convert_to({} || '{}', 'UTF8')), 'hex')" if postgresql else "sha256({} || '{}')"
    with engine.connect() as connection:
        if not postgresql:
            driver: Any = connection.connection
            driver.create_function("sha256", 1, lambda value: digest(value.encode()), deterministic=True)
        last = connection.scalar(text("SELECT max(item_id) FROM placement p JOIN sample s ON s.id = p.sample_id "
                                      "WHERE s.corpus_id = 1"))  # fmt: skip
        while (count := connection.scalar(select(func.count()).select_from(Corpus)) or 0) < corpora:
            where = {
                f"other_{column}": hashed.format(column, count + 1) for column in ("id", "run_id", "key", "object")
            }
            where |= {"name": count + 1, "last": last, "first_samples": samples}
            for name, column in {"corpus": Corpus.id, "items": Item.id, "samples": Sample.id}.items():
                where[name] = connection.scalar(select(func.max(column)))
            where["corpus"] += 1
            if postgresql:  # foreign keys hold as they do in the first
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for statement in COPIES.values():  # with numbers written out: of them depends how it is best answered
                connection.exec_driver_sql(statement.format(**where))
            for table in ("corpus", "sample", "item", "study") if postgresql else ():
                connection.exec_driver_sql(f"SELECT setval('{table}_id_seq', max(id)) FROM {table}")
            connection.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if postgresql else "ANALYZE")


def ask(store: ItemStore, samples: int, timed: Timed, out: Path) -> None:
    """What people and stages ask of one corpus, and of everything."""
    engine = store.engine
    with engine.connect() as connection:
        most = connection.scalar(select(func.max(Item.id))) or 0
        ids = np.random.default_rng(1).integers(1, most + 1, 2 * KEYS)
        keys = list(connection.scalars(select(Item.key).where(Item.id.in_(sorted(set(ids.tolist()))[:30_000]))))
        for start in range(30_000, KEYS, 30_000):
            keys += connection.scalars(
                select(Item.key).where(Item.id.in_(sorted(set(ids.tolist()))[start : start + 30_000]))
            )
        keys = keys[:KEYS]
        chosen = select(Item.key).where(Item.kind == "quality.lexical", Item.id <= 2 * most // 3 + 1)
        score = connection.scalar(chosen.order_by(Item.id.desc()).limit(1)) or ""
    with timed.of("recall", len(keys)):
        store.recall(keys)
    with timed.of("recall, again", len(keys)):
        store.recall(keys)
    items = list(made("corpus-1", samples))
    index_all(store, 1, samples, items, timed, ", again")
    traces = {
        "trace ITEM": score,
        "trace ITEM:METRIC": f"{score}:cider",
        "trace CELL": "corpus-1/blur/painter-3/speaker-1",
        "trace CELL/METRIC": "corpus-1/blur/painter-3/speaker-1/cider",
        "trace STAGE": "caption@speaker-1",
    }
    for name, id in traces.items():
        with timed.of(name):
            trace(engine, id)
    with timed.of("report"):
        build(engine, store.objects, "study-1", out)
    with engine.connect() as connection:
        with timed.of("means of cells, for MLflow"):
            cell_means(connection, "study-1")
        with timed.of("examples, for MLflow"):
            examples(connection, "study-1", 4)
    with timed.of("gc, one corpus' keys named"):
        found = sweep(store, [item.finding.key for item in items], timedelta(days=7), False)
    print(f"  {found}")


def sizes_of(engine: Engine) -> str:
    """How many items and measurements there are, and what they take."""
    with engine.connect() as connection:
        items, measured = (
            connection.scalar(select(func.count()).select_from(table)) or 0 for table in (Item, Measurement)
        )
        if engine.dialect.name == "postgresql":
            taken = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        else:
            taken = Path(str(engine.url.database)).stat().st_size
    return f"{items:,} items, {measured:,} measurements, {taken / 1e9:.2f} GB"


def grow(url: str, sizes: Sequence[int], samples: int, slow: float) -> dict[int, dict[str, float]]:
    """Grow a registry through the sizes; seconds of each by name."""
    engine = connect(url)
    store, timed, found = ItemStore(engine, Unkept("memory://scale")), Timed(engine, slow), {}
    with tempfile.TemporaryDirectory() as out:
        for size in sizes:
            with engine.connect() as connection:
                held = connection.scalar(select(func.count()).select_from(Corpus)) or 0
            print(f"{engine.dialect.name}, {size} corpora", flush=True)
            started = time.perf_counter()
            if not held:
                add(store, 1, samples, timed)
            if held < size - 1:
                multiply(engine, size - 1, samples)
                print(f"  copied in {time.perf_counter() - started:.0f} s", flush=True)
            if 1 < size > held:
                add(store, size, samples, timed)
            print(f"  {sizes_of(engine)}", flush=True)
            ask(store, samples, timed, Path(out))
            timed.plans()
            found[size], timed.seconds = timed.seconds, {}
    engine.dispose()
    return found


def table(found: dict[int, dict[str, float]], show: Callable[[str], None] = print) -> None:
    """Seconds of processors by size, and how many times longer the last size takes than the first."""
    first, *_, last = found.values() if len(found) > 1 else (*found.values(),) * 2
    show("".join([f"{'seconds at':30}", *(f"{size:>10}" for size in found), f"{'ratio':>10}"]))
    for name in last:
        times = "".join(f"{some.get(name, float('nan')):10.3f}" for some in found.values())
        show(f"{name:30}{times}{last[name] / max(first.get(name, last[name]), 1e-6):10.1f}")


def main(arguments: list[str] | None = None) -> dict[int, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="corpora")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of a corpus")
    parser.add_argument("--kind", choices=KINDS, default="postgresql")
    parser.add_argument("--url", help="a registry to go on with; default a new one, which goes")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds of a statement whose plan is shown")
    given = parser.parse_args(arguments)
    with Databases() as databases:
        url = given.url or databases.new(given.kind, migrated=True)
        found = grow(url, given.sizes, given.samples, given.slow)
    table(found)
    return found


if __name__ == "__main__":
    main()
