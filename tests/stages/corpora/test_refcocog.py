"""Refs as Python 2 pickled them, boxes as COCO has them, and pickles that ask for more than plain values."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus
from stages.corpora.refcocog import read_plain_pickle


def pickled_by_python_2(value: Any) -> str:
    """Protocol 0 as Python 2 writes it: its strings are bytes, in quotes."""
    if isinstance(value, int):
        return f"I{value}\n"
    if isinstance(value, str):
        return f"S{repr(value.encode())[1:]}\n"
    if isinstance(value, list):
        return "(l" + "".join(pickled_by_python_2(each) + "a" for each in value)
    return "(d" + "".join(pickled_by_python_2(key) + pickled_by_python_2(each) + "s" for key, each in value.items())


def ref(ref_id: int, ann_id: int, image_id: int, split: str, *sentences: str) -> dict:
    said = [
        {"sent_id": n, "raw": text.upper(), "sent": text, "tokens": text.split()} for n, text in enumerate(sentences)
    ]
    return {
        "ref_id": ref_id, "ann_id": ann_id, "category_id": 1, "image_id": image_id, "split": split, "sentences": said,
        "file_name": f"COCO_train2014_{image_id:012d}_{ann_id}.jpg", "sent_ids": list(range(len(said))),
    }  # fmt: skip


REFS = [
    ref(0, 501, 7, "train", "the left cat", "café cat"),
    ref(1, 502, 7, "val", "a dog"),
    ref(2, 503, 8, "val", "a cat of no area"),
    ref(3, 599, 8, "test", "a thing that is nowhere"),
    {"ref_id": 4},
]
THINGS = [
    {"id": 501, "image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 20], "iscrowd": 0},
    {"id": 502, "image_id": 7, "category_id": 2, "bbox": [40, 2, 10, 20], "iscrowd": 0},
    {"id": 503, "image_id": 8, "category_id": 1, "bbox": [1, 2, 0, 20], "iscrowd": 0},
    {"id": 504, "image_id": 8, "category_id": 1, "bbox": [1, 2, 9, 20], "iscrowd": 1},
]


@pytest.fixture
def release(tmp_path) -> Path:
    """The folders of ``refer``: two photographs, four objects, five refs."""
    images = tmp_path / "images/mscoco/images/train2014"
    images.mkdir(parents=True)
    (tmp_path / "refcocog").mkdir()
    listed = []
    for number in (7, 8):
        name = f"COCO_train2014_{number:012d}.jpg"
        Image.new("RGB", (60, 40)).save(images / name)
        listed.append({"id": number, "file_name": name, "width": 60, "height": 40})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    instances = {"images": listed, "annotations": THINGS, "categories": categories}
    (tmp_path / "refcocog/instances.json").write_text(json.dumps(instances))
    (tmp_path / "refcocog/refs(umd).p").write_text(pickled_by_python_2(REFS) + ".")
    return tmp_path / "refcocog"


def read(path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus("refcocog", {"path": path, **options}).samples())


def test_a_ref_is_a_sample_whose_own_object_comes_first(release):
    cat, dog = (each for each in read(release) if isinstance(each, Sample))
    left = {"label": "cat", "box": [1, 2, 30, 20], "id": 501}
    right = {"label": "dog", "box": [40, 2, 10, 20], "id": 502}
    assert (cat.sample, cat.split, cat.references) == ("0", "train", ("the left cat", "café cat"))
    assert cat.annotations == {"objects": [left, right], "target": 0}
    assert dog.annotations == {"objects": [right, left], "target": 0}
    assert cat.source == dog.source, "both are about one photograph"
    assert cat.picture().shape == (40, 60, 3)


def test_refs_without_a_usable_object_are_told(release):
    problems = [each for each in read(release) if isinstance(each, Problem)]
    assert [(each.sample, each.kind) for each in problems] == [
        ("2", "bad_box"), ("2", "bad_record"),
        ("refs(umd).p: ref 4", "bad_record"), ("refs(umd).p: ref 5", "bad_record"),
    ]  # fmt: skip
    assert problems[1].message == "The box that ref 2 is about cannot be used; the ref is left out."
    assert problems[3].message == "refs(umd).p: ref 5 has no 'image_id'; it is left out."


def test_a_limit_counts_refs_that_can_be_used(release):
    found = read(release, splits=["val"], limit=1)
    assert [each.sample for each in found if isinstance(each, Sample)] == ["1"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol_are_read(tmp_path, protocol):
    (tmp_path / "refs.p").write_bytes(pickle.dumps(REFS, protocol))
    assert read_plain_pickle(tmp_path / "refs.p") == REFS


class Command:
    """What a hostile pickle holds."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_called(tmp_path, protocol):
    (tmp_path / "refs.p").write_bytes(pickle.dumps([Command(f"touch {tmp_path}/called")], protocol))
    with pytest.raises(ValueError, match=r"no pickle of plain values \(it asks for \w+.system"):
        read_plain_pickle(tmp_path / "refs.p")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"(lI1\na", pickle.dumps({1: 2}), b"}K\x01]s.", b"]]s."])
def test_what_is_no_list_of_plain_values_is_refused(tmp_path, data):
    (tmp_path / "refs.p").write_bytes(data)
    with pytest.raises(ValueError, match="Download it again"):
        read_plain_pickle(tmp_path / "refs.p")
    with pytest.raises(FileNotFoundError, match="There is no file of refs at"):
        read_plain_pickle(tmp_path / "none.p")
