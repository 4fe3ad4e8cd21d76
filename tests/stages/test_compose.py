"""The stage of caption sets: which pictures they are of, exact shares, and what their items depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.media.images import encode_png
from models.worlds.scenes import scene
from registry.store.dag import STAGES
from registry.store.keys import item_key
from stages import compose
from stages.care.counting import concerned_by, held
from stages.engine.loop import execute
from stages.engine.sets import pairs_of
from stages.engine.shards import DISK, image, write_shard
from stages.engine.study import Study

GRID = {"kind": "edits", "sweep": {"precision": [0, 50], "recall": [0, 3]}}
FULL = [index for index in range(40) if len(scene(0, index).graph["objects"]) == 3][:10]


def put(folder: str, rows: list[dict[str, Any]]) -> None:
    stage = STAGES[folder.partition("/")[0]]
    fields = [*((axis, pa.string()) for axis in stage.axes), *stage.fields]
    write_shard(Path("data", folder, "scenes/part-00.parquet"), rows, fields)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten scenes of three objects, and one of fewer; a captioner failed at the first of them, and one rewrote two."""
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    poor = next(index for index in range(40) if len(scene(0, index).graph["objects"]) == 1)
    common = {"corpus": "scenes", "status": "ok", "parents": []}
    prepared = [
        common | {"sample": str(index), "key": f"p{index}", "annotations": json.dumps(scene(0, index).graph)}
        | {"image": image(encode_png(np.full((4, 4, 3), index, np.uint8)), "")}
        for index in (*FULL, poor)
    ]  # fmt: skip
    put("prepare", prepared)
    said = [
        common | {"sample": row["sample"], "key": f"c{row['sample']}{at}", "parents": [at or row["key"]]}
        | {"captioner": "blip", "caption": f"of {at or row['sample']}", "inpainter": at and "telea"}
        for row in prepared for at in (None, "repainted")
    ]  # fmt: skip
    put("caption/blip", [said[0] | {"status": "failed", "reason": "it was blank", "caption": None}, *said[1:]])
    better = [row | {"recaptioner": "rico", "caption": "better", "key": f"r{row['key']}"} for row in said[2:6:2]]
    put("recaption/rico", better)
    return


def study(**captions: Any) -> Study:
    sections = {name: {} for name in ("degradations", "inpainters", "encoders", "fidelity", "quality")}
    rico = {"method": "rico"}
    captioners = {"blip": {"adapter": "blip"}}
    corpora = {"scenes": {"adapter": "scenes"}, "others": {"adapter": "scenes"}}
    return Study(
        study="s", corpora=corpora, captioners=captioners, recaptioners={"rico": rico}, captions=captions, **sections
    )


