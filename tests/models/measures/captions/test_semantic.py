from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.adapters.catalogue import CATALOGUE
from models.adapters.checkpoints import identify
from models.measures.captions.candidates import Corpus, candidates
from models.measures.captions.semantic import Semantic


class Letters:
    """Counts of letters: vectors whose cosines can be said in advance."""

    VERSION = 3

    def __init__(self) -> None:
        self.asked: list[str] = []

    def identity(self) -> dict[str, str]:
        return {"checkpoint": "letters"}

    def load(self) -> None:
        pass

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        counts = np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32).reshape(-1, 3)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


REFERENCES = {"1": ["a", "ab", "b"], "2": ["c", "b"]}


@pytest.fixture
def measure() -> Semantic:
    measure = Semantic(Semantic.Settings(checkpoint="letters"), Letters())
    measure.fit(Corpus(REFERENCES))
    return measure


def scored(measure: Semantic, captions: dict[str, str]) -> dict[str, dict[str, float]]:
    return dict(zip(captions, measure.score(candidates(captions, REFERENCES)), strict=True))


def pooled(measure: Semantic, captions: dict[str, str]) -> dict[str, float]:
    return measure.corpus(candidates(captions, REFERENCES))


def test_maximum_over_references_and_mean_over_items(measure: Semantic) -> None:
    captions = {"1": "aab", "2": "a"}
    nearest = 3 / np.sqrt(5 * 2)  # (2, 1) · (1, 1), nearer to "ab" than to "a" (2 / sqrt 5)
    assert scored(measure, captions) == {"1": {"sbert": pytest.approx(nearest)}, "2": {"sbert": 0}}
    assert pooled(measure, captions) == {"sbert": pytest.approx(nearest / 2)}


def test_equal_to_a_reference_is_one_and_never_more(measure: Semantic) -> None:
    value = scored(measure, {"1": "ab"})["1"]["sbert"]
    assert value == pytest.approx(1)
    assert value <= 1


def test_each_distinct_text_is_embedded_once(measure: Semantic) -> None:
    for _ in range(2):
        pooled(measure, {"1": "ab", "2": "b"})
    assert sorted(measure._embedder.asked) == ["a", "ab", "b", "c"]


def test_only_what_a_score_needs_is_embedded(measure: Semantic) -> None:
    scored(measure, {"2": "cc"})
    assert sorted(measure._embedder.asked) == ["b", "c", "cc"]


def test_identity_names_the_embedder(measure: Semantic) -> None:
    assert measure.identity() == {"embedder": {"checkpoint": "letters"}, "embedder_version": 3}


def test_another_embedder_has_a_metric_and_a_key_of_its_own() -> None:
    made = {name: Semantic(Semantic.Settings(embedder=name, checkpoint=".")) for name in CATALOGUE["embedders"]}
    assert {name: [metric.name for metric in measure.metrics] for name, measure in made.items()} == {
        "sbert": ["sbert"], "simcse-sup": ["simcse_sup"], "simcse-unsup": ["simcse_unsup"]
    }  # fmt: skip
    unsupervised = Semantic(Semantic.Settings(embedder="simcse-unsup", checkpoint="letters"), Letters())
    unsupervised.fit(Corpus(REFERENCES))
    assert scored(unsupervised, {"1": "ab"}) == {"1": {"simcse_unsup": pytest.approx(1)}}
    assert pooled(unsupervised, {"1": "ab"}) == {"simcse_unsup": pytest.approx(1)}


def test_keys_of_sbert_are_what_they_were_and_others_differ(tmp_path: Path) -> None:
    """The name of the embedder is not in the identity: what sbert's was before there were others stands."""
    (tmp_path / "config.json").write_text("{}")
    digest = identify(str(tmp_path))
    identities = [
        Semantic(Semantic.Settings(embedder=name, checkpoint=str(tmp_path))).identity()
        for name in ("sbert", "simcse-sup", "simcse-unsup")
    ]
    assert identities[0] == {"embedder": digest, "embedder_version": 1}
    assert identities[1] == {"embedder": digest | {"pooling": "pooler"}, "embedder_version": 1}
    assert identities[2] == {"embedder": digest | {"pooling": "cls"}, "embedder_version": 1}


def test_an_unknown_embedder_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match='"simcse-super"; did you mean "simcse-sup"?'):
        Semantic(Semantic.Settings(embedder="simcse-super", checkpoint="x"))


def test_input_is_checked(measure: Semantic) -> None:
    with pytest.raises(ValueError, match="'3' has a caption but no references"):
        scored(measure, {"3": "a"})
    with pytest.raises(ValueError, match="there are no captions"):
        pooled(measure, {})
    with pytest.raises(ValueError, match="'1' has no references"):
        measure.fit(Corpus({"1": []}))
