"""Inpainting checkpoints of random weights: the real architectures, tiny, in diffusers' layout."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from models.adapters.catalogue import build

LETTERS = [chr(code) for code in range(33, 127)]


def tokenizer_and_text(**options):
    """CLIP's tokenizer of letters and the configuration of a text encoder, both of 16 tokens."""
    from transformers import CLIPTextConfig, CLIPTokenizer

    pieces = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    text = CLIPTextConfig(
        vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=len(pieces) - 2, eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1, **options,
    )  # fmt: skip
    return CLIPTokenizer({piece: index for index, piece in enumerate(pieces)}, [], model_max_length=16), text


def random_pipeline(channels: int):
    """Autoencoder with factor 4, U-Net of ``channels`` input channels, CLIP text encoder; seed 0."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    tokenizer, text = tokenizer_and_text()
    torch.manual_seed(0)
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


def random_pipeline_3(channels: int, t5: bool = False, shift: float = 0.0):
    """Autoencoder with factor 4, transformer of patches of 2 and ``channels`` input channels, two CLIPs of widths 16
    and 16, which fill 32 of the transformer's 40, and a T5 of 40 where it is wanted; seed 0."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3InpaintPipeline,
    )
    from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5TokenizerFast

    tokenizer, text = tokenizer_and_text(projection_dim=12)
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, sample_size=32, latent_channels=16,
        scaling_factor=1.5, shift_factor=shift, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=channels, out_channels=16, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=40, caption_projection_dim=32, pooled_projection_dim=24,
        pos_embed_max_size=24,
    )  # fmt: skip
    encoders = [CLIPTextModelWithProjection(text) for _ in range(2)]
    letters = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((one, -3.0) for one in LETTERS)]
    third = T5Config(vocab_size=len(letters), d_model=40, d_kv=10, d_ff=40, num_layers=1, num_heads=4)
    return StableDiffusion3InpaintPipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=vae,
        text_encoder=encoders[0], tokenizer=tokenizer, text_encoder_2=encoders[1], tokenizer_2=tokenizer,
        text_encoder_3=T5EncoderModel(third) if t5 else None,
        tokenizer_3=T5TokenizerFast(letters, extra_ids=0) if t5 else None,
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
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes a checkpoint of an adapter: ``make_checkpoint(adapter, channels of its denoiser, ...)``."""
    makers = {"stable-diffusion": random_pipeline, "stable-diffusion-3": random_pipeline_3}

    @functools.cache
    def make(adapter: str, channels: int, **options: float) -> str:
        folder = tmp_path_factory.mktemp(adapter)
        makers[adapter](channels, **options).save_pretrained(folder)
        return str(folder)

    return make


@dataclass(frozen=True)
class Layout:
    """One kind of checkpoint, and its adapter."""

    adapter: str
    checkpoint: str
    blends: bool

    def painter(self, **settings: Any) -> Any:
        """The adapter, loaded; two steps, of full strength unless said otherwise."""
        made = self.unloaded(**settings)
        made.load()
        return made

    def unloaded(self, **settings: Any) -> Any:
        least = {"steps": 2, "strength": 1.0, "guidance": 4.0, **self.tokens}
        return build("inpainters", "mine", {"adapter": self.adapter, "checkpoint": self.checkpoint} | least | settings)

    @property
    def tokens(self) -> dict[str, int]:
        return {"max_sequence_length": 4} if self.adapter == "stable-diffusion-3" else {}

    @staticmethod
    def denoiser(inpainter: Any) -> Any:
        return getattr(inpainter._pipeline, inpainter.DENOISER[0])


KINDS = [("stable-diffusion", 9), ("stable-diffusion", 4), ("stable-diffusion-3", 33), ("stable-diffusion-3", 16)]


@pytest.fixture(scope="session", params=KINDS, ids=lambda kind: f"{kind[0]}-of-{kind[1]}")
def layout(request: pytest.FixtureRequest, make_checkpoint: Callable[..., str]) -> Layout:
    """All four: for inpainting and blended."""
    adapter, channels = request.param
    return Layout(adapter, make_checkpoint(adapter, channels), channels in (4, 16))


@pytest.fixture(scope="session")
def in_batches() -> Callable[..., list[np.ndarray]]:
    """Repaints in calls of so many: ``in_batches(inpainter, size, *inputs)``."""

    def paint(inpainter: Any, size: int, *inputs: list) -> list[np.ndarray]:
        slices = (slice(start, start + size) for start in range(0, len(inputs[0]), size))
        return list(itertools.chain.from_iterable(inpainter.inpaint(*(one[some] for one in inputs)) for some in slices))

    return paint


@pytest.fixture(scope="session")
def batch_shapes() -> Callable[..., Any]:
    """Patches a network to write down the batch size of each of its forwards: ``shapes, spied = ...``."""

    def spied(model: Any) -> tuple[list[int], Any]:
        shapes, forward = [], model.forward

        def spy(*args: Any, **kwargs: Any) -> Any:
            shapes.append(len(args[0] if args else kwargs["hidden_states"]))
            return forward(*args, **kwargs)

        return shapes, patch.object(model, "forward", spy)

    return spied


@pytest.fixture
def pictures() -> Callable[..., tuple[list[np.ndarray], list[np.ndarray]]]:
    """Makes ``count`` noisy pictures of one size and masks with a hole in the middle."""

    def make(count: int, height: int = 16, width: int = 16) -> tuple[list[np.ndarray], list[np.ndarray]]:
        rng = np.random.default_rng(0)
        mask = np.zeros((height, width), bool)
        mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)), [mask] * count

    return make
