"""Witnesses: pycocoevalcap on the same tokens, and the scores that nlg-eval publishes for its example."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge, my_lcs

from models.measures.captions.candidates import Candidate, Corpus, candidates
from models.measures.captions.lexical import BLEU, Lexical, Scores
from models.measures.captions.meteor import Meteor, MeteorError
from models.measures.captions.ngrams import _common_length, _positions
from models.measures.captions.references import reference_digest

EXAMPLE = Path(__file__).resolve().parents[4] / "../shared/data/nlg_eval_example"
COUNTED = ("bleu", "rouge_l", "cider")
METRICS = {metric.name: metric for metric in Lexical.METRICS}

text = st.lists(st.sampled_from(["a", "the", "man", "horse", "rides", "red", "on", "in"]), max_size=14).map(" ".join)
corpora = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.tuples(text, st.lists(text.filter(bool), min_size=1, max_size=5)),
    min_size=1,
    max_size=6,
)


class Fitted:
    """Scores of captions by id, against the references that a measure is fitted to."""

    def __init__(self, measure: Lexical, references: dict[str, list[str]], texts: Iterable[str] = ()) -> None:
        self.measure, self.references = measure, references
        measure.fit(Corpus(references, texts=texts))

    def score(self, captions: dict[str, str]) -> dict[str, dict[str, float]]:
        return dict(zip(captions, self.measure.score(candidates(captions, self.references)), strict=True))

    def corpus(self, captions: dict[str, str]) -> dict[str, float]:
        return self.measure.corpus(candidates(captions, self.references))

    def evaluate(self, captions: dict[str, str]) -> Scores:
        return self.measure.evaluate(candidates(captions, self.references))


def fitted(references: dict[str, list[str]], metrics: tuple[str, ...] = COUNTED, tokenizer: str = "none") -> Fitted:
    return Fitted(Lexical(Lexical.Settings(metrics=metrics, tokenizer=tokenizer)), references)


@settings(max_examples=150, deadline=None)
@given(corpora)
def test_agrees_with_pycocoevalcap(corpus: dict[str, tuple[str, list[str]]]) -> None:
    captions = {key: caption for key, (caption, _) in corpus.items()}
    references = {key: texts for key, (_, texts) in corpus.items()}
    measure = fitted(references)
    got, items = measure.corpus(captions), measure.score(captions)
    res = {key: [caption] for key, caption in captions.items()}
    bleu, bleu_items = Bleu().compute_score(references, res, verbose=0)
    expected = dict(zip(BLEU, zip(bleu, bleu_items, strict=True), strict=True))
    expected["rouge_l"] = Rouge().compute_score(references, res)
    expected["cider"] = Cider().compute_score(references, res)
    for name, (value, values) in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12), name
        assert [items[key][name] for key in corpus] == pytest.approx(list(values), abs=1e-12), name
        assert all(METRICS[name].low <= item[name] <= METRICS[name].high + 1e-9 for item in items.values())


@settings(max_examples=50, deadline=None)
@given(corpora)
def test_rouge_s_recall_is_the_best_over_references_as_lin_defines_it(corpus: dict[str, tuple[str, list[str]]]) -> None:
    """Lin 2004, section 3.1: LCS(reference, caption) / words of the reference; pycocoevalcap's own subsequences."""
    measure = fitted({key: texts for key, (_, texts) in corpus.items()}, ("rouge_l_recall",))
    items = measure.score({key: caption for key, (caption, _) in corpus.items()})
    for key, (caption, texts) in corpus.items():
        split = [text.split(" ") for text in texts]
        expected = max(my_lcs(words, caption.split(" ")) / len(words) for words in split)
        assert items[key] == {"rouge_l_recall": pytest.approx(expected)}


def test_a_long_caption_has_all_recall_and_little_f() -> None:
    caption = {"1": "there is a red star and much else in this picture"}
    (values,) = fitted({"1": ["a red star"]}, ("rouge_l", "rouge_l_recall")).score(caption).values()
    assert values["rouge_l_recall"] == 1 and values["rouge_l"] == pytest.approx(2.44 * 3 / 11 / (1 + 1.44 * 3 / 11))


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), max_size=40))
def test_longest_common_subsequence(one: list[str], other: list[str]) -> None:
    assert _common_length(one, *_positions(other)) == my_lcs(one, other)


