"""Densely Captioned Images: both forms of bounds, the qualities of masks, and three kinds of references."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus


def mask(idx: int, quality: int, bounds, **text: str) -> dict:
    return {
        "idx": idx, "outer_mask": "iVBORw0KGgo=", "mask_quality": quality, "parent": -1, "requirements": [], "area": 9,
        "bounds": bounds, **text,
    }  # fmt: skip


RECORD = {
    "image": "sa_1.jpg",
    "short_caption": "A water pump on a square.",
    "extra_caption": "The pump is old. Trees stand behind it.",
    "mask_data": {
        "0": mask(0, 0, {"topLeft": {"x": 100, "y": 50}, "bottomRight": {"x": 300, "y": 250}}, label="pump",
                  caption="An iron pump with a long handle."),
        "1": mask(1, 1, [[0, 0], [600, 100]], label="trees"),
        "2": mask(2, 2, [[0, 0], [10, 10]]),
        "3": mask(3, 1, [[5, 5], [5, 20]], label="a line"),
    },
    "mask_keys": ["0", "1", "2", "3"],
    "summaries": {"base": ["A pump.", "An old pump by trees."], "m-0-sc": ["An iron pump."]},
    "negatives": {},
}  # fmt: skip


@pytest.fixture
def release(tmp_path) -> Path:
    """Five annotated photographs, the last without its photo, and one file that is no JSON."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "photos").mkdir()
    for number in (1, 2, 3, 4):
        record = RECORD | {"image": f"sa_{number}.jpg"}
        if number == 3:
            del record["short_caption"], record["summaries"]
        (tmp_path / f"annotations/{number}.json").write_text(json.dumps(record))
        if number != 4:
            Image.new("RGB", (600, 400)).save(tmp_path / f"photos/sa_{number}.jpg")
    (tmp_path / "annotations/5.json").write_text("{")
    splits = {"train": ["1.json", "3.json", "5.json", "6.json"], "valid": ["2.json"], "test": ["4.json"]}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    return tmp_path


def read(path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus("dci", {"path": path, **options}).samples())


def test_masks_become_objects_of_the_scaled_picture(release):
    sample = next(each for each in read(release, max_side=300) if isinstance(each, Sample))
    assert (sample.sample, sample.split, sample.references) == ("1", "train", ("A water pump on a square.",))
    assert sample.annotations["objects"] == [
        {"label": "pump", "box": [50, 25, 100, 100], "caption": "An iron pump with a long handle."},
        {"label": "trees", "box": [0, 0, 300, 50]},
    ]
    assert sample.picture().shape == (200, 300, 3)


def test_what_is_wrong_is_told_and_never_stops_the_rest(release):
    assert [(each.sample, getattr(each, "kind", "good")) for each in read(release)] == [
        ("1", "bad_box"), ("1", "good"), ("3.json", "bad_record"), ("5.json", "bad_record"), ("6", "no_caption"),
        ("2", "bad_box"), ("2", "good"), ("4", "missing_image"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "references"),
    [
        ("short", ("A water pump on a square.",)),
        ("extended", ("A water pump on a square.\nThe pump is old. Trees stand behind it.",)),
        ("summaries", ("A pump.", "An old pump by trees.")),
    ],
)
def test_references_are_what_the_study_asks_for(release, kind, references):
    assert read(release, references=kind, splits=["valid"])[-1].references == references


def test_a_photograph_without_summaries_is_told(release):
    found = read(release, references="summaries", splits=["train"])
    assert ("3", "no_caption") in [(each.sample, getattr(each, "kind", "")) for each in found]


def test_without_splits_every_file_is_taken_in_the_order_of_names(release):
    (release / "splits.json").unlink()
    assert [each.sample for each in read(release) if isinstance(each, Sample)] == ["1", "2"]
    assert {each.split for each in read(release) if isinstance(each, Sample)} == {"all"}


def test_another_folder_is_refused(release, tmp_path):
    (release / "splits.json").write_text('{"train": "1.json"}')
    with pytest.raises(ValueError, match="splits.json is no list of splits"):
        read(release)
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere/annotations"):
        read(tmp_path / "nowhere")
