"""A BLIP checkpoint of random weights: the real architecture, tiny, in transformers' layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For networks this small a second thread is only waited for."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pictures of 32 × 32 pixels, 30 words, 12 positions; weights so large that pictures get captions of their own."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    words = [a + b for a in "bdfklm" for b in "aeiou"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *words])}
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**layers, "vocab_size": len(vocabulary), "max_position_embeddings": 12, "bos_token_id": 5,
            "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0, "initializer_range": 0.5}  # fmt: skip
    vision = {**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.5}
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, initializer_range=0.5))
    folder = tmp_path_factory.mktemp("blip")
    model.save_pretrained(folder)
    BlipProcessor(
        BlipImageProcessor(size={"height": 32, "width": 32}),
        BertTokenizer(vocabulary, bos_token="[DEC]", model_max_length=12),
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def pictures() -> Callable[..., list[np.ndarray]]:
    """Makes ``count`` noisy pictures of one size."""

    def make(count: int, height: int = 32, width: int = 32) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        return [np.resize(np.kron(one, np.ones((8, 8, 1), np.uint8)), (height, width, 3)) for one in coarse]

    return make
