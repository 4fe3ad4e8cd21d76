"""The forms in which others pass pictures on: with captions beside them, or with none."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.corpora import Sample
from tests.stages.corpora.folders import paint, read


def captions_of(samples: list[Sample]) -> dict[str, tuple[str, ...]]:
    return {each.sample: each.references for each in samples}


def test_pictures_without_captions_are_welcome(tmp_path):
    paint(tmp_path / "holiday/b.JPG")
    paint(tmp_path / "a.png")
    (tmp_path / "holiday/b.txt").write_text("A beach.\n\nSand and sea.\n")
    samples, problems = read(tmp_path)
    assert captions_of(samples) == {"a.png": (), "holiday/b.JPG": ("A beach.", "Sand and sea.")}
    assert problems == [] and samples[0].picture().shape == (20, 40, 3)


def test_a_picture_that_a_table_passes_over_is_kept_and_told(tmp_path):
    for name in ("a.png", "b.png"):
        paint(tmp_path / name)
    (tmp_path / "captions.csv").write_text("file,caption\na.png,One.\n")
    samples, [problem] = read(tmp_path)
    assert captions_of(samples) == {"a.png": ("One.",), "b.png": ()}
    assert problem.message == "captions.csv has no usable row for b.png; it is kept without captions."


def imagefolder(root: Path, image: bytes) -> None:
    for split in ("train", "validation"):
        (root / split).mkdir()
        (root / split / "a.png").write_bytes(image)
        (root / split / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "A cat."}\n')


def coco(root: Path, image: bytes) -> None:
    (root / "val2017").mkdir()
    (root / "val2017/a.png").write_bytes(image)
    (root / "annotations").mkdir()
    images, said = [{"id": 7, "file_name": "a.png"}], [{"id": 1, "image_id": 7, "caption": "A cat."}]
    text = json.dumps({"images": images, "annotations": said})
    (root / "annotations/captions_val2017.json").write_text(text)


def karpathy(root: Path, image: bytes) -> None:
    (root / "val2014").mkdir()
    (root / "val2014/a.png").write_bytes(image)
    one = {"filepath": "val2014", "filename": "a.png", "split": "restval", "sentences": [{"raw": "A cat."}]}
    (root / "dataset_coco.json").write_text(json.dumps({"dataset": "coco", "images": [one]}))


def token(root: Path, image: bytes) -> None:
    (root / "flickr30k-images").mkdir()
    (root / "flickr30k-images/a.png").write_bytes(image)
    (root / "results_20130124.token").write_text("a.png#0\tA cat.\n")


def parquet(root: Path, image: bytes) -> None:
    """As the library writes it that most data sets on the hub are written with."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    made = datasets.Dataset.from_dict({"image": [{"bytes": image, "path": "a.png"}], "text": ["A cat."]}, features)
    made.to_parquet(str(root / "train-00000-of-00001.parquet"))


def parquet_of_paths(root: Path, image: bytes) -> None:
    (root / "a.png").write_bytes(image)
    pq.write_table(pa.table({"path": ["a.png"], "captions": [["A cat."]]}), root / "all.parquet")


def webdataset(root: Path, image: bytes) -> None:
    with tarfile.open(root / "train-0000.tar", "w") as archive:
        for name, content in (("0001.png", image), ("0001.txt", b"A cat.")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("form", "found"),
    [
        (imagefolder, [("train/a.png", "train"), ("validation/a.png", "validation")]),
        (coco, [("a.png", "val")]),
        (karpathy, [("val2014/a.png", "restval")]),
        (token, [("a.png", "all")]),
        (parquet, [("a.png", "train")]),
        (parquet_of_paths, [("a.png", "all")]),
        (webdataset, [("train-0000/0001.png", "train")]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_forms_in_which_others_pass_pictures_on(tmp_path, form, found):
    paint(tmp_path / "once/a.png", colour="red")
    image = (tmp_path / "once/a.png").read_bytes()
    root = tmp_path / "root"
    root.mkdir()
    form(root, image)
    samples, problems = read(root)
    assert problems == []
    assert [(each.sample, each.split) for each in samples] == found
    assert {each.references for each in samples} == {("A cat.",)}
    source = {"sha256": hashlib.sha256(image).hexdigest(), "version": 1, "max_side": 512}
    assert all(each.source == source for each in samples), "the same picture has the same key, whatever it lies in"
    for each in pickle.loads(pickle.dumps([each.picture for each in samples])):
        assert (each() == (255, 0, 0)).all()


def test_an_id_of_the_hub_says_how_to_get_a_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="`hf download nlphuji/flickr30k --repo-type dataset --local-dir"):
        read(Path("nlphuji/flickr30k"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.json", b'{"a.png": "A cat."}', "is no table of captions: expected COCO's annotations"),
        ("data.parquet", b"PAR0", "is no Parquet file"),
        ("data.tar", b"no tar" * 200, "is no tar archive"),
        ("captions.token", b"a.png A cat.\n", None),
    ],
)
def test_a_form_that_is_none_says_so(tmp_path, name, content, message):
    paint(tmp_path / "a.png")
    (tmp_path / name).write_bytes(content)
    if message:
        with pytest.raises(ValueError, match=message):
            read(tmp_path)
    else:
        assert "has no tab between picture and caption" in read(tmp_path)[1][0].message
