"""Every training at its true size, with random weights: what it holds, how long a step takes, and who waits for whom.

    python -m tests.bench.bench_trainings [NAME ...] [--batch 4] [--micro-batch N]
    python -m tests.bench.bench_trainings --tiny      the same script with toy models, for a CPU

Every recipe is what a study would run: the trainer encodes twelve noisy pictures with their captions, and trains for
three steps; of a pretraining the first stage, which learns the projector, and the second, which learns the language
model too, each alone. Nothing is read from a disk, and none is written but adapters: where an adapter would read a
checkpoint, its parts are built on the device in bfloat16, the ones that it asks for, when it does (shapes are those of
the published ``config.json`` files, see tests/test_benches.py; tokenizers are toys). So the largest adapter's,
FLUX.1-dev, takes 24 GB before its activations, and its text encoder has gone by then. What a pretraining learns is
float32: 7.6 billion parameters with gradients and AdamW's moments are 122 GB.

Prints one row each: parameters of the network, and those that learn; seconds to encode a caption or picture; the most
memory that torch held while encoding and while training; seconds of the second step; and the share of the third, which
is profiled, in which the GPU worked on no kernel and copied nothing. A recipe that does not fit, or whose loss is no
number, says so in its row.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from models.adapters.catalogue import build, target
from models.adapters.roles import Lesson
from models.adapters.settings import validated
from models.trainers.pretrain import SCHEDULES
from tests.bench.architectures import ARCHITECTURES, PROMPT
from tests.bench.bench_adapters import covered
from tests.bench.painters import PAINTERS, Parts

STEPS = 3
HEAD = f"{'recipe':24} {'network':>9} {'learning':>9} {'encoding':>9} {'memory':>8} {'training':>9} {'step':>9} waiting"


class Recipe(NamedTuple):
    """A trainer, and who plays its base; ``micro_batch`` is what fits 80 GB at ``side`` pixels a side."""

    kind: str
    role: str
    adapter: str
    micro_batch: int
    side: int = 512
    stage: str = ""
    """The stage of a pretraining."""


RECIPES = {
    f"lora {name}": Recipe("lora", "painters", name, 1 if name == "flux" else 4) for name in PAINTERS
} | {
    "dpo qwen2.5-vl": Recipe("dpo", "captioners", "qwen2.5-vl", 1),
    "dpo llava-onevision": Recipe("dpo", "captioners", "llava-onevision", 1, 384),  # of 512 pixels it makes five tiles
} | {
    f"{stage} llava-onevision": Recipe("pretrain", "chat", "llava-onevision", 1, 384, stage)
    for stage in ("initial", "further")
}  # fmt: skip


class Noisy:
    """A picture of noise."""

    def __init__(self, number: int, side: int) -> None:
        self.digest, self.side, self.number = f"{number:064}", side, number

    def pixels(self) -> np.ndarray:
        return np.random.default_rng(self.number).integers(0, 256, (self.side, self.side, 3), np.uint8)


@contextmanager
def born(tiny: bool) -> Iterator[None]:
    """Networks that are made here are on the GPU, in bfloat16; toys in float32."""
    import torch

    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    try:
        with torch.device(device()):
            yield
    finally:
        torch.set_default_dtype(kept)


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def unwritten(recipe: Recipe, tiny: bool) -> Iterator[str]:
    """Where a checkpoint would be read, its parts are built; gives the name of its folder, which holds the shapes."""
    with tempfile.TemporaryDirectory() as folder:
        if recipe.role == "painters":
            parts, kind = PAINTERS[recipe.adapter](tiny), target("painters", recipe.adapter)
            configured(parts, kind.DENOISER[0], Path(folder))

            def read_pipeline(settings: Any, name: str, denoiser: Any, options: Callable[[Any], Any]) -> Any:
                import diffusers

                without = {part for part, one in options({name: ["", ""] for name in parts}).items() if one is None}
                with born(tiny):
                    made = {part: None if part in without else make() for part, make in parts.items()}
                extra = {"requires_safety_checker": False, "safety_checker": None, "feature_extractor": None}
                pipeline = getattr(diffusers, name)(**made, **(extra if name == "StableDiffusionPipeline" else {}))
                pipeline.set_progress_bar_config(disable=True)
                return pipeline.to(device()), device()

            with patch("models.painters.diffusion.read_pipeline", read_pipeline):
                yield folder
        else:
            (Path(folder) / "config.json").write_text(json.dumps({"model_type": recipe.adapter}))

            def read(*given: Any, **options: Any) -> Any:
                with born(tiny):
                    model, processor = ARCHITECTURES[recipe.adapter].make(tiny)
                return model.eval(), processor

            with patch("models.chat.seeing.read", read):
                yield folder


def configured(parts: Parts, denoiser: str, folder: Path) -> None:
    """Write the shapes of a denoiser, which are asked for where it is not read."""
    import torch

    with torch.device("meta"):
        parts[denoiser]().save_config(folder / denoiser)


class Clock:
    """Looks at the optimiser's steps: ``ends`` when each was done on the device, and the third's share of waiting."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.waiting = float("nan")
        self.profile: Any = None

    def step(self, *_: object) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if torch.cuda.is_available() and len(self.ends) == STEPS - 1:
            from torch.profiler import ProfilerActivity, profile

            self.profile = profile(activities=[ProfilerActivity.CUDA])
            self.profile.start()
            self.ends[-1] = time.perf_counter()
        elif self.profile and len(self.ends) == STEPS:
            self.profile.stop()
            kind = torch.autograd.DeviceType.CUDA
            spans = [one.time_range for one in self.profile.events() if one.device_type == kind]
            worked = covered((one.start, one.end) for one in spans) / 1e6
            self.waiting = 1 - worked / (self.ends[-1] - self.ends[-2])


