"""Base of the recipes of the pocket inpainters: cached latents, holes, prompts, and naming of what is missing.

A diffusion loss of small pictures hardly rewards reading: which texture was named moves it by a thousandth. So, beside
it, a linear head names in the middle of the network what the object under each patch of the hole is, as alignment with
a trained encoder does for large models (Yu et al. 2024, "Representation alignment for generation"), here with the
world's own truth. The head is not shipped.
"""

from __future__ import annotations

import copy
import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from transformers import CLIPTextConfig, CLIPTokenizer

from models.inpainters.prompts import prompt
from models.training import words
from models.training.data import Examples, dense_labels
from models.training.recipe import Model, Recipe, to_signed
from models.training.seeing import CLASSES, SHAPES

SIDE, LENGTH = 64, 48
CENTRE = (16, 16, 32, 32)
"""The hole of the studies: x, y, width, height."""
SHARES = {"scenes": 22, "referring": 3, "series": 2, "plots": 2, "radiographs": 2, "spectrograms": 3}
"""Pictures of each world in a batch."""
WORDINGS = (0.4, 0.2, 0.1, 0.1, 0.2)
"""How often each of a scene's five wordings is the prompt: more often those that name everything."""
DROPPED = 0.11
"""Share of empty prompts: what classifier-free guidance, and inpainting without a prompt, rest on."""
OUTSIDE = 0.1
"""Weight of the loss outside the hole, where the masked picture already tells the answer."""
NAMING = 0.3
"""Weight of the naming loss."""


class Batch(NamedTuple):
    """Latents (N, C, h, w) of pictures and of masked pictures, masks (N, 1, h, w) with 1 = repaint, token ids
    (N, LENGTH), and of the first pictures, which are those of shapes, the classes (n, patches, 4) with -100 where
    nothing is to be named."""

    clean: Tensor
    masked: Tensor
    mask: Tensor
    ids: Tensor
    names: Tensor


