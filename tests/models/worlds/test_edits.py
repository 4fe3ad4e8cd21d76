"""True and false sentences about scenes, held against grounding: it knows nothing of how they were made."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measures.captions.claims import tally
from models.worlds.edits import EDITS, parts
from models.worlds.scenes import scene

INDICES = st.integers(0, 2**31)


def counted(text, graph):
    """(family, what) -> how often, of the picture as a whole."""
    return {(family, what): n for (family, region, what), n in tally(text, graph).items() if region == "whole"}


@settings(max_examples=150, deadline=None)
@given(INDICES, INDICES)
def test_grounding_counts_what_the_sentences_of_a_caption_say_true_and_false(index, seed):
    graph, rng = scene(3, index).graph, np.random.default_rng(seed)
    first, *rest = parts(graph, rng)
    assert len(rest) == len(graph["objects"])
    chosen = [first, *rest[: rng.integers(len(rest) + 1)]]
    said = [rng.choice(["", *part.false]) for part in chosen]
    sentences = [part.false[edit] if edit else part.true for part, edit in zip(chosen, said, strict=True)]
    facts = Counter(fact for sentence in sentences for fact in sentence.facts)
    found = counted(" ".join(sentence.text for sentence in sentences), graph)
    for family in ("object", "attribute", "relation"):
        assert found.get((family, "said"), 0) == facts[family, True] + facts[family, False]
        assert found.get((family, "right"), 0) == facts[family, True]
        if family != "relation":  # of relations grounding asks those of neighbours
            assert found.get((family, "found"), 0) == facts[family, True]


@settings(max_examples=60, deadline=None)
@given(INDICES)
def test_all_true_sentences_say_all_and_every_false_one_says_something_false(index):
    graph = scene(4, index).graph
    told = parts(graph, np.random.default_rng(index))
    whole = counted(" ".join(part.true.text for part in told), graph)
    for family in ("object", "attribute"):
        assert whole[family, "said"] == whole[family, "right"] == whole[family, "found"] == whole[family, "true"]
    for part in told:
        assert all(true for _, true in part.true.facts)
        assert part.false and all(not all(true for _, true in one.facts) for one in part.false.values())
        assert len({one.text for one in (part.true, *part.false.values())}) == 1 + len(part.false)


def test_every_edit_is_made_and_hits_what_it_is_called():
    """Of 200 scenes: an edit of the colour, say, leaves one attribute false and all else true."""
    seen = Counter()
    for index in range(200):
        for part in parts(scene(5, index).graph, np.random.default_rng(index)):
            for edit, sentence in part.false.items():
                seen[edit] += 1
                wrong = [family for family, true in sentence.facts if not true]
                if edit == "object":
                    assert wrong == [family for family, _ in sentence.facts] == ["attribute", "object", "relation"]
                else:
                    assert wrong == [{"shape": "object", "relation": "relation"}.get(edit, "attribute")]
    assert set(seen) == set(EDITS) and min(seen.values()) > 100


def test_equal_seeds_give_equal_sentences():
    graph = scene(6, 1).graph
    assert parts(graph, np.random.default_rng(2)) == parts(graph, np.random.default_rng(2))
