"""A small registry whose every number is known: filled through the item store and the index, as a study fills it.

``telea`` cannot see under the mask, so its items serve all degradations; ``as-is`` is the control; one picture of
``patch`` failed; PSNR of the first scene is undefined; METEOR was not measured; BLEU-4 is zero everywhere.
"""

from __future__ import annotations

import base64
import io
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from registry.indexing import Index
from registry.store.axes import AXES
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.store.schema import PER_ITEM
from reports.report import build
from tests.reports.declared import declare

Row = dict[str, Any]

SCRIPT = "<script>document.title = 'owned'</script> & a red circle"
PARAMS = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes", "count": 6, "seed": 3}, "photos": {"adapter": "coco"}},
    "degradations": {
        "centre": {"kind": "zero"},
        "blur": {"kind": "blur", "kernel": 0.3},
        "lowdim": {"kind": "lowdim"},
    },
    "inpainters": {
        "telea": {"adapter": "telea", "radius": 3},
        "diffusion": {"adapter": "stable-diffusion", "steps": 20},
        "patch": {"adapter": "patch"},
        "as-is": {"adapter": "identity"},
    },
    "captioners": {"blip": {"adapter": "blip", "beams": 6}},
    "encoders": {"tiny": {"adapter": "vit"}},
    "fidelity": {"pixel": {"adapter": "pixel"}, "lpips": {"adapter": "lpips", "weights": "weights/squeeze"}},
    "quality": {"lexical": {"adapter": "lexical"}, "semantic": {"adapter": "sbert", "checkpoint": "weights/small"}},
}
SAMPLES = {"scenes": [f"s{n}" for n in range(6)], "photos": ["p0", "p1"]}
SIZES = {"scenes": (32, 32), "photos": (400, 300)}
COLOURS = ["blue", "green", "grey", "black"]