def most() -> float:
    """GB that torch held at most since it was last asked; of a CPU it does not say."""
    import torch

    if not torch.cuda.is_available():
        return float("nan")
    found = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return found


def made(recipe: Recipe, folder: str, given: argparse.Namespace) -> Any:
    """The trainer of a recipe."""
    micro = given.micro_batch or recipe.micro_batch
    said = {"adapter": recipe.adapter, "checkpoint": folder, "dtype": "float32" if given.tiny else "bfloat16",
            "micro_batch": micro}  # fmt: skip
    if recipe.role == "painters":
        said |= {"resolution": 32 if given.tiny else recipe.side}
    base = build(recipe.role, "base", said)
    kind = target("trainers", recipe.kind)
    schedule = {"epochs": 1, "batch": given.batch}
    if recipe.stage:
        schedules = {stage: {"epochs": 0} for stage in SCHEDULES} | {recipe.stage: schedule}
        how = schedules | {"initial_captions": "made here", "micro_batch": micro}
    else:
        how = schedule | {"micro_batch": micro}
    return kind(validated(recipe.kind, kind.Settings, how), base)


def report(name: str, given: argparse.Namespace) -> str:
    """Run one recipe; its row."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    recipe, clock = RECIPES[name], Clock()
    side = 32 if given.tiny else recipe.side
    lessons = [
        Lesson(Noisy(k, side), f"{PROMPT} {k}", f"a blue disc {k}" * (recipe.kind == "dpo"),
               stage="initial" if recipe.stage == "initial" else "")
        for k in range(STEPS * given.batch)
    ]  # fmt: skip
    with unwritten(recipe, given.tiny) as folder, tempfile.TemporaryDirectory() as out:
        trainer = made(recipe, folder, given)
        trainer.load()
        most()
        pieces = trainer.pieces(lessons)
        trainer.encode(pieces[:1])  # reads the model
        began = time.perf_counter()
        known = dict(zip(pieces, encoded(trainer, pieces), strict=True))
        encoding, held = (time.perf_counter() - began) / len(pieces), most()
        hook = register_optimizer_step_post_hook(clock.step)
        counted: dict[str, int] = {}
        try:
            with counting(counted):
                trainer.train(lessons, known.__getitem__, 0, Path(out), lambda figures, step: None)
        finally:
            hook.remove()
        peak = most()
    return (
        f"{name:24} {counted['network'] / 1e6:7.0f} M {counted['learning'] / 1e6:7.2f} M {encoding:7.3f} s "
        f"{held:5.1f} GB {peak:6.1f} GB {clock.ends[1] - clock.ends[0]:7.3f} s {clock.waiting:6.0%}"
    )


def encoded(trainer: Any, pieces: Sequence[Any]) -> list[Mapping[str, Any]]:
    """What the stage would encode, as many at a time as it does."""
    from stages.train import PIECES_A_BATCH

    return [
        one for start in range(0, len(pieces), PIECES_A_BATCH)
        for one in trainer.encode(pieces[start : start + PIECES_A_BATCH])
    ]  # fmt: skip


@contextmanager
def counting(counted: dict[str, int]) -> Iterator[None]:
    """Counts the parameters of the network and those that learn; a whole model that has learnt is not written."""
    from models.adapters import lora as painters
    from models.chat import lora as chats
    from models.chat.learning import Connected

    def wrapped(insert: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(network: Any, *given: Any, **how: Any) -> Any:
            counted["network"] = sum(one.numel() for one in network.parameters())
            done = insert(network, *given, **how)
            counted["learning"] = sum(one.numel() for one in network.parameters() if one.requires_grad)
            return done

        return wrapper

    def unsaved(learner: Connected, folder: Path) -> None:
        folder.mkdir()
        counted["network"] = sum(one.numel() for one in learner.model.parameters())
        counted["learning"] = sum(one.numel() for one in learner.model.parameters() if one.requires_grad)

    with (
        patch.object(painters, "insert", wrapped(painters.insert)),
        patch.object(chats, "begun", wrapped(chats.begun)),
        patch.object(Connected, "save", unsaved),
    ):
        yield


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default all of {', '.join(RECIPES)}")
    parser.add_argument("--tiny", action="store_true", help="toys of the same layouts")
    parser.add_argument("--batch", type=int, default=4, help="lessons in a step")
    parser.add_argument("--micro-batch", type=int, help="lessons in a forward; default what fits 80 GB")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in RECIPES]:
        parser.error(f"there is no {unknown[0]!r}; known: {', '.join(RECIPES)}")
    import diffusers
    import torch
    import transformers

    if not torch.cuda.is_available() and not given.tiny:
        print("No GPU here, and these models are no work for a CPU: run with --tiny to check the script.")
        return
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{name}, {given.batch} lessons a step\n{HEAD}", flush=True)
    for one in given.names or RECIPES:
        try:
            row = report(one, given)
        except (torch.OutOfMemoryError, FloatingPointError) as error:
            row = f"{one:24} stopped: {error}"
        print(row, flush=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
