"""Pretraining of a vision-language model, whose accuracy then tells what captions are worth (paper *ScaleCap*, 3).

Three stages, as appendix C has them, by the mean negative log-probability of answers' tokens: the projector from
scratch, on captions that are the same for all; projector and language model on the captions that are compared; both on
instructions. The tower is given. Leaving out the second stage is the paper's *Vanilla*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from models.adapters import roles
from models.adapters.roles import Arrays, Lesson, Piece, Trained, Turn
from models.chat.seeing import Seeing

FEATURES = "features"
"""What of a picture is encoded: what its projector is given, (tiles, tokens, width)."""


class Schedule(roles.Settings):
    """How a stage learns: ``rate`` is its highest learning rate. Of ``epochs`` there may be none."""

    rate: float = Field(gt=0)
    batch: int = Field(ge=1)
    epochs: int = Field(1, ge=0)


SCHEDULES: dict[str, dict[str, float]] = {
    "initial": {"rate": 1e-3, "batch": 256},
    "further": {"rate": 4e-5, "batch": 256},
    "instruction": {"rate": 2e-5, "batch": 128},
}
"""Those of appendix C, stage by stage; it does not say how many epochs, and ShareGPT4V, which it follows, has one."""


def nothing(stage: str) -> str:
    """What is wrong where a stage has nothing to learn from, and what to do."""
    source = {"initial": "initial_captions", "further": "captions", "instruction": "instructions"}[stage]
    return f"the stage `{stage}` has nothing to learn from: name its `{source}`, or give it 0 epochs"


class Stage(NamedTuple):
    """A stage with its conversations, each of lessons about one picture."""

    name: str
    schedule: Schedule
    conversations: Sequence[Sequence[Lesson]]


class Pretrain:
    """Trains projector and language model of a LLaVA (``base``), and leaves a whole checkpoint.

    ``captions`` are those of the second stage, of which a study says how many (``size``); ``initial_captions`` names
    those of the first, of the same pictures, and ``instructions`` a corpus whose annotations hold questions with their
    answers: what is asked about one picture is one conversation. ``initial``, ``further`` and ``instruction`` say how
    the stages learn; each has AdamW, a warm-up over ``warmup`` of its steps and then half a cosine, as ShareGPT4V, whom
    the paper follows. ``fresh``: parts whose weights are drawn anew; the paper's is the projector. ``prompt`` asks for
    captions. ``cutoff``: most tokens of a conversation, picture included, which loses its end where there are more:
    Open-LLaVA-NeXT's, the paper says none.

    ``micro_batch``: conversations in a forward; with ``kept``, what the tower makes of a picture is computed once for
    all trainings (of a photograph in tiles this may be megabytes). These two are in no key: the weights are the same
    but for rounding.

    All that is drawn at random hangs on ``seed``, epoch and picture alone, so that trainings on other captions of the
    same pictures begin alike and see them in the same order.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"base": "chat"}

    class Settings(roles.Settings):
        initial_captions: str | None = None
        instructions: str | None = None
        initial: Schedule
        further: Schedule
        instruction: Schedule
        warmup: float = Field(0.03, ge=0, lt=1)
        fresh: tuple[Literal["projector", "language_model"], ...] = ("projector",)
        prompt: str = "Describe the image."
        cutoff: int = Field(4096, ge=2)
        micro_batch: int = Field(8, ge=1)
        kept: bool = True

        @model_validator(mode="before")
        @classmethod
        def _of_paper(cls, given: Any) -> Any:
            """What is left open of a stage is the paper's."""
            said = {name: given.get(name, {}) for name in SCHEDULES}
            whole = {name: {**SCHEDULES[name], **one} for name, one in said.items() if isinstance(one, Mapping)}
            return {**given, **whole}

        @model_validator(mode="after")
        def _learns_from_something(self) -> Self:
            sources = {"initial": self.initial_captions, "further": "captions", "instruction": self.instructions}
            begun = [name for name in SCHEDULES if getattr(self, name).epochs]
            if not begun:
                raise ValueError("no stage has any epochs: give one of them to `further`")
            if empty := [name for name in begun if not sources[name]]:
                raise ValueError(nothing(empty[0]))
            return self

    def __init__(self, settings: Settings, base: Any) -> None:
        from models.chat.learning import Connected

        if not (isinstance(base, Seeing) and base.TYPE in Connected.TYPES):
            raise ValueError(
                f"a {type(base).__name__} is not a tower and a language model with a projector between them: take a "
                f"checkpoint of {' or '.join(Connected.TYPES)}"
            )
        if base.settings.lora:
            raise ValueError("the model to be trained has an adapter already (`lora`): train the checkpoint itself")
        self.settings, self._chat, self._loaded = settings, base, False

    def identity(self) -> dict[str, Any]:
        """The model and all settings, but for those that say how the work is done or whose captions they are."""
        hidden = {"initial_captions", "instructions", "micro_batch", "kept"}
        return {**self.settings.model_dump(mode="json", exclude=hidden), **self.encoding()}

    def encoding(self) -> dict[str, Any]:
        return {"base": self._chat.identity()}

    def load(self) -> None:
        """Import torch, which says on which device."""
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def pieces(self, lessons: Sequence[Lesson]) -> list[Piece]:
        """Every distinct picture that a stage shows, where its features are kept."""
        if not self.settings.kept:
            return []
        shown = (some[0] for stage in self.stages(lessons) for some in stage.conversations)
        return list(dict.fromkeys(Piece(FEATURES, picture=one.picture) for one in shown))

    def encode(self, pieces: Sequence[Piece]) -> list[Arrays]:
        """One by one, so that no result depends on its neighbours."""
        import torch

        from models.chat.learning import features

        chat, asked = self._ready(), [self._asked(piece.picture) for piece in pieces]
        with torch.inference_mode():
            return [{FEATURES: features(chat, one)} for one in asked]

    def stages(self, lessons: Sequence[Lesson]) -> list[Stage]:
        """The stages that have epochs; raises ``ValueError`` where one has nothing to learn from."""
        about: dict[str, dict[Any, list[Lesson]]] = {name: {} for name in SCHEDULES}
        for number, lesson in enumerate(lessons):
            key = lesson.picture.digest if lesson.stage == "instruction" else number
            about[lesson.stage or "further"].setdefault(key, []).append(lesson)
        found = [Stage(name, getattr(self.settings, name), list(some.values())) for name, some in about.items()]
        found = [stage for stage in found if stage.schedule.epochs]
        if empty := [stage.name for stage in found if not stage.conversations]:
            raise ValueError(nothing(empty[0]))
        return found

    def train(
        self,
        lessons: Sequence[Lesson],
        known: Callable[[Piece], Arrays],
        seed: int,
        folder: Path,
        log: Callable[[Mapping[str, float], int], None],
    ) -> Trained:
        """Train. Figures: the mean ``loss`` of the last epoch, ``steps``, ``lessons``, and the share of conversations
        of all stages that were ``truncated``.

        Raises
        ------
        ValueError
            A stage has nothing to learn from, or too little for a batch; or a picture leaves no room for words.
        FloatingPointError
            The loss is no number. The folder then holds the checkpoint before that step.
        """
        from models.trainers.pretraining import fit

        stages, chat = self.stages(lessons), self._ready()
        self._loaded = False  # whoever encodes next wants the model as it was
        files, figures = fit(self.settings, chat, stages, known, seed, folder, log)
        return Trained(files, {**figures, "lessons": len(lessons)})

    def _ready(self) -> Seeing:
        """The model as its checkpoint has it."""
        if not self._loaded:
            self._chat.load()
            self._loaded = True
        return self._chat

    def _asked(self, picture: Any) -> list[Turn]:
        return [Turn("user", self.settings.prompt, (picture.pixels(),))]
