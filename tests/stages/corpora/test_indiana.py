"""The two tables of the Indiana chest X-rays: which picture gets which Impression."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus

REPORTS = """\
uid,MeSH,Problems,image,indication,comparison,findings,impression
1,normal,normal,Xray Chest PA and Lateral,TB test,None.,"The lungs are clear, no effusion.",Normal chest x-XXXX.
2,Cardiomegaly/borderline,Cardiomegaly,"Chest, 2 views",Preop.,None.,Clear lungs.,"1. No acute findings, as before."
3,normal,normal,Xray Chest,Pain.,,Clear.,
4,normal,normal,Xray Chest,Pain.,,Clear.,No picture.
2,normal,normal,Xray Chest,Pain.,,Clear.,Once more.
"""
PROJECTIONS = """\
uid,filename,projection
1,1_IM-0001-4001.dcm.png,Frontal
1,1_IM-0001-3001.dcm.png,Lateral
2,2_IM-0652-1001.dcm.png,Frontal
2,2_IM-0652-2001.dcm.png,Frontal
3,3_IM-1384-1001.dcm.png,Frontal
9,9_IM-2407-1001.dcm.png,Frontal
10
"""


@pytest.fixture
def release(tmp_path) -> Path:
    (tmp_path / "indiana_reports.csv").write_text(REPORTS)
    (tmp_path / "indiana_projections.csv").write_text(PROJECTIONS)
    images = tmp_path / "images/images_normalized"
    images.mkdir(parents=True)
    for line in PROJECTIONS.splitlines()[1:-1]:
        Image.new("L", (40, 60)).save(images / line.split(",")[1])
    return tmp_path


def read(path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus("indiana", {"path": path, **options}).samples())


def test_each_frontal_picture_has_the_impression_of_its_report(release):
    samples = [each for each in read(release) if isinstance(each, Sample)]
    assert [(each.sample, each.references) for each in samples] == [
        ("1_IM-0001-4001", ("Normal chest x-XXXX.",)),
        ("2_IM-0652-1001", ("1. No acute findings, as before.",)),
        ("2_IM-0652-2001", ("1. No acute findings, as before.",)),
    ]
    assert samples[0].picture().shape == (60, 40, 3)


def test_what_is_wrong_is_told(release):
    assert [(each.sample, each.kind) for each in read(release) if isinstance(each, Problem)] == [
        ("2", "duplicate_id"),
        ("3_IM-1384-1001", "empty_caption"),
        ("3_IM-1384-1001", "no_caption"),
        ("9_IM-2407-1001", "no_caption"),
        ("indiana_projections.csv:8", "bad_record"),
        ("4", "missing_image"),
    ]


@pytest.mark.parametrize(("projection", "count"), [("Lateral", 1), (None, 4)])
def test_other_projections_can_be_taken(release, projection, count):
    assert sum(isinstance(each, Sample) for each in read(release, projection=projection)) == count


def test_a_missing_table_is_told(release):
    (release / "indiana_projections.csv").unlink()
    with pytest.raises(FileNotFoundError, match="There is no table of the Indiana chest X-rays at .*projections.csv"):
        read(release)
