"""Keys are a promise: those of toy studies' items, written down with their parts.

The table was printed by the plans of earlier versions, over the same toy outputs: what is made (original to caption) at
commit a0d5f0f, before tasks carried references; what is measured at 7df09c7, before measures declared what they need.
Drift's version rose to 2 when it learnt entropies of heads, and those keys with it; RICO's, when what a reviser
says back of its instruction stopped being read as a caption; that of benchmarks, when models that read no capital
letters were asked by probability again. Prompts, trainings, paintings and answers are those of the
first version that had them.
Where this test fails, everybody's registry would be computed again. What stands for a checkpoint is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.adapters.lora import FILE
from models.captioners.prompted import Instructed
from models.measures.prompted import Prompt
from registry.store.axes import AXES
from registry.store.dag import IMAGE, MAKING, STAGES, TEXTS
from registry.store.keys import item_key
from stages import answer, caption, degrade, inpaint, paint, prepare, prompt, quality, recaption, represent, train
from stages.corpora import Sample
from stages.engine.answering import variants
from stages.engine.entries import Adapted
from stages.engine.pairs import pairs
from stages.engine.shards import DISK, image, write_shard
from stages.engine.study import Study
from stages.engine.tasks import Task
from tests.conftest import SMALL

RING, STAR = (
    {"shape": shape, "color": "red", "texture": "plain", "size": "small", "box": [x, 4, 8, 8], "label": "dog"}
    for shape, x in (("ring", 4), ("star", 20))
)
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
    if stage == "quality":
        plan = quality.plan(measure, ["scenes"], [STAGES["caption"].folder("blip")], DISK)
    else:
        plan = {"fidelity": pairs, "represent": represent.plan}[stage](measure, ["telea"], DISK)
    for _, tasks in plan:
        yield from tasks


def written(tasks: Iterable[Task], kind: str) -> list[dict[str, Any]]:
    return [{"parts": dict(task.parts), "key": item_key(kind, task.parts)} for task in tasks]


@pytest.mark.parametrize("kind", ENTRIES)
def test_what_is_measured(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write()
    assert written(planned(kind), kind) == WRITTEN[kind]


def test_what_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write()
    Path("base").mkdir()
    Path("base/config.json").write_text("made up")
    entry = {"adapter": "causal-lm", "checkpoint": "base", "benchmarks": {"pope": {"object": "{color} {shape}"}}}
    study = Study.model_validate({**SMALL, "corpora": {"scenes": {"adapter": "scenes"}}, "answerers": {"lvlm": entry}})
    tasks = [task for _, tasks in answer.plan(variants(study, "lvlm"), DISK) for task in tasks]
    assert written(tasks, "answer") == WRITTEN["answer"]


BOX = {"objects": [{"label": "star", "box": [1.0, 2.0, 3.0, 4.0]}], "background": "sky"}
SOURCE = {"world": "scenes", "seed": 0, "index": 1}


def write_boxes() -> None:
    """A sample as a whole and one about the object in its box, each degraded in one way and repainted."""
    common = {"corpus": "scenes", "parents": [], "parts": "{}", "value": "{}", "status": "ok", "reason": None}
    prepared = [
        common
        | {"sample": name, "key": f"prepared {name}", "image": image(f"original {name}".encode(), "")}
        | {"width": 8, "height": 8, "references": [f"a red {name}", "a thing"], "annotations": json.dumps(graph)}
        for name, graph in {"a": BOX, "b": {**BOX, "target": 0}}.items()
    ]
    size = {"width": pa.int32(), "height": pa.int32()}
    shard("prepare", prepared, image=IMAGE, **size, references=TEXTS, annotations=pa.string())
    pairs = [common | {"sample": name, "degradation": how} for name, how in (("a", "blur"), ("b", "zero"))]
    named = [(row, f"{row['degradation']} {row['sample']}") for row in pairs]
    degraded = [
        row | {"key": name, "image": image(name.encode(), ""), "mask": image(f"mask {row['sample']}".encode(), "")}
        for row, name in named
    ]
    shard("degrade", degraded, degradation=pa.string(), image=IMAGE, mask=IMAGE)
    repainted = [
        row | {"inpainter": "telea", "key": f"telea {name}", "image": image(f"telea {name}".encode(), "")}
        for row, name in named
    ]
    shard("inpaint/telea", repainted, degradation=pa.string(), inpainter=pa.string(), image=IMAGE)
    captioned = [row | {"captioner": "blip", "parents": [row["key"]], "key": f"said {row['key']}", "caption": "a star"}
                 for row in prepared]  # fmt: skip
    shard("caption/blip", captioned, captioner=pa.string(), caption=pa.string())


def made(kind: str) -> Iterator[Task]:
    """The tasks that make items of a kind: with Telea and a prompted inpainter, with a captioner that takes no
    instructions and one that does."""
    corpora = {"scenes": {"adapter": "scenes", "region": {"kind": "centre", "fraction": 0.25}}}
    degradations = {"blur": {"kind": "blur", "kernel": 0.2}, "zero": {"kind": "zero"}}
    study = Study.model_validate({**SMALL, "corpora": corpora, "degradations": degradations})
    prompted = SimpleNamespace(prompted=True, sees_hole=True)
    models: list[Any] = [
        Adapted("telea", {"adapter": "telea"}, "inpainters"),
        SimpleNamespace(name="sd", identity={"adapter": "sd", "version": 1}, adapter=prompted),
        Adapted("blip", {"adapter": "blip", "checkpoint": "somewhere", "beams": 3}, "captioners"),
        SimpleNamespace(
            name="qwen", identity={"adapter": "qwen", "version": 1}, adapter=SimpleNamespace(settings=Instructed())
        ),
    ]
    models[2].identity = {"adapter": "blip", "version": 1, "checkpoint": "made up"}
    if kind == "original":
        sample = Sample("a", "test", SOURCE, ("one",), BOX, lambda: np.zeros((1, 1, 3), np.uint8))
        plans = [prepare.plan("scenes", [sample])]
    elif kind == "degraded":
        plans = [degrade.plan(study, DISK)]
    elif kind == "repainted":
        plans = [inpaint.plan(model, DISK) for model in models[:2]]
    elif kind == "caption":
        plans = [caption.plan(model, ["scenes"], ["telea"], DISK) for model in models[2:]]
    elif kind == "prompt":
        plans = [prompt.plan("asked", [Prompt("a", "a red star", graph={"objects": []})])]
    elif kind == "trained":
        identity = {"adapter": "lora", "version": 1, "base": {"checkpoint": "made up"}, "rank": 4}
        training: Any = SimpleNamespace(
            name="lora/seed=3", corpus="scenes", folder=STAGES["caption"].folder("blip"), identity=identity,
            scope=SimpleNamespace(seed=3, size=None), initial=None, instructions=None,
        )  # fmt: skip
        plans = [train.plan({training.name: training}, DISK)]
    elif kind == "painted":
        row = {"corpus": "asked", "sample": "a", "key": "k", "prompt": "a red star", "annotations": "{}"}
        painter: Any = SimpleNamespace(name="sd", model=models[1])
        made_by = (paint.NOTHING, paint.Made("trained", {FILE: "0f" * 32}))
        plans = [[("", [paint.task(painter, None, its, row) for its in made_by])]]
    else:
        entry = {
            "method": "rico",
            "painter": "any",
            "reviser": "any",
            "captioners": ["blip"],
            "prompt": "Mend {caption}.",
        }
        described = {"any": {"adapter": "stable-diffusion-3", "checkpoint": "somewhere"}}
        rico = recaption.Recaptioning("rico", entry, described)
        for one in rico.players.values():
            one.identity = {"adapter": "any", "version": 1}
        plans = [recaption.plan({"rico": rico}, study, DISK)]
    return (task for plan in plans for _, tasks in plan for task in tasks)


@pytest.mark.parametrize("kind", MAKING)
def test_what_is_made(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(degrade, "encode_png", lambda mask: mask.tobytes())  # whose bytes are the PNG library's
    write_boxes()
    assert written(made(kind), kind) == WRITTEN[kind]
