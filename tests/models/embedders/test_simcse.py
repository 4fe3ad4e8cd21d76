"""A random BERT: agreement with the authors' way to call it, norm and invariance do not need a trained one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, BertTokenizer, BertTokenizerFast, DistilBertConfig
from transformers import DistilBertModel as Distilled

from models.embedders.simcse import Simcse, SupervisedSimcse, UnsupervisedSimcse

WORDS = ["a", "the", "man", "horse", "dog", "rides", "on", "beach", "red", "blue"]
TEXTS = ["a man rides a horse", "", "the red dog", "blue " * 500, "a man", "a man rides a red horse on the beach", "a"]
KINDS = (SupervisedSimcse, UnsupervisedSimcse)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simcse")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizer({piece: i for i, piece in enumerate(pieces)}, model_max_length=256).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def embedder(kind: type[Simcse], checkpoint: Path) -> Simcse:
    made = kind(kind.Settings(checkpoint=str(checkpoint)))
    made.load()
    return made


@pytest.fixture(scope="module", params=KINDS)
def simcse(request: pytest.FixtureRequest, checkpoint: Path) -> Simcse:
    return embedder(request.param, checkpoint)


def by_hand(checkpoint: Path, pooling: str, texts: list[str]) -> torch.Tensor:
    """What SimCSE's README does: one padded batch, ``pooler_output`` or the CLS state, without a norm."""
    tokenizer, model = BertTokenizerFast.from_pretrained(checkpoint), AutoModel.from_pretrained(checkpoint).eval()
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    return output.pooler_output if pooling == "pooler" else output.last_hidden_state[:, 0]


def test_cosines_are_those_of_plain_transformers(simcse: Simcse, checkpoint: Path) -> None:
    raw = by_hand(checkpoint, simcse.pooling, TEXTS).tolist()
    ours = simcse.embed(TEXTS)
    for i, one in enumerate(raw):
        for j, other in enumerate(raw):
            dot = sum(x * y for x, y in zip(one, other, strict=True))
            cosine = dot / math.sqrt(sum(x * x for x in one)) / math.sqrt(sum(y * y for y in other))
            assert ours[i] @ ours[j] == pytest.approx(cosine, abs=1e-5)


def test_the_pooler_is_one_layer_and_tanh_over_cls(checkpoint: Path) -> None:
    state = BertModel.from_pretrained(checkpoint).pooler.dense
    expected = torch.tanh(state(by_hand(checkpoint, "cls", TEXTS)))
    expected = (expected / expected.norm(dim=1, keepdim=True)).detach().numpy()
    np.testing.assert_allclose(embedder(SupervisedSimcse, checkpoint).embed(TEXTS), expected, atol=1e-5)


def test_unit_norm_float32(simcse: Simcse) -> None:
    vectors = simcse.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert simcse.embed([]).shape == (0, 32)


def test_a_vector_does_not_see_its_neighbours(simcse: Simcse) -> None:
    together = simcse.embed(TEXTS)
    alone = np.concatenate([simcse.embed([text]) for text in reversed(TEXTS)])[::-1]
    if simcse.device == "cpu":
        np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_batches_of_a_gpu_keep_the_order(simcse: Simcse, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = simcse.embed(TEXTS)
    monkeypatch.setattr(simcse, "_batch_size", 3)
    np.testing.assert_allclose(simcse.embed(TEXTS), expected, atol=1e-6)


def test_text_is_cut_at_128_tokens(simcse: Simcse) -> None:
    kept = "blue " * 126  # and [CLS] and [SEP]
    np.testing.assert_array_equal(simcse.embed([kept]), simcse.embed([kept + "red " * 50]))
    assert not np.array_equal(simcse.embed(["blue " * 125]), simcse.embed(["blue " * 125 + "red"]))


@pytest.mark.parametrize("odd", ["\x00", "\U0001f600", "שלום", "a\nb", "word " * 10_000])
def test_odd_texts_have_vectors(simcse: Simcse, odd: str) -> None:
    assert np.isfinite(simcse.embed([odd])).all()


def test_the_two_kinds_are_two_keys(checkpoint: Path) -> None:
    sup, unsup = (kind(kind.Settings(checkpoint=str(checkpoint))).identity() for kind in KINDS)
    assert sup["checkpoint"] == unsup["checkpoint"]
    assert sup["checkpoint"].startswith("sha256:")
    assert (sup["pooling"], unsup["pooling"]) == ("pooler", "cls")
    with pytest.raises(ValueError, match="hub id without a revision"):
        SupervisedSimcse(Simcse.Settings(checkpoint="princeton-nlp/sup-simcse-bert-base-uncased")).load()


def test_a_checkpoint_without_pooler_serves_where_none_is_used(checkpoint: Path, tmp_path: Path) -> None:
    """transformers would draw a random pooler, and every cosine of it would be wrong without a word."""
    BertModel.from_pretrained(checkpoint, add_pooling_layer=False).save_pretrained(tmp_path)
    BertTokenizerFast.from_pretrained(checkpoint).save_pretrained(tmp_path)
    expected = embedder(UnsupervisedSimcse, checkpoint).embed(TEXTS)
    np.testing.assert_array_equal(embedder(UnsupervisedSimcse, tmp_path).embed(TEXTS), expected)
    with pytest.raises(ValueError, match="has no 'pooler.dense.bias' and lacks 1 more weights of a BertModel"):
        embedder(SupervisedSimcse, tmp_path)


def test_another_architecture_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    Distilled(DistilBertConfig(vocab_size=15, dim=16, n_layers=1, n_heads=2, hidden_dim=16)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is of type 'distilbert', not the BERT or RoBERTa that SimCSE needs"):
        embedder(SupervisedSimcse, tmp_path)
