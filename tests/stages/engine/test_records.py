"""What measures of captions get: keys depend on what a measure needs, and on nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from models.measures.regions import columns
from models.media.images import encode_png
from models.pocket import WEIGHTS
from registry.store.dag import IMAGE, TEXTS
from registry.store.keys import canonical, digest, item_key
from stages.engine.entries import Adapted
from stages.engine.pictures import fetch
from stages.engine.records import Records
from stages.engine.shards import DISK, image, write_shard
from stages.engine.tasks import Task
from stages.quality import STAGE, Scorer, plan

RING, STAR = (
    {"shape": shape, "color": "red", "texture": "plain", "size": "small", "box": [x, 4, 8, 8]}
    for shape, x in (("ring", 4), ("star", 20))
)
GRAPH = {"background": "sky", "objects": [RING, STAR], "relations": []}
CAPTION = "a red ring on a sky background"
BLACK, GREY = (np.full((32, 32, 3), level, np.uint8) for level in (0, 128))
LEFT, RIGHT = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
LEFT[:, :16] = RIGHT[:, 16:] = True


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared, degraded and captioned corpus of one sample, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    write({"blur": LEFT, "zero": LEFT})
    return tmp_path


def write(masks: dict[str, np.ndarray], graph: dict = GRAPH, references: tuple[str, ...] = (CAPTION,)) -> None:
    common = {"corpus": "scenes", "sample": "1", "key": "k", "parents": [], "parts": "{}", "value": "{}"}
    common |= {"status": "ok", "reason": None}
    prepared = {"references": list(references), "annotations": canonical(graph), "image": image(encode_png(BLACK), "")}
    fields = [("references", TEXTS), ("annotations", pa.string()), ("image", IMAGE)]
    write_shard(Path("data/prepare/scenes/part-00.parquet"), [common | prepared], fields)
    degraded = [common | {"degradation": name, "mask": image(encode_png(m), "")} for name, m in masks.items()]
    fields = [("degradation", pa.string()), ("mask", IMAGE)]
    write_shard(Path("data/degrade/scenes/part-00.parquet"), degraded, fields)
    repainted = [common | {"degradation": name, "inpainter": "telea"} for name in masks]
    repainted = [row | {"image": image(encode_png(GREY + n), "")} for n, row in enumerate(repainted)]
    fields = [("degradation", pa.string()), ("inpainter", pa.string()), ("image", IMAGE)]
    write_shard(Path("data/inpaint/telea/scenes/part-00.parquet"), repainted, fields)
    axes = [dict.fromkeys(STAGE.axes), *({"degradation": name, "inpainter": "telea"} for name in masks)]
    captioned = [common | one | {"captioner": "blip", "caption": CAPTION} for one in axes]
    fields = [*((axis, pa.string()) for axis in STAGE.axes), ("caption", pa.string())]
    write_shard(Path("data/caption/blip/scenes/part-00.parquet"), captioned, fields)


def measured(adapter: str = "grounding", **settings: str) -> tuple[Adapted, list[Task], list[Task]]:
    """A measure, its items and its wholes."""
    measure = Adapted(adapter, {"adapter": adapter, **settings}, "quality")
    (_, items), (_, wholes) = plan(measure, ["scenes"], [Path("data/caption/blip")], DISK)
    return measure, items, wholes


def keys(tasks: list[Task]) -> list[str]:
    return [item_key("quality", task.parts) for task in tasks]


def test_an_original_has_the_mask_of_all_degradations_if_it_is_one(data: Path) -> None:
    records = Records("scenes", {"annotations", "mask"})
    assert records.annotations == {"1": GRAPH}
    assert records.mask("1", None) == records.mask("1", "blur")
    assert fetch(records.mask("1", None)) == encode_png(LEFT)
    write({"blur": LEFT, "zero": RIGHT})
    records = Records("scenes", {"annotations", "mask"})
    assert fetch(records.mask("1", "zero")) == encode_png(RIGHT)
    assert records.mask("1", None) is None


def test_a_caption_is_scored_by_region(data: Path) -> None:
    """The ring is in the left half and named, the star in the right half and not."""
    write({"blur": LEFT, "zero": RIGHT})
    measure, items, wholes = measured()
    score = Scorer(measure, [Path("data/caption/blip")])
    by_degradation = {}
    for task, outcome in zip(items, score.compute(items, [0] * len(items)), strict=True):
        assert set(outcome.value) <= set(columns(measure.adapter.metrics))
        by_degradation[task.columns["degradation"]] = [
            outcome.value.get(f"object_recall_{region}", "none") for region in ("whole", "region", "outside")
        ]
    assert by_degradation == {"blur": [0.5, 1, 0], "zero": [0.5, 0, 1], None: [0.5, "none", "none"]}
    values = [outcome.value for outcome in score.compute(wholes, [0] * len(wholes))]
    assert [value["object_recall_region"] for value in values if "object_recall_region" in value] == [1, 0]
    assert all(value["items"] == 1 and value["object_recall_whole"] == 0.5 for value in values)


def test_equal_captions_of_equal_pictures_under_equal_masks_are_one_item(data: Path) -> None:
    assert len(set(keys(measured()[1]))) == 1
    write({"blur": LEFT, "zero": RIGHT})
    assert len(set(keys(measured()[1]))) == 3, "no mask, and two"


def test_keys_depend_on_what_is_read(data: Path) -> None:
    seen = []
    other = json.loads(canonical(GRAPH)) | {"background": "mint"}
    for masks, graph in (({"blur": LEFT}, GRAPH), ({"blur": RIGHT}, GRAPH), ({"blur": LEFT}, other)):
        write(masks, graph)
        seen.append((keys(measured()[1]), keys(measured()[2])))
    for one in range(3):
        for two in range(one):
            assert not set(seen[one][0]) & set(seen[two][0])
            assert not set(seen[one][1]) & set(seen[two][1])


def test_other_measures_keys_are_what_they_were(data: Path) -> None:
    """Caption, references and the measure; corpus-wide measures the sample too: written out, so that it stays."""
    measure, items, wholes = measured("lexical", metrics=["rouge_l"], tokenizer="none")
    assert set(keys(items)) == {
        item_key("quality", {
            "caption": CAPTION,
            "references": digest(canonical([CAPTION]).encode()),
            "sample": None,
            "measure": measure.identity,
        })
    }  # fmt: skip
    assert set(keys(wholes)) == {
        item_key("quality", {
            "captions": digest(canonical({"1": CAPTION}).encode()),
            "references": digest(canonical({"1": [CAPTION]}).encode()),
            "measure": measure.identity,
        })
    }  # fmt: skip
    assert columns(measure.adapter.metrics) == ["rouge_l"]


def test_a_measure_that_needs_the_picture_gets_what_was_captioned_and_its_digest_is_in_the_key(data: Path) -> None:
    """The original or the repainted picture, and for a cell those of all its samples."""
    measure = Adapted("clip", {"adapter": "clipscore", "checkpoint": "somewhere"}, "quality")
    measure.identity = {"adapter": "clipscore", "version": 1}
    (_, items), (_, wholes) = plan(measure, ["scenes"], [Path("data/caption/blip")], DISK)
    records = Records("scenes", measure.adapter.needs)
    expected = {None: BLACK, "blur": GREY, "zero": GREY + 1}
    for task in items:
        shown = expected[task.columns["degradation"]]
        assert dict(task.parts) == {
            "caption": CAPTION,
            "references": digest(canonical([CAPTION]).encode()),
            "sample": None,
            "picture": digest(encode_png(shown)),
            "measure": measure.identity,
        }
        record = records.record("1", CAPTION, task.columns)
        assert (record.picture.pixels() == shown).all() and record.picture.digest == task.parts["picture"]
        assert (record.annotations, record.mask) == ({}, None), "what is not needed is not given"
    for task in wholes:
        pictures = [digest(encode_png(expected[task.columns["degradation"]]))]
        assert task.parts["pictures"] == digest(canonical(pictures).encode())
        assert task.parts.keys() == {"captions", "references", "pictures", "measure"}
    assert len({*keys(items), *keys(wholes)}) == 6


def test_a_corpus_that_cannot_be_fitted_fails_again_when_it_is_tried_again(data: Path) -> None:
    write({"blur": LEFT}, {"objects": [{"label": "dog", "box": [0, 0, 2, 2]}]})
    measure, items, _ = measured()
    score = Scorer(measure, [Path("data/caption/blip")])
    for _ in range(2):
        with pytest.raises(ValueError, match="are of no generated world"):
            score.compute(items, [0] * len(items))


def recaptioned(caption: str) -> None:
    """Let the captioner say something else of what was repainted."""
    path = Path("data/caption/blip/scenes/part-00.parquet")
    rows = [row | ({"caption": caption} if row["inpainter"] else {}) for row in DISK.read(path)]
    write_shard(path, rows, [*((axis, pa.string()) for axis in STAGE.axes), ("caption", pa.string())])


def test_captions_drift_from_the_captioners_own_and_need_no_references(data: Path) -> None:
    """Sentence embeddings are stood in for by counts of words, whose cosines can be said in advance."""
    write({"blur": LEFT}, references=())
    recaptioned("a red ring")
    assert measured("lexical", tokenizer="none")[1:] == ([], []), "nothing to compare with"
    measure, items, wholes = measured("own-caption", checkpoint=str(WEIGHTS / "sbert"))
    words = sorted({*CAPTION.split()})
    counts = {text: np.array([text.split().count(word) for word in words], float) for text in (CAPTION, "a red ring")}
    unit = {text: count / np.linalg.norm(count) for text, count in counts.items()}
    measure.adapter._embedder = SimpleNamespace(embed=lambda texts: np.array([unit[text] for text in texts]))
    score = Scorer(measure, [Path("data/caption/blip")])
    found = {
        task.columns["inpainter"]: outcome.value
        for task, outcome in zip(items, score.compute(items, [0] * 2), strict=True)
    }
    assert found == {None: {"own_sbert": pytest.approx(1.0)}, "telea": {"own_sbert": pytest.approx(4 / np.sqrt(3 * 9))}}
    assert {task.parts["own"] for task in items} == {CAPTION}, "a key names what was compared with"
    assert len(set(keys(wholes))) == 2
    before = keys(items)
    write({"blur": LEFT}, references=("another reference",))
    recaptioned("a red ring")
    assert keys(measured("own-caption", checkpoint=str(WEIGHTS / "sbert"))[1]) == before


def test_a_sample_without_references_is_passed_over_by_those_that_need_them(data: Path) -> None:
    write({"blur": LEFT}, references=())
    assert Records("scenes", {"references"}).references == {}
    for adapter, settings in (("lexical", {"tokenizer": "none"}), ("semantic", {"checkpoint": str(WEIGHTS / "sbert")})):
        assert measured(adapter, **settings)[1:] == ([], []), adapter
