"""The stage of caption sets: which pictures they are of, exact shares, and what their items depend on."""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Callable
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
from stages.care.export import export
from stages.engine.loop import execute
from stages.engine.sets import pairs_of
from stages.engine.shards import DISK, image, write_shard
from stages.engine.study import Study

GRID = {"kind": "edits", "sweep": {"precision": [0, 50], "recall": [0, 3]}}
FULL = [index for index in range(40) if len(scene(0, index).graph["objects"]) == 3][:10]
POOR = next(index for index in range(40) if len(scene(0, index).graph["objects"]) == 1)
COMMON = {"status": "ok", "parents": []}


def put(folder: str, corpus: str, rows: list[dict[str, Any]]) -> None:
    stage = STAGES[folder.partition("/")[0]]
    fields = [*((axis, pa.string()) for axis in stage.axes), *stage.fields]
    write_shard(Path("data", folder, corpus, "part-00.parquet"), [row | {"corpus": corpus} for row in rows], fields)


def prepared(annotations: Callable[[int], dict[str, Any]], key: str = "p") -> list[dict[str, Any]]:
    """Ten pictures, and one more, each of its own shade."""
    return [
        COMMON
        | {"sample": str(index), "key": f"{key}{index}", "annotations": json.dumps(annotations(index))}
        | {"image": image(encode_png(np.full((4, 4, 3), index, np.uint8)), "")}
        for index in (*FULL, POOR)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten scenes of three objects, and one of fewer; a captioner failed at the first of them, and one rewrote two."""
    path = tmp_path_factory.mktemp("study")
    with contextlib.chdir(path):
        Path("dvc.yaml").touch()
        put("prepare", "scenes", prepared(lambda index: scene(0, index).graph))
        said = [
            COMMON
            | {"sample": str(index), "key": f"c{index}{at}", "parents": [at or f"p{index}"], "captioner": "blip"}
            | {"caption": f"of {at or index}", "inpainter": at and "telea"}
            for index in (*FULL, POOR)
            for at in (None, "repainted")
        ]
        failed = said[0] | {"status": "failed", "reason": "it was blank", "caption": None}
        put("caption/blip", "scenes", [failed, *said[1:]])
        better = [row | {"recaptioner": "rico", "caption": "better", "key": f"r{row['key']}"} for row in said[2:6:2]]
        put("recaption/rico", "scenes", better)
    return path


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def study(**captions: Any) -> Study:
    sections = {name: {} for name in ("degradations", "inpainters", "encoders", "fidelity", "quality")}
    rico = {"method": "rico"}
    captioners = {"blip": {"adapter": "blip"}}
    corpora = {name: {"adapter": "scenes"} for name in ("scenes", "parts")}
    return Study(
        study="s", corpora=corpora, captioners=captioners, recaptioners={"rico": rico}, captions=captions, **sections
    )


Sets = dict[str, list[dict[str, Any]]]


def run(entry: dict[str, Any], name: str = "mine") -> tuple[dict[str, Any], Sets]:
    """The run link, and the rows of each set."""
    whole = study(**{name: {"corpora": ["scenes"], **entry}})
    link = execute(compose.node(whole, name))
    return link, {one: list(DISK.rows(STAGES["compose"].folder(one))) for one in compose.sets(whole, name)}


@pytest.fixture(scope="module")
def made(folder: Path) -> tuple[dict[str, Any], Sets]:
    """The grid, made once."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        return run(GRID, "grid")


def test_every_set_is_of_the_same_pictures_and_has_just_its_share(made):
    link, found = made
    assert list(found) == [f"grid/precision={p},recall={r}" for p in (0, 50) for r in (0, 3)]
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


def test_a_sentence_is_the_same_in_every_set_that_has_it_true_and_in_every_one_that_has_it_false(made):
    """So that each distinct sentence is encoded once, and cells differ in nothing but what is true."""
    _, found = made
    texts: dict[Any, set[str]] = {}
    for rows in found.values():
        for row in rows:
            for place, one in enumerate(row["sentences"] or ()):
                texts.setdefault((row["sample"], place, one["negative"]), set()).add(one["text"])
    assert {len(some) for some in texts.values()} == {1}


def test_equal_captions_of_two_sets_are_one_item_and_the_output_is_the_same_again(made):
    _, found = made
    folder = STAGES["compose"].folder("grid")
    written = {path: path.read_bytes() for path in DISK.shards(folder)}
    link, _ = run(GRID, "grid")
    assert link["recalled"] == 40, "failures are tried again"
    assert {path: path.read_bytes() for path in DISK.shards(folder)} == written
    keys = {name: {row["key"] for row in rows if row["status"] == "ok"} for name, rows in found.items()}
    false_base = sum(row["sentences"][0]["negative"] for row in found["grid/precision=50,recall=0"] if row["sentences"])
    assert len(keys["grid/precision=0,recall=0"] & keys["grid/precision=50,recall=0"]) == false_base == 5


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


def test_pairs_come_in_one_order_each_with_its_own_picture(made):
    _, found = made
    name = "grid/precision=50,recall=3"
    pairs = list(pairs_of(name))
    assert [pair.sample for pair in pairs] == sorted(map(str, FULL))
    captions = {row["sample"]: row["caption"] for row in found[name]}
    for pair in pairs:  # every scene is a picture of its own shade
        assert pair.caption == captions[pair.sample] and (pair.picture.pixels() == int(pair.sample)).all()
    with pytest.raises(ValueError, match=r"^The caption set grid/precision=75 is empty: every picture lacks a capt"):
        next(pairs_of("grid/precision=75"))
    others = Path("data/prepare/scenes/part-00.parquet").rename("data/others")
    put("prepare", "scenes", prepared(lambda _: {}, key="other"))
    with pytest.raises(ValueError, match=r"part-00.parquet lacks the picture of \d+ in data/compose/grid/precision=50"):
        next(pairs_of(name))
    others.rename("data/prepare/scenes/part-00.parquet")


def test_a_set_is_exported_in_the_forms_that_trainers_read(made):
    _, found = made
    source = STAGES["compose"].folder("grid/precision=50,recall=3")
    said = {row["sample"]: row["caption"] for row in found["grid/precision=50,recall=3"] if row["caption"]}
    png = {sample: encode_png(np.full((4, 4, 3), int(sample), np.uint8)) for sample in said}

    assert export(source, Path("set.parquet")) == 10
    datasets = pytest.importorskip("datasets")
    read = datasets.Dataset.from_parquet("set.parquet", cache_dir="cache")
    assert {row["sample"]: row["caption"] for row in read} == said
    assert all(np.asarray(row["image"])[0, 0, 0] == int(row["sample"]) for row in read)
    assert [one["text"] for one in read[0]["sentences"]] and isinstance(read[0]["sentences"][0]["negative"], bool)

    assert export(source, Path("set.tar")) == 10
    with tarfile.open("set.tar") as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar}
    assert files.keys() == {f"scenes/{sample}.{kind}" for sample in said for kind in ("png", "txt", "json")}
    for sample, caption in said.items():
        assert (files[f"scenes/{sample}.png"], files[f"scenes/{sample}.txt"]) == (png[sample], caption.encode())

    assert export(source, Path("files")) == 11
    assert len(Path("files/items.jsonl").read_text().splitlines()) == 11
    for sample, caption in said.items():
        assert Path(f"files/scenes/{sample}.png").read_bytes() == png[sample]
        assert Path(f"files/scenes/{sample}.txt").read_text() == f"{caption}\n"

    with pytest.raises(
        ValueError, match="holds several caption sets; name one, such as data/compose/grid/precision=0,r"
    ):
        export(source.parent, Path("all.tar"))
    with pytest.raises(ValueError, match=r"caption/blip is no caption set, of which alone \.tar is made"):
        export(Path("data/caption/blip"), Path("captions.tar"))
    with pytest.raises(ValueError, match=r"set\.tar is there already"):
        export(source, Path("set.tar"))