@pytest.fixture(scope="module")
def published() -> dict:
    if not EXAMPLE.is_dir():
        pytest.skip("needs ../shared/data/nlg_eval_example")
    return json.loads((EXAMPLE / "published_scores.json").read_text())


@pytest.fixture
def lexical(meteor: Meteor) -> Lexical:
    return with_process(Lexical(Lexical.Settings(metrics=(*COUNTED, "meteor"), tokenizer="none")), meteor)


def with_process(measure: Lexical, meteor: Meteor) -> Lexical:
    measure._meteor = meteor
    return measure


NAMES = {"Bleu_1": "bleu_1", "Bleu_2": "bleu_2", "Bleu_3": "bleu_3", "Bleu_4": "bleu_4", "METEOR": "meteor"}
NAMES |= {"ROUGE_L": "rouge_l", "CIDEr": "cider"}


def test_published_corpus(published: dict, lexical: Lexical) -> None:
    """nlg-eval's README and test_nlgeval.py, with the same scorers and METEOR jar, given six decimals."""
    lines = {name: (EXAMPLE / f"{name}.txt").read_text().splitlines() for name in ("hyp", "ref1", "ref2")}
    references = {str(i): list(pair) for i, pair in enumerate(zip(lines["ref1"], lines["ref2"], strict=True))}
    got = Fitted(lexical, references).corpus({str(i): caption for i, caption in enumerate(lines["hyp"])})
    assert got == pytest.approx({NAMES[k]: v for k, v in published["corpus_hyp_ref1_ref2"].items()}, abs=1e-6)


def test_published_single(published: dict, lexical: Lexical) -> None:
    single = published["single"]
    expected = {ours: single[theirs] for theirs, ours in NAMES.items()}
    assert Fitted(lexical, {"1": single["refs"]}).score({"1": single["hyp"]})["1"] == pytest.approx(expected, abs=1e-6)


def test_meteor_agrees_with_pycocoevalcap_after_ptb(meteor: Meteor, witness: Callable) -> None:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    references = {"1": ["A man's riding a horse.", "Someone rides (a) horse!"], "2": ["Two dogs, playing."]}
    captions = {"1": "The man rides horses.", "2": "Two dogs play; it's fun"}
    tokens, caption_tokens = (
        PTBTokenizer().tokenize({key: [{"caption": text} for text in texts] for key, texts in given_.items()})
        for given_ in (references, {key: [caption] for key, caption in captions.items()})
    )
    expected, expected_items = witness(tokens, caption_tokens)
    aligning = with_process(Lexical(Lexical.Settings(metrics=("meteor",), tokenizer="ptb")), meteor)
    measure = Fitted(aligning, references, captions.values())
    assert measure.corpus(captions)["meteor"] == pytest.approx(expected, abs=1e-12)
    assert [item["meteor"] for item in measure.score(captions).values()] == pytest.approx(expected_items, abs=1e-12)


def test_a_caption_does_not_see_its_neighbours() -> None:
    references = {str(i): [f"a man number {i} rides", f"the horse {i} on the beach"] for i in range(8)}
    captions = {str(i): f"a horse {i} rides on the beach" for i in range(8)}
    together = fitted(references).score(captions)
    assert {key: fitted(references).score({key: text})[key] for key, text in captions.items()} == together
    assert fitted(dict(reversed(references.items()))).score(captions) == together


def test_laws() -> None:
    references = {"1": ["a red horse on the beach"], "2": ["two dogs play in the park", "dogs playing"]}
    measure = fitted(references)
    equal = measure.score({key: texts[0] for key, texts in references.items()})
    assert all(equal["1"][name] == pytest.approx(1, abs=1e-6) for name in (*BLEU, "rouge_l"))
    assert equal["1"]["cider"] == pytest.approx(10), "the caption is its only reference"
    far = measure.score({"1": "zebra", "2": ""})
    assert all(value == pytest.approx(0, abs=1e-3) for item in far.values() for value in item.values())


def test_cider_depends_on_all_references_and_the_others_on_their_own() -> None:
    references = {"1": ["a red horse runs"], "2": ["a blue dog"]}
    more = references | {"3": ["a red car"]}
    small, large = (fitted(given_).score({"1": "a red horse"})["1"] for given_ in (references, more))
    assert small.pop("cider") != large.pop("cider")
    assert small == large
    assert reference_digest(references) != reference_digest(more)
    assert reference_digest(references) != reference_digest({"1": references["2"], "2": references["1"]})