def run(entry: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The run link, and the rows of each set."""
    whole = study(mine={"corpora": ["scenes"], **entry})
    link = execute(compose.node(whole, "mine"))
    return link, {name: list(DISK.rows(STAGES["compose"].folder(name))) for name in compose.sets(whole, "mine")}


def test_every_set_is_of_the_same_pictures_and_has_just_its_share():
    link, found = run(GRID)
    assert list(found) == [f"mine/precision={p},recall={r}" for p in (0, 50) for r in (0, 3)]
    assert (link["items"], link["failed"]) == (44, 4)
    assert list(link["reasons"]) == [
        "the picture has 1 sub-caption(s) with a false one, and the fullest set tells 3"
    ]  # fmt: skip
    for name, rows in found.items():
        good = [row for row in rows if row["status"] == "ok"]
        assert [row["sample"] for row in good] == sorted(map(str, FULL))
        assert {row["captioner"] for row in rows} == {name}
        sentences = [one for row in good for one in row["sentences"]]
        recall = int(name[-1])
        assert len(sentences) == 10 * (recall + 1)
        assert sum(one["negative"] for one in sentences) == len(sentences) * (1 if "precision=0" in name else 0.5)
        assert all(bool(one["kind"]) == one["negative"] for one in sentences)
        for row in good:
            assert row["caption"] == " ".join(one["text"] for one in row["sentences"])
            true = sum(not one["negative"] for one in row["sentences"])
            assert (row["precision"], row["recall"]) == (true / (recall + 1), true / 4)
            assert row["parents"] == [f"p{row['sample']}"]


def test_a_sentence_is_the_same_in_every_set_that_has_it_true_and_in_every_one_that_has_it_false():
    """So that each distinct sentence is encoded once, and cells differ in nothing but what is true."""
    _, found = run(GRID)
    texts: dict[Any, set[str]] = {}
    for rows in found.values():
        for row in rows:
            for place, one in enumerate(row["sentences"] or ()):
                texts.setdefault((row["sample"], place, one["negative"]), set()).add(one["text"])
    assert {len(some) for some in texts.values()} == {1}


def test_equal_captions_of_two_sets_are_one_item_and_the_output_is_the_same_again():
    _, found = run(GRID)
    folder = STAGES["compose"].folder("mine")
    written = {path: path.read_bytes() for path in DISK.shards(folder)}
    link, _ = run(GRID)
    assert link["recalled"] == 40, "failures are tried again"
    assert {path: path.read_bytes() for path in DISK.shards(folder)} == written
    keys = {name: {row["key"] for row in rows if row["status"] == "ok"} for name, rows in found.items()}
    false_base = sum(row["sentences"][0]["negative"] for row in found["mine/precision=50,recall=0"] if row["sentences"])
    assert len(keys["mine/precision=0,recall=0"] & keys["mine/precision=50,recall=0"]) == false_base == 5


def test_the_captions_of_a_captioner_or_recaptioner_of_the_originals():
    link, found = run({"kind": "captions", "captioner": "blip"})
    rows = {row["sample"]: row for row in found["mine"]}
    failed = rows.pop(str(FULL[0]))
    assert failed["reason"] == "blip has no caption of the picture: it was blank" and link["failed"] == 1
    for sample, row in rows.items():
        assert (row["caption"], row["parents"]) == (f"of {sample}", [f"p{sample}", f"c{sample}None"])
        assert (row["sentences"], row["precision"], row["recall"]) == ([], None, None)
    link, found = run({"kind": "captions", "captioner": "blip", "recaptioner": "rico"})
    assert [row["caption"] for row in found["mine"] if row["status"] == "ok"] == ["better"] * 2
    assert link["reasons"] == {"rico has no caption of the picture: it was not asked": 9}


def test_pairs_come_in_one_order_each_with_its_own_picture():
    _, found = run(GRID)
    name = "mine/precision=50,recall=3"
    pairs = list(pairs_of(name))
    assert [pair.sample for pair in pairs] == sorted(map(str, FULL))
    captions = {row["sample"]: row["caption"] for row in found[name]}
    for pair in pairs:  # every scene is a picture of its own shade
        assert pair.caption == captions[pair.sample] and (pair.picture.pixels() == int(pair.sample)).all()
    with pytest.raises(ValueError, match=r"^The caption set mine/precision=75 is empty: every picture lacks a capt"):
        next(pairs_of("mine/precision=75"))
    prepared = Path("data/prepare/scenes/part-00.parquet")
    put("prepare", [row | {"key": f"other {row['key']}"} for row in DISK.read(prepared)])
    with pytest.raises(ValueError, match=r"part-00.parquet lacks the picture of \d+ in data/compose/mine/precision=50"):
        next(pairs_of(name))


def test_an_empty_set_and_other_mistakes_are_told_in_one_sentence():
    with pytest.raises(RuntimeError, match="first with: there is no false base caption of kind relation of the pict"):
        run({"kind": "edits", "negatives": "relation"})
    with pytest.raises(ValueError, match='captions of mine\\) "blib"; did you mean "blip"'):
        run({"kind": "captions", "captioner": "blib"})
    with pytest.raises(ValueError, match="of kind dci cannot be made of corpus scenes: nothing is known of its pict"):
        run({"kind": "dci"})
    with pytest.raises(ValueError, match="captioners and captions both have an entry called 'blip'"):
        study(blip={"kind": "edits"})


def test_what_is_foretold_is_what_is_there():
    whole, stage = study(mine={**GRID, "corpora": ["scenes"]}), STAGES["compose"]
    concerned = concerned_by(whole, stage, "mine", {"scenes": 11, "others": 5})
    assert held(whole, stage, "mine", concerned) == run(GRID)[0]["items"]


def test_keys_are_a_promise():
    """Printed by the stage when it was written: raise the version of a composition, or of the edits, where it fails."""
    [tasks] = [tasks for _, tasks in compose.node(study(mine={"kind": "edits", "corpora": ["scenes"]}), "mine").plan]
    assert tasks[0].parts.keys() == {"picture", "composition", "annotations", "false"}
    parts = {**tasks[0].parts, "picture": "0f", "annotations": "1f"}
    assert item_key("caption", parts) == "e5d245d3841d1f32168c28db5d6783b6880116b90ff25a84cc140582cf4b68a6"
    said = compose.node(study(mine={"kind": "captions", "captioner": "blip", "corpora": ["scenes"]}), "mine").plan
    [tasks] = [tasks for _, tasks in said]
    parts = {**tasks[1].parts, "picture": "0f"}
    assert item_key("caption", parts) == "a4b84a508745017e17fe3b277aa52cde4b6b9d29a6d96aaf75aa2e8e65966acd"
