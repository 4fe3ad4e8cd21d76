"""RICO-Flash: a captioner learns to say at once what RICO's rounds would make of its caption (paper *RICO*, 3.4).

Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7) of a low-rank adapter, on pairs of a
caption after the rounds, which is chosen, and the one before, which is rejected.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from models.adapters import roles
from models.adapters.requests import Asking, LogProbs, Pictured
from models.adapters.roles import Scores, Turn

if TYPE_CHECKING:
    from torch import Tensor

    from models.chat.in_process import Seeing
    from models.chat.learning import Learner

VARIANTS: dict[str, dict[str, float]] = {
    "paper": {"rate": 1e-5, "epochs": 3, "cutoff": 2048},
    "released": {"rate": 5e-6, "epochs": 6, "cutoff": 1024},
}
"""Appendix C.2, and ``qwen2vl_lora_dpo.yaml`` of the released code, which differ in these."""

STATE = "state.pt"
EVERY = 50
"""Steps between two states from which an interrupted training goes on."""


@dataclass(frozen=True)
class Pair:
    """Two captions of a picture, asked for with ``prompt``; ``key`` names it in messages."""

    key: str
    picture: Pictured
    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Referred:
    """A pair, and what the model gave to the tokens of its captions before it learnt: ln P, (tokens,) float64."""

    pair: Pair
    chosen: np.ndarray
    rejected: np.ndarray


class Diverged(ValueError):
    """A loss that is no number: the training stopped, and what it had learnt before is kept."""


class Dpo:
    """Trains a chat captioner on preference pairs.

    ``variant``: the paper's numbers, or those of the ``released`` code; both β 0.1, warm-up over a tenth of the steps
    and then half a cosine, 64 pairs a step, rank 8 (the paper names none). ``rate`` is the highest learning rate;
    ``cutoff`` the most tokens of a prompt, picture included, and a caption: longer captions lose their end.
    ``objective: positives`` learns the chosen captions alone, by their mean negative log-probability a token: ablation
    (c) of table 6. ``micro_batch``: pairs in a forward.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "chat"}

    class Settings(roles.Settings):
        variant: Literal["paper", "released"] = "paper"
        objective: Literal["preferences", "positives"] = "preferences"
        beta: float = Field(0.1, gt=0)
        rate: float = Field(gt=0)
        epochs: int = Field(ge=1)
        cutoff: int = Field(ge=2)
        warmup: float = Field(0.1, ge=0, lt=1)
        batch: int = Field(64, ge=1)
        rank: int = Field(8, ge=1)
        micro_batch: int = Field(8, ge=1)

        @model_validator(mode="before")
        @classmethod
        def _of_variant(cls, given: Any) -> Any:
            """What is left open is the variant's."""
            return {**VARIANTS.get(given.get("variant", "paper"), {}), **given} if isinstance(given, dict) else given

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """All settings but the name of the variant, whose numbers are among them."""
        return self.settings.model_dump(exclude={"variant"})

    def referred(self, pairs: Sequence[Pair]) -> Asking[list[Referred]]:
        """Ask the captioner how probable it finds the captions of each pair, and leave out pairs that it cannot read."""
        replies = yield [
            LogProbs("captioner", pair.prompt, (pair.picture,), continuation=caption, whole=True)
            for pair in pairs
            for caption in (pair.chosen, pair.rejected)
        ]
        both = zip(pairs, replies[::2], replies[1::2], strict=True)
        return [
            Referred(pair, chosen.log_probabilities, rejected.log_probabilities)
            for pair, chosen, rejected in both
            if isinstance(chosen, Scores) and isinstance(rejected, Scores)
        ]

    def train(
        self, chat: Seeing, pairs: Sequence[Referred], seed: int, folder: Path, log: Callable[[dict[str, float], int], None]
    ) -> dict[str, float]:
        """Train an adapter over a loaded chat model, write it to ``folder``, and return what is to be said of it.

        A state in the folder is gone on from: the result is that of a training without interruption. The model has the
        adapter in it afterwards.

        Raises
        ------
        ValueError
            There is no pair; or the loss is no number (:class:`Diverged`): the folder then holds the adapter as it was
            before that step.
        """
        import torch
        from transformers import get_cosine_schedule_with_warmup

        from models.chat.learning import Learner

        if not pairs:
            raise ValueError("there is no preference pair to learn from: see which captions were rewritten")
        settings = self.settings
        learner = Learner(chat, settings.rank, seed)
        weights = learner.parameters()
        a_round = math.ceil(len(pairs) / settings.batch)
        steps = settings.epochs * a_round
        optimiser = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=0.0)
        schedule = get_cosine_schedule_with_warmup(optimiser, math.ceil(settings.warmup * steps), steps)
        first, state = 0, folder / STATE
        if state.exists():
            known = torch.load(state, map_location=chat.device, weights_only=True)
            for weight, value in zip(weights, known["weights"], strict=True):
                weight.data.copy_(value)
            optimiser.load_state_dict(known["optimiser"])
            schedule.load_state_dict(known["schedule"])
            first = known["step"]
        for step in range(first, steps):
            epoch, place = divmod(step, a_round)
            order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
            some = [pairs[i] for i in order[place * settings.batch : (place + 1) * settings.batch]]
            figures = self._step(learner, some)
            figures["norm"] = float(torch.nn.utils.clip_grad_norm_(weights, 1.0))
            if not math.isfinite(figures["loss"] + figures["norm"]):
                learner.save(folder)
                names = ", ".join(one.pair.key[:12] for one in some[:4]) + ", …" * (len(some) > 4)
                raise Diverged(
                    f"the loss of step {step + 1} of {steps} is {figures['loss']} and its gradient's norm "
                    f"{figures['norm']}, over the pairs {names}; {folder} holds the adapter before it: lower `rate`"
                )
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            log({**figures, "rate": schedule.get_last_lr()[0]}, step + 1)
            if (step + 1) % EVERY == 0 and step + 1 < steps:
                folder.mkdir(parents=True, exist_ok=True)
                now = {"step": step + 1, "weights": [weight.data for weight in weights],
                       "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}  # fmt: skip
                torch.save(now, state.with_suffix(".part"))
                state.with_suffix(".part").replace(state)
        learner.save(folder)
        state.unlink(missing_ok=True)
        return figures

    def _step(self, learner: Learner, pairs: Sequence[Referred]) -> dict[str, float]:
        """Gradients of the mean loss over the pairs of a step, and its figures."""
        total = len(pairs) if self.settings.objective == "preferences" else sum(len(one.chosen) for one in pairs)
        means: Counter[str] = Counter()
        for start in range(0, len(pairs), self.settings.micro_batch):
            sums = self.losses(learner, pairs[start : start + self.settings.micro_batch])
            (sums["loss"] / total).backward()
            means.update({name: value.item() / total for name, value in sums.items()})
        return dict(means)

    def losses(self, learner: Learner, pairs: Sequence[Referred]) -> dict[str, Tensor]:
        """Sums over pairs: the ``loss`` with its gradient, the rewards β (ln π − ln π_ref) of both captions, and how
        often the chosen one's is higher. Of ``positives`` the loss alone, summed over tokens."""
        import torch
        from torch.nn.functional import logsigmoid

        prompts, chosen, rejected = [], [], []
        for one in pairs:
            asked = [Turn("user", one.pair.prompt, (one.pair.picture.pixels(),))]
            prompts.append(learner.prompt(asked))
            room = int(min(self.settings.cutoff, learner.chat.positions)) - prompts[-1].length
            if room < 1:
                raise ValueError(
                    f"the picture and prompt of pair {one.pair.key[:12]} are {prompts[-1].length} tokens, which leaves "
                    f"no caption below the cutoff of {self.settings.cutoff}: raise it, or take smaller pictures"
                )
            chosen.append(learner.reply(asked, one.pair.chosen)[:room])
            rejected.append(learner.reply(asked, one.pair.rejected)[:room])
        if self.settings.objective == "positives":
            (learnt,) = learner.log_probabilities(prompts, [chosen])
            return {"loss": -torch.cat(learnt).sum()}

        def rewards(learnt: Sequence[Tensor], before: Iterable[np.ndarray]) -> Tensor:
            gains = [now.sum() - float(was[: len(now)].sum()) for now, was in zip(learnt, before, strict=True)]
            return self.settings.beta * torch.stack(gains)

        both = learner.log_probabilities(prompts, [chosen, rejected])
        better = rewards(both[0], (one.chosen for one in pairs))
        worse = rewards(both[1], (one.rejected for one in pairs))
        figures = {"chosen": better, "rejected": worse, "right": (better > worse).float()}
        return {"loss": -logsigmoid(better - worse).sum()} | {name: one.detach().sum() for name, one in figures.items()}
