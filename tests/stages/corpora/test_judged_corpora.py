"""AMBER, CapsBench, CAPEval, CompreCap, DetailCaps and POPE as they are released: small files, broken records, the real
ones."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.media.images import encode_png
from stages.corpora import Problem, Sample, open_corpus

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"


def real(name: str):
    return pytest.mark.skipif(not (SHARED / name).exists(), reason=f"{name} is not in ../shared/data")


def read(adapter: str, path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus(adapter, {"path": path, **options}).samples())


def drawn(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40)).save(path)


def told(found: list[Sample | Problem]) -> list[tuple[str, str]]:
    return [(each.sample, getattr(each, "kind", "good")) for each in found]


def lines(path: Path, rows: list) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def amber(tmp_path: Path) -> Path:
    """Three pictures to be described, the last without lists, and three questions, the last without an answer."""
    annotations = [
        {"id": 1, "type": "generative", "truth": ["sky", "ship", "ship"], "hallu": ["bird"]},
        {"id": 2, "type": "generative", "truth": ["wall"], "hallu": []},
        {"id": 3, "type": "generative", "truth": "yes"},
        {"id": 1005, "type": "discriminative-attribute-state", "truth": "yes"},
        {"id": 1006, "type": "discriminative-relation", "truth": "no"},
        {"id": 1007, "type": "relation", "truth": "both"},
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(annotations))
    (tmp_path / "query").mkdir()
    generative = [{"id": n, "image": f"AMBER_{n}.jpg", "query": "Describe this image."} for n in (1, 2, 3)]
    asked = [{"id": n, "image": "AMBER_1.jpg", "query": f"Is it {n}?"} for n in (1005, 1006, 1007)]
    (tmp_path / "query/query_generative.json").write_text(json.dumps(generative))
    (tmp_path / "query/query_discriminative.json").write_text(json.dumps(asked))
    for number in (1, 3):
        drawn(tmp_path / f"image/AMBER_{number}.jpg")
    return tmp_path


def test_amber_has_lists_and_questions_and_no_captions(amber):
    found = read("amber", amber, discriminative="query/query_discriminative.json", max_side=30)
    assert told(found) == [
        ("query/query_discriminative.json: query 1007", "bad_record"), ("1", "good"), ("2", "missing_image"),
        ("query/query_generative.json: query 3", "bad_record"),
    ]  # fmt: skip
    sample = found[1]
    assert sample.references == () and sample.picture().shape == (20, 30, 3)
    assert sample.annotations == {
        "truth": ["sky", "ship", "ship"],
        "hallu": ["bird"],
        "questions": [
            {"question": "Is it 1005?", "answer": "yes", "category": "discriminative-attribute-state"},
            {"question": "Is it 1006?", "answer": "no", "category": "discriminative-relation"},
        ],
    }
    assert set(read("amber", amber)[0].annotations) == {"truth", "hallu"}


def test_another_file_than_ambers_is_refused(amber):
    (amber / "annotations.json").write_text("{}")
    with pytest.raises(ValueError, match="annotations.json is no file of AMBER"):
        read("amber", amber)


def test_pope_is_one_sample_a_photograph(tmp_path):
    rows = [
        {"question_id": 1, "image": "COCO_val2014_01.jpg", "text": "Is there a snowboard?", "label": "yes"},
        {"question_id": 2, "image": "COCO_val2014_02.jpg", "text": "Is there a car?", "label": "maybe"},
        {"question_id": 3, "image": "COCO_val2014_01.jpg", "text": "Is there a cat?", "label": "no"},
    ]
    lines(tmp_path / "coco_pope_popular.json", rows)
    drawn(tmp_path / "val2014/COCO_val2014_01.jpg")
    problem, sample = read("pope", tmp_path, questions="coco_pope_popular.json")
    assert problem.message == (
        "coco_pope_popular.json:2 has the answer 'maybe', which is neither yes nor no; it is left out."
    )
    assert (sample.sample, sample.split) == ("COCO_val2014_01", "popular")
    assert [(one["answer"], one["category"]) for one in sample.annotations["questions"]] == [
        ("yes", "popular"), ("no", "popular"),
    ]  # fmt: skip


def test_capeval_has_a_reference_and_a_checklist_of_yes(tmp_path):
    checklist = [
        {"id": "DK001", "img_path": "DK001.jpg",
         "instance_checklist": [{"Tags": "object", "Question": "Does the caption mention a robot?"}],
         "text_checklist": [{"Tags": "text_color", "Question": "Is the text black?"}]},
        {"id": "SO002", "img_path": "SO002.jpg", "instance_checklist": [{"Tags": "object"}]},
    ]  # fmt: skip
    lines(tmp_path / "checklist.jsonl", checklist)
    lines(tmp_path / "gt_caption.jsonl", [{"id": "DK001", "img_path": "DK001.jpg", "gt_caption": "A robot."}])
    drawn(tmp_path / "image/DK001.jpg")
    sample, problem = read("capeval", tmp_path)
    assert problem.message == "checklist.jsonl:2 has no 'Question'; it is left out."
    assert (sample.sample, sample.split, sample.references) == ("DK001", "DK", ("A robot.",))
    assert [(one["answer"], one["category"]) for one in sample.annotations["questions"]] == [
        ("yes", "object"), ("yes", "text_color"),
    ]  # fmt: skip


@pytest.fixture
def capsbench(tmp_path: Path) -> Path:
    """Three pictures in the columns of the release, the second broken, the third with a question without an answer."""
    png = encode_png(np.zeros((40, 60, 3), np.uint8))
    right = [{"answer": "Yes", "category": "artifacts", "question": "Is there lens flare?"},
             {"answer": "no", "category": "color", "question": "Is it red?"}]  # fmt: skip
    rows = [
        {"image": {"bytes": data, "path": None}, "questions": questions, "sonnet": "one", "pg-captioner": "two",
         "gpt-4o": "three"}
        for data, questions in ((png, right), (b"no picture", right), (png, [{**right[0], "answer": "n/a"}]))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-00000-of-00001.parquet")
    return tmp_path


def test_capsbench_reads_pictures_out_of_its_file(capsbench):
    found = read("capsbench", capsbench, max_side=30)
    assert told(found) == [
        ("0", "good"), ("1", "unreadable_image"), ("train-00000-of-00001.parquet: row 2", "bad_record"),
    ]  # fmt: skip
    sample = found[0]
    assert sample.references == () and sample.picture().shape == (20, 30, 3)
    assert sample.annotations["questions"] == [
        {"question": "Is there lens flare?", "answer": "yes", "category": "artifacts"},
        {"question": "Is it red?", "answer": "no", "category": "color"},
    ]
    assert read("capsbench", capsbench, references="pg-captioner")[0].references == ("two",)


def test_another_file_than_capsbenchs_is_refused(capsbench):
    with pytest.raises(FileNotFoundError, match="There is no file of CapsBench at .*other.parquet"):
        read("capsbench", capsbench, file="other.parquet")
    pq.write_table(pa.table({"image": [1]}), capsbench / "other.parquet")
    with pytest.raises(ValueError, match="it has no column 'questions'"):
        read("capsbench", capsbench, file="other.parquet")
    (capsbench / "other.parquet").write_text("text")
    with pytest.raises(ValueError, match="is not a Parquet file"):
        read("capsbench", capsbench, file="other.parquet")


@pytest.fixture
def comprecap(tmp_path: Path) -> Path:
    """Three pictures in the fields of ``anno.json`` (dataset/coco.py of the release), two of them broken."""
    mask = base64.b64encode(zlib.compress(bytes(40 * 60))).decode()
    dog = {"category": "dog", "short_description": "a dog", "extend_description": "a brown dog on grass",
           "mask_out": mask, "relation": ["the dog is on the grass"]}  # fmt: skip
    grass = {**dog, "category": "grass", "relation": []}
    pictures = [
        {"image": "000000000802.jpg", "info": [dog, grass]},
        {"image": "000000000803.jpg", "info": [{**dog, "mask_out": "no mask"}]},
        {"image": "000000000804.jpg", "info": []},
    ]
    (tmp_path / "anno.json").write_text(json.dumps(pictures))
    drawn(tmp_path / "images/000000000802.jpg")
    return tmp_path


def test_comprecap_has_a_graph(comprecap):
    sample, undecodable, empty = read("comprecap", comprecap)
    assert undecodable.message.startswith("anno.json: picture 2 has a mask that cannot be decoded")
    assert empty.message == "anno.json: picture 3 has no objects; it is left out."
    assert (sample.sample, sample.references) == ("000000000802", ())
    dog, grass = sample.annotations["graph"]
    assert (dog["category"], dog["description"], dog["relations"]) == ("dog", "a dog", ["the dog is on the grass"])
    assert grass["relations"] == [] and len(zlib.decompress(base64.b64decode(grass["mask"]))) == 2400
    extended = read("comprecap", comprecap, descriptions="extended")[0]
    assert extended.annotations["graph"][0]["description"] == "a brown dog on grass"


@pytest.fixture
def detailcaps(tmp_path: Path) -> Path:
    """Rows in the columns of the release, in two row groups; of the second picture one caption is missing, the third is
    broken."""
    png = encode_png(np.zeros((40, 60, 3), np.uint8))
    said = {"GT_Caption_GPT4O": "one", "GT_Caption_GPT4V": "two", "GT_Caption_Gemini15Pro": "three", "CogVLM": "four",
            "GPT4_Eval": '{"CogVLM": 3.5}'}  # fmt: skip
    rows = [
        {"binary": png, "image": "coco/train2017/000000247306.jpg", "source": "COCO", **said},
        {"binary": png, "image": "https://example.org/a.jpg", "source": "LAION", **said, "GT_Caption_GPT4V": None},
        {"binary": b"no picture", "image": "sa_1", "source": "SAM", **said},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "DetailCaps-4870.parquet", row_group_size=2)
    return tmp_path


def test_detailcaps_has_the_captions_of_three_models(detailcaps):
    found = read("detailcaps", detailcaps, max_side=30)
    assert told(found) == [("0", "good"), ("1", "good"), ("2", "unreadable_image")]
    assert [each.references for each in found[:2]] == [("one", "two", "three"), ("one", "three")]
    assert found[1].split == "LAION" and found[1].picture().shape == (20, 30, 3)
    (only,) = read("detailcaps", detailcaps, references=("gpt-4v",), splits=("COCO",))
    assert only.references == ("two",)


def without_pictures(adapter: str, path: Path, **options) -> set[str]:
    """What is wrong with a release without its pictures: these, and nothing else."""
    found = read(adapter, path, **options)
    assert all(isinstance(each, Problem) for each in found)
    return {each.kind for each in found} | {str(len(found))}


@real("pope")
def test_the_real_pope_has_500_photographs():
    assert without_pictures("pope", SHARED / "pope") == {"missing_image", "500"}


@real("capeval")
def test_the_real_capeval_has_300_pictures():
    assert without_pictures("capeval", SHARED / "capeval") == {"missing_image", "300"}


@real("amber")
def test_the_real_amber_has_1004_pictures():
    options = {"generative": "query_generative.json"}
    assert without_pictures("amber", SHARED / "amber", **options) == {"missing_image", "1004"}