def test_a_remembered_caption_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = fitted({"1": ["a horse"], "2": ["a dog"]})
    first = measure.score({"1": "a dog", "2": "a dog"})
    monkeypatch.setattr(measure.measure, "_count_one", lambda *_: pytest.fail("counted again"))
    assert measure.score({"1": "a dog", "2": "a dog"}) == first


@pytest.mark.parametrize("odd", ["", "a\nb", "a ||| b", "\x00", "\U0001f600", "\ud83d", "שלום", "word " * 10_000])
def test_odd_captions_have_scores(odd: str) -> None:
    scores = fitted({"1": ["a b c d"], "2": ["e f"]}).score({"1": odd, "2": "e f"})
    assert all(0 <= value <= METRICS[name].high for name, value in scores["1"].items())
    assert scores["2"]["rouge_l"] == 1


def test_references_are_checked() -> None:
    for bad, message in (
        ({}, "no references: give at least one"),
        ({"1": []}, "'1' has no references"),
        ({"1": "a text"}, "the references of '1' are 'a text': expected a list"),
        ({"1": None}, "expected a list of texts"),
        ({"1": ["a", 3]}, "expected a list of texts"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted(bad)


def test_captions_are_checked() -> None:
    measure = fitted({"image-1": ["a horse"], "image-2": ["a dog"]})
    with pytest.raises(ValueError, match="'imgae-1' has a caption but no references: did you mean 'image-1'"):
        measure.score({"imgae-1": "a horse"})
    with pytest.raises(ValueError, match="the caption of 'image-1' is None: expected a text"):
        measure.score({"image-1": None})


def test_a_caption_that_meteor_cannot_align_is_named(monkeypatch: pytest.MonkeyPatch, lexical: Lexical) -> None:
    measure = Fitted(lexical, {"1": ["a horse"], "2": ["a dog"]})
    real = lexical._meteor.statistics

    def statistics(caption: str, references: list[str]) -> str:
        if "long" in caption:
            raise MeteorError("METEOR gave no answer within 60 s")
        return real(caption, references)

    monkeypatch.setattr(lexical._meteor, "statistics", statistics)
    with pytest.raises(MeteorError, match="the caption of '2': METEOR gave no answer"):
        measure.score({"1": "a horse", "2": "long"})
    scores = measure.evaluate({"1": "a horse", "2": "long"})
    assert scores.failed == {"2": "METEOR gave no answer within 60 s"}
    assert "meteor" in scores.items[0]
    assert "meteor" not in scores.items[1]
    assert "bleu_4" in scores.items[1]
    assert "meteor" not in scores.corpus


def test_without_java_meteor_is_unavailable_and_not_in_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_java = {"tokenizer": "none", "metrics": ["rouge_l", "meteor"]}
    chosen = Lexical.Settings(metrics=("rouge_l", "meteor"), tokenizer="none")
    if shutil.which("java"):
        assert Lexical(chosen).identity() == with_java
    monkeypatch.setenv("PATH", str(tmp_path))
    measure = Lexical(chosen)
    assert measure.identity() == {"tokenizer": "none", "metrics": ["rouge_l"]}
    assert "no `java` on the PATH" in measure.unavailable["meteor"]
    assert Fitted(measure, {"1": ["a horse"]}).score({"1": "a horse"}) == {"1": {"rouge_l": 1}}


def test_what_a_stage_asks_before_scoring() -> None:
    measures = [Lexical(Lexical.Settings(metrics=metrics)) for metrics in (("bleu", "rouge_l"), *zip(COUNTED))]
    assert [metric.name for metric in measures[0].metrics] == [*BLEU, "rouge_l"]
    assert ["corpus_references" in measure.needs for measure in measures[1:]] == [False, False, True]


def test_several_captions_of_one_image_are_scored_each() -> None:
    references = {"1": ["a red horse on the beach", "a horse"], "2": ["two dogs play in the park"]}
    measure, texts = fitted(references), ["a horse", "", "two dogs on the beach"]
    records = [Candidate("1", text, references["1"]) for text in texts]
    assert measure.measure.score(records) == [measure.score({"1": text})["1"] for text in texts]
