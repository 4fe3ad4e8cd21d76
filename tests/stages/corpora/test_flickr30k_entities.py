"""Sentences, boxes and splits as the release of Flickr30k Entities has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from stages.corpora import Problem, Sample, open_corpus

SENTENCES = """\
[/EN#11/people Two young guys] with [/EN#12/bodyparts shaggy hair] look at [/EN#0/notvisual it] .
[/EN#11/people/other The men] , [/EN#13/scene outdoors] near [/EN#14/vehicles/other a "red" car] .

A plain sentence .
"""
XML = """<annotation><filename>36979.jpg</filename><size><width>60</width><height>40</height><depth>3</depth></size>
<object><name>11</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object>
<object><name>12</name><name>11</name>
<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object>
<object><name>13</name><scene>1</scene><nobndbox>0</nobndbox></object>
<object><name>14</name><scene>0</scene><nobndbox>1</nobndbox></object>{}</annotation>"""
MORE = "<object><name>14</name><bndbox><xmin>x</xmin><ymin>6</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object>"


@pytest.fixture
def release(tmp_path) -> Path:
    """Five photographs: all well, a box that is none, no sentences, broken boxes, and one of the test split."""
    for folder in ("Sentences", "Annotations", "flickr30k-images"):
        (tmp_path / folder).mkdir()
    names = ["36979", "36980", "36981", "36982", "36983"]
    (tmp_path / "train.txt").write_text("\n".join(names[:4]) + "\n")
    (tmp_path / "val.txt").write_text("")
    (tmp_path / "test.txt").write_text(f"{names[4]}\n")
    for name in names:
        Image.new("RGB", (60, 40)).save(tmp_path / f"flickr30k-images/{name}.jpg")
        (tmp_path / f"Annotations/{name}.xml").write_text(XML.format(MORE if name == "36980" else ""))
        if name != "36981":
            (tmp_path / f"Sentences/{name}.txt").write_text(SENTENCES)
    (tmp_path / "Annotations/36982.xml").write_text("<annotation>")
    return tmp_path


def read(path: Path, **options) -> list[Sample | Problem]:
    return list(open_corpus("flickr30k-entities", {"path": path, **options}).samples())


def test_sentences_lose_their_markup_and_boxes_get_their_phrases(release):
    first = read(release, limit=1)[0]
    assert (first.sample, first.split) == ("36979", "train")
    assert first.references == (
        "Two young guys with shaggy hair look at it .",
        'The men , outdoors near a "red" car .',
        "A plain sentence .",
    )
    # Corners count pixels from 1 and the last is inside, so 1 to 60 and 1 to 40 are the whole picture.
    assert first.annotations["objects"] == [
        {"label": "Two young guys", "box": [0, 0, 60, 40], "phrases": ["Two young guys", "The men"]},
        {"label": "shaggy hair", "box": [10, 5, 10, 10], "phrases": ["shaggy hair", "Two young guys", "The men"]},
    ]
    assert first.picture().shape == (40, 60, 3)


def test_what_is_wrong_is_told_and_the_rest_kept(release):
    found = read(release)
    assert [(each.sample, getattr(each, "kind", "good")) for each in found] == [
        ("36979", "good"), ("36980", "bad_box"), ("36980", "good"), ("36981", "no_caption"),
        ("36982", "bad_record"), ("36982", "good"), ("36983", "good"),
    ]  # fmt: skip
    assert found[5].annotations == {}
    assert found[-1].split == "test"


def test_a_split_is_taken_and_unrelated_sentences_are_left_out(release):
    (release / "UNRELATED_CAPTIONS").write_text("# format: <imageID> <sentence number>\n36983 1\n36979 2\n")
    (only,) = read(release, splits=["test"])
    assert only.references == ('The men , outdoors near a "red" car .', "A plain sentence .")
    assert only.annotations["objects"][0]["label"] == "Two young guys"


def test_a_subset_is_the_head_of_its_seeds_order_and_nothing_else_is_read(release):
    drawn = [each.sample for each in read(release, seed=1) if isinstance(each, Sample)]
    assert drawn != sorted(drawn)
    for path in release.glob("Sentences/*.txt"):
        if path.stem != drawn[0]:
            path.write_bytes(b"\xff")
    assert [each.sample for each in read(release, seed=1, limit=1) if isinstance(each, Sample)] == drawn[:1]
    assert [each.kind for each in read(release, seed=1, limit=2) if isinstance(each, Problem)].count("no_caption") == 4


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no Flickr30k Entities split at .*train.txt"):
        read(tmp_path)
