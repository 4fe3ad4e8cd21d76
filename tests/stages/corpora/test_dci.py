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


def test_parts_are_the_summaries_of_large_masks_from_the_largest_on_with_their_negatives(release):
    """The choice of Captions4T2I's dci_data.py: masks of 224 x 224 at least, the first summary, and by falling area."""
    large = {"topLeft": {"x": 0, "y": 0}, "bottomRight": {"x": 224, "y": 300}}
    few, many = ({**mask(idx, 0, large, label="x", caption="x"), "area": area} for idx, area in ((4, 7), (5, 8)))
    unusable, thin = mask(6, 2, large), mask(7, 0, [[0, 0], [223, 400]], label="x", caption="x")
    masks = {str(one["idx"]): one for one in (few, many, unusable, thin)}
    summaries = {"base": ["A pump.", "An old pump."], **{f"m-{idx}-sc": [f"Part {idx}."] for idx in (4, 5, 6, 7)}}
    negatives = {"base": {"basic": [" A lamp. "], "swaps": "Pump a."}, "m-4-sc": {"layout": ["Part 9."]}}
    more = {"mask_data": masks, "summaries": summaries, "negatives": negatives}
    scores = {"base": {"sum": 20.5, "basic_0": 19.25}}
    (release / "annotations/1.json").write_text(json.dumps(RECORD | more | {"clip_scores": scores}))
    (release / "annotations/2.json").write_text(json.dumps(RECORD | {"summaries": None}))
    found = read(release, parts=True)
    samples = [one for one in found if isinstance(one, Sample)]
    assert samples[0].annotations["parts"] == [
        {"text": "A pump.", "negatives": {"basic": ["A lamp."], "swaps": ["Pump a."]}, "scores": scores["base"]},
        {"text": "Part 5.", "negatives": {}, "scores": {}},
        {"text": "Part 4.", "negatives": {"layout": ["Part 9."]}, "scores": {}},
    ]
    told = [one.message for one in found if isinstance(one, Problem) and one.sample == "2.json"]
    assert told == ["2.json has no summary of the whole: take the folder `complete` for `annotations`; it is left out."]
