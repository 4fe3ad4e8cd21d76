"""The official JSON pair and the JSONL form must say the same, on generated and on real photographs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus

PHOTOS = Path(__file__).resolve().parents[3] / "../shared/data/coco_photos"
real = pytest.mark.skipif(not PHOTOS.exists(), reason="the COCO photographs are not in ../shared/data")


OFFICIAL = {"captions": "annotations/captions_val2017.json", "instances": "annotations/instances_val2017.json"}


def read(**options) -> list[Sample | Problem]:
    return list(open_corpus("coco", options).samples())


def publish(root: Path, rows: list[dict]) -> None:
    """Write what COCO would publish for the rows of a ``captions.jsonl``."""
    names = sorted({thing["category"] for row in rows for thing in row["objects"]})
    images = [
        {"id": row["image_id"], "file_name": row["file"], "width": row["width"], "height": row["height"]}
        for row in rows
    ]
    captions = [{"image_id": row["image_id"], "caption": text} for row in rows for text in row["captions"]]
    instances = [
        {"image_id": row["image_id"], "category_id": names.index(thing["category"]) + 1, **thing}
        for row in rows
        for thing in row["objects"]
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    folder = root / "annotations"
    folder.mkdir()
    (folder / "captions_val2017.json").write_text(json.dumps({"images": images, "annotations": captions}))
    (folder / "instances_val2017.json").write_text(
        json.dumps({"images": images, "annotations": instances, "categories": categories})
    )


@real
def test_real_photographs_in_both_forms(tmp_path):
    lines = read(path=PHOTOS)
    rows = [json.loads(line) for line in (PHOTOS / "captions.jsonl").read_text().splitlines()]
    assert [each.sample for each in lines] == [str(row["image_id"]) for row in rows]
    assert len(lines) == 51
    assert all(isinstance(each, Sample) and len(each.references) == 5 for each in lines)
    assert sum(len(each.annotations.get("objects", ())) for each in lines) == sum(len(row["objects"]) for row in rows)
    publish(tmp_path, rows)
    (tmp_path / "images").symlink_to((PHOTOS / "images").resolve())
    pair = read(path=tmp_path, **OFFICIAL, images="images")
    assert {each.split for each in pair} == {"val2017"}
    for one, other in zip(lines, pair, strict=True):
        assert (one.sample, one.source, one.references) == (other.sample, other.source, other.references)
        assert one.annotations == other.annotations


@real
def test_boxes_of_real_photographs_fit_the_scaled_picture():
    row = json.loads((PHOTOS / "captions.jsonl").read_text().splitlines()[0])
    (sample,) = read(path=PHOTOS, limit=1)
    picture = sample.picture()
    assert picture.shape == (512, round(row["width"] * 512 / row["height"]), 3)
    x, y, w, h = row["objects"][0]["bbox"]
    scale = 512 / row["height"]
    assert sample.annotations["objects"][0]["box"] == pytest.approx([v * scale for v in (x, y, w, h)], abs=0.5)


@pytest.fixture
def rows(tmp_path) -> list[dict]:
    """Two photographs where the official layout keeps them, the second with a crowd."""
    (tmp_path / "val2017").mkdir()
    rows = []
    for number in (7, 8):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(tmp_path / f"val2017/{number}.png")
        objects = [{"category": "cat", "bbox": [1, 2, 30, 20], "iscrowd": number - 7}]
        rows.append(
            {"image_id": number, "file": f"{number}.png", "width": 60, "height": 40, "captions": ["A."],
             "objects": objects}
        )  # fmt: skip
    return rows


def test_the_official_layout_is_found_and_crowds_are_marked(tmp_path, rows):
    publish(tmp_path, rows)
    assert [each.annotations for each in read(path=tmp_path, **OFFICIAL)] == [
        {"objects": [{"label": "cat", "box": [1, 2, 30, 20]}]},
        {"objects": [{"label": "cat", "box": [1, 2, 30, 20], "crowd": True}]},
    ]
    assert [each.annotations for each in read(path=tmp_path, captions=OFFICIAL["captions"])] == [{}, {}]


def test_what_is_wrong_in_an_official_pair_is_told(tmp_path, rows):
    publish(tmp_path, rows)
    captions, instances = (tmp_path / name for name in OFFICIAL.values())
    listed = json.loads(captions.read_text())
    listed["images"] += [{"id": 7, "file_name": "8.png"}, {"id": 9, "file_name": "9.png"}, {"file_name": "x.png"}]
    listed["annotations"] += [{"image_id": 9, "caption": "Gone."}, {"image_id": 99, "caption": "Of nothing."}]
    listed["images"][1] |= {"width": 600, "height": 400}
    captions.write_text(json.dumps(listed))
    boxes = json.loads(instances.read_text())
    boxes["annotations"] += [{"image_id": 7, "category_id": 5, "bbox": [0, 0, 1, 1]}]
    instances.write_text(json.dumps(boxes))
    found = read(path=tmp_path, **OFFICIAL)
    assert [each.sample for each in found if isinstance(each, Sample)] == ["7", "8"]
    problems = [each for each in found if isinstance(each, Problem)]
    assert [(each.sample, each.kind) for each in problems] == [
        ("instances_val2017.json: annotation 3", "bad_record"),
        ("8", "size_differs"),
        ("7", "duplicate_id"),
        ("9", "missing_image"),
        ("captions_val2017.json: image 5", "bad_record"),
        ("99", "missing_image"),
    ]


def test_what_is_wrong_in_lines_is_told(tmp_path, rows):
    rows[1]["captions"] = "One sentence, not a list."
    lines = [*map(json.dumps, rows), '{"image_id": 3}', "{", json.dumps(rows[0]), '{"image_id": 4, "file": 4}']
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    found = read(path=tmp_path, images="val2017")
    assert [getattr(each, "kind", each.sample) for each in found] == [
        "7", "8", "bad_record", "bad_record", "duplicate_id", "bad_record",
    ]  # fmt: skip
    assert found[1].references == ("One sentence, not a list.",)
    assert found[2].message == "captions.jsonl:3 has no 'file'; it is left out."


def test_lines_with_null_or_of_another_form_say_what_to_mend(tmp_path, rows):
    """From public reports: a null or an object where a list is expected gave ``None`` as an id and keys as captions."""
    good = rows[0] | {"objects": [{"category": "dog", "bbox": [1, 2, 3, 4]}]}
    changes = [
        {"image_id": 1, "captions": {"0": "a", "1": "b"}}, {"image_id": 2, "captions": None}, {"image_id": None},
        {"image_id": 4, "file": None}, {"image_id": 5, "objects": None},
        {"image_id": 6, "width": None, "height": None}, {"image_id": True},
    ]  # fmt: skip
    (tmp_path / "captions.jsonl").write_text("\n".join(json.dumps(good | change) for change in changes))
    found = read(path=tmp_path, images="val2017")
    samples = {each.sample: each for each in found if isinstance(each, Sample)}
    assert samples.keys() == {"5", "6"} and not samples["5"].annotations
    assert samples["6"].annotations["objects"] == [{"label": "dog", "box": [1, 2, 3, 4]}]
    told = [each.message for each in found if not isinstance(each, Sample)]
    assert told == [
        'captions.jsonl:1 has captions that should be a list but is {"0": "a", "1": "b"}; it is left out.',
        "captions.jsonl:2 has captions that should be a list but is null; it is left out.",
        "captions.jsonl:3 has image_id that should be text or a number but is null; it is left out.",
        "captions.jsonl:4 has file that should be text but is null; it is left out.",
        "captions.jsonl:7 has image_id that should be text or a number but is true; it is left out.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("[]", "is no official COCO file: expected lists of objects named images and annotations"), ("{", "is not valid")],
)
def test_another_file_than_cocos_is_refused(tmp_path, text, message):
    (tmp_path / "captions.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(path=tmp_path, captions="captions.json")
    with pytest.raises(FileNotFoundError, match="There is no COCO annotation file at"):
        read(path=tmp_path, captions="none.json")
