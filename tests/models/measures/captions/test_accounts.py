"""The worlds' accounts in one form, and how much of a caption their parsers understand."""

from __future__ import annotations

import pytest

from models.measures.captions.accounts import Thing, coverage, expression, paired, truth, world_of
from models.worlds import WORLDS, example
from models.worlds.trends import facts


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_is_told_by_its_annotations(world: str) -> None:
    assert {world_of(example(world, 3, index).graph) for index in range(8)} == {world}


def test_annotations_of_photographs_are_refused() -> None:
    with pytest.raises(ValueError, match="annotations of objects are of no generated world"):
        world_of({"objects": [{"label": "dog", "box": [0, 0, 2, 2]}]})
    with pytest.raises(ValueError, match="annotations of objects, target are of no generated world"):
        world_of({"objects": [{"label": "dog", "box": [0, 0, 2, 2]}], "target": 0})
    with pytest.raises(ValueError, match="annotations of nothing"):
        world_of({})


def test_a_series_of_another_corpus_needs_its_values_only() -> None:
    graph = example("series", 3, 0).graph
    assert truth({"series": {"values": graph["series"]["values"]}}).picture == graph["facts"]
    rising = {"series": {"values": [0.1 * i for i in range(12)], "points": []}}
    assert truth(rising).picture == facts(rising["series"]["values"])


def test_all_pairs_of_a_scene_are_related_both_ways() -> None:
    """The world lists each pair once, from the left; above and below, left and right turn round."""
    for index in range(20):
        graph = example("scenes", 3, index).graph
        said = {(one["subject"], one["predicate"], one["object"]) for one in graph["relations"]}
        relations = set(truth(graph).relations)
        assert said <= relations
        assert len(relations) == 2 * len(said)


def test_pairs_agree_in_most_and_in_kind_before_attributes() -> None:
    ring, star = Thing("ring", {"color": "red"}), Thing("star", {"color": "blue"})
    assert paired([Thing("ring", {"color": "blue"})], [star, ring])[0] == {0: 1}
    assert paired([Thing("ring", {"color": "blue"}), ring], [star, ring])[0] == {0: 0, 1: 1}
    assert paired([Thing("cross", {"color": "green"})], [ring, star]) == ({}, {})
    assert paired([], [ring]) == paired([ring], []) == ({}, {})


def test_objects_that_agree_as_well_are_named() -> None:
    ring = Thing("ring", {"color": "red", "size": "small"})
    assert paired([Thing("ring", {"color": "red"})], [ring, ring])[1] == {0: [0, 1]}


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("the big shape", {"size": "large"}),
        ("the red disc that is on the left side of the star", {"color": "red", "shape": "circle"}),
        ("the leftmost block", {"shape": "square"}),
        ("a red ring and a blue ring", {"color": "blue", "shape": "ring"}),  # as it is resolved
    ],
)
def test_an_expression_is_read_up_to_its_relation(caption: str, said: dict[str, str]) -> None:
    found = expression(caption)
    assert found.attributes == said
    assert found.relation == ("on the left side of the star" if "side" in caption else "")


@pytest.mark.parametrize("world", WORLDS)
def test_the_references_of_a_world_are_understood(world: str) -> None:
    """All words but idle ones; a scene's last reference counts its shapes, which the parser does not read."""
    values = []
    for index in range(25):
        references = example(world, 3, index).references
        values += [coverage(world, text) for text in (references[:4] if world == "scenes" else references)]
    assert sum(values) / len(values) > 0.99
    assert min(values) >= 0.75


@pytest.mark.parametrize(
    ("world", "caption", "share"),
    [
        ("scenes", "two shapes on sky: a red ring and a blue star", 5 / 7),  # "two" and "shapes" are passed over
        ("scenes", "a red", 0),  # no shape, no object
        ("scenes", "a dog on the lawn", 0),
        ("scenes", "a red star, a red star and a red star", 1),
        ("scenes", "on the", None),
        ("scenes", "", None),
        ("series", "zigzags up and down", 1),  # each says what the others say
        ("series", "the line wobbles in the middle", 0),  # a place, but not of what
        ("radiographs", "a broken rib and a nodule", 1 / 3),
        ("radiographs", "no acute disease", 1),
        ("spectrograms", "a drum and a bell", 0.5),  # the first counts
        ("referring", "the shiny red disc on the left", 0.75),
        ("referring", "a red ring and a blue star", 0.5),  # a list is no expression: the last is taken for it
    ],
)
def test_coverage_by_hand(world: str, caption: str, share: float | None) -> None:
    assert coverage(world, caption) == share


@pytest.mark.parametrize(
    ("world", "caption"), [("scenes", "a red star on a sky background"), ("referring", "the red star on the left")]
)
def test_a_strange_word_more_lowers_coverage_by_its_share(world: str, caption: str) -> None:
    assert coverage(world, caption) == 1
    assert coverage(world, f"a wonderful {caption}") == 3 / 4
    assert coverage(world, f"{caption}, wonderful and wild") == 3 / 5
