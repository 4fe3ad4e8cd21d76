"""ROCOv2's captions files, and images in any of the folders that its archives are unpacked to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus

TRAIN = """\
ID,Caption
ROCOv2_2023_train_000001,"Head CT, axial: ""hyperdense"" lesion
in the left lobe. "
ROCOv2_2023_train_000002,Chest X-ray.
ROCOv2_2023_train_000003,
,Of nothing.
ROCOv2_2023_train_000004,Ultrasound, not quoted.
ROCOv2_2023_train_000005,Missing.
"""


def read(path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus("rocov2", {"path": path, **options}).samples())


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (60, 40), 90).save(path)


@pytest.fixture
def release(tmp_path) -> Path:
    (tmp_path / "train_captions.csv").write_text(TRAIN)
    for number in (1, 2, 3, 4):
        draw(tmp_path / f"train/ROCOv2_2023_train_00000{number}.jpg")
    return tmp_path


def test_captions_are_read_and_what_is_wrong_told(release):
    found = read(release)
    assert [(each.sample, getattr(each, "kind", "good")) for each in found] == [
        ("ROCOv2_2023_train_000001", "good"),
        ("ROCOv2_2023_train_000002", "good"),
        ("ROCOv2_2023_train_000003", "empty_caption"),
        ("ROCOv2_2023_train_000003", "no_caption"),
        ("train_captions.csv:6", "bad_record"),
        ("train_captions.csv:7", "bad_record"),
        ("ROCOv2_2023_train_000005", "missing_image"),
    ]
    assert found[0].references == ('Head CT, axial: "hyperdense" lesion\nin the left lobe.',)
    assert found[0].picture().shape == (40, 60, 3)


@pytest.mark.parametrize("folder", ["test", "test_images/test", "test_images"])
def test_archives_may_be_unpacked_in_several_ways(release, folder):
    (release / "test_captions.csv").write_text("ID,Caption\nROCOv2_2023_test_000001,Axial MRI.\n")
    draw(release / folder / "ROCOv2_2023_test_000001.jpg")
    (only,) = read(release, splits=["test"])
    assert (only.sample, only.split, only.references) == ("ROCOv2_2023_test_000001", "test", ("Axial MRI.",))


def test_a_study_takes_a_number_of_them_by_a_seed(release):
    both = [each.sample for each in read(release, limit=2, seed=3) if isinstance(each, Sample)]
    assert sorted(both) == ["ROCOv2_2023_train_000001", "ROCOv2_2023_train_000002"]
    assert [each.sample for each in read(release, limit=1, seed=3) if isinstance(each, Sample)] == both[:1]


def test_a_folder_without_captions_is_refused(tmp_path, release):
    with pytest.raises(FileNotFoundError, match="There is no ROCOv2 captions file at .*valid_captions.csv"):
        read(release, splits=["valid"])
    (release / "train_captions.csv").unlink()
    with pytest.raises(FileNotFoundError, match="There is no train_captions.csv, valid_captions.csv or"):
        read(release)
