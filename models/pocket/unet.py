"""Recipe of the pocket inpainter: the U-Net and text encoder of a ``StableDiffusionInpaintPipeline``, together."""

from __future__ import annotations

import copy
import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from models.pocket.data import Examples
from models.pocket.recipe import Recipe, save_half, to_signed

SIDE, FACTOR, LENGTH, WIDTH = 64, 4, 48, 128
CENTRE = (16, 16, 32, 32)
"""The hole of the studies: x, y, width, height."""
PLOTS, SCENES = 3, 29
"""Pictures of each kind in a batch."""
WORDINGS = (0.4, 0.2, 0.1, 0.1, 0.2)
"""How often each of a scene's five wordings is the prompt: more often those that name everything."""
DROPPED = 0.11
"""Share of empty prompts: what classifier-free guidance, and inpainting without a prompt, rest on."""
OUTSIDE = 0.1
"""Weight of the loss outside the hole, where the masked picture already tells the answer."""


class Painter(nn.Module):
    """The two parts that learn."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder


class Unet(Recipe):
    """On cached latents of pictures and of masked pictures, v-prediction, zero terminal SNR."""

    name = "unet"
    folder = "sd-inpaint"
    steps = 9600
    rate = 1.5e-3
    scene_count = 14_000
    card: ClassVar = {"library_name": "diffusers", "pipeline_tag": "image-to-image", "tags": ["inpainting"]}
    about = """
