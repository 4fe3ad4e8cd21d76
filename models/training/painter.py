"""Recipe of the pocket painter: Stable Diffusion 3's text-to-image pipeline for scenes, flow matching."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from models.media.images import from_float
from models.pocket.probe import load, to_signed
from models.training import data, words
from models.training.descriptions import described, told, worded
from models.training.painted import judge, sheet
from models.training.painting import Naming, autoencoder, save_pipeline
from models.training.recipe import Recipe
from models.training.seeing import CLASSES
from models.training.unet import WEIGHTS
from models.worlds import example, version

HEADS, HEAD, LAYERS = 3, 32, 6
MIDDLE = 3
"""The block after which the image tokens name what they will show."""
CLIPS = ((96, 3), (32, 2))
"""Width and layers of both text encoders. The pipeline takes the last but one; the last is for the pooled state."""
LENGTH = 95
"""Tokens of a prompt. The pipeline adds one of zeros in T5's place."""
WORDED = 5
"""Descriptions of each scene."""
DROPPED = 0.1
"""Share of empty prompts, on which classifier-free guidance rests."""
NAMING = 0.1
"""Weight of the naming loss."""
STEPS, GUIDANCE = 16, 3.0

Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A picture (64, 64, 3), ids of its descriptions (WORDED, LENGTH) and its patches' classes (64, 4)."""


