"""The loop of a fine-tuning: batches whose every draw hangs on seed, epoch and picture, and checkpoints."""

from __future__ import annotations

import io
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from models.adapters import lora
from models.adapters.roles import Arrays, Lesson, Piece
from models.trainers.families import FAMILIES, Family

if TYPE_CHECKING:
    from accelerate import Accelerator

    from models.trainers.lora import Lora

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_EVERY = 100
LOG_EVERY = 10
"""Steps."""
SHOWN = 8
"""Pictures named where a loss is no number."""

Made = TypeVar("Made")
"""A batch, as a trainer has it."""

Known = Callable[[Piece], Arrays]
Log = Callable[[Mapping[str, float], int], None]


class Row(NamedTuple):
    """A lesson's place in a training: its number, and the epoch."""

    lesson: int
    epoch: int


def drawn(*what: object) -> int:
    """A number below 2**63 that hangs on all of ``what``."""
    return int.from_bytes(sha256(" ".join(map(str, what)).encode()).digest()[:8], "big") >> 1


def names_of(lessons: Sequence[Lesson]) -> list[str]:
    """What a lesson is called whatever its caption: its picture, and which of that picture's lessons it is."""
    seen: Counter[str] = Counter()
    names = []
    for lesson in lessons:
        names.append(f"{lesson.picture.digest}/{seen[lesson.picture.digest]}")
        seen[lesson.picture.digest] += 1
    return names


def batches(names: Sequence[str], seed: int, epochs: int, size: int) -> list[list[Row]]:
    """Batches of all epochs, one stream; the rest of it that fills no batch is left out.

    >>> [[row.epoch for row in one] for one in batches(["a", "b", "c"], 0, 2, 2)]
    [[0, 0], [0, 1], [1, 1]]

    Raises ``ValueError`` where there is not one batch.
    """
    stream = [
        Row(k, epoch)
        for epoch in range(epochs)
        for k in sorted(range(len(names)), key=lambda k: drawn("order", seed, epoch, names[k]))
    ]
    if len(stream) < size:
        raise ValueError(f"{len(names)} captions in {epochs} epochs fill no batch of {size}: lower `batch`")
    return [stream[start : start + size] for start in range(0, len(stream) - size + 1, size)]


class Drawn(NamedTuple):
    """A lesson's latent (C, h, w), noise of the same shape, moment, and text by argument."""

    latent: Tensor
    noise: Tensor
    u: Tensor
    text: Arrays


class Batch(NamedTuple):
    """Latents (N, C, h, w) and noise of the same shape, moments (N,), and texts by argument."""

    clean: Tensor
    noise: Tensor
    u: Tensor
    texts: dict[str, Tensor]


class Batches:
    """Puts batches together: what is known of their lessons, and what is drawn for them. They come to a ``device`` with
    its number: made in a thread of their own, which knows no process' GPU, they would all come to the first."""

    def __init__(
        self,
        trainer: Lora,
        lessons: Sequence[Lesson],
        known: Known,
        seed: int,
        family: Family,
        device: torch.device,
    ) -> None:
        self.settings, self.lessons, self.known, self.seed = trainer.settings, lessons, known, seed
        self.names = names_of(lessons)
        self.density = trainer.settings.density or family.DENSITY
        self.device, self.dtype = device, family.dtype

    def of(self, rows: Sequence[Row], shift: float, scale: float) -> Batch:
        """The batch of some rows, on the device; latents are (latent - shift) * scale."""
        some = [self.lesson(row) for row in rows]
        clean = (torch.stack([one.latent for one in some]).to(self.device) - shift) * scale
        noise, u = (torch.stack(one).to(self.device) for one in ([one.noise for one in some], [one.u for one in some]))
        said = [one.text for one in some]
        texts = {name: padded([one[name] for one in said]).to(self.device) for name in said[0] if name != "cut"}
        texts = {name: each.to(self.dtype) if each.is_floating_point() else each for name, each in texts.items()}
        return Batch(clean, noise, u, texts)

    def lesson(self, row: Row) -> Drawn:
        """Latent, noise, moment and text of one lesson. The caption is the one that the picture's lesson has: both are
        looked up by what they are, never by the place in the order."""
        from diffusers.training_utils import compute_density_for_timestep_sampling

        lesson = self.lessons[row.lesson]
        dice = torch.Generator().manual_seed(drawn("noise", self.seed, row.epoch, self.names[row.lesson]))
        silent = bool(torch.rand(1, generator=dice) < self.settings.dropout)
        u = compute_density_for_timestep_sampling(self.density, 1, 0.0, 1.0, generator=dice)[0].clamp(max=1 - 1e-6)
        found = self.known(Piece("latents", picture=lesson.picture))
        noise, own = (torch.randn(found["mean"].shape, generator=dice) for _ in range(2))
        latent = found["mean"] + (found["deviation"] * own if self.settings.latents == "sampled" else 0)
        return Drawn(latent, noise, u, self.known(Piece("text", "" if silent else lesson.caption)))


