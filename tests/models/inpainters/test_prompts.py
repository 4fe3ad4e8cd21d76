from __future__ import annotations

import pytest

from models.inpainters.prompts import EXPRESSION_WORDS, prompt
from models.worlds import example


@pytest.mark.parametrize("annotations", [{}, {"objects": [{"label": "star"}]}, {"target": None}, {"series": None}])
def test_a_picture_is_prompted_with_its_first_reference(annotations):
    assert prompt(["a red star.", "one star"], annotations) == "a red star."
    assert prompt([], annotations) == ""


def test_expressions_about_one_object_are_concatenated():
    assert prompt(["the left star.", "the red one ", "it"], {"target": 0}) == "the left star. the red one. it"
    assert prompt(["the left star"], {"target": 3}) == "the left star"


def test_expressions_are_cut_where_the_key_sees_it():
    """Law: what lies behind the cut cannot make another prompt, and so no other key."""
    words = [f"w{number}" for number in range(EXPRESSION_WORDS)]
    cut = prompt([" ".join(words[:30]), " ".join(words[30:]) + " and more"], {"target": 0})
    assert len(cut.split()) == EXPRESSION_WORDS and cut.endswith(words[-1])
    assert cut == prompt([" ".join(words[:30]), " ".join(words[30:]) + " and something else"], {"target": 0})


def test_a_series_is_an_instruction_then_its_numbers_then_its_description():
    told = prompt(["it peaks", "a peak"], {"series": {"values": [1, 2.5, 1e-05, 12345.678], "points": []}})
    assert told == "restore the plot: 1 2.5 1e-05 1.235e+04. it peaks"


@pytest.mark.parametrize(
    ("world", "whole"),
    [("scenes", False), ("radiographs", False), ("spectrograms", False), ("referring", True), ("series", True)],
)
def test_generated_corpora_are_prompted_as_the_data_they_stand_for(world, whole):
    one = example(world, 3, 0)
    told = prompt(one.references, one.graph)
    assert one.references[0].rstrip(".") in told
    assert (told != one.references[0]) == whole
