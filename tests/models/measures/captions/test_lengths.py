"""Lengths of captions against the libraries' own counts, and known shares of composed ones."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from models.compositions import Dci, composed
from models.measures.captions.candidates import Corpus, candidates
from models.measures.captions.composed import Sentences
from models.measures.captions.lengths import LIMITS, Lengths

POCKET = "models/pocket/weights/sd3-paint"
SAID = {"a": "a red ring.", "b": "there is a red ring. " * 13}


def measured(**settings) -> Lengths:
    made = Lengths(Lengths.Settings(tokenizer=POCKET, subfolder="tokenizer", **settings))
    made.load()
    made.fit(Corpus())
    return made


def test_tokens_are_the_library_s_and_a_caption_is_cut_where_it_has_more_than_the_limit():
    tokenizer = AutoTokenizer.from_pretrained(POCKET, subfolder="tokenizer")
    length = {text: len(tokenizer(text).input_ids) for text in SAID.values()}
    exact = next("ring " * n for n in range(200) if len(tokenizer("ring " * n).input_ids) == 77)
    scores = measured(limits=(77,)).score(candidates(SAID | {"c": exact, "d": exact + "ring"}))
    assert [one["tokens"] for one in scores] == [*length.values(), 77, 78]
    assert [one["cut_77"] for one in scores] == [0, length[SAID["b"]] > 77, 0, 1]


def test_a_set_whose_captions_are_all_cut_is_warned_about(caplog):
    made = measured(limits=LIMITS)
    with caplog.at_level(logging.WARNING):
        values = made.corpus(candidates(SAID))
        assert (values["cut_77"], values["cut_512"]) == (0.5, 0)
        assert not caplog.records
        made.corpus(candidates({"b": SAID["b"] * 2}))
    assert [record.getMessage()[:45] for record in caplog.records] == [
        "All 1 captions of a set have more than 77 tok", "All 1 captions of a set have more than 120 to",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="limits has 78, which no text encoder has"):
        measured(limits=(78,))
    assert [metric.name for metric in made.metrics] == ["tokens", *(f"cut_{limit}" for limit in LIMITS)]


@pytest.fixture
def tagger(tmp_path: Path) -> Path:
    """A BERT without layers whose embeddings say what is a noun; it reads 16 tokens, and takes "rings" apart."""
    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "ring", "##s", "star", "red", "a", "is", "."]
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=16
    )
    fast.save_pretrained(tmp_path)
    labels = {0: "NOUN", 1: "ADJ"}
    shape = {"hidden_size": 4, "num_hidden_layers": 0, "num_attention_heads": 1, "intermediate_size": 4}
    model = BertForTokenClassification(
        BertConfig(vocab_size=len(words), max_position_embeddings=16, id2label=labels, **shape)
    )
    with torch.no_grad():
        for parameter in model.bert.embeddings.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1)
        nouns = torch.tensor([1.0 if word in ("ring", "##s", "star") else -1.0 for word in words])
        model.bert.embeddings.word_embeddings.weight.copy_(nouns[:, None] * torch.tensor([1.0, 1, -1, -1]))
        model.classifier.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
        model.classifier.bias.zero_()
    model.save_pretrained(tmp_path)
    return tmp_path


def test_nouns_are_counted_by_word_also_beyond_what_the_tagger_reads(tagger):
    made = measured(limits=(77,), tagger=str(tagger))
    texts = {"a": "a red ring", "b": "rings. a star is red.", "c": "a star. " * 20, "d": "red"}
    assert [one["nouns"] for one in made.score(candidates(texts))] == [1, 2, 20, 0]
    assert "nouns" in {metric.name for metric in made.metrics}


PARTS = [
    {"text": "A pump.", "negatives": {"basic": ["A lamp.", ""], "swaps": []}, "scores": {}},
    {"text": "It is old.", "negatives": {"basic": ["It is new."]}, "scores": {}},
    {"text": "Trees.", "negatives": {"basic": ["No trees."]}, "scores": {}},
    {"text": "A tap.", "negatives": {}, "scores": {}},
]


@pytest.mark.parametrize(("false", "precision", "recall"), [((0, 0), 1, 0.5), ((0, 1), 0.5, 0.25), ((1, 1), 0, 0)])
def test_the_precision_and_recall_of_composed_captions_are_those_that_were_asked_for(false, precision, recall):
    annotations = {"parts": PARTS}
    told, of = Dci().told(annotations, "0f")
    made = composed(told[:2], false, of)
    measure = Sentences()
    measure.fit(Corpus(annotations={"a": annotations}))
    [score] = measure.score(candidates({"a": made["caption"]}, annotations={"a": annotations}))
    assert score == {"sentence_precision": precision, "sentence_recall": recall}
    assert (made["precision"], made["recall"]) == (precision, recall)


def test_captions_that_nobody_composed_have_no_value_and_corpora_must_know_their_parts():
    known = {"a": {"parts": PARTS}, "b": {"parts": PARTS}}
    measure = Sentences()
    measure.fit(Corpus(annotations=known))
    records = candidates({"a": "A photograph.", "b": "It is new."}, annotations=known)
    assert measure.score(records)[0] == {"sentence_precision": None, "sentence_recall": None}
    assert measure.corpus(records) == {"sentence_precision": 0, "sentence_recall": 0}
    with pytest.raises(ValueError, match="name corpora of `dci` with `parts: true`"):
        measure.fit(Corpus(annotations={"a": {"objects": []}}))
