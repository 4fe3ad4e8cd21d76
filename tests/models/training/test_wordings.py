"""Captions that mean the same, and captions made wrong: the worlds' own parsers say whether they are."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.data import Examples
from models.training.wordings import FAMILIES, contradiction, figures, groups
from models.worlds import WORLDS, example, expressions, grammar, radiographs, spectrograms, trends

SEED = 3
COUNTS = {"scenes": 40, "referring": 25, "series": 60, "radiographs": 60, "spectrograms": 12}


@pytest.fixture(scope="module")
def worlds() -> dict[str, Examples]:
    made = {world: [example(world, SEED, index) for index in range(count)] for world, count in COUNTS.items()}
    return {
        world: Examples(np.zeros(0), [one.references for one in some], [one.graph for one in some])
        for world, some in made.items()
    }


def right(world: str, text: str, graph: dict) -> bool:
    """Whether the world's parser finds nothing in the text that is not so."""
    if world == "scenes":
        score = grammar.agreement(grammar.parse(text), graph)
        return score["precision"] == score["background"] == 1
    if world == "referring":
        return expressions.resolve(text, graph) == [graph["target"]]
    if world == "series":
        return trends.agreement(trends.parse(text), graph["facts"]) == 1
    module = {"radiographs": radiographs, "spectrograms": spectrograms}[world]
    score = module.agreement(module.parse(text), graph)
    return score.get("precision", score["exact"]) == 1


def middle(text: str, other: str) -> list[str]:
    """The words of ``text`` between what both begin with and what both end with; "an" is "a"."""
    one, two = ([word.replace("an", "a") if word == "an" else word for word in each.split()] for each in (text, other))
    first = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    last = next((i for i, (a, b) in enumerate(zip(one[::-1], two[::-1], strict=False)) if a != b), 0)
    return one[first : len(one) - last]


@pytest.mark.parametrize("world", COUNTS)
def test_a_contradiction_is_wrong_and_one_phrase_away(worlds: dict[str, Examples], world: str) -> None:
    rng, made, asked = np.random.default_rng(0), 0, 0
    for texts, graph in zip(worlds[world].captions, worlds[world].annotations, strict=True):
        for text in texts:
            assert right(world, text, graph)
            asked += 1
            if (wrong := contradiction(world, text, graph, rng)) is None:
                continue
            made += 1
            assert text != wrong
            assert len(middle(text, wrong)) <= 4, (text, wrong)
            if world == "scenes" and right(world, wrong, graph):  # then it is a relation that was exchanged
                assert grammar.parse(text)["relations"] != grammar.parse(wrong)["relations"]
            else:
                assert not right(world, wrong, graph), wrong
    assert made > 0.8 * asked


def test_a_phrase_is_of_one_family() -> None:
    """Otherwise which one an exchange is within would hang on their order."""
    assert set(FAMILIES) == {*WORLDS, "plots"}
    for families in FAMILIES.values():
        phrases = [phrase for alternatives in families for some in alternatives for phrase in some]
        assert len(phrases) == len(set(phrases))


def test_articles_follow() -> None:
    graph = {"kind": "hum"}
    for seed in range(30):
        assert "an " not in contradiction("spectrograms", "a hum sound", graph, np.random.default_rng(seed))
    said = {
        contradiction("scenes", "a red ring on a sky background", {}, np.random.default_rng(seed)) for seed in range(60)
    }
    assert "an orange ring on a sky background" in said
    assert not any(text.startswith("a orange") for text in said)


def test_what_has_no_alternative_has_no_contradiction() -> None:
    assert contradiction("scenes", "something else", {}, np.random.default_rng(0)) is None


def test_normal_films_become_abnormal_and_back() -> None:
    normal, sick = {"findings": []}, {"findings": [{"label": "cardiomegaly", "side": None, "zone": None}]}
    rng = np.random.default_rng(0)
    assert all(
        radiographs.parse(contradiction("radiographs", "clear lungs", normal, rng))["findings"] for _ in range(9)
    )
    assert "cardiomegaly" not in contradiction("radiographs", "enlarged heart", sick, rng)


def test_pictures_that_show_the_same_are_one_group(worlds: dict[str, Examples]) -> None:
    kinds = groups("spectrograms", worlds["spectrograms"])
    assert [group.graph["kind"] for group in kinds] == list(
        dict.fromkeys(graph["kind"] for graph in worlds["spectrograms"].annotations)
    )
    assert all(group.graph["kind"] in text for group in kinds for text in group.texts)
    normal = next(group for group in groups("radiographs", worlds["radiographs"]) if not group.graph["findings"])
    assert set(normal.texts) == set(radiographs.NORMAL)
    assert len(groups("referring", worlds["referring"])) == COUNTS["referring"]


def test_figures_of_embedders_whose_answers_are_known(worlds: dict[str, Examples]) -> None:
    """A perfect one puts each meaning in a corner of its own; to one that sees nothing all wordings are alike."""
    scenes = {"scenes": groups("scenes", worlds["scenes"])}
    corner = {text: i for i, group in enumerate(scenes["scenes"]) for text in group.texts}

    def perfect(texts):
        return np.eye(len(corner) + 1, dtype=np.float32)[[corner.get(text, len(corner)) for text in texts]]

    count = len(scenes["scenes"])
    found = figures(perfect, scenes)
    assert found["scenes retrieval"] == found["scenes auc"] == 1
    assert found["alignment"] == 0
    assert found["uniformity"] == pytest.approx(-4)  # corners are at a squared distance of 2
    blind = figures(lambda texts: np.ones((len(texts), 1), np.float32), scenes)
    assert blind == {
        "scenes retrieval": 1 / count, "scenes auc": 0.5, "scenes measured": 0.5, "alignment": 0, "uniformity": 0
    }  # fmt: skip
