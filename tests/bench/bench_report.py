"""The report of a large study, built twice, against pandas reading the same measurements and taking their means.

    python -m tests.bench.bench_report [samples]

500 samples in each of five corpora make 250,000 captions and two million measurements. Prints seconds, the ratio and
whether both reports are equal byte for byte.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sqlalchemy import Connection, Engine, insert

from registry.indexing import configuration_digest
from registry.store.axes import Point
from registry.store.database import connect, migrate_when_behind
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from registry.store.schema import (
    PER_ITEM,
    Base,
    Cell,
    Configuration,
    Corpus,
    Item,
    Measurement,
    Parent,
    Placement,
    Reference,
    Run,
    Sample,
    Study,
)
from reports.report import build

WORDS = ("a", "red", "blue", "ring", "star", "cross", "near", "over", "small", "large")
AXES: dict[str, dict[str, dict[str, Any]]] = {
    "corpora": {f"corpus-{n}": {"adapter": "folder"} for n in range(5)},
    "degradations": {"centre": {"kind": "zero"}, "blur": {"kind": "blur"}, "lowdim": {"kind": "lowdim"}},
    "inpainters": {f"painter-{n}": {"adapter": "stable-diffusion", "checkpoint": f"sd{n}"} for n in range(8)},
    "captioners": {f"speaker-{n}": {"adapter": "blip", "checkpoint": f"blip{n}"} for n in range(4)},
}
PARAMS = {"study": "large", **AXES, "encoders": {"vit": {"adapter": "vit"}}}
FIDELITY = tuple(product(("mse", "psnr", "ssim", "lpips"), ("region", "whole")))
DRIFT = tuple(product(("tvd_even",), ("region", "outside"), range(4)))
CAPTIONS = ("bleu_4", "rouge_l", "cider", "sbert", "object_recall")
STAGES = (
    "prepare", "degrade", *(f"inpaint@{name}" for name in AXES["inpainters"]),
    *(f"caption@{name}" for name in AXES["captioners"]), "fidelity@pixel", "represent@vit", "quality@lexical",
)  # fmt: skip
RUNS = {stage: digest(stage.encode())[:32] for stage in STAGES}
"""The one execution of each stage."""


def stage_of(kind: str, names: tuple[str | None, ...]) -> str:
    """The stage that computed an item.

    >>> stage_of("caption", ("blur", "painter-0", "speaker-1")), stage_of("fidelity.pixel", ("blur", "painter-0", None))
    ('caption@speaker-1', 'fidelity@pixel')
    """
    making = {"original": "prepare", "degraded": "degrade", "repainted": f"inpaint@{names[1]}"}
    return (making | {"caption": f"caption@{names[2]}"}).get(kind) or kind.replace(".", "@")


def main(samples: int = 500) -> dict[str, float]:
    """Print the figures and return seconds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        engine, objects = connect(f"sqlite:///{root / 'registry.db'}"), ObjectStore(str(root / "objects"))
        migrate_when_behind(engine)
        started = time.perf_counter()
        captions, measurements = fill(engine, objects, samples)
        print(f"{captions:,} captions, {measurements:,} measurements, made in {time.perf_counter() - started:.0f} s")
        figures, built = {}, []
        for name in ("first", "again"):
            started = time.perf_counter()
            build(engine, objects, "large", root / name)
            figures[name] = time.perf_counter() - started
            built.append({p.relative_to(root / name): p.read_bytes() for p in (root / name).rglob("*") if p.is_file()})
        started = time.perf_counter()
        everything = "SELECT m.*, p.configuration_id FROM measurement m JOIN placement p USING (item_id)"
        frame = pd.read_sql(everything, engine)
        frame.groupby(["configuration_id", "metric", "region", "layer"])["value"].mean()
        figures["pandas"] = time.perf_counter() - started
        size = sum(map(len, built[0].values())) / 1e6
        print(f"report {figures['first']:.1f} s ({len(built[0])} files, {size:.1f} MB), again {figures['again']:.1f} s")
        print(f"pandas' means alone {figures['pandas']:.1f} s, ratio {figures['first'] / figures['pandas']:.2f}")
        print("equal byte for byte" if built[0] == built[1] else "THE TWO REPORTS DIFFER")
        figures["equal"] = float(built[0] == built[1])
    return figures


