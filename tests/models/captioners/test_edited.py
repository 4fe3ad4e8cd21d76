"""Edited truths, held against grounding, which knows nothing of how they were made."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from models.captioners.edited import EditedTruth
from models.measures.captions.claims import ratios, tally
from models.worlds.edits import EDITS
from models.worlds.scenes import scene

GRAPHS = [scene(6, index).graph for index in range(40)]


def said(graph, seed=0, **settings):
    one = EditedTruth(EditedTruth.Settings(**settings))
    return one.caption([None], [json.dumps(graph)], [seed])[0][0]


def counted(graph, **settings):
    return {(family, what): n for (family, region, what), n in tally(said(graph, **settings), graph).items()
            if region == "whole"}  # fmt: skip


def test_the_truth_is_right_and_complete():
    for graph in GRAPHS:
        found = ratios(tally(said(graph), graph))
        for family in ("object", "attribute"):
            assert (found[f"{family}_precision"]["whole"], found[f"{family}_recall"]["whole"]) == (1, 1)
        assert found["relation_precision"]["whole"] in (1, None)


@pytest.mark.parametrize(("edit", "family"), [("color", "attribute"), ("shape", "object"), ("relation", "relation")])
def test_so_many_errors_are_made_and_no_other(edit, family):
    wrong = [counted(graph, wrong=edit, errors=1) for graph in GRAPHS]
    made = [{f: one.get((f, "said"), 0) - one.get((f, "right"), 0) for f in ("object", "attribute", "relation")}
            for one in wrong]  # fmt: skip
    assert {count for one in made for name, count in one.items() if name != family} == {0}
    assert {one[family] for one in made} <= {0, 1} and sum(one[family] for one in made) > 15


def test_what_is_left_out_is_not_said_and_what_is_said_stays_right():
    for graph in GRAPHS:
        whole, short = counted(graph), counted(graph, left_out=1)
        assert short["attribute", "found"] < whole["attribute", "found"]
        assert short["attribute", "right"] == short["attribute", "said"]
        assert len(said(graph, left_out=9).split(".")) == 2, "the first sentence stays"


def test_a_seed_decides_and_neighbours_do_not():
    one = EditedTruth(EditedTruth.Settings(errors=2))
    told, seeds = [json.dumps(graph) for graph in GRAPHS[:6]], list(range(6))
    together = one.caption([None] * 6, told, seeds)
    assert together == [one.caption([None], [known], [seed])[0] for known, seed in zip(told, seeds, strict=True)]
    assert one.caption([None], told[:1], [7]) != together[:1]


def test_every_edit_of_the_world_can_be_asked_for():
    assert get_args(EditedTruth.Settings.model_fields["wrong"].annotation) == ("any", *EDITS)


def test_other_worlds_are_refused():
    with pytest.raises(ValueError, match="name corpora of `adapter: scenes`"):
        said({"kind": "drum", "clip": {}})
