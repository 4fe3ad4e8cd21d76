"""A random BERT with universal parts of speech: agreement with transformers' own pipeline, and laws."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizer
from transformers import pipeline as pipelines

from models.taggers.token_classification import TokenClassification

TAGS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
        "SYM", "VERB", "X")  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!"
TEXT = "A cat sees 3.5 dogs, and Sam runs!"


def made(folder: Path, labels: tuple[str, ...] = TAGS) -> TokenClassification:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=64, id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )  # fmt: skip
        model = BertForTokenClassification(config)
        model.save_pretrained(folder)
    BertTokenizer({piece: n for n, piece in enumerate(pieces)}, model_max_length=64).save_pretrained(folder)
    return TokenClassification(TokenClassification.Settings(checkpoint=str(folder)))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> TokenClassification:
    tagger = made(tmp_path_factory.mktemp("tagger"))
    tagger.load()
    return tagger


def test_words_and_tags_are_those_of_transformers_pipeline(tagger: TokenClassification) -> None:
    """Witness: the pipeline that gives each word the label of its first token."""
    own = pipelines(
        "token-classification", model=tagger.settings.checkpoint, aggregation_strategy="first", device="cpu"
    )
    (found,) = tagger.tag([TEXT])
    assert "".join(TEXT[one.start : one.end] for one in found) == TEXT.replace(" ", "")
    assert len({one.tag for one in found}) > 2, "the checkpoint tells words apart"
    grouped = [(one["start"], one["end"], one["entity_group"]) for one in own(TEXT)]  # neighbours of a label together
    for word in found:
        assert any(start <= word.start and word.end <= end and word.tag == tag for start, end, tag in grouped)


def test_a_text_does_not_depend_on_its_neighbours_and_an_empty_one_has_no_words(tagger: TokenClassification) -> None:
    assert tagger.tag(["", TEXT, "a dog"]) == [[], *tagger.tag([TEXT]), *tagger.tag(["a dog"])]


def test_a_text_of_4000_words_is_tagged_to_its_end(tagger: TokenClassification) -> None:
    text = "dog " * 4000
    (found,) = tagger.tag([text])
    assert [(one.start, one.end) for one in found] == [(4 * n, 4 * n + 3) for n in range(4000)]


def test_other_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no label 'ADJ', but B-PER, I-PER: take one with the universal parts"):
        made(tmp_path, ("B-PER", "I-PER")).load()