class Rows:
    """What is gathered for the database, and written when it is enough."""

    def __init__(self, connection: Connection, number: dict[tuple[str | None, ...], int]) -> None:
        self.connection, self.number = connection, number
        self.waiting: dict[type[Base], list[dict[str, Any]]] = {Item: [], Parent: [], Placement: [], Measurement: []}
        self.ids, self.captions, self.measurements = count(1), 0, 0

    def item(
        self, kind: str, sample: int, names: tuple[str | None, ...], parent: int | None = None, **more: Any
    ) -> int:
        new = next(self.ids)
        self.captions += kind == "caption"
        row = {"id": new, "key": digest(str(new).encode()), "kind": kind, "status": "ok", "reason": None,
               "value": None, "object": None, "parts": {"model": {"adapter": kind, "name": names[1]}},
               "run_id": RUNS[stage_of(kind, names)]}  # fmt: skip
        self.waiting[Item].append(row | more)
        if parent:
            self.waiting[Parent].append({"item_id": new, "parent_id": parent})
        where = {"kind": kind, "sample_id": sample, "configuration_id": self.number[names]}
        self.waiting[Placement].append(where | {"item_id": new})
        return new

    def measure(self, item: int, metric: str, value: float, region: str = "", layer: int = PER_ITEM) -> None:
        self.measurements += 1
        row = {"item_id": item, "metric": metric, "region": region, "layer": layer, "value": value}
        self.waiting[Measurement].append(row)

    def write(self) -> None:
        for table, rows in self.waiting.items():
            self.connection.execute(insert(table), rows)
            rows.clear()


def fill(engine: Engine, objects: ObjectStore, samples: int) -> tuple[int, int]:
    """A study in which captions suffer with fidelity; returns how many captions and measurements there are."""
    rng = np.random.default_rng(0)
    addresses = [objects.put(picture(shade)) for shade in range(0, 250, 25)]
    grid = [(None, None), *product(AXES["degradations"], AXES["inpainters"])]
    configurations = [(degradation, None, None) for degradation in AXES["degradations"]]
    configurations += [(*names, captioner) for names, captioner in product(grid, (None, *AXES["captioners"]))]
    number = {names: n for n, names in enumerate(configurations, 1)}
    corpora = dict(enumerate(AXES["corpora"], 1))
    every = list(enumerate(product(corpora, range(samples)), 1))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    run = {"git_commit": "0" * 40, "device": "cpu", "engine": "local", "started_at": began}
    size = {"split": "test", "width": 32, "height": 32, "annotations": {}}
    with engine.begin() as connection:
        for table, rows in {
            Run: [run | {"id": id, "stage": stage} for stage, id in RUNS.items()],
            Corpus: [{"id": c, "name": name, "settings": {}, "problems": {}} for c, name in corpora.items()],
            Configuration: [
                {"id": n, "digest": configuration_digest(point, settings), "settings": settings, **point.names()}
                for names, n in number.items()
                for point, settings in [described(names)]
            ],
            Study: [{"id": 1, "name": "large", "params": PARAMS}],
            Cell: [{"study_id": 1, "corpus_id": c, "configuration_id": n}
                   for c, n in product(corpora, number.values())],
            Sample: [{"id": n, "corpus_id": c, "name": f"s{index:05}", **size} for n, (c, index) in every],
            Reference: [{"sample_id": n, "position": 0, "text": sentence(rng)} for n, _ in every],
        }.items():  # fmt: skip
            connection.execute(insert(table), rows)
        rows = Rows(connection, number)
        for sample, _ in every:
            address = addresses[sample % 10]
            parents = {None: rows.item("original", sample, (None, None, None), object=address)}
            for degradation in AXES["degradations"]:
                names = (degradation, None, None)
                parents[degradation] = rows.item("degraded", sample, names, parents[None], object=address, value={})
            for n, names in enumerate(grid):
                harm = n / len(grid) + 0.2 * float(rng.random())
                describe(rows, sample, names, parents[names[0]], harm, addresses[n % 10], rng)
            if sample % 50 == 0 or sample == len(every):
                rows.write()
    return rows.captions, rows.measurements


def described(names: tuple[str | None, ...]) -> tuple[Point, Mapping[str, Any]]:
    """A configuration's point of the grid, and the settings behind the names that apply."""
    point = Point(**dict(zip(("degradation", "inpainter", "captioner"), names, strict=True)))
    return point, {axis: AXES[f"{axis}s"][name] for axis, name in point.names().items() if name}


def describe(
    rows: Rows,
    sample: int,
    names: tuple[str | None, ...],
    picture: int,
    harm: float,
    address: str,
    rng: np.random.Generator,
) -> None:
    """One picture, repainted unless it is the original, and what every captioner says of it."""
    if any(names):
        picture = rows.item("repainted", sample, (*names, None), picture, object=address)
        fidelity = rows.item("fidelity.pixel", sample, (*names, None), picture)
        for metric, region in FIDELITY:
            rows.measure(fidelity, metric, 1 - harm if metric in ("psnr", "ssim") else harm, region)
        seen = rows.item("represent.vit", sample, (*names, None), picture)
        for metric, region, layer in DRIFT:
            rows.measure(seen, metric, harm * layer, region, layer)
    for captioner in AXES["captioners"]:
        caption = rows.item("caption", sample, (*names, captioner), picture, value={"caption": sentence(rng)})
        quality = rows.item("quality.lexical", sample, (*names, captioner), caption)
        for metric in CAPTIONS:
            rows.measure(quality, metric, 1 - harm * float(rng.random()))


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def sentence(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, 8))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