class Painter(nn.Module):
    """The three parts that learn, and the head that teaches them."""

    middle: Tensor

    def __init__(self, transformer: SD3Transformer2DModel, encoders: list[CLIPTextModelWithProjection]) -> None:
        super().__init__()
        self.transformer = transformer
        self.encoders = nn.ModuleList(encoders)
        self.naming = Naming(transformer.inner_dim)

    def forward(self, noisy: Tensor, sigma: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The flow (N, C, h, w) and what the head names in each patch (N, patches, classes)."""
        # as the pipeline does it: the last layers but one side by side, and a token of zeros for T5
        found = [encoder(ids, output_hidden_states=True) for encoder in self.encoders]
        flow = self.transformer(
            hidden_states=noisy,
            timestep=sigma * 1000,
            encoder_hidden_states=pad(torch.cat([one.hidden_states[-2] for one in found], -1), (0, 0, 0, 1)),
            pooled_projections=torch.cat([one.text_embeds for one in found], -1),
            return_dict=False,
        )[0]
        return flow, self.naming(self.middle)

    def overhear(self) -> None:
        """Keep the image tokens behind :data:`MIDDLE` for the head, from now on."""

        def keep(block: nn.Module, inputs: Any, outputs: tuple[Tensor, Tensor]) -> None:
            self.middle = outputs[1]

        self.transformer.transformer_blocks[MIDDLE].register_forward_hook(keep)


class Sd3Painter(Recipe[Painter]):
    """On cached latents and token ids of scenes, all of them on the device."""

    name = "sd3-paint"
    folder = "sd3-paint"
    vae_folder = "sd2-inpaint/vae"
    steps = 20_000
    rate = 1.5e-3
    counts: ClassVar = {"scenes": 120_000}
    learns_plots = False
    checkpoint_every = 2000
    judged: ClassVar[int] = 300
    """Held-out scenes that are described, twice each, and painted."""
    batch: ClassVar = {"cuda": 512, "cpu": 64}
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "text-to-image"}
    about = f"""
A small Stable Diffusion 3 pipeline (multimodal diffusion transformer of {LAYERS} joint blocks of width {HEADS * HEAD};
two CLIP text encoders of width 96 and 32, no T5; the autoencoder of the pocket SD 2; flow matching) that paints
`scenes` of 64 x 64 pixels from what captions say: all of a scene or a part, in one sentence or several. What is not
said may be anything. It knows no other pictures and no other words. While it learnt, a linear head named in its middle
what stands where; the head is not shipped. Load it with `text_encoder_3=None, tokenizer_3=None`, and sample with
`max_sequence_length=1`, since a token of zeros stands for T5.

The figures are of {STEPS} steps with guidance {GUIDANCE:g}: shares of the attributes and relations that unseen
descriptions name and the probe finds in their paintings (`models.training.painted`). `wordings` are descriptions in the
five wordings of the world, `told` are free ones; `autoencoder` are the scenes that `told` is about, encoded and
decoded: the ceiling.

![Paintings and what they are of](painted.png)
"""

    @cached_property
    def vae(self) -> AutoencoderKL:
        return autoencoder(self.weights / self.vae_folder, self.name)

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """CLIP's byte pairs, learnt from the descriptions of two thousand scenes."""
        rng = np.random.default_rng(self.seed)
        graphs = [example("scenes", data.TRAIN_SEED, k).graph for k in range(2000)]
        return words.clip_tokenizer([described(graph, rng) for graph in graphs for _ in range(2)], LENGTH)

    @cached_property
    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        return FlowMatchEulerDiscreteScheduler(shift=2.0)

    def build(self) -> Painter:
        width = sum(width for width, _ in CLIPS)
        transformer = SD3Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=LAYERS, attention_head_dim=HEAD,
            num_attention_heads=HEADS, joint_attention_dim=width, caption_projection_dim=HEADS * HEAD,
            pooled_projection_dim=width, pos_embed_max_size=8, qk_norm="rms_norm",
        )  # fmt: skip
        return Painter(transformer, [CLIPTextModelWithProjection(self._text(*size)) for size in CLIPS])

    def _text(self, width: int, layers: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(self.tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
            num_attention_heads=width // 32 or 1, max_position_embeddings=LENGTH, projection_dim=width,
            bos_token_id=self.tokenizer.bos_token_id, eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip

    def prepare(self, model: Painter) -> None:
        pictures, ids, classes = self._shown()
        latents = self._latents(pictures)
        sample = latents[:4096].float()
        self.shift, self.scale = round(float(sample.mean()), 4), round(1 / float(sample.std()), 4)
        self.vae.register_to_config(shift_factor=self.shift, scaling_factor=self.scale)
        self.latents = ((latents - self.shift) * self.scale).half()
        self.ids, self.classes = self.tensor(ids), self.tensor(classes)
        self.nothing = self.tensor(ids_of(self.tokenizer, [""]))
        model.overhear()
        if self.device == "cuda":
            for block in model.transformer.transformer_blocks:  # they are alike: compiled once
                block.compile()

    def _shown(self) -> Shown:
        """Pictures, ids and classes of all scenes, made by all cores and kept."""
        count = self.counts["scenes"]
        said = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:8]
        path = self.build_folder / "shown" / f"scenes-v{version('scenes')}-{count}-{said}.npz"
        if not path.exists():
            one = partial(shown, self.tokenizer)
            with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
                made = list(pool.map(one, range(count), chunksize=500))
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, *(np.stack(part) for part in zip(*made, strict=True)))
        with np.load(path) as kept:
            return kept["arr_0"], kept["arr_1"], kept["arr_2"]

    @torch.no_grad()
    def _latents(self, pictures: np.ndarray) -> Tensor:
        """The autoencoder's means, (N, 4, 16, 16) float16 on the device."""
        vae = nn.Module.to(self.vae, self.device)
        rows = []
        for start in range(0, len(pictures), 500):
            with torch.autocast(self.device, torch.bfloat16):
                some = to_signed(pictures[start : start + 500]).to(self.device)
                rows.append(vae.encode(some).latent_dist.mean.half())
        vae.cpu()
        return torch.cat(rows)

    def loss(self, model: Painter, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, Any]]:
        count, device = self.batch[self.device], self.device
        some = torch.randint(len(self.latents), (count,), device=device)
        clean = self.latents[some].float()
        ids = self.ids[some, torch.randint(WORDED, (count,), device=device)]
        ids = torch.where(torch.rand(count, 1, device=device) < DROPPED, self.nothing, ids).long()
        # normal before the sigmoid (Esser et al. 2024), with more of the noisy steps, in which the prompt decides
        sigma = (0.4 + 1.2 * torch.randn(count, device=device)).sigmoid()
        noise, level = torch.randn_like(clean), sigma[:, None, None, None]
        flow, named = model((1 - level) * clean + level * noise, sigma, ids)
        drawn = ((flow.float() - (noise - clean)) ** 2).mean()
        truth = self.classes[some].long().flatten(0, 1)
        parts = named.float().flatten(0, 1).split(CLASSES, -1)
        each = [cross_entropy(part, truth[:, k], reduction="none").view(count, -1).mean(1)
                for k, part in enumerate(parts)]  # fmt: skip
        names = torch.stack([((1 - sigma) * one).mean() for one in each]).sum()
        return drawn + NAMING * names, {"flow": drawn.detach(), "names": names.detach()}

    def pipeline(self, model: Painter) -> StableDiffusion3Pipeline:
        parts: dict[str, Any] = {  # diffusers' annotations know of no part that is left out
            "transformer": model.transformer, "scheduler": self.scheduler, "vae": self.vae,
            "text_encoder": model.encoders[0], "tokenizer": self.tokenizer,
            "text_encoder_2": model.encoders[1], "tokenizer_2": self.tokenizer,
            "text_encoder_3": None, "tokenizer_3": None,
        }  # fmt: skip
        pipeline = StableDiffusion3Pipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def evaluate(self, model: Painter) -> dict[str, float]:
        pipeline = self.pipeline(model).to("cuda" if torch.cuda.is_available() else "cpu")
        paint, probe, rng = partial(painted, pipeline), load(self.weights / "probe"), np.random.default_rng(0)
        scenes = [example("scenes", data.HELD_OUT_SEED, k) for k in range(self.judged)]
        figures: dict[str, float] = {}
        for name, way in {"wordings": worded, "told": told}.items():
            found = [way(one.graph, rng) for one in scenes]
            figures |= {f"{name} {part}": share for part, share in judge(paint, found, probe).items()}
        texts = [one.text for one in found[:24]]
        sheet(paint(texts), texts).save(self.weights / self.folder / "painted.png")
        truth = to_signed(np.stack([one.picture for one in scenes]))
        coded = from_float((nn.Module.to(self.vae, "cpu")(truth).sample.numpy() + 1) / 2)
        ceiling = judge(lambda _: coded, found, probe)
        return figures | {f"autoencoder {part}": share for part, share in ceiling.items()}

    def save(self, model: Painter, folder: Path) -> None:
        """Save the pipeline with a link to SD 2's autoencoder weights, of which one copy is enough."""
        save_pipeline(self.pipeline(model), folder)
        link = folder / "vae" / WEIGHTS
        link.unlink()
        link.symlink_to(os.path.relpath(self.weights / self.vae_folder / WEIGHTS, link.parent))


def ids_of(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> np.ndarray:
    """Token ids (N, LENGTH) as the pipeline makes them."""
    found = tokenizer(list(texts), padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
    return np.array(found, np.int16)


def shown(tokenizer: CLIPTokenizer, index: int) -> Shown:
    """What is learnt from scene ``index``."""
    made, rng = example("scenes", data.TRAIN_SEED, index), np.random.default_rng([0, index])
    texts = [described(made.graph, rng) for _ in range(WORDED)]
    return made.picture, ids_of(tokenizer, texts), data.dense_labels([made.graph])[0][0]


def painted(pipeline: Any, texts: Sequence[str], steps: int = STEPS, guidance: float = GUIDANCE) -> list[np.ndarray]:
    """A painting of each text, from a generator seeded with its place."""
    results = []
    for start in range(0, len(texts), 64):
        some = list(texts[start : start + 64])
        results.append(
            pipeline(
                prompt=some, height=64, width=64, num_inference_steps=steps, guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(start + place) for place in range(len(some))],
                max_sequence_length=1, output_type="np",
            ).images
        )  # fmt: skip
    return from_float(np.concatenate(results).transpose(0, 3, 1, 2))
