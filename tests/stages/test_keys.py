"""Keys are a promise: those of a toy study's measured items, written down with their parts.

The table was printed before measures declared what they need, at commit 7df09c7: `planned` of every entry, as keys and
parts. Where this test fails, everybody's registry would be computed again. What stands for a checkpoint is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.store.axes import AXES
from registry.store.keys import item_key
from stages import fidelity, quality, represent
from stages.engine.entries import Adapted
from stages.engine.loop import Task
from stages.engine.shards import IMAGE, TEXTS, image, write_shard
from stages.engine.study import Study
from tests.conftest import SMALL

RING, STAR = (
    {"shape": shape, "color": "red", "texture": "plain", "size": "small", "box": [x, 4, 8, 8], "label": "dog"}
    for shape, x in (("ring", 4), ("star", 20))
)
STUDY = Study.model_validate(SMALL)
WRITTEN = json.loads(Path(__file__).with_name("keys.json").read_text())
ENTRIES: dict[str, dict[str, Any]] = {
    "quality.rouge": {"adapter": "lexical", "metrics": ["rouge_l"], "tokenizer": "none"},
    "quality.cider": {"adapter": "lexical", "metrics": ["bleu", "cider"], "tokenizer": "none"},
    "quality.sbert": {"adapter": "semantic", "checkpoint": "somewhere"},
    "quality.grounding": {"adapter": "grounding"},
    "quality.chair": {"adapter": "chair"},
    "fidelity.pixel": {"adapter": "pixel"},
    "represent.vit": {"adapter": "vit", "checkpoint": "somewhere"},
}
"""Kind of item -> the measure or encoder behind it."""


def write() -> None:
    """Two samples in the working directory, one degraded in two ways, both repainted and captioned."""
    common = {"corpus": "scenes", "parents": [], "parts": "{}", "value": "{}", "status": "ok", "reason": None}
    samples = {"a": [RING, STAR], "b": [STAR]}
    pairs = (("a", "blur"), ("a", "zero"), ("b", "blur"))
    prepared = [
        common
        | {"sample": name, "key": f"prepared {name}", "image": image(f"original {name}".encode(), "")}
        | {"references": [f"a red {things[0]['shape']}", "a thing"]}
        | {"annotations": json.dumps({"background": "sky", "objects": things})}
        for name, things in samples.items()
    ]
    shard("prepare", prepared, image=IMAGE, references=TEXTS, annotations=pa.string())
    degraded = [
        common
        | {"sample": name, "key": f"{degradation} {name}", "degradation": degradation}
        | {
            "image": image(f"{degradation} {name}".encode(), ""),
            "mask": image(f"mask {degradation} {name}".encode(), ""),
        }
        for name, degradation in pairs
    ]
    shard("degrade", degraded, degradation=pa.string(), image=IMAGE, mask=IMAGE)
    repainted = [
        common
        | {"sample": name, "key": f"telea {degradation} {name}", "degradation": degradation, "inpainter": "telea"}
        | {"image": image(f"telea {degradation} {name}".encode(), "")}
        for name, degradation in pairs
    ]
    shard("inpaint/telea", repainted, degradation=pa.string(), inpainter=pa.string(), image=IMAGE)
    captioned = [
        common
        | {
            "sample": name,
            "key": f"caption {degradation} {name}",
            "parents": [f"{degradation} {name}"],
            "captioner": "blip",
        }
        | {
            "degradation": degradation,
            "inpainter": degradation and "telea",
            "caption": f"a {degradation or 'red'} ring",
        }
        for name, degradation in (("a", None), ("b", None), *pairs)
    ]
    shard("caption/blip", captioned, **dict.fromkeys(AXES, pa.string()), caption=pa.string())


def shard(folder: str, rows: list[dict[str, Any]], **fields: pa.DataType) -> None:
    write_shard(Path("data", folder, "scenes", "part-00.parquet"), rows, list(fields.items()))


def planned(kind: str) -> Iterator[Task]:
    """The tasks of a measure or encoder."""
    stage, _, name = kind.partition(".")
    section = "encoders" if stage == "represent" else stage
    measure = Adapted(name, ENTRIES[kind], section)
    if "checkpoint" in ENTRIES[kind]:
        measure.identity = {"adapter": name, "version": 1, "checkpoint": "made up"}
    plan = {"quality": quality.plan, "fidelity": fidelity.plan, "represent": represent.looked_at}[stage]
    for _, tasks in plan(measure, STUDY):
        yield from tasks


@pytest.mark.parametrize("kind", ENTRIES)
def test_keys_and_their_parts_are_those_written_down(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write()
    assert [{"parts": dict(task.parts), "key": item_key(kind, task.parts)} for task in planned(kind)] == WRITTEN[kind]
