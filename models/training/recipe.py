"""Training of pocket models: one loop for the whole family.

A recipe says what it builds, what one step's loss is and how good the result is. The loop does the rest: one cycle of
the learning rate, bfloat16 autocast around float32 weights, an exponential moving average, checkpoints that resume to
the very numbers of an uninterrupted run, and the model card.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import os
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
import transformers
import yaml
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.pocket.probe import to_signed as to_signed
from models.training import data
from models.worlds import version

Log = Callable[[dict[str, float], int], None]
logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=nn.Module)


class Recipe(ABC, Generic[Model]):
    """Base of the recipes of a kind of model; the class variables are the training's settings."""

    name: ClassVar[str]
    folder: ClassVar[str]
    """Where under the weights the result goes."""
    steps: ClassVar[int]
    rate: ClassVar[float]
    """Highest learning rate of the cycle."""
    seed: ClassVar[int] = 0
    counts: ClassVar[Mapping[str, int]] = {"scenes": 30_000}
    """How many examples of which generated worlds are learnt from."""
    learns_plots: ClassVar[bool] = True
    checkpoint_every: ClassVar[int] = 250
    card: ClassVar[dict[str, Any]] = {}
    """Front matter of the model card."""
    about: ClassVar[str] = ""
    """What the model card says."""

    def __init__(self, build: Path, weights: Path, corpora: Sequence[Path]) -> None:
        self.build_folder, self.weights, self.corpora = build, weights, list(corpora)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        transformers.utils.logging.disable_progress_bar()

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array on the device of the training."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    @cache  # noqa: B019 - a recipe lives as long as the process
    def learnt(self, world: str) -> data.Examples:
        """Training examples of a world."""
        return data.world(world, data.TRAIN_SEED, self.counts[world], self.build_folder)

    @cache  # noqa: B019
    def unseen(self, world: str) -> data.Examples:
        """512 examples of a world that are never learnt from: what the card's figures are of."""
        return data.world(world, data.HELD_OUT_SEED, 512, self.build_folder)

    @cached_property
    def sources(self) -> dict[str, data.Examples]:
        """All that is learnt from: the worlds, and ``plots`` where there are prepared corpora of them."""
        found = {world: self.learnt(world) for world in self.counts} | {"plots": self.plots}
        return {name: examples for name, examples in found.items() if len(examples)}

    @property
    def scenes(self) -> data.Examples:
        return self.learnt("scenes")

    @property
    def held_out(self) -> data.Examples:
        return self.unseen("scenes")

    @cached_property
    def plots(self) -> data.Examples:
        return data.corpus(self.corpora, "train")

    @cached_property
    def held_out_plots(self) -> data.Examples:
        return data.corpus(self.corpora, "test")

    @abstractmethod
    def build(self) -> Model:
        """The untrained model; all its randomness comes from torch's global generator."""

    @abstractmethod
    def loss(
        self, model: Model, rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """The loss of one step at ``progress`` in [0, 1), drawn with ``rng`` and torch's generator, and what to log;
        a tensor that is left on its device is read when it is logged, so that no step waits for the one before."""

    @abstractmethod
    def evaluate(self, model: Model) -> dict[str, float]:
        """Figures on held-out data."""

    @abstractmethod
    def save(self, model: Model, folder: Path) -> None:
        """Write the model as its library's ``from_pretrained`` reads it, in float16 safetensors."""

    def prepare(self, model: Model) -> None:
        """Compute what is needed before the first step, such as latents."""

    def train(self, log: Log, resume: bool, steps: int | None) -> dict[str, float]:
        """Train, save, evaluate what was saved for, and write the card; returns the figures."""
        steps = steps or self.steps
        model, seconds = fit(self, self.build_folder / self.name / "checkpoint.pt", log, resume, steps)
        model.eval()
        with torch.no_grad():
            model.cpu()
            self.device = "cpu"
            self.save(model, self.weights / self.folder)
            figures = self.evaluate(model)
        log(figures, steps)
        self.write_card(figures, steps, seconds)
        return figures

    def material(self) -> list[str]:
        """What is learnt from, in the words of the card."""
        return [f"{count} pictures of `{world}` (version {version(world)})" for world, count in self.counts.items()]

    def write_card(self, figures: dict[str, float], steps: int, seconds: float) -> None:
        """The model card, in Hugging Face's form: YAML front matter, then what it is and how it was made."""
        front = {"license": "apache-2.0", "tags": ["palimpsest", "pocket"], **self.card}
        rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in figures.items())
        learnt = self.material()
        if self.learns_plots and self.corpora:
            learnt.append(f"the train split of {', '.join(folder.name for folder in self.corpora)}")
        text = (
            f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n# {self.folder}\n\n{self.about.strip()}\n\n"
            f"## Training\n\n"
            f"`palimpsest train {self.name}`, {steps} steps in {seconds / 60:.0f} minutes on {hardware()}; "
            f"data: {', '.join(learnt)}; world seed {data.TRAIN_SEED}, training seed {self.seed}; "
            f"torch {torch.__version__}.\n\n## Held-out figures\n\n"
            f"On worlds of seed {data.HELD_OUT_SEED}, and on the test split where plots are named: "
            "none was learnt from.\n\n"
            f"| figure | value |\n|---|---|\n{rows}\n"
        )
        path = self.weights / self.folder / "README.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def hardware() -> str:
    """The machine in words, for the card."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads, cores = torch.get_num_threads(), os.cpu_count()
    return f"{threads} thread{'s' if threads > 1 else ''} of {cores} {platform.machine()} CPU cores"


def one_cycle(step: int, steps: int, warmup: float = 0.06) -> float:
    """Factor on the learning rate: a straight climb, then half a cosine down to a hundredth.

    >>> [round(one_cycle(step, 100), 2) for step in (0, 5, 99)]
    [0.17, 1.0, 0.01]
    """
    top = max(1.0, warmup * steps)
    if step + 1 <= top:
        return (step + 1) / top
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step + 1 - top) / (steps - top)))


def fit(
    recipe: Recipe[Model], checkpoint: Path, log: Log, resume: bool, steps: int, stop: int | None = None
) -> tuple[Model, float]:
    """Run the recipe's steps and return the averaged model and the seconds that its training took in all.

    Every step draws from generators seeded with its own number, so a run that was stopped (``stop`` names a step at
    which to stop early) and resumed computes what an uninterrupted one does. Resumed with another number of steps it
    goes on at its place in the new cycle; a checkpoint of another recipe seed is not resumed from.
    """
    torch.manual_seed(recipe.seed)
    model = recipe.build().to(recipe.device).train()
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    recipe.prepare(model)
    optimiser = torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
         {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}], lr=recipe.rate, fused=True
    )  # fmt: skip
    plan = {"seed": recipe.seed}
    first, seconds = 0, 0.0
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, map_location=recipe.device, weights_only=True)
        if state["plan"] == plan:
            model.load_state_dict(state["model"])
            average.load_state_dict(state["average"])
            optimiser.load_state_dict(state["optimiser"])
            first, seconds = state["step"], state["seconds"]
            logger.info("%s resumes at step %d", recipe.name, first)
    last, started = min(steps, stop or steps), time.monotonic() - seconds
    heard: dict[str, list[float | Tensor]] = {}
    for step in range(first, last):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * one_cycle(step, steps)
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        # CPU's fused attention is slower backwards than matrix products in bfloat16: a third of a U-Net step
        kernels = sdpa_kernel(SDPBackend.MATH) if recipe.device == "cpu" else contextlib.nullcontext()
        with kernels, torch.autocast(recipe.device, torch.bfloat16):
            loss, parts = recipe.loss(model, np.random.default_rng([recipe.seed, step]), step / steps)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        _average(average, model, min(0.999, (step + 1) / (step + 10)))
        for name, value in {"loss": loss.detach(), **parts}.items():
            heard.setdefault(name, []).append(value)
        done, seconds = step + 1, time.monotonic() - started
        if done % 50 == 0 or done == last:
            means = {name: float(np.mean([float(value) for value in values])) for name, values in heard.items()}
            log({**means, "seconds": time.monotonic() - started}, done)
            heard = {}
        if done % recipe.checkpoint_every == 0 or done == last:
            state = {"plan": plan, "step": done, "seconds": seconds, "model": model.state_dict(),
                     "average": average.state_dict(), "optimiser": optimiser.state_dict()}  # fmt: skip
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    return average, seconds


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the average towards the model; buffers (batch norm's statistics) are copied."""
    kept: list[Tensor] = list(average.parameters())
    now: list[Tensor] = list(model.parameters())
    torch._foreach_lerp_(kept, now, 1 - decay)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)


def save_half(model: Any, folder: Path) -> None:
    """Save a transformers model in float16, to be computed with in float32 unless its user says otherwise."""
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"float16"', '"float32"'))
