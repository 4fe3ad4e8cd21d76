"""A random BERT in sentence-transformers' layout: agreement, norm and invariance do not need a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.modules.pooling import Pooling
from transformers import BertConfig, BertModel, BertTokenizerFast

from models.embedders.sbert import Sbert

WORDS = ["a", "the", "man", "horse", "dog", "rides", "on", "beach", "red", "blue"]
TEXTS = ["a man rides a horse", "", "the red dog", "blue " * 500, "a man", "a man rides a red horse on the beach", "a"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=256).save_pretrained(folder / "bert")
    config = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder / "bert")
    model = SentenceTransformer(modules=[Transformer(str(folder / "bert")), Pooling(32, "mean")], device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="module")
def sbert(checkpoint: Path) -> Sbert:
    sbert = Sbert(Sbert.Settings(checkpoint=str(checkpoint)))
    sbert.load()
    return sbert


def test_agrees_with_sentence_transformers(sbert: Sbert, checkpoint: Path) -> None:
    witness = SentenceTransformer(str(checkpoint), device="cpu")
    witness.max_seq_length = 128
    expected = witness.encode(TEXTS)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(sbert.embed(TEXTS), expected, atol=1e-6)


def test_unit_norm_float32(sbert: Sbert) -> None:
    vectors = sbert.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert sbert.embed([]).shape == (0, 32)


def test_a_vector_does_not_see_its_neighbours(sbert: Sbert) -> None:
    together = sbert.embed(TEXTS)
    alone = np.concatenate([sbert.embed([text]) for text in reversed(TEXTS)])[::-1]
    if sbert.device == "cpu":
        np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_text_is_cut_at_128_tokens(sbert: Sbert) -> None:
    kept = "blue " * 126  # and [CLS] and [SEP]
    np.testing.assert_array_equal(sbert.embed([kept]), sbert.embed([kept + "red " * 50]))
    assert not np.array_equal(sbert.embed(["blue " * 125]), sbert.embed(["blue " * 125 + "red"]))


@pytest.mark.parametrize("odd", ["\x00", "\U0001f600", "שלום", "a\nb", "word " * 10_000])
def test_odd_texts_have_vectors(sbert: Sbert, odd: str) -> None:
    assert np.isfinite(sbert.embed([odd])).all()


def test_identity(checkpoint: Path) -> None:
    identity = Sbert(Sbert.Settings(checkpoint=str(checkpoint))).identity()
    assert identity["checkpoint"].startswith("sha256:")
    with pytest.raises(ValueError, match="hub id without a revision"):
        Sbert(Sbert.Settings(checkpoint="owner/name")).identity()
    with pytest.raises(ValueError, match="hub id without a revision"):
        Sbert(Sbert.Settings(checkpoint="owner/name")).load()