def padded(some: Sequence[Tensor]) -> Tensor:
    """Tensors of different lengths as one, with zeros behind the shorter ones."""
    return nn.utils.rnn.pad_sequence(list(some), batch_first=True) if some[0].ndim else torch.stack(list(some))


def ahead(rows: Sequence[Sequence[Row]], make: Callable[[Sequence[Row]], Made]) -> Iterator[Made]:
    """Batches, each made while the one before is computed with."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, rows[0]) if rows else None
        for k in range(len(rows)):
            assert coming
            now = coming.result()
            coming = pool.submit(make, rows[k + 1]) if k + 1 < len(rows) else None
            yield now


def fitted(
    trainer: Lora, lessons: Sequence[Lesson], known: Known, seed: int, folder: Path, log: Log
) -> dict[str, float]:
    """Train in this process and, where there are to be more, in others beside it; returns the figures."""
    count = trainer.settings.processes
    if count == 1:
        return fit(trainer, lessons, known, seed, folder, log)
    if trainer.settings.batch % count:
        raise ValueError(f"a batch of {trainer.settings.batch} cannot be shared by {count} processes: take a multiple")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    others = torch.multiprocessing.get_context("spawn")
    beside = [
        others.Process(target=_beside, args=(rank, count, port, trainer, lessons, known, seed, folder))
        for rank in range(1, count)
    ]
    for one in beside:
        one.start()
    try:
        with ranked(0, count, port):
            return fit(trainer, lessons, known, seed, folder, log)
    finally:
        for one in beside:
            one.join(60)
            one.kill()


def _beside(
    rank: int, count: int, port: int, trainer: Lora, lessons: Sequence[Lesson], known: Known, seed: int, folder: Path
) -> None:
    with ranked(rank, count, port):
        fit(trainer, lessons, known, seed, folder, lambda figures, step: None)


@contextmanager
def ranked(rank: int, count: int, port: int) -> Iterator[None]:
    """As one of several processes on this machine, which accelerate finds in the environment."""
    from accelerate.state import AcceleratorState

    said = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in said.items()} | {"MASTER_ADDR": "127.0.0.1"}
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)
        for name in (*said, "MASTER_ADDR"):
            del os.environ[name]


def fit(trainer: Lora, lessons: Sequence[Lesson], known: Known, seed: int, folder: Path, log: Log) -> dict[str, float]:
    """Train from the last checkpoint in ``folder`` on, and write the adapter there."""
    from accelerate import Accelerator

    settings, part = trainer.settings, trainer.base.DENOISER[0]
    accelerator = Accelerator(cpu=trainer.device == "cpu")
    pipeline = trainer.base.read(lambda name: name in (part, "scheduler", "vae"))
    network = getattr(pipeline, part)
    kind = FAMILIES[trainer.base.PIPELINE]
    family = kind(network, pipeline.scheduler, trainer.base.side(network.config), settings.gamma, settings.guidance)
    config = pipeline.vae.config
    shift, scale = config.get("shift_factor") or 0.0, config.scaling_factor
    pipeline.vae = None
    torch.manual_seed(seed)
    own = settings.scale or settings.rank
    places = lora.insert(network, settings.rank, own, settings.targets or family.TARGETS)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=settings.decay)
    made = Batches(trainer, lessons, known, seed, family, accelerator.device)
    plan = batches(made.names, seed, settings.epochs, settings.batch)
    checkpoint, first, errors = folder / CHECKPOINT, 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        lora.restore(network, state["weights"])
        optimiser.load_state_dict(state["optimiser"])
        first, errors = state["step"], state["errors"]
    family.denoiser, optimiser = accelerator.prepare(network.train(), optimiser)

    def save(step: int) -> None:
        if accelerator.is_main_process:
            state = {"step": step, "weights": lora.weights(network), "optimiser": optimiser.state_dict()}
            keep({**state, "errors": errors}, checkpoint)

    share = slice(accelerator.process_index, None, accelerator.num_processes)
    coming = ahead([rows[share] for rows in plan[first:]], lambda rows: made.of(rows, shift, scale))
    began = time.monotonic()
    for step, batch in enumerate(coming, first):
        losses = learnt(family, batch, accelerator, settings.micro_batch)
        norm = accelerator.clip_grad_norm_(weights, settings.clip)
        if not (losses.isfinite().all() and norm.isfinite()):
            save(step)
            rows = [
                row
                for rank in range(accelerator.num_processes)
                for row in plan[step][rank :: accelerator.num_processes]
            ]
            raise FloatingPointError(said(step, rows, losses, lessons, folder))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        errors.append(float(losses.mean()))
        done = step + 1
        if done % LOG_EVERY == 0 or done == len(plan):
            speed = {"seconds_per_step": (time.monotonic() - began) / (done - first)}
            recent = errors[-LOG_EVERY:]
            log({"loss": sum(recent) / len(recent), "gradient": float(norm), **speed}, done)
        if done % CHECKPOINT_EVERY == 0:
            save(done)
    if accelerator.is_main_process:
        lora.write(network, folder / lora.FILE, part, settings.rank, own, places)
    last = errors[-max(1, len(plan) // settings.epochs) :]
    return {"loss": sum(last) / len(last), "steps": len(plan)}


def keep(state: Mapping[str, object], file: Path) -> None:
    """Write a training's state in place of the last one, which stays where a full disk raises ``OSError``."""
    half, written = file.with_suffix(".part"), io.BytesIO()
    torch.save(state, written)  # of a full disk it says "unexpected pos" itself
    try:
        half.write_bytes(written.getbuffer())
        half.replace(file)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(file)) from error