class Painting(Recipe[Model]):
    """An inpainter on cached latents."""

    vae_folder: ClassVar[str]
    factor: ClassVar[int]
    """Pixels of a latent's side."""
    sampling: ClassVar[Mapping[str, Any]] = {}
    """Arguments of the pipeline beside the usual."""
    counts: ClassVar[Mapping[str, int]] = {
        "scenes": 24_000, "referring": 6000, "series": 4000, "radiographs": 3000, "spectrograms": 4000,
    }  # fmt: skip

    @cached_property
    def vae(self) -> AutoencoderKL:
        return autoencoder(self.weights / self.vae_folder, self.name)

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """CLIP's byte pairs, learnt from the training captions; two thousand say all words of a world's."""
        texts = [text for one in self.sources.values() for texts in one.captions[:2000] for text in texts]
        return words.clip_tokenizer(texts, LENGTH)

    def text_config(self, width: int, layers: int) -> CLIPTextConfig:
        """A CLIP text encoder for the tokenizer."""
        return CLIPTextConfig(
            vocab_size=len(self.tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
            num_attention_heads=4, max_position_embeddings=LENGTH, projection_dim=width,
            bos_token_id=self.tokenizer.bos_token_id, eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip

    def prepare(self, model: Model) -> None:
        self.nothing = self._ids([""])[0]
        self.prompts, self.holes, self.latents, self.labels = {}, {}, {}, {}
        for name, examples in self.sources.items():
            texts = [prompts(*pair) for pair in zip(examples.captions, examples.annotations, strict=True)]
            ids = self._ids([text for some in texts for text in some])
            self.prompts[name] = np.split(ids, np.cumsum([len(some) for some in texts])[:-1])
            self.holes[name] = np.array([holes([self.seed, k], one) for k, one in enumerate(examples.annotations)])
            self.latents[name] = self._latents(name, examples, self.holes[name])
            if name in SHAPES:
                self.labels[name] = dense_labels(examples.annotations)[0]

    def _ids(self, texts: list[str]) -> np.ndarray:
        found = self.tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        return np.array(found, np.int16)

    @torch.no_grad()
    def _latents(self, name: str, examples: Examples, rectangles: np.ndarray) -> np.ndarray:
        """Latents (N, 1 + holes, C, h, w) float16, whole and with each hole."""
        weights = self.weights / self.vae_folder / "diffusion_pytorch_model.safetensors"
        digest = hashlib.sha256(weights.read_bytes() + examples.pictures.tobytes() + rectangles.tobytes())
        path = self.build_folder / "latents" / f"{name}-{digest.hexdigest()[:12]}.npy"
        if not path.exists():
            vae, rows = nn.Module.to(self.vae, self.device), []
            for start in range(0, len(examples), 64):
                whole = to_signed(examples.pictures[start : start + 64])
                batch = [
                    whole,
                    *(whole * (masks(part) < 0.5) for part in rectangles[start : start + 64].swapaxes(0, 1)),
                ]
                with torch.autocast(self.device, torch.bfloat16):
                    found = [vae.encode(pictures.to(self.device)).latent_dist.mean.float() for pictures in batch]
                rows.append((torch.stack(found, 1) * vae.config["scaling_factor"]).half().cpu().numpy())
            vae.cpu()
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.concatenate(rows))
        return np.load(path)

    def draw(self, rng: np.random.Generator) -> Batch:
        """A batch with the shares of :data:`SHARES`."""
        latents, rectangles, ids, names = [], [], [], []
        for name in self.sources:
            count = SHARES[name]
            some = rng.integers(len(self.latents[name]), size=count)
            holed = np.where(rng.random(count) < 0.6, 0, rng.integers(self.holes[name].shape[1], size=count))
            latents.append(np.stack([self.latents[name][some, 0], self.latents[name][some, 1 + holed]], 1))
            rectangles.append(self.holes[name][some, holed])
            for k in some:
                texts = self.prompts[name][k]
                ids.append(texts[rng.choice(5, p=WORDINGS) if name == "scenes" else rng.integers(len(texts))])
            if name in self.labels:
                names.append(self.labels[name][some])
        dropped = rng.random(len(ids)) < DROPPED
        clean, masked = self.tensor(np.concatenate(latents)).float().unbind(1)
        whole = masks(np.concatenate(rectangles))
        labels = torch.from_numpy(np.concatenate(names)).long()
        within = interpolate(whole[: len(labels)], scale_factor=1 / 8, mode="area").flatten(1) > 0.5
        return Batch(
            clean, masked, interpolate(whole, scale_factor=1 / self.factor).to(self.device),
            self.tensor(np.where(dropped[:, None], self.nothing, np.stack(ids))).long(),
            labels.masked_fill(~within[..., None], -100).to(self.device),
        )  # fmt: skip

    def moments(self, count: int) -> Tensor:
        """One time in [0, 1) from each of ``count`` equal parts of it, in any order."""
        return (torch.randperm(count, device=self.device) + torch.rand(count, device=self.device)) / count

    def score(self, batch: Batch, error: Tensor, said: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss of squared errors (N, C, h, w) and of what the head says (N, patches, classes), and its parts."""
        weight = (batch.mask + OUTSIDE).expand_as(error)
        drawn = (error * weight).sum() / weight.sum()
        classes = said[: len(batch.names)].float().split(CLASSES, -1)
        each = [cross_entropy(one.flatten(0, 1), batch.names[..., k].flatten()) for k, one in enumerate(classes)]
        hole = (error * batch.mask).sum() / batch.mask.expand_as(error).sum()
        parts = {"hole": hole.item(), "shape": each[0].item(), "texture": each[2].item()}
        return drawn + NAMING * sum(each), parts

    @abstractmethod
    def pipeline(self, model: Model) -> Any:
        """The whole pipeline around the model, silent."""

    def evaluate(self, model: Model) -> dict[str, float]:
        from models.training.repainting import judge, sheet

        pipeline = self.pipeline(model)
        sheet(pipeline, self.held_out, **self.sampling).save(self.weights / self.folder / "repainted.png")
        return judge(pipeline, self.held_out, self.weights, **self.sampling)

    def save(self, model: Model, folder: Path) -> None:
        save_pipeline(self.pipeline(model), folder)


def autoencoder(folder: Path, recipe: str) -> AutoencoderKL:
    """The trained autoencoder of a recipe, which does not learn any more.

    Raises ``FileNotFoundError`` where there is none.
    """
    if not (folder / "config.json").exists():
        raise FileNotFoundError(f"{folder} holds no autoencoder; {recipe} needs one. Train it first.")
    return AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False)


def save_pipeline(pipeline: Any, folder: Path) -> None:
    """Save a pipeline in float16, to be computed with in float32 unless its user says otherwise."""
    copy.deepcopy(pipeline).to(dtype=torch.float16).save_pretrained(folder)
    for config in folder.glob("*/config.json"):
        settings = json.loads(config.read_text())
        settings.pop("_name_or_path", None)  # where a part was read from, on this machine
        if "dtype" in settings:
            settings["dtype"] = "float32"  # computed in by default
        config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


class Naming(nn.Linear):
    """The head that names what stands under each patch."""

    def __init__(self, width: int) -> None:
        super().__init__(width, sum(CLASSES))


@contextmanager
def overheard(block: nn.Module) -> Iterator[list[Any]]:
    """Collect the outputs of a block inside a network while the network is used.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> with overheard(network[0]) as heard:
    ...     whole = network(torch.zeros(5, 2))
    >>> heard[0].shape
    torch.Size([5, 3])
    """
    heard: list[Any] = []
    hook = block.register_forward_hook(lambda block, inputs, output: heard.append(output))
    yield heard
    hook.remove()


def holes(seed: Sequence[int], graph: Mapping[str, Any]) -> list[tuple[int, int, int, int]]:
    """Holes of a picture: first as the studies make them (the centre, the referred object's box, a band of a plot),
    then elsewhere.

    >>> holes([0], {})[0] == CENTRE
    True
    """
    rng = np.random.default_rng(seed)
    if "series" in graph:
        widths = rng.integers(13, 22, 3)
        return [(int(rng.integers(0, SIDE - width)), 0, int(width), SIDE) for width in widths]
    first = tuple(graph["objects"][graph["target"]]["box"]) if "target" in graph else CENTRE
    if graph.get("relations") is not None and rng.random() < 0.5:
        x, y, w, h = graph["objects"][rng.integers(len(graph["objects"]))]["box"]
        rim = int(rng.integers(0, 4))
        left, top = max(x - rim, 0), max(y - rim, 0)
        return [first, (left, top, min(x + w + rim, SIDE) - left, min(y + h + rim, SIDE) - top)]
    width, height = (int(side) for side in rng.integers(12, 41, 2))
    return [first, (int(rng.integers(0, SIDE - width)), int(rng.integers(0, SIDE - height)), width, height)]


def masks(rectangles: np.ndarray) -> Tensor:
    """Rectangles (N, 4) of x, y, width, height as masks (N, 1, 64, 64), 1 = repaint.

    >>> masks(np.array([CENTRE])).sum().item()
    1024.0
    """
    x, y, w, h = (torch.from_numpy(np.asarray(column))[:, None, None, None] for column in np.asarray(rectangles).T)
    across, down = torch.arange(SIDE)[None, None, None, :], torch.arange(SIDE)[None, None, :, None]
    return ((across >= x) & (across < x + w) & (down >= y) & (down < y + h)).float()


def prompts(captions: Sequence[str], annotations: Mapping[str, Any]) -> list[str]:
    """Prompts that a study may give: each caption; a plot's also after the instruction with its numbers; all of
    those of a referred object after another.

    >>> prompts(["falls"], {"series": {"values": [3, 2.5]}})
    ['falls', 'restore the plot: 3 2.5. falls']
    >>> prompts(["the star", "the red one"], {"target": 0})
    ['the star. the red one']
    """
    if "target" in annotations:
        return [prompt(captions, annotations)]
    whole = [prompt([text], annotations) for text in captions]
    return [*captions, *whole] if "series" in annotations else whole