def png(size: tuple[int, int], mode: str, *boxes: tuple[list[int], Any]) -> bytes:
    """A picture of filled boxes."""
    image = Image.new(mode, size)
    for box, colour in boxes:
        ImageDraw.Draw(image).rectangle(box, fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class Toy:
    """The registry and, beside it, every number that was put in: (corpus, d, i, metric, region) → values."""

    params = PARAMS
    script = SCRIPT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = connect(f"sqlite:///{folder / 'registry.db'}")
        self.objects = ObjectStore(str(folder / "objects"))
        self.store = ItemStore(self.engine, self.objects)
        began = datetime(2024, 1, 1, tzinfo=UTC)
        self.store.open_run(Execution("run1", "everything", "abc123+", "cpu", "local", began))
        self.numbers: dict[tuple[str, ...], list[float | None]] = defaultdict(list)
        self.values: dict[tuple[str, ...], dict[str, float | None]] = defaultdict(dict)
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.measurements: list[tuple[str, str, str, int, float | None]] = []

    def mean(self, *where: str) -> float:
        known = [value for value in self.numbers[where] if value is not None]
        return sum(known) / len(known)

    def effects(self, corpus: str, names: Sequence[tuple[str, str]], metric: str, region: str) -> np.ndarray:
        """What each configuration does to a metric beside what the pictures do, up to a constant: least squares over
        indicator variables, which are the means where every configuration has every picture."""
        cells = [self.values[corpus, *name, metric, region] for name in names]
        known = [(n, sample, v) for n, cell in enumerate(cells) for sample, v in cell.items() if v is not None]
        samples = sorted({sample for _, sample, _ in known})
        design = np.zeros((len(known), len(names) + len(samples)))
        for row, (n, sample, _) in enumerate(known):
            design[row, n] = design[row, len(names) + samples.index(sample)] = 1
        return np.linalg.lstsq(design, np.array([value for *_, value in known]), rcond=None)[0][: len(names)]

    def item(self, kind: str, parts: Row, where: Row, **found: Any) -> str:
        key = item_key(kind, parts)
        self.store.remember("run1", [Finding(key, kind, parts, **found)])
        self.rows[kind].append({**where, "key": key})
        return key

    def measure(self, key: str, where: Row, metric: str, region: str, value: float | None) -> None:
        self.measurements.append((key, metric, region, PER_ITEM, value))
        names = where["corpus"], where.get("degradation", ""), where.get("inpainter", "")
        self.numbers[*names, metric, region].append(value)
        self.values[*names, metric, region][where["sample"]] = value

    def sample(self, where: Row, caption: str) -> None:
        """One original with its caption, degraded and repainted in every way."""
        width, height = SIZES[where["corpus"]]
        whole = [0, 0, width, height]
        hole = [width // 4, height // 4, width * 3 // 4 - 1, height * 3 // 4 - 1]
        mask = base64.b64encode(png((width, height), "1", (hole, 1))).decode()
        background = (whole, (10, 120, 200))
        self.item("original", {**where}, where, data=png((width, height), "RGB", background))
        self.score({**where, "captioner": "blip"}, "", caption, 0.8)
        for d, degradation in enumerate(PARAMS["degradations"]):
            spoiled = {**where, "degradation": degradation}
            dark = png((width, height), "RGB", background, (hole, (60 * d,) * 3))
            how = {**spoiled, "degradation": PARAMS["degradations"][degradation]}
            self.item("degraded", how, spoiled, value={"mask": mask}, data=dark)
            for i, inpainter in enumerate(PARAMS["inpainters"]):
                seen = "" if inpainter == "telea" else degradation
                level = 0.1 * (i + 1) + (0.03 * d if seen else 0)
                painted = png((width, height), "RGB", background, (hole, (80 * i, 60 * d if seen else 7, 9)))
                self.repaint({**spoiled, "inpainter": inpainter}, seen, level, painted, COLOURS[i])

    def repaint(self, where: Row, seen: str, level: float, painted: bytes, colour: str) -> None:
        """One repainted picture with its fidelity, and its caption."""
        parts = {**where, "degradation": seen, "model": {"adapter": where["inpainter"]}}
        if (where["sample"], where["degradation"], where["inpainter"]) == ("s4", "blur", "patch"):
            self.item("repainted", parts, where, reason="out of memory <b>")
            return
        self.item("repainted", parts, where, data=painted)
        del parts["model"]
        pixel = self.item("fidelity.pixel", {**parts, "measure": {"adapter": "pixel"}}, where, value={})
        lpips = self.item("fidelity.lpips", {**parts, "measure": {"adapter": "lpips"}}, where, value={})
        mse = level * (0.9 + 0.2 * random.Random(str(parts)).random())
        for region, share in (("region", 1.0), ("outside", 0.0), ("whole", 0.25)):
            psnr = 20 - 10 * mse if share and where["sample"] != "s0" else None
            self.measure(pixel, where, "mse", region, share * mse)
            self.measure(pixel, where, "psnr", region, psnr)
            self.measure(pixel, where, "ssim", region, 0.5)
            self.measure(lpips, where, "lpips", region, 2 * share * mse**2)
        drift = self.item("represent.tiny", {**parts, "measure": {"adapter": "vit"}}, where, value={})
        self.measure(drift, where, "cls_cosine", "whole", 1 - level)
        for metric, region, sign in (
            ("tvd_even", "region", 1),
            ("tvd_even", "outside", 0.2),
            ("entropy_change", "whole", -1),
        ):
            self.measurements += [(drift, metric, region, layer, sign * mse * layer) for layer in range(3)]
        drop = 0.5 * level * (0.8 + 0.4 * random.Random(str(parts)).random())
        self.score({**where, "captioner": "blip"}, seen, f"a {colour} circle left of a thing", 0.8 - drop)

    def score(self, where: Row, seen: str, caption: str, level: float) -> None:
        """One caption and its scores."""
        parts = {**where, "degradation": seen, "model": {"adapter": "blip"}}
        self.item("caption", parts, where, value={"caption": caption, "candidates": [caption]})
        del parts["model"]
        sbert = {"adapter": "sbert", "checkpoint": "sha256:" + "0f" * 32}
        lexical = self.item("quality.lexical", {**parts, "measure": {"adapter": "lexical"}}, where, value={})
        semantic = self.item("quality.semantic", {**parts, "measure": sbert}, where, value={})
        self.measure(lexical, where, "bleu_1", "", 0.9 * level)
        self.measure(lexical, where, "bleu_4", "", 0.0)
        self.measure(lexical, where, "meteor", "", None)
        self.measure(lexical, where, "cider", "", 2 * level + 0.1 * random.Random(str(parts)).random())
        self.measure(semantic, where, "sbert", "", level)

    def index(self) -> None:
        """Everything that was made, as the study's cells."""
        with self.engine.begin() as connection:
            index = Index(connection, {axis: PARAMS[axis + "s"] for axis in AXES if axis + "s" in PARAMS})
            for corpus, names in SAMPLES.items():
                size = {"width": SIZES[corpus][0], "height": SIZES[corpus][1], "annotations": {}}
                texts = {"references": ["one reference", "another reference"]}
                rows = [{"sample": s, "split": "val" if s == "s5" else "test", **size, **texts} for s in names]
                problems = {"missing image": 2} if corpus == "photos" else {}
                index.corpus(corpus, PARAMS["corpora"][corpus], problems, rows)
            for kind, rows in self.rows.items():
                index.place(kind, rows)
            index.measure(self.measurements)
            cells = {(row["corpus"], row.get("degradation"), row.get("inpainter")): row for row in self.rows["caption"]}
            for row in cells.values():
                index.summarise(row, {"bleu_4": 0.125, "cider": 0.5}, 6)
            index.study("toy", PARAMS)
            declare(connection)


def filled(folder: Path) -> Toy:
    toy = Toy(folder)
    for corpus, names in SAMPLES.items():
        for sample in names:
            caption = SCRIPT if sample == "s1" else "a red circle left of a thing"
            toy.sample({"corpus": corpus, "sample": sample}, caption)
    toy.index()
    return toy


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy study; the caption of one original is HTML."""
    return filled(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def toy_again(tmp_path: Path) -> Toy:
    """The toy study in another registry, made from nothing."""
    return filled(tmp_path)


@pytest.fixture(scope="session")
def page(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the toy study."""
    return build(toy.engine, toy.objects, "toy", tmp_path_factory.mktemp("report"))
