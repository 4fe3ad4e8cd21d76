"""CompreCap: which words name an object, which sentences are judged, what is counted; the paper's unified scores."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from models.adapters.requests import Choose, Embed, Failure
from models.adapters.roles import Reply
from models.measures.captions.candidates import Candidate
from models.measures.judged.comprecap import CompreCap, Told, unified
from registry.published import shipped
from tests.models.recaptioners.playing import conversed


def mask(*pixels: int) -> str:
    return base64.b64encode(zlib.compress(bytes(pixels))).decode()


GRAPH = [
    {"category": "sky", "description": "a sky full of clouds", "relations": [], "mask": mask(1, 1, 0, 0)},
    {"category": "dog", "description": "a brown dog", "relations": ["the dog runs by the tree"],
     "mask": mask(0, 0, 1, 0)},
    {"category": "tree", "description": "a tall tree", "relations": ["the trees are under the sky"],
     "mask": mask(0, 0, 1, 0)},
]  # fmt: skip
CAPTION = "A brown puppy runs. It is 3.5 m from trees. Nothing else."
VECTORS = {"dog": (1, 0, 0), "puppy": (0.8, 0.6, 0), "tree": (0, 0, 1), "sky": (0.6, 0, -0.8)}
"""Of all words none is as like a sky as it is like a dog or a tree."""


def judged(caption: str = CAPTION, said: dict[str, str] | None = None, graph: Any = GRAPH, **settings: Any):
    """The measure, what was told, and the texts that were rated by phrase."""
    measure = CompreCap(CompreCap.Settings(rating="{text}|{phrase}", relation="{text}|{phrase}", **settings))
    texts: dict[str, str] = {}

    def answer(request: Any) -> Any:
        if isinstance(request, Embed):
            return np.array(VECTORS.get(request.text, (0, 1, 0)), np.float32)
        text, _, phrase = request.text.rpartition("|")
        texts[phrase] = text
        if isinstance(request, Choose):
            return (0.5, 0, 0, 0.25, 0, 0.25)
        return request.read(Reply((said or {}).get(phrase, "3"), "stop"))

    told, _ = conversed(measure.judge(Candidate("one", caption, annotations={"graph": graph})), answer)
    return measure, told, texts


def test_objects_are_named_where_word_and_category_are_most_alike_and_judged_by_the_sentences_that_name_them():
    measure, told, texts = judged(said={"a brown dog": "5", "a tall tree": "Score: 2/5"})
    assert told.objects == {"sky": 0, "dog": pytest.approx(0.8), "tree": 1}
    assert texts == {
        "a brown dog": "A brown puppy runs.",
        "a tall tree": "It is 3.5 m from trees.",
        "the dog runs by the tree": "A brown puppy runs. It is 3.5 m from trees.",
        "the trees are under the sky": "It is 3.5 m from trees.",
    }
    assert (told.attributes, told.relations) == ([0, 5, 2], [3, 3])
    assert told.pixels == pytest.approx(1 / 3)  # the dog's alone, of which the tree adds nothing
    assert measure.values([told]) == {
        "comprecap_unified": pytest.approx(0.25 * 60 + 0.35 * 20 * 7 / 3 + 0.4 * 20 * 3),
        "comprecap_objects": pytest.approx(0.6),
        "comprecap_pixels": pytest.approx(1 / 3),
        "comprecap_attributes": pytest.approx(7 / 3),
        "comprecap_relations": 3,
        "comprecap_unreadable": 0,
    }


@pytest.mark.parametrize("reply", ["10", "Fully.", "-", "4.5"])
def test_what_is_no_rating_is_counted_and_left_out(reply):
    measure, told, _ = judged(said={"a brown dog": reply})
    assert told.attributes == [0, None, 3] and told.pixels == pytest.approx(0.6 / 3)
    values = measure.values([told])
    assert (values["comprecap_attributes"], values["comprecap_unreadable"]) == (1.5, pytest.approx(1 / 5))


def test_the_released_variant_takes_any_number_and_moves_relations_to_other_sentences():
    """evaluate.py at b70aae6, with the same words, vectors and ratings in place of spaCy, MiniLM and Llama, rates 1,500
    drawn graphs alike. Here the sky has no relation, so the dog's has no text and is 0."""
    _, told, texts = judged(said={"a brown dog": "10", "a tall tree": "Fully."}, released=True)
    assert (told.attributes, told.relations) == ([0, 10, -1], [0, 3])
    assert texts["the trees are under the sky"] == "A brown puppy runs. 5 m from trees"
    assert "the dog runs by the tree" not in texts


def test_a_choice_is_the_mean_of_ratings():
    assert judged(choose=True)[1].attributes == [0, 2, 2]


def test_a_corpus_has_the_means_of_its_captions_and_their_unified_score():
    measure, told, _ = judged()
    nothing = Told({"dog": 0.0}, [0.0], [], None)
    one, both = measure.values([told]), measure.values([told, nothing])
    assert measure.values([nothing])["comprecap_unified"] is None
    assert both["comprecap_objects"] == pytest.approx(one["comprecap_objects"] / 2)
    assert both["comprecap_relations"] == one["comprecap_relations"]
    assert both["comprecap_unified"] == pytest.approx(
        unified(*(both[f"comprecap_{name}"] for name in ("objects", "attributes", "relations")))
    )
    assert judged("")[1].objects == {"sky": 0, "dog": 0, "tree": 0}


def test_published_unified_scores_follow_from_their_components():
    """Table 5 of RICO from those of tables 8 and 9, each rounded to two digits: all but its first row."""
    published = [n for n in shipped() if n.paper == "rico"]
    parts = {(n.path(), n.metric): n.value for n in published if n.table in ("8", "9")}
    off = []
    for n in (n for n in published if n.metric == "comprecap_unified"):
        objects, attributes, relations = (
            parts[n.path(), f"comprecap_{name}"] for name in ("objects", "attributes", "relations")
        )
        off.append(abs(unified(objects / 100, attributes, relations) - n.value))
    assert len(off) == 14 and sum(one < 0.25 for one in off) == 13 and max(off) == pytest.approx(2.505)


def test_a_picture_without_a_graph_and_a_dead_judge_are_told():
    with pytest.raises(ValueError, match="'bare' has no `graph` in its annotations"):
        next(CompreCap(CompreCap.Settings()).judge(Candidate("bare", "A dog.")))
    with pytest.raises(ValueError, match="a judge gave no answer: no connection"):
        judging = CompreCap(CompreCap.Settings()).judge(Candidate("one", "A dog.", annotations={"graph": GRAPH}))
        conversed(judging, lambda request: Failure("no connection"))