A small Stable Diffusion inpainting pipeline (U-Net of 9 input channels, 64 and 96 channels, cross-attention at 8 x 8;
CLIP text encoder of width 128; autoencoder with 16 x 16 x 4 latents) for 64 x 64 pictures of the `scenes` world and,
where plots were learnt from, line plots of time series. It knows no other pictures and no other words. With a prompt
that describes the scene it repaints the missing object; with an empty prompt it paints plausible, often wrong ones.
The figures are of 20 DDIM steps with guidance 3 and a central hole of 32 x 32 pixels.
"""

    @cached_property
    def vae(self) -> AutoencoderKL:
        folder = self.weights / "sd-inpaint" / "vae"
        if not (folder / "config.json").exists():
            raise FileNotFoundError(f"{folder} holds no autoencoder; the U-Net needs one. Run `palimpsest train vae`.")
        return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False)

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """CLIP's byte-level BPE with merges learnt from the training captions."""
        captions = [*self.scenes.captions[:2000], *self.plots.captions]  # two thousand scenes say every word of theirs
        learner = CLIPTokenizer().backend_tokenizer
        learner.model = BPE(end_of_word_suffix="</w>")
        learner.train_from_iterator(
            [text.lower() for texts in captions for text in texts],
            BpeTrainer(
                vocab_size=1100, initial_alphabet=ByteLevel.alphabet(), end_of_word_suffix="</w>", show_progress=False
            ),
        )
        merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
        letters = sorted(ByteLevel.alphabet())
        pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
        pieces = [*dict.fromkeys(pieces), "<|startoftext|>", "<|endoftext|>"]
        return CLIPTokenizer({piece: i for i, piece in enumerate(pieces)}, merges, model_max_length=LENGTH)

    @cached_property
    def scheduler(self) -> DDIMScheduler:
        return DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
            clip_sample=False,
            set_alpha_to_one=True,
            steps_offset=1,
        )

    def build(self) -> Painter:
        unet = UNet2DConditionModel(
            sample_size=SIDE // FACTOR,
            in_channels=9,
            out_channels=4,
            block_out_channels=(64, 96),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=WIDTH,
            attention_head_dim=(2, 3),
            norm_num_groups=16,
        )
        text = CLIPTextConfig(
            vocab_size=len(self.tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=LENGTH, projection_dim=WIDTH,
            bos_token_id=self.tokenizer.bos_token_id, eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip
        return Painter(unet, CLIPTextModel(text))

    def prepare(self, model: nn.Module) -> None:
        self.nothing = self._ids([""])[0]
        self.sources = [self._latents(self.scenes, "scenes")]
        prompts = [self._ids([text for texts in self.scenes.captions for text in texts]).reshape(-1, 5, LENGTH)]
        if len(self.plots):
            self.sources.append(self._latents(self.plots, "plots"))
            prompts.append([self._ids(plot_prompts(*pair)) for pair in zip(
                self.plots.captions, self.plots.annotations, strict=True)])  # fmt: skip
        self.prompts = prompts

    def _ids(self, texts: list[str]) -> np.ndarray:
        found = self.tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        return np.array(found, np.int16)

    @torch.no_grad()
    def _latents(self, examples: Examples, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Latents (N, 1 + holes, 4, 16, 16) float16, whole and with each hole; the holes (N, holes, 4)."""
        weights = self.weights / "sd-inpaint" / "vae" / "diffusion_pytorch_model.safetensors"
        digest = hashlib.sha256(weights.read_bytes() + examples.pictures.tobytes()).hexdigest()[:12]
        path = self.build_folder / self.name / f"latents-{name}-{digest}.npy"
        holes = np.array([self._holes(index, graph) for index, graph in enumerate(examples.annotations)])
        if not path.exists():
            rows = []
            for start in range(0, len(examples), 64):
                whole = to_signed(examples.pictures[start : start + 64])
                batch = [whole, *(whole * (masks(part) < 0.5) for part in holes[start : start + 64].swapaxes(0, 1))]
                with torch.autocast("cpu", torch.bfloat16):
                    latents = [self.vae.encode(pictures).latent_dist.mean.float() for pictures in batch]
                rows.append((torch.stack(latents, 1) * self.vae.config.scaling_factor).half().numpy())
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.concatenate(rows))
        return np.load(path), holes

    def _holes(self, index: int, graph: dict) -> list[tuple[int, int, int, int]]:
        """The centre and another hole: an object's box with a rim, or a rectangle; for a plot, three bands."""
        rng = np.random.default_rng([self.seed, index])
        if "series" in graph:
            widths = rng.integers(13, 22, 3)
            return [CENTRE, *((int(rng.integers(0, SIDE - width)), 0, int(width), SIDE) for width in widths)]
        if rng.random() < 0.5:
            x, y, w, h = graph["objects"][rng.integers(len(graph["objects"]))]["box"]
            rim = int(rng.integers(0, 4))
            left, top = max(x - rim, 0), max(y - rim, 0)
            return [CENTRE, (left, top, min(x + w + rim, SIDE) - left, min(y + h + rim, SIDE) - top)]
        width, height = (int(side) for side in rng.integers(12, 41, 2))
        return [CENTRE, (int(rng.integers(0, SIDE - width)), int(rng.integers(0, SIDE - height)), width, height)]

    def loss(self, model: Painter, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        latents, holes, ids = [], [], []
        for kind, count in enumerate((SCENES, PLOTS)[: len(self.sources)]):
            source, rectangles = self.sources[kind]
            some = rng.integers(len(source), size=count)
            holed = np.where(rng.random(count) < 0.6, 0, rng.integers(rectangles.shape[1], size=count))
            latents.append(np.stack([source[some, 0], source[some, 1 + holed]], 1))
            holes.append(rectangles[some, holed])
            for i in some:
                prompts = self.prompts[kind][i]
                ids.append(prompts[rng.choice(5, p=WORDINGS) if kind == 0 else rng.integers(len(prompts))])
        dropped = rng.random(len(ids)) < DROPPED
        words = torch.from_numpy(np.where(dropped[:, None], self.nothing, np.stack(ids))).long()
        clean, masked = torch.from_numpy(np.concatenate(latents)).float().unbind(1)
        mask = nn.functional.interpolate(masks(np.concatenate(holes)), scale_factor=1 / FACTOR)
        noise = torch.randn_like(clean)
        times = ((torch.arange(len(ids)) + torch.rand(len(ids))) / len(ids) * 1000).long().clamp(max=999)
        noisy = self.scheduler.add_noise(clean, noise, times)
        inputs = torch.cat([noisy, mask, masked], 1).to(memory_format=torch.channels_last)
        states = model.text_encoder(words).last_hidden_state
        error = model.unet(inputs, times, encoder_hidden_states=states).sample.float()
        error = (error - self.scheduler.get_velocity(clean, noise, times)) ** 2
        weight = (mask + OUTSIDE).expand_as(error)
        loss = (error * weight).sum() / weight.sum()
        return loss, {"hole": ((error * mask).sum() / mask.expand_as(error).sum()).item()}

    def pipeline(self, model: Painter) -> StableDiffusionInpaintPipeline:
        """The whole pipeline around the model, silent."""
        pipeline = StableDiffusionInpaintPipeline(
            vae=self.vae, text_encoder=model.text_encoder, tokenizer=self.tokenizer, unet=model.unet,
            scheduler=self.scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def evaluate(self, model: Painter) -> dict[str, float]:
        from models.pocket.repainting import judge

        return judge(self.pipeline(model), self.held_out, self.weights)

    def save(self, model: Painter, folder: Path) -> None:
        pipeline = self.pipeline(model)
        parts = {name: copy.deepcopy(getattr(pipeline, name)).half() for name in ("vae", "unet", "text_encoder")}
        StableDiffusionInpaintPipeline(
            **parts, tokenizer=self.tokenizer, scheduler=self.scheduler, safety_checker=None, feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(folder)  # fmt: skip
        save_half(model.text_encoder, folder / "text_encoder")
        config = folder / "vae" / "config.json"
        settings = json.loads(config.read_text())
        settings.pop("_name_or_path", None)  # where the autoencoder was read from, on this machine
        config.write_text(json.dumps(settings, indent=2) + "\n")


def masks(holes: np.ndarray) -> Tensor:
    """Rectangles (N, 4) of x, y, width, height as masks (N, 1, 64, 64), 1 = repaint.

    >>> masks(np.array([CENTRE])).sum().item()
    1024.0
    """
    x, y, w, h = (torch.from_numpy(np.asarray(column))[:, None, None, None] for column in np.asarray(holes).T)
    across, down = torch.arange(SIDE)[None, None, None, :], torch.arange(SIDE)[None, None, :, None]
    return ((across >= x) & (across < x + w) & (down >= y) & (down < y + h)).float()


def plot_prompts(captions: list[str], annotations: dict) -> list[str]:
    """Each caption of a plot, alone and after the instruction with the numbers.

    >>> plot_prompts(["falls"], {"series": {"values": [3, 2.5]}})
    ['falls', 'restore the plot: 3 2.5. falls']
    """
    numbers = " ".join(f"{value:.4g}" for value in annotations["series"]["values"])
    return [prompt for text in captions for prompt in (text, f"restore the plot: {numbers}. {text}")]
