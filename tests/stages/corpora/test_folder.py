"""What a user brings on the first day, with everything that goes wrong then."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from registry.store.faults import Passing
from stages.corpora.pictures import Unreadable
from tests.stages.corpora.folders import paint, read


def test_rows_of_one_picture_add_up(tmp_path):
    paint(tmp_path / "photos/a.png")
    paint(tmp_path / "b.png", colour="red")
    (tmp_path / "captions.csv").write_text(
        'file,caption\nphotos/a.png,A cat.\nb.png,"A dog, running."\nphotos/a.png,"She said ""hi""."\n'
    )
    samples, problems = read(tmp_path)
    assert problems == []
    assert [(each.sample, each.split, each.references) for each in samples] == [
        ("photos/a.png", "all", ("A cat.", 'She said "hi".')),
        ("b.png", "all", ("A dog, running.",)),
    ]
    assert (samples[1].picture() == (255, 0, 0)).all()
    assert samples[0].source != samples[1].source
    assert samples[0].annotations == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions.csv", "\ufefffile;caption;split\r\na.png;Ein Käfer, groß.;test\r\n"),
        ("captions.csv", 'Image,Text,Split,Photographer\na.png,"Ein Käfer, groß.",test,me\n'),
        ("captions.jsonl", '{"image": "a.png", "captions": ["Ein Käfer, groß."], "split": "test"}\n\n'),
        ("captions.jsonl", '{"path": "./a.png", "caption": "Ein K\\u00e4fer, groß.", "split": "test"}'),
        ("metadata.csv", 'file_name,text,split\na.png,"Ein Käfer, groß.",test\n'),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "Ein Käfer, groß.", "split": "test"}\n'),
    ],
)
def test_the_accepted_tables_say_the_same(tmp_path, name, text):
    paint(tmp_path / "a.png")
    (tmp_path / name).write_text(text, encoding="utf-8")
    samples, problems = read(tmp_path)
    assert problems == []
    assert [(each.sample, each.split, each.references) for each in samples] == [
        ("a.png", "test", ("Ein Käfer, groß.",))
    ]


def test_a_tab_separated_table_from_elsewhere(tmp_path):
    paint(tmp_path / "pictures/a.png")
    (tmp_path / "table.tsv").write_text("file\tcaption\npictures/a.png\tOne, two.\n")
    samples, _ = read(tmp_path, captions="table.tsv")
    assert samples[0].references == ("One, two.",)


def test_boxes_are_scaled_with_the_picture_and_added_up(tmp_path):
    paint(tmp_path / "a.png", (100, 50))
    rows = [
        {"file": "a.png", "caption": "One.", "box": [10, 10, 20, 20], "label": "cat"},
        {"file": "a.png", "caption": "Two.", "box": [10, 10, 20, 20], "label": "cat"},
        {"file": "a.png", "caption": "Three.", "objects": [{"label": "dog", "box": [0, 0, 100, 50]}]},
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (sample,), problems = read(tmp_path, max_side=50)
    assert problems == []
    assert sample.annotations == {
        "objects": [{"label": "cat", "box": [5, 5, 10, 10]}, {"label": "dog", "box": [0, 0, 50, 25]}]
    }
    assert sample.picture().shape == (25, 50, 3)


def test_several_samples_may_share_a_picture(tmp_path):
    """As in RefCOCOg: an expression and its box each."""
    paint(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text(
        'id,file,caption,box\n1,a.png,Left one.,0 0 10 10\n2,a.png,Right one.,"[30, 0, 10, 10]"\n'
    )
    samples, problems = read(tmp_path)
    assert problems == []
    assert [(each.sample, each.annotations["objects"][0]["box"]) for each in samples] == [
        ("1", [0, 0, 10, 10]),
        ("2", [30, 0, 10, 10]),
    ]
    assert samples[0].source == samples[1].source


def first_day(folder: Path) -> None:
    for name in ("good.png", "unlisted.JPG", "other.png", "boxes.png", "empty.png"):
        paint(folder / name)
    (folder / "text.png").write_text("no picture")
    (folder / "truncated.png").write_bytes((folder / "good.png").read_bytes()[:60])
    rows = [
        {"id": "good", "file": "good.png", "caption": "Fine."},
        {"id": "good", "file": "other.png", "caption": "Another picture of the same id."},
        {"file": "missing.png", "caption": "Not there."},
        {"file": "text.png", "caption": "No picture."},
        {"file": "truncated.png", "caption": "Half a picture."},
        {"file": "empty.png", "captions": ["", "The other caption stays.", "NUL\0 here."]},
        {"file": "silent.png", "captions": []},
        {"file": "boxes.png", "caption": "Boxes.", "objects": [{"box": [30, 10, 30, 30]}, {"box": [1, 2]}]},
        {"file": "no\0thing.png", "caption": "A name that no file can have."},
        {"caption": "Whose?"},
    ]
    (folder / "captions.jsonl").write_text("\n".join([*map(json.dumps, rows), "{not json", "[1]"]))


def test_everything_wrong_is_told_and_nothing_stops_the_corpus(tmp_path):
    first_day(tmp_path)
    samples, problems = read(tmp_path)
    assert [each.sample for each in samples] == ["good", "truncated.png", "empty.png", "boxes.png", "unlisted.JPG"]
    assert Counter(problem.kind for problem in problems) == {
        "missing_image": 2,
        "unreadable_image": 2,
        "empty_caption": 1,
        "unstorable_text": 1,
        "no_caption": 1,
        "duplicate_id": 1,
        "box_outside": 1,
        "bad_box": 1,
        "bad_record": 3,
    }
    for problem in problems:
        assert problem.message.endswith(".")
        assert "\0" not in problem.sample + problem.message
    told = {problem.kind: problem.message for problem in problems}
    assert told["missing_image"].startswith("There is no picture at ")
    assert "good" in told["duplicate_id"]
    assert told["box_outside"] == (
        "Box 1 of boxes.png, [30, 10, 30, 30], reaches outside the picture of 40 x 20 pixels; it is clipped to it."
    )
    assert samples[2].references == ("The other caption stays.", "NUL here.")
    assert samples[3].annotations["objects"] == [{"label": "", "box": [30, 10, 10, 10]}]
    with pytest.raises(Unreadable, match="truncated.png cannot be decoded"):
        samples[1].picture()


def test_a_directory_in_place_of_a_picture_is_unreadable(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "captions.csv").write_text("file,caption\na.png,Hm.\n")
    _, (problem,) = read(tmp_path)
    assert problem.kind == "unreadable_image"


def test_a_caption_of_ten_thousand_long_words_fits_in_a_csv(tmp_path):
    paint(tmp_path / "a.png")
    caption = " ".join(["extraordinarily"] * 10_000)
    (tmp_path / "captions.csv").write_text(f"file,caption\na.png,{caption}\n")
    samples, _ = read(tmp_path)
    assert samples[0].references == (caption,)


def test_an_unquoted_comma_is_explained(tmp_path):
    paint(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("file,caption\na.png,A dog, running.\na.png,Fine.\n")
    samples, problems = read(tmp_path)
    assert samples[0].references == ("Fine.",)
    assert problems[0].message == (
        'captions.csv:2 has 3 columns where the header has 2; put a text that contains "," in double quotes;'
        " it is left out."
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.csv", b"bild,beschreibung\na.png,x\n", "has the columns bild, beschreibung. One must be file or"),
        ("captions.csv", b"file,caption,caption\na.png,x,y\n", "names a column 'caption' in the places 2, 3"),
        ("captions.csv", b"image_name| number| comment\na.png| 0| x\n", "has the columns image_name, number, comment"),
        ("captions.csv", b"", "has no header. Its first line names the columns"),
        ("captions.csv", b'file,caption\na.png,"no end\n', "is not valid CSV .*quote that opens in line 2"),
        ("captions.csv", "file,caption\na.png,Käfer\n".encode("latin-1"), "is not UTF-8: byte 0xe4 in line 2"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_mend(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(tmp_path)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere for a corpus. Correct its path"):
        read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="There is no table of captions at .*none.csv"):
        read(tmp_path, captions=tmp_path / "none.csv")
    (tmp_path / "captions.xlsx").touch()
    with pytest.raises(ValueError, match="is neither .jsonl, .csv, .tsv, .json, .token, .parquet nor .tar"):
        read(tmp_path, captions=tmp_path / "captions.xlsx")


def test_changing_one_picture_changes_one_source(tmp_path):
    for name in ("a.png", "b.png"):
        paint(tmp_path / name)
    (tmp_path / "captions.csv").write_text("file,caption\na.png,One.\nb.png,Two.\n")
    before, _ = read(tmp_path)
    paint(tmp_path / "a.png", colour="gold")
    after, _ = read(tmp_path)
    assert [old.source == new.source for old, new in zip(before, after, strict=True)] == [False, True]
    assert np.array_equal(before[1].picture(), after[1].picture())
    smaller, _ = read(tmp_path, max_side=20)
    assert smaller[1].source != after[1].source


def test_listing_decodes_no_picture(tmp_path, monkeypatch):
    first_day(tmp_path)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("a picture was decoded"))
    samples, _ = read(tmp_path)
    assert len(samples) == 5


def test_a_picture_that_is_replaced_after_it_was_listed_is_not_kept_under_the_old_digest(tmp_path):
    paint(tmp_path / "a.png", colour="red")
    (tmp_path / "captions.csv").write_text("file,caption\na.png,A square.\n")
    ((sample,), _) = read(tmp_path)
    paint(tmp_path / "a.png", colour="blue")
    with pytest.raises(Passing, match="a.png was replaced while its corpus was prepared; run again"):
        sample.picture()
    paint(tmp_path / "a.png", colour="red")
    assert (sample.picture() == (255, 0, 0)).all()


@pytest.mark.parametrize("captions", ["../c.csv", "/c.csv", "sub/../../c.csv"])
def test_a_table_outside_the_folder_is_refused_since_nobody_would_notice_its_changes(tmp_path, captions):
    with pytest.raises(ValueError, match="`captions` is .*c.csv, outside of .*alone is watched for changes; move it"):
        read(tmp_path, captions=captions)


def test_a_picture_outside_the_folder_is_a_problem_of_its_row(tmp_path):
    paint(tmp_path / "in/a.png")
    paint(tmp_path / "b.png")
    (tmp_path / "in/captions.csv").write_text(f"file,caption\na.png,A.\n../b.png,B.\n{tmp_path / 'in/a.png'},C.\n")
    (sample, same), [problem] = read(tmp_path / "in")
    assert sample.references == ("A.",) and same.references == ("C.",)
    assert "captions.csv:3 names a picture outside of" in problem.message


def test_names_that_look_alike_are_found(tmp_path):
    composed, apart = "na\u00efve.png", "nai\u0308ve.png"
    paint(tmp_path / apart)
    paint(tmp_path / " lead.png")
    paint(tmp_path / "trail.png")
    rows = f"file,caption\n{composed},A.\n lead.png,B.\ntrail.png ,C.\n"
    (tmp_path / "captions.csv").write_text(rows, encoding="utf-8")
    samples, problems = read(tmp_path)
    assert problems == [] and [sample.references for sample in samples] == [("A.",), ("B.",), ("C.",)]


def test_names_that_only_look_alike_stay_two_where_both_are_there(tmp_path):
    paint(tmp_path / "na\u00efve.png", colour="red")
    paint(tmp_path / "nai\u0308ve.png", colour="blue")
    (tmp_path / "captions.csv").write_text("file,caption\nna\u00efve.png,A.\nnai\u0308ve.png,B.\n", encoding="utf-8")
    samples, problems = read(tmp_path)
    assert problems == [] and samples[0].source != samples[1].source


def test_a_pipe_among_the_pictures_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    paint(tmp_path / "a.png")
    (tmp_path / "captions.csv").write_text("file,caption\npipe.png,A.\na.png,B.\n")
    [sample], [problem] = read(tmp_path)
    assert sample.sample == "a.png" and "pipe.png cannot be opened (it is no file)" in problem.message