def test_dci_s_sentences_make_sets_too():
    parts = [{"text": f"Part {n}.", "negatives": {"swaps": [f"{n} part."]}, "scores": {}} for n in range(3)]
    put("prepare", "parts", prepared(lambda _: {"parts": parts}))
    entry = {"kind": "dci", "negatives": "swaps", "precision": 50, "recall": 1, "corpora": ["parts"]}
    _, found = run(entry)
    told = [one for row in found["mine"] for one in row["sentences"]]
    assert {(one["text"], one["kind"]) for one in told if one["negative"]} == {(f"{n} part.", "swaps") for n in (0, 1)}
    assert sum(one["negative"] for one in told) == len(told) / 2 == 11
    assert {row["recall"] for row in found["mine"]} <= {0, 1 / 3, 2 / 3}


def test_an_empty_set_and_other_mistakes_are_told_in_one_sentence():
    with pytest.raises(RuntimeError, match="first with: there is no false base caption of kind relation of the pict"):
        run({"kind": "edits", "negatives": "relation"})
    with pytest.raises(ValueError, match='captions of mine\\) "blib"; did you mean "blip"'):
        run({"kind": "captions", "captioner": "blib"})
    with pytest.raises(ValueError, match="of kind dci cannot be made of corpus scenes: nothing is known of its pict"):
        run({"kind": "dci"})
    with pytest.raises(ValueError, match="captioners and captions both have an entry called 'blip'"):
        study(blip={"kind": "edits"})


def test_what_is_foretold_is_what_is_there(made):
    whole, stage = study(grid={**GRID, "corpora": ["scenes"]}), STAGES["compose"]
    concerned = concerned_by(whole, stage, "grid", {"scenes": 11, "parts": 5})
    assert held(whole, stage, "grid", concerned) == made[0]["items"]


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
