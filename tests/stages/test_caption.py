"""What a captioner is shown and told, and what an item's key says of it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from models.adapters.decoding import Decoding
from models.captioners.edited import Informed
from models.captioners.prompted import Instructed
from models.media.images import RED, encode_png
from registry.store.dag import STAGES
from stages import caption as stage
from stages.engine.shards import DISK, image, write_shard
from stages.engine.tasks import Task

BOX = [2.0, 3.0, 4.0, 2.0]
PICTURES = {"plain": np.full((10, 12, 3), 40, np.uint8), "boxed": np.full((10, 12, 3), 90, np.uint8)}
REPAINTED = np.full((10, 12, 3), 200, np.uint8)
ANNOTATIONS = {
    "plain": {"objects": [{"label": "star", "box": BOX}]},
    "boxed": {"objects": [{"label": "ring", "box": [0, 0, 1, 1]}, {"label": "star", "box": BOX}], "target": 1},
}


class Recorder:
    """A captioner that remembers what it was shown."""

    def __init__(self, settings: Decoding) -> None:
        self.settings = settings
        self.shown: list[tuple[np.ndarray, str]] = []

    def caption(self, pictures, prompts, seeds):
        self.shown += zip(pictures, prompts, strict=True)
        return [["a caption", "another"] for _ in pictures]


@pytest.fixture
def plan(monkeypatch, tmp_path):
    """Plans over two samples, each with one repainted picture."""
    axes = {"corpus": "some", "degradation": "blur", "inpainter": "telea"}
    rows = {
        "prepare": [{"corpus": "some", "sample": name, "status": "ok", "key": f"p-{name}", "references": ["a star"],
                     "image": image(encode_png(picture), ""), "annotations": json.dumps(ANNOTATIONS[name])}
                    for name, picture in PICTURES.items()],
        "degrade": [{**axes, "sample": name, "image": image(encode_png(picture), "")}
                    for name, picture in PICTURES.items()],
        "inpaint/telea": [{**axes, "sample": name, "status": "ok", "key": f"i-{name}",
                           "image": image(encode_png(REPAINTED), "")} for name in PICTURES],
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PALIMPSEST_OBJECTS", str(tmp_path / "objects"))
    for folder, some in rows.items():
        node = STAGES[folder.partition("/")[0]]
        fields = [*((axis, pa.string()) for axis in node.axes), *node.fields]
        write_shard(
            tmp_path / "data" / folder / "some/part-00.parquet", [{"mask": None, **row} for row in some], fields
        )

    def make(settings: Decoding) -> tuple[SimpleNamespace, list[Task]]:
        model = SimpleNamespace(adapter=Recorder(settings), identity={"adapter": "recorder"}, name="recorder")
        ((_, tasks),) = stage.plan(model, ["some"], ["telea"], DISK)
        return model, tasks

    return make


def seen(model: SimpleNamespace, tasks: list[Task]) -> dict[tuple[str, bool], tuple[np.ndarray, str]]:
    """(sample, whether repainted) -> what was shown and told."""
    stage.caption(model, tasks, range(len(tasks)))
    names = [(task.sample, task.columns["inpainter"] is not None) for task in tasks]
    return dict(zip(names, model.adapter.shown, strict=True))


@pytest.mark.parametrize("settings", [Decoding(), Instructed()], ids=["unconditional", "instructed"])
def test_the_target_is_framed_for_every_captioner(plan, settings):
    shown = seen(*plan(settings))
    assert len(shown) == 4
    for repainted, plain in ((False, PICTURES["plain"]), (True, REPAINTED)):
        assert np.array_equal(shown["plain", repainted][0], plain)
    for repainted, picture in ((False, PICTURES["boxed"]), (True, REPAINTED)):
        framed = shown["boxed", repainted][0]
        red = (framed == RED).all(-1)
        assert red.sum() == 6 * 4 - 4 * 2 and red[2:6, 1:7].sum() == red.sum()
        assert np.array_equal(framed[~red], picture[~red])


def test_the_prompt_is_about_the_picture_or_the_box(plan):
    shown = seen(*plan(Instructed(prompt="Say it.", box_prompt="Say the box.")))
    told = {name: prompt for name, (_, prompt) in shown.items()}
    assert told == {("plain", False): "Say it.", ("plain", True): "Say it.",
                    ("boxed", False): "Say the box.", ("boxed", True): "Say the box."}  # fmt: skip
    assert {prompt for _, prompt in seen(*plan(Decoding())).values()} == {""}


def test_one_that_may_know_the_truth_is_told_it_in_place_of_a_prompt(plan):
    told = {name: json.loads(prompt) for (name, _), (_, prompt) in seen(*plan(Informed())).items()}
    assert told == ANNOTATIONS


def test_the_key_says_what_was_seen_and_told(plan, monkeypatch):
    def parts(settings: Decoding) -> dict[str, dict]:
        return {task.sample: dict(task.parts) for task in plan(settings)[1] if task.columns["inpainter"] is None}

    known = parts(Decoding())
    assert known["plain"].keys() == {"picture", "prompt", "model"}, "as before boxes: such items are recalled"
    assert known["plain"]["prompt"] == ""
    assert known["boxed"]["box"]["at"] == BOX
    monkeypatch.setattr(stage, "FRAME_VERSION", 2)
    assert parts(Decoding())["boxed"] != known["boxed"] and parts(Decoding())["plain"] == known["plain"]
    told = parts(Instructed(prompt="A?", box_prompt="B?"))
    assert (told["plain"]["prompt"], told["boxed"]["prompt"]) == ("A?", "B?")


def test_what_no_database_takes_is_not_said(plan, monkeypatch):
    """A hosted model may say anything; PostgreSQL's JSON holds no NUL, and UTF-8 no lone surrogate."""
    model, tasks = plan(Instructed())
    monkeypatch.setattr(model.adapter, "caption", lambda *_: [["a\0 star \U0001f600", "a \ud83dring"]])
    [outcome] = stage.caption(model, tasks[:1], [0])
    assert outcome.value == {"caption": "a star \U0001f600", "candidates": ["a star \U0001f600", "a ring"]}


def test_the_sheet_shows_what_was_seen(plan):
    import io

    from PIL import Image

    _, tasks = plan(Decoding())
    rows = [(task, {"caption": "a caption"}) for task in tasks if task.sample == "boxed"]
    sheet = np.array(Image.open(io.BytesIO(stage.sheet(rows))))
    assert (sheet == RED).all(-1).any()


def test_a_corpus_of_another_study_is_left_alone(plan):
    """Its outputs may lie there still."""
    model, tasks = plan(Decoding())
    assert tasks and not list(stage.plan(model, ["other"], ["telea"], DISK))
