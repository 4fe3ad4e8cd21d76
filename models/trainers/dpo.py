"""RICO-Flash: a captioner learns to say at once what RICO's rounds would make of its caption (paper *RICO*, 3.4).

Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7) of a low-rank adapter, on pairs of a
caption after the rounds, which is chosen, and the one before, which is rejected.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from models.adapters import roles
from models.adapters.roles import Arrays, Lesson, Piece, Trained, Turn
from models.captioners.prompted import Prompted
from models.chat import lora
from models.chat.prompts import Prompt
from models.chat.seeing import Seeing

if TYPE_CHECKING:
    from torch import Tensor

    from models.chat.learning import Adapted

VARIANTS: dict[str, dict[str, float]] = {
    "paper": {"rate": 1e-5, "epochs": 3, "cutoff": 2048},
    "released": {"rate": 5e-6, "epochs": 6, "cutoff": 1024},
}
"""Appendix C.2, and ``qwen2vl_lora_dpo.yaml`` of the released code, which differ in these."""

SCORED = "log-probabilities"
"""What of a picture with a caption is encoded: ln P of the caption's tokens before the training, (tokens,) float64."""

STATE = "state.pt"
EVERY = 50
"""Steps between two states from which a killed training goes on."""


class Dpo:
    """Trains a captioner that takes instructions, on lessons with a rejected caption; it is asked with its own prompt.

    ``variant``: the paper's numbers, or those of the ``released`` code. Both have β 0.1, a warm-up over a tenth of the
    steps and then half a cosine, and 64 pairs a step; of the rank only the released code says that it is 8. ``rate`` is
    the highest learning rate. ``cutoff``: most tokens of a prompt, picture included, and a caption, which loses its end
    where there are more. ``objective: positives`` learns the chosen captions alone, by their mean negative
    log-probability a token: ablation (c) of table 6; ``anchor`` adds so much of that to the loss of a pair, as
    LLaMA-Factory's ``pref_ftx`` does, so that the chosen caption does not become less likely with the rejected one.
    With ``tower`` the picture's tower and projector learn as well, which the paper's tool freezes. ``micro_batch``:
    pairs in a forward.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "captioners"}

    class Settings(roles.Settings):
        variant: Literal["paper", "released"] = "paper"
        objective: Literal["preferences", "positives"] = "preferences"
        beta: float = Field(0.1, gt=0)
        anchor: float = Field(0.0, ge=0)
        rate: float = Field(gt=0)
        epochs: int = Field(ge=1)
        cutoff: int = Field(ge=2)
        warmup: float = Field(0.1, ge=0, lt=1)
        batch: int = Field(64, ge=1)
        rank: int = Field(8, ge=1)
        tower: bool = False
        micro_batch: int = Field(8, ge=1)

        @model_validator(mode="before")
        @classmethod
        def _of_variant(cls, given: Any) -> Any:
            """What is left open is the variant's."""
            return {**VARIANTS.get(str(given.get("variant", "paper")), {}), **given}

    def __init__(self, settings: Settings, captioner: Any) -> None:
        if not (isinstance(captioner, Prompted) and isinstance(captioner.chat, Seeing)):
            raise ValueError(
                f"a {type(captioner).__name__} cannot learn preferences: take a captioner over a chat model that runs "
                "here, such as qwen2.5-vl"
            )
        if captioner.chat.settings.lora:
            raise ValueError(
                "the captioner has an adapter already, and training goes over a checkpoint: leave `lora` out"
            )
        self.settings = settings
        self.prompt: str = captioner.settings.prompt
        self._chat: Seeing = captioner.chat
        self._loaded = False

    def identity(self) -> dict[str, Any]:
        """All settings but the name of the variant, whose numbers are among them; the model, and its prompt."""
        return {**self.settings.model_dump(exclude={"variant"}), **self.encoding()}

    def encoding(self) -> dict[str, Any]:
        return {"captioner": self._chat.identity(), "prompt": self.prompt}

    def load(self) -> None:
        """Import torch, which says on which device."""
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def taught(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        """The lessons that teach something: all with a worse caption, of ``positives`` all."""
        return [
            one for one in lessons if self.settings.objective == "positives" or one.rejected not in {"", one.caption}
        ]

    def pieces(self, lessons: Sequence[Lesson]) -> list[Piece]:
        """Both captions of each pair; of ``positives`` nothing."""
        if self.settings.objective == "positives":
            return []
        return list(dict.fromkeys(piece for lesson in self.taught(lessons) for piece in _both(lesson)))

    def encode(self, pieces: Sequence[Piece]) -> list[Arrays]:
        import torch

        chat = self._ready()
        asked = [self._asked(piece.picture) for piece in pieces]
        whole = [chat.ended(turns, piece.text) for turns, piece in zip(asked, pieces, strict=True)]
        return [{SCORED: torch.from_numpy(one.log_probabilities)} for one in chat.log_probabilities(asked, whole)]

    def train(
        self,
        lessons: Sequence[Lesson],
        known: Callable[[Piece], Arrays],
        seed: int,
        folder: Path,
        log: Callable[[Mapping[str, float], int], None],
    ) -> Trained:
        """Train an adapter. Its figures are those of the last step, ``lessons``, of which ``unlearnt`` had no worse
        caption (nothing was rewritten, or it could not be), and ``truncated``, the share of captions that were cut.

        Raises
        ------
        ValueError
            There is no pair, or too few for a batch; or a picture leaves no room for a caption.
        FloatingPointError
            The loss is no number. The folder then holds the adapter as it was before that step.
        """
        import torch
        from transformers import get_cosine_schedule_with_warmup

        from models.chat.learning import Adapted
        from models.trainers.fitting import batches, keep, names_of

        pairs = self.taught(lessons)
        if not pairs:
            raise ValueError(
                f"none of {len(lessons)} captions has a worse one beside it: learn those of a method that rewrites them"
            )
        settings = self.settings
        plan = batches(names_of(pairs), seed, settings.epochs, settings.batch)
        chat, self._loaded = self._ready(), False  # whoever encodes next wants the model without the adapter
        learner = Adapted(chat, settings.rank, seed, settings.tower)
        weights = learner.parameters()
        optimiser = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=0.0)
        schedule = get_cosine_schedule_with_warmup(optimiser, math.ceil(settings.warmup * len(plan)), len(plan))
        first, state = 0, folder / STATE
        figures: dict[str, float] = {}
        if state.exists():
            now = torch.load(state, map_location=self.device, weights_only=True)
            for weight, value in zip(weights, now["weights"], strict=True):
                weight.data.copy_(value)
            optimiser.load_state_dict(now["optimiser"])
            schedule.load_state_dict(now["schedule"])
            first, figures = now["step"], now["figures"]
        for step in range(first, len(plan)):
            some = [pairs[row.lesson] for row in plan[step]]
            figures = self._step(learner, some, known)
            figures["norm"] = float(torch.nn.utils.clip_grad_norm_(weights, 1.0))
            if not math.isfinite(figures["loss"] + figures["norm"]):
                learner.save(folder)
                names = ", ".join(one.picture.digest[:12] for one in some[:4]) + ", …" * (len(some) > 4)
                raise FloatingPointError(
                    f"the loss of step {step + 1} of {len(plan)} is {figures['loss']} and its gradient's norm "
                    f"{figures['norm']}, for the pictures {names}; {folder} holds the adapter before it: lower `rate`"
                )
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            log({**figures, "rate": schedule.get_last_lr()[0]}, step + 1)
            if (step + 1) % EVERY == 0 or step + 1 == len(plan):
                now = {"step": step + 1, "figures": figures, "weights": [weight.data for weight in weights],
                       "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}  # fmt: skip
                keep(now, state)
        learner.save(folder)
        counts = {"lessons": len(lessons), "unlearnt": len(lessons) - len(pairs), "steps": len(plan)}
        return Trained({name: folder / name for name in (lora.CONFIG, lora.WEIGHTS)}, {**figures, **counts})

    def _ready(self) -> Seeing:
        """The model without any adapter."""
        if not self._loaded:
            self._chat.load()
            self._loaded = True
        return self._chat

    def _asked(self, picture: Any) -> list[Turn]:
        return [Turn("user", self.prompt, (picture.pixels(),))]

    def _step(self, learner: Adapted, lessons: Sequence[Lesson], known: Callable[[Piece], Arrays]) -> dict[str, float]:
        """Gradients of the mean loss over the lessons of a step, and its figures."""
        means: Counter[str] = Counter()
        for start in range(0, len(lessons), self.settings.micro_batch):
            sums = self.losses(learner, lessons[start : start + self.settings.micro_batch], known)
            (sums["loss"] / len(lessons)).backward()
            means.update({name: value.item() / len(lessons) for name, value in sums.items()})
        return dict(means)

    def losses(
        self, learner: Adapted, lessons: Sequence[Lesson], known: Callable[[Piece], Arrays]
    ) -> dict[str, Tensor]:
        """Sums over lessons: the ``loss``, with its gradient, and how many captions were ``truncated``; the rewards
        β (ln π − ln π before) of the ``chosen`` and ``rejected`` captions, and how often the chosen one's is higher."""
        import torch
        from torch.nn.functional import logsigmoid

        learnt = ["caption"] if self.settings.objective == "positives" else ["caption", "rejected"]
        prompts: list[Prompt] = []
        replies: list[list[tuple[int, ...]]] = [[] for _ in learnt]
        cut = 0
        for one in lessons:
            asked = self._asked(one.picture)
            prompts.append(learner.prompt(asked))
            room = int(min(self.settings.cutoff, learner.chat.positions)) - prompts[-1].length
            if room < 1:
                raise ValueError(
                    f"picture {one.picture.digest[:12]} and the prompt are {prompts[-1].length} tokens, which leaves "
                    f"no caption below the cutoff of {self.settings.cutoff}: raise it, or take smaller pictures"
                )
            for some, name in zip(replies, learnt, strict=True):
                ids = learner.reply(asked, getattr(one, name))
                some.append(ids[:room])
                cut += len(ids) > room
        found = learner.log_probabilities(prompts, replies)
        figures = {"truncated": torch.tensor(cut / len(learnt))}
        unlikely = -torch.stack([one.mean() for one in found[0]]).sum()
        if self.settings.objective == "positives":
            return {"loss": unlikely, **figures}
        gains = [
            self.settings.beta * (one.sum() - float(known(piece)[SCORED][: len(one)].sum()))
            for lesson, *both in zip(lessons, *found, strict=True)
            for one, piece in zip(both, _both(lesson), strict=True)
        ]
        better, worse = torch.stack(gains[::2]), torch.stack(gains[1::2])
        figures |= {"chosen": better.sum(), "rejected": worse.sum(), "right": (better > worse).sum()}
        loss = self.settings.anchor * unlikely - logsigmoid(better - worse).sum()
        return {"loss": loss, **{name: one.detach() for name, one in figures.items()}}


def _both(lesson: Lesson) -> tuple[Piece, Piece]:
    """The captions of a pair, each with the picture: what is encoded of them."""
    return Piece(SCORED, lesson.caption, lesson.picture), Piece(SCORED, lesson.rejected, lesson.picture)