def learnt(family: Family, batch: Batch, accelerator: Accelerator, size: int) -> Tensor:
    """Add the gradients of a batch, ``size`` pictures at a time; returns the loss of each picture of all processes."""
    count, found = len(batch.u), []
    for start in range(0, count, size):
        clean, noise, u = (one[start : start + size] for one in batch[:3])
        texts = {name: one[start : start + size] for name, one in batch.texts.items()}
        last = start + size >= count
        half = family.dtype != torch.float32
        with nullcontext() if last else accelerator.no_sync(family.denoiser):
            with torch.autocast(clean.device.type, family.dtype, enabled=half):
                losses = family.errors(clean, noise, u, texts)
            accelerator.backward(losses.sum() / count)
        found.append(losses.detach())
    whole: Tensor = accelerator.gather(torch.cat(found))
    return whole.cpu()


def said(step: int, rows: Sequence[Row], losses: Tensor, lessons: Sequence[Lesson], folder: Path) -> str:
    """That a training stopped: where, and at which pictures."""
    wrong = [row for row, loss in zip(rows, losses, strict=True) if not loss.isfinite()] or rows
    what = "loss" if len(wrong) < len(rows) or not losses.isfinite().all() else "gradient"
    which = ", ".join(lessons[row.lesson].picture.digest[:12] for row in wrong[:SHOWN])
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return (
        f"the {what} is no number at step {step + 1}, of the pictures {which}{more}; the weights of step {step} are "
        f"kept in {folder.name}/{CHECKPOINT}: lower `rate`, take dtype float32, or leave these pictures out"
    )
