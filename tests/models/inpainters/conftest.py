"""A Stable Diffusion inpainting checkpoint of random weights: the real architecture, tiny, in diffusers' layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest


def random_pipeline(channels: int):
    """Autoencoder with factor 4, U-Net of ``channels`` input channels, CLIP text encoder of 16 tokens; seed 0."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer({piece: index for index, piece in enumerate(pieces)}, [], model_max_length=16)
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=len(pieces) - 2, eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1,
    )  # fmt: skip
    return StableDiffusionInpaintPipeline(
        vae=AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
            block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, sample_size=32,
        ),
        unet=UNet2DConditionModel(
            sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16, attention_head_dim=(2, 4), norm_num_groups=8,
        ),
        text_encoder=CLIPTextModel(text), tokenizer=tokenizer,
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For networks this small a second thread is only waited for."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """Makes checkpoints: ``make_checkpoint(channels of the U-Net)``."""

    def make(channels: int) -> str:
        folder = tmp_path_factory.mktemp("sd")
        random_pipeline(channels).save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint: Callable[[int], str]) -> str:
    return make_checkpoint(9)


@pytest.fixture
def pictures() -> Callable[..., tuple[list[np.ndarray], list[np.ndarray]]]:
    """Makes ``count`` noisy pictures of one size and masks with a hole in the middle."""

    def make(count: int, height: int = 16, width: int = 16) -> tuple[list[np.ndarray], list[np.ndarray]]:
        rng = np.random.default_rng(0)
        mask = np.zeros((height, width), bool)
        mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)), [mask] * count

    return make
