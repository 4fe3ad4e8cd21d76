"""The loop of a pretraining: stage after stage, each with its own schedule, from the last checkpoint on."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import get_cosine_schedule_with_warmup

from models.adapters.roles import Lesson, Piece
from models.chat.learning import Connected
from models.chat.prompts import Prompt
from models.chat.seeing import Seeing
from models.trainers.fitting import LOG_EVERY, SHOWN, Known, Log, Row, ahead, batches, drawn, keep, names_of
from models.trainers.pretrain import FEATURES, Pretrain, Stage

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_EVERY = 50
"""Steps."""
WHOLE = "whole"
"""The folder of the result, in that of a training."""


class Talk(NamedTuple):
    """A conversation: its prompt, the tokens behind that, which of them are of answers; and whether it was cut."""

    prompt: Prompt
    path: list[int]
    answers: list[bool]
    cut: bool


def fit(
    settings: Pretrain.Settings, chat: Seeing, stages: Sequence[Stage], known: Known, seed: int, folder: Path, log: Log
) -> tuple[Mapping[str, Path], dict[str, float]]:
    """Train a loaded model from the last checkpoint in ``folder`` on; returns the files of the result, and figures."""
    plans = [
        batches(names_of([some[0] for some in one.conversations]), seed, one.schedule.epochs, one.schedule.batch)
        for one in stages
    ]
    course = Course(settings, Connected(chat, settings.fresh, drawn("fresh", seed), settings.kept), known, folder)
    done = 0
    for number, (stage, plan) in enumerate(zip(stages, plans, strict=True)):
        if number >= course.now["stage"]:
            course.learn(number, stage, plan, partial(_later, log, done))
        done += len(plan)
    shutil.rmtree(folder / WHOLE, ignore_errors=True)
    course.learner.save(folder / WHOLE)
    errors = course.now["errors"][-max(1, len(plan) // stage.schedule.epochs) :]
    seen = sum(len(rows) for plan in plans for rows in plan)
    figures = {"loss": sum(errors) / len(errors), "steps": done, "truncated": course.now["cut"] / seen}
    return {file.name: file for file in sorted((folder / WHOLE).iterdir())}, figures


def _later(log: Log, done: int, figures: Mapping[str, float], step: int) -> None:
    log(figures, done + step)


class Course:
    """A model on its way: ``now`` is what a checkpoint holds, beside the weights, where it is read or written."""

    def __init__(self, settings: Pretrain.Settings, learner: Connected, known: Known, folder: Path) -> None:
        self.settings, self.learner, self.known = settings, learner, known
        self.path, self.weights = folder / CHECKPOINT, learner.learning("all")
        self.now: dict[str, Any] = {"stage": 0, "step": 0, "errors": [], "cut": 0}
        if self.path.exists():
            self.now = torch.load(self.path, map_location=learner.chat.device, weights_only=True)
            for weight, value in zip(self.weights, self.now.pop("weights"), strict=True):
                weight.data.copy_(value)

    def learn(self, number: int, stage: Stage, plan: Sequence[Sequence[Row]], log: Log) -> None:
        """Go through the rest of a stage."""
        now = self.now
        if now["stage"] < number:
            now.update(stage=number, step=0, errors=[])
        learnt = self.learner.learning("projector" if stage.name == "initial" else "all")
        for weight in self.weights:
            weight.requires_grad_(False)
        for weight in learnt:
            weight.requires_grad_(True)
        optimiser = torch.optim.AdamW(learnt, lr=stage.schedule.rate, weight_decay=0.0)
        warm = math.ceil(self.settings.warmup * len(plan))
        schedule = get_cosine_schedule_with_warmup(optimiser, warm, len(plan))
        if now["step"]:
            optimiser.load_state_dict(now["optimiser"])
            schedule.load_state_dict(now["schedule"])

        def save() -> None:
            now.update(optimiser=optimiser.state_dict(), schedule=schedule.state_dict())
            keep(now | {"weights": [weight.data for weight in self.weights]}, self.path)

        def talks(rows: Sequence[Row]) -> list[Talk]:
            return [self.talk(stage.conversations[row.lesson]) for row in rows]

        for some in ahead(plan[now["step"] :], talks):
            loss = self.backward(some)
            norm = float(torch.nn.utils.clip_grad_norm_(learnt, 1.0))
            if not math.isfinite(loss + norm):
                save()
                about = [stage.conversations[row.lesson][0] for row in plan[now["step"]]]
                raise FloatingPointError(self.said(stage, now["step"], len(plan), loss, norm, about))
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            now["step"] += 1
            now["cut"] += sum(one.cut for one in some)
            now["errors"].append(loss)
            if now["step"] % LOG_EVERY == 0 or now["step"] == len(plan):
                recent = now["errors"][-LOG_EVERY:]
                log({"loss": sum(recent) / len(recent), "norm": norm, "rate": schedule.get_last_lr()[0]}, now["step"])
            if now["step"] % CHECKPOINT_EVERY == 0:
                save()

    def talk(self, lessons: Sequence[Lesson]) -> Talk:
        """The conversation of lessons about one picture."""
        picture = lessons[0].picture
        turns = [(one.question or self.settings.prompt, one.caption) for one in lessons]
        prompt, path, answers = self.learner.conversation(picture.pixels(), turns)
        room = int(min(self.settings.cutoff, self.learner.chat.positions)) - prompt.length
        if room < 1:
            raise ValueError(
                f"picture {picture.digest[:12]} and the prompt are {prompt.length} tokens, which leaves no words below "
                f"the cutoff of {self.settings.cutoff}: raise it, or take smaller pictures"
            )
        if self.settings.kept:
            prompt = self.learner.shown(prompt, self.known(Piece(FEATURES, picture=picture))[FEATURES])
        return Talk(prompt, path[:room], answers[:room], len(path) > room)

    def backward(self, talks: Sequence[Talk]) -> float:
        """Add the gradients of the mean negative log-probability of a token of an answer; returns that."""
        chat = self.learner.chat
        count, total, dtype = sum(sum(one.answers) for one in talks), 0.0, getattr(torch, chat.settings.dtype)
        for start in range(0, len(talks), self.settings.micro_batch):
            some = talks[start : start + self.settings.micro_batch]
            with torch.autocast(chat.device, dtype, enabled=dtype != torch.float32):
                (found,) = self.learner.log_probabilities([one.prompt for one in some], [[one.path for one in some]])
            pairs = zip(found, some, strict=True)
            loss: Tensor = -torch.cat([each[torch.tensor(one.answers)] for each, one in pairs]).sum() / count
            loss.backward()
            total += loss.item()
        return total

    def said(self, stage: Stage, step: int, steps: int, loss: float, norm: float, about: Sequence[Lesson]) -> str:
        """That a training stopped: where, and at which pictures."""
        which = ", ".join(one.picture.digest[:12] for one in about[:SHOWN])
        more = f" and {len(about) - SHOWN} more" if len(about) > SHOWN else ""
        return (
            f"the loss of step {step + 1} of {steps} of the stage `{stage.name}` is {loss} and its gradient's norm "
            f"{norm}, for the pictures {which}{more}; the weights before it are kept in "
            f"{self.path.parent.name}/{CHECKPOINT}: lower its `rate`"
        )
