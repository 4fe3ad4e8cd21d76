"""CSV and JSON that people bring: every dialect is read as it is meant, or refused with its line."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from registry.store.tables import csv_rows, json_lines, read_csv, read_json

PLAIN = "config,image,mse\nm0,im0,0.5\nNA,im1,1e3\n"
HELD = (["config", "image", "mse"], [(2, ["m0", "im0", "0.5"]), (3, ["NA", "im1", "1e3"])])


@pytest.fixture
def table(tmp_path: Path):
    def written(content: str | bytes, name: str = "table.csv") -> Path:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return written


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", " , ", 2).replace("m0,", "m0,"),
        PLAIN.replace(",", "| "),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("\n", ",,\n", 1),
        PLAIN + "\n,,\n\n",
        codecs.BOM_UTF8 + PLAIN.encode(),
        codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    ],
    ids=[
        "commas", "windows", "semicolons", "tabs", "blanks behind commas", "blanks in the header", "bars",
        "a delimiter at every end", "delimiters at the header's end", "empty rows", "bom", "utf-16-le", "utf-16-be",
    ],
)  # fmt: skip
def test_every_dialect_gives_the_same_table(table, content):
    assert tuple(read_csv(table(content), "table")) == HELD


def test_excels_first_line_names_the_delimiter_and_lines_stay_those_of_the_file(table):
    path = table("sep=;\nfile;caption\na.png;one, two\na.png;x;y\n")
    assert csv_rows(path, "table") == [
        (3, {"file": "a.png", "caption": "one, two"}),
        (4, 'has 3 columns where the header has 2; put a text that contains ";" in double quotes'),
    ]


def test_blanks_and_line_ends_inside_cells_stay(table):
    path = table('file,caption\n lead.png," a\nb "\nz.png,c\n')
    assert csv_rows(path, "table") == [
        (3, {"file": " lead.png", "caption": " a\nb "}),
        (4, {"file": "z.png", "caption": "c"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,caption,Caption\na,b,c\n", "names a column 'caption' in the places 2, 3"),
        ("file,caption, caption\na,b,c\n", "names a column 'caption' in the places 2, 3"),
        (",,caption\na,b,c\n", "names no column in the places 1, 2"),
        ('file,caption\na,"open\nb,c\nd,e\n', "the quote that opens in line 2"),
        ('file,caption\na,b\nb,"open\nc,"d"\n', "the quote that opens in line 3"),
        ("", "has no header"),
        ("sep=;\n", "has no header"),
        ("file,caption\na,Käfer\n".encode("latin-1"), "is not UTF-8: byte 0xe4 in line 2"),
    ],
)
def test_what_cannot_be_told_is_refused_where_it_is(table, content, message):
    with pytest.raises(ValueError, match=message):
        csv_rows(table(content), "table")


def test_names_that_differ_in_capitals_only_are_two_columns_of_a_table(table):
    assert read_csv(table("N,n\n1,2\n"), "table").names == ["N", "n"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"1": ["a"], "1": ["b"]}', 'an object has "1" twice'),
        ('[{"a": {"b": 1, "c": 2, "b": 3}}]', 'an object has "b" twice'),
        ('{"1": NaN}', "NaN is no number in JSON"),
        ("{", "is not valid JSON"),
    ],
)
def test_json_that_says_two_things_or_no_number_is_refused(table, content, message):
    with pytest.raises(ValueError, match=message):
        read_json(table(content, "table.json"), "file")
    [(number, reason)] = json_lines(table(content, "table.jsonl"), "file")
    assert number == 1 and isinstance(reason, str)


def test_json_with_a_byte_order_mark_is_read(table):
    for mark, coding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")):
        assert read_json(table(mark + '{"1": "ä"}'.encode(coding)), "file") == {"1": "ä"}
