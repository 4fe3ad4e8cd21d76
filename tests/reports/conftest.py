"""A small registry whose every number is known: filled through the item store and the index, as a study fills it."""

from __future__ import annotations

import base64
import io
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from sqlalchemy import Engine

from registry.indexing import Index
from registry.items import Execution, Finding, ItemStore
from registry.keys import item_key
from registry.objects import ObjectStore
from registry.schema import connect

SCRIPT = "<script>document.title = 'owned'</script> & a red circle"
DEGRADATIONS, INPAINTERS = ("centre", "blur", "lowdim"), ("telea", "diffusion", "patch", "as-is")
PARAMS = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes", "count": 6, "seed": 3}, "photos": {"adapter": "coco"}},
    "degradations": {"centre": {"adapter": "centre"}, "blur": {"adapter": "blur", "sigma": 4}, "lowdim": {"adapter": "lowdim"}},
    "inpainters": {
        "telea": {"adapter": "telea", "radius": 3},
        "diffusion": {"adapter": "stable-diffusion", "steps": 20},
        "patch": {"adapter": "patch"},
        "as-is": {"adapter": "identity"},
    },
    "captioners": {"blip": {"adapter": "blip", "beams": 6}},
    "fidelity": {"pixel": {"adapter": "pixel"}, "lpips": {"adapter": "lpips", "weights": "weights/squeeze"}},
    "quality": {"lexical": {"adapter": "lexical"}, "semantic": {"adapter": "sbert", "checkpoint": "weights/small"}},
}  # fmt: skip
SIZES = {"scenes": (32, 32), "photos": (400, 300)}


@dataclass
class Toy:
    """The registry and, beside it, every number that was put in: (corpus, d, i, metric, region) → values."""

    engine: Engine
    objects: ObjectStore
    numbers: dict[tuple[str, ...], list[float | None]] = field(default_factory=dict)

    def note(self, corpus: str, names: tuple[str, str], metric: str, region: str, value: float | None) -> None:
        self.numbers.setdefault((corpus, *names, metric, region), []).append(value)

    def mean(self, *where: str) -> float:
        known = [value for value in self.numbers[where] if value is not None]
        return sum(known) / len(known)


