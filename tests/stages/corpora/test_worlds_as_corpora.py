"""The drawn corpora: generated worlds, and TRUCE's series as plots."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from models.worlds import WORLDS, example, version
from models.worlds.grammar import parse
from models.worlds.plots import draw_series
from models.worlds.questions import KINDS
from stages.corpora import Problem, Sample, open_corpus

TRUCE = Path(__file__).resolve().parents[3] / "../shared/data/truce"
real = pytest.mark.skipif(not TRUCE.exists(), reason="the TRUCE set is not in ../shared/data")


@pytest.mark.parametrize("world", WORLDS)
def test_samples_are_the_worlds_own_and_a_longer_corpus_begins_alike(world):
    short = list(open_corpus(world, {"seed": 3, "count": 4}).samples())
    longer = list(open_corpus(world, {"seed": 3, "count": 9}).samples())
    assert longer[:4] == short
    made = example(world, 3, 2)
    assert short[2].sample == "seed-3/2"
    assert short[2].references == tuple(made.references)
    assert short[2].annotations == made.graph == json.loads(json.dumps(made.graph))
    assert short[2].source == {"world": world, "version": version(world), "seed": 3, "index": 2}
    assert np.array_equal(short[2].picture(), made.picture)
    assert len({json.dumps(each.source) for each in longer}) == 9


def test_scenes_have_questions_where_they_are_wanted():
    """An answer about an object is what the scene's own parser finds in the scene."""
    plain, asked = (
        list(open_corpus("scenes", {"seed": 3, "count": 30, **more}).samples()) for more in ({}, {"questions": 5})
    )
    right = []
    for one, other in zip(plain, asked, strict=True):
        questions = other.annotations["questions"]
        assert {**one.annotations, "questions": questions} == other.annotations and one.source == other.source
        assert len({question["question"] for question in questions}) == 5
        for question in (each for each in questions if each["category"] == "object"):
            [named] = parse(question["question"])["objects"]
            there = any(named.items() <= thing.items() for thing in one.annotations["objects"])
            right.append(question["answer"] == ("yes" if there else "no"))
    assert len(right) >= 30 and all(right)


def test_scenes_have_instructions_of_all_kinds_where_they_are_wanted():
    """How many shapes there are is counted in the scene."""
    some = list(open_corpus("scenes", {"seed": 3, "count": 30, "instructions": 8}).samples())
    asked = [(one.annotations["objects"], each) for one in some for each in one.annotations["questions"]]
    assert len(asked) == 240 and {each["category"] for _, each in asked} == {*KINDS, "open"}
    counts = [(len(things), each["answer"]) for things, each in asked if each["question"].startswith("How many")]
    assert len(counts) > 5 and all(said == ("no", "one", "two", "three")[count] for count, said in counts)
    with pytest.raises(ValueError, match="has questions and instructions: take two corpora"):
        open_corpus("scenes", {"questions": 2, "instructions": 8})


@real
def test_real_truce_has_its_published_size_and_splits():
    """1,520/190/190 stock and 448/56/56 synthetic series, as the authors' release counts them."""
    samples = list(open_corpus("truce", {"path": TRUCE}).samples())
    assert all(isinstance(each, Sample) and len(each.references) == 3 for each in samples)
    counts = {}
    for each in samples:
        half, split, _ = each.sample.split("/")
        assert split == each.split
        counts[half, split] = counts.get((half, split), 0) + 1
    assert counts == {
        ("pilot13final", "train"): 448, ("pilot13final", "val"): 56, ("pilot13final", "test"): 56,
        ("pilot16b", "train"): 1520, ("pilot16b", "val"): 190, ("pilot16b", "test"): 190,
    }  # fmt: skip
    assert len({each.sample for each in samples}) == 2460


@real
def test_real_truce_records_are_read_as_they_are_written():
    found = {each.sample: each for each in open_corpus("truce", {"path": TRUCE, "splits": ["test"]}).samples()}
    synthetic, stock = found["pilot13final/test/58"], found["pilot16b/test/AW_25"]
    assert synthetic.references == ("Decreases gradually", "dips the entire time", "decreasing steadily")
    assert stock.references == ("trends slowly downwards", "peak at the beginning", "line decrease near the end")
    assert stock.annotations["series"]["values"] == [31, 33, 27, 22, 22, 25, 25, 18, 19, 17, 14, 14]
    picture, points = draw_series(stock.annotations["series"]["values"], 64)
    assert np.array_equal(stock.picture(), picture)
    assert stock.annotations["series"]["points"] == points


@real
def test_real_truce_subsets():
    options = {"path": TRUCE, "halves": ["pilot16b"], "splits": ["val"], "size": 32}
    first = list(open_corpus("truce", {**options, "limit": 5}).samples())
    assert [each.sample for each in first] == [
        each.sample for each in islice(open_corpus("truce", options).samples(), 5)
    ]
    drawn = [each.sample for each in open_corpus("truce", {**options, "limit": 5, "seed": 1}).samples()]
    assert len(drawn) == 5
    assert drawn != [each.sample for each in first]
    assert first[0].picture().shape == (32, 32, 3)


def test_what_is_wrong_in_truce_is_told(tmp_path):
    good = {"idx": "1", "series": [1, 2, 3], "annotations": [["rises"], " "]}
    records = {
        "a": good,
        "b": {"idx": "2", "series": [1], "annotations": ["flat"]},
        "c": {"idx": "3", "series": ["1", "2"], "annotations": ["rises"]},
        "d": {"idx": "4", "annotations": ["rises"]},
        "e": ["no record"],
        "f": {"idx": "6", "series": [1, 2], "annotations": []},
        "g": {**good, "series": [3, 2, 1]},
    }
    text = json.dumps(records)
    (tmp_path / "pilot16btest.json").write_text(text[:-1] + ', "a": {"idx": "7"}}')
    options = {"path": tmp_path, "halves": ["pilot16b"], "splits": ["test"]}
    found = list(open_corpus("truce", options).samples())
    assert [getattr(each, "kind", each.sample) for each in found] == [
        "duplicate_id", "empty_caption", "pilot16b/test/1", "bad_record", "bad_record", "bad_record", "bad_record",
        "no_caption", "empty_caption", "duplicate_id",
    ]  # fmt: skip
    assert all(each.message.endswith(".") for each in found if isinstance(each, Problem))
    assert found[2].references == ("rises",)
    assert found[2].annotations["series"]["values"] == [1, 2, 3]


def test_truce_without_its_files_or_with_others(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no TRUCE file at .*pilot13finaltrain.json"):
        list(open_corpus("truce", {"path": tmp_path}).samples())
    (tmp_path / "pilot13finaltrain.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="is no TRUCE file: expected an object of records by id"):
        list(open_corpus("truce", {"path": tmp_path}).samples())
    with pytest.raises(ValueError, match="pilot16b"):
        open_corpus("truce", {"path": tmp_path, "halves": ["pilot16"]})