def png(size: tuple[int, int], colour: tuple[int, int, int], hole: tuple[int, int, int] | None = None) -> bytes:
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    draw.ellipse([size[0] // 8, size[1] // 8, size[0] // 2, size[1] // 2], fill=(200, 40, 40))
    if hole:
        draw.rectangle([size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4], fill=hole)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def mask(size: tuple[int, int]) -> str:
    image = Image.new("1", size)
    ImageDraw.Draw(image).rectangle([size[0] // 4, size[1] // 4, size[0] * 3 // 4 - 1, size[1] * 3 // 4 - 1], fill=1)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


class Filler:
    """Remembers items and collects the rows that the index is given afterwards."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.store = ItemStore(toy.engine, toy.objects)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.values: list[tuple[str, str, str, float | None]] = []
        self.store.open_run(Execution("run1", "everything", "abc123+", "cpu", "local", datetime(2024, 1, 1, tzinfo=UTC)))

    def item(self, kind: str, parts: dict[str, Any], where: dict[str, Any], **found: Any) -> str:
        key = item_key(kind, parts)
        self.store.remember("run1", [Finding(key, kind, parts, **found)])
        self.rows.setdefault(kind, []).append({**where, "key": key})
        return key


def fill(toy: Toy, captions: dict[str, str] | None = None) -> None:
    """Put the toy study into the registry."""
    filler, rng = Filler(toy), random.Random(7)
    samples = {"scenes": [f"s{n}" for n in range(6)], "photos": ["p0", "p1"]}
    for corpus, names in samples.items():
        size = SIZES[corpus]
        for number, sample in enumerate(names):
            where = {"corpus": corpus, "sample": sample}
            colour = (40 * number, 120, 255 - 40 * number)
            filler.item("original", {"s": [corpus, sample]}, where, data=png(size, colour))
            score(filler, where, ("", ""), rng, 0.8, (captions or {}).get(sample, f"a red circle left of a thing {number}"))
            for d, degradation in enumerate(DEGRADATIONS):
                hole = (60 * d, 60 * d, 60 * d)
                spoiled = {**where, "degradation": degradation}
                parts = {"s": [corpus, sample], "d": degradation}
                filler.item("degraded", parts, spoiled, value={"mask": mask(size)}, data=png(size, colour, hole))
                for i, inpainter in enumerate(INPAINTERS):
                    seen = "" if inpainter == "telea" else degradation
                    repaint(filler, {**spoiled, "inpainter": inpainter}, seen, (d, i), rng, png(size, colour, (90 * i % 255, hole[0], 9)))
    with toy.engine.begin() as connection:
        index = Index(connection, {axis: PARAMS[axis + "s"] for axis in ("degradation", "inpainter", "captioner")})
        for corpus, names in samples.items():
            width, height = SIZES[corpus]
            rows = [
                {"sample": s, "split": "val" if s == "s5" else "test", "width": width, "height": height, "annotations": {}}
                | {"references": [f"a reference of {s}", "another reference"]}
                for s in names
            ]
            index.corpus(corpus, PARAMS["corpora"][corpus], {"missing image": 2} if corpus == "photos" else {}, rows)
        for kind, rows in filler.rows.items():
            index.place(kind, rows)
        index.measure(filler.values)
        for row in {(r["corpus"], r.get("degradation"), r.get("inpainter")): r for r in filler.rows["caption"]}.values():
            index.summarise(row, {"bleu_4": 0.125, "cider": 0.5}, 6)
        index.study("toy", PARAMS)


def repaint(filler: Filler, where: dict[str, Any], seen: str, number: tuple[int, int], rng: random.Random, data: bytes) -> None:
    """One repainted picture with its fidelity, and its caption. One of them fails."""
    corpus, sample, names = where["corpus"], where["sample"], (where["degradation"], where["inpainter"])
    parts = {"s": [corpus, sample], "i": where["inpainter"], "seen": seen, "model": {"adapter": where["inpainter"]}}
    if sample == "s4" and names == ("blur", "patch"):
        filler.item("repainted", parts, where, reason="out of memory <b>")
        return
    filler.item("repainted", parts, where, data=data)
    shared = random.Random(str([corpus, sample, where["inpainter"], seen]))
    level = 0.1 * (number[1] + 1) + 0.03 * (0 if seen == "" else number[0])
    pixel, lpips = ({**parts, "measure": {"adapter": a, "version": 1}} for a in ("pixel", "lpips"))
    keys = {"pixel": filler.item("fidelity.pixel", pixel, where, value={}), "lpips": filler.item("fidelity.lpips", lpips, where, value={})}
    for region, factor in (("region", 1.0), ("outside", 0.0), ("whole", 0.25)):
        mse = factor * level * (0.9 + 0.2 * shared.random())
        psnr = 20 - 10 * level if mse and sample != "s0" else None
        for metric, value in {"mse": mse, "psnr": psnr, "ssim": 0.5 if region == "region" else 1.0, "lpips": 2 * mse}.items():
            filler.values.append((keys["lpips" if metric == "lpips" else "pixel"], metric, region, value))
            filler.toy.note(corpus, names, metric, region, value)
    drop = 0.5 * level * (0.8 + 0.4 * shared.random())
    text = f"a {('blue', 'green', 'grey', 'dark')[number[1]]} circle left of a thing"
    score(filler, where, names, shared, 0.8 - drop, text, seen)


def score(
    filler: Filler, where: dict[str, Any], names: tuple[str, str], rng: random.Random, level: float, text: str, seen: str = ""
) -> None:
    """One caption and its scores."""
    where = {**where, "captioner": "blip"}
    parts = {"s": [where["corpus"], where["sample"]], "i": names[1], "seen": seen, "model": {"adapter": "blip"}}
    filler.item("caption", parts, where, value={"caption": text, "candidates": [text]})
    lexical = filler.item("quality.lexical", {**parts, "measure": {"adapter": "lexical"}}, where, value={})
    semantic = filler.item("quality.semantic", {**parts, "measure": {"adapter": "sbert", "checkpoint": "sha256:" + "0f" * 32}}, where, value={})
    scores = {"bleu_1": level * 0.9, "bleu_4": 0.0, "cider": 2 * level + 0.1 * rng.random()}
    for metric, value in scores.items():
        filler.values.append((lexical, metric, "", value))
        filler.toy.note(where["corpus"], names, metric, "", value)
    filler.values.append((semantic, "sbert", "", level))
    filler.toy.note(where["corpus"], names, "sbert", "", level)


def make(folder: Path, captions: dict[str, str] | None = None) -> Toy:
    toy = Toy(connect(f"sqlite:///{folder / 'registry.db'}"), ObjectStore(f"memory://{folder}"))
    fill(toy, captions)
    return toy


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy study; one of its originals has a caption that is HTML."""
    return make(tmp_path_factory.mktemp("toy"), {"s1": SCRIPT})
