"""Captioners that are prompts over a chat model: a user's turn is one picture and one prompt, the reply is the caption.

A caption's length, the prompt and how words are chosen are theirs; the model's own settings stand beside these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from models.adapters.checkpoints import identify
from models.adapters.decoding import Decoding
from models.adapters.roles import Settings, Turn
from models.chat import llava, llava_onevision, openai_compatible, qwen2_5_vl, qwen2_vl
from models.chat.in_process import ChatSettings, InProcess

Model = TypeVar("Model", bound=InProcess | openai_compatible.OpenAICompatible)


class Example(Settings):
    """A captioned picture, to be followed: ``picture`` is its file."""

    picture: Path
    caption: str = Field(min_length=1)

    def identity(self) -> dict[str, str]:
        """The file's digest, and the caption; raises ``FileNotFoundError`` where there is no file."""
        return {"picture": identify(str(self.picture))["checkpoint"], "caption": self.caption}

    def turns(self, prompt: str) -> list[Turn]:
        """The prompt about the picture, and the caption for an answer."""
        with Image.open(self.picture) as image:
            return [Turn("user", prompt, (np.array(image.convert("RGB")),)), Turn("assistant", self.caption)]


class Instructed(Decoding):
    """Settings of a captioner that takes instructions: decoding, and what a stage asks.

    With an ``example`` the model sees a captioned picture first, as if it had been asked the same of it: in-context
    learning, ablation (d) of table 6 of paper *RICO*, whose example is a caption after RICO's rounds.

    ``prompt`` goes with a whole picture; ``box_prompt`` with one in which a red box is drawn, as it is for referring
    expressions (appendix D: "explicitly constrained to describe the contents of the red bounding box"). The prompt that
    an item was given is in its key, so these two enter no identity. Left alone, such models go on for longer than a
    caption of 40 tokens: more ``max_tokens`` let them finish.
    """

    prompt: str = "Describe the image."
    box_prompt: str = "Describe what is inside the red box."
    example: Example | None = None


class Prompted(Generic[Model]):
    """Base of these captioners; a subclass names its chat model, whose settings are part of its own."""

    VERSION: ClassVar[int]
    Settings: ClassVar[type[Instructed]]
    MODEL: ClassVar[type[Any]]
    chat: Model

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        kind = self.MODEL.Settings
        self.chat = self._made(kind(**settings.model_dump(include=set(kind.model_fields))))

    def _made(self, settings: Any) -> Model:
        return self.MODEL(settings)

    @property
    def PREPARES(self) -> bool:
        """Whether its model needs the device for no more than it says."""
        return getattr(self.MODEL, "PREPARES", False)

    @property
    def device(self) -> str:
        """Device of the model; there after ``load()``."""
        return self.chat.device

    def identity(self) -> dict[str, Any]:
        """The model, how words are chosen and the example, but not the prompts, which are an item's own."""
        example = {"example": self.settings.example.identity()} if self.settings.example else {}
        return self.chat.identity() | self.settings.decided() | example

    def load(self) -> None:
        """Load the model; raises as :meth:`models.chat.in_process.InProcess.load` does, and ValueError where it has no
        more positions than ``max_tokens``."""
        self.chat.load()
        if self.settings.max_tokens >= self.chat.positions:
            raise ValueError(
                f"max_tokens is {self.settings.max_tokens}, but the decoder of {self.settings.checkpoint!r} has only "
                f"{self.chat.positions} positions, for picture and prompt too: set less"
            )

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` replies about each picture (H, W, 3) uint8 to its prompt; raises as the model's ``answer``."""
        before = {prompt: self.settings.example.turns(prompt) if self.settings.example else [] for prompt in prompts}
        asked = zip(pictures, prompts, strict=True)
        turns = [[*before[prompt], Turn("user", prompt, (picture,))] for picture, prompt in asked]
        return [[reply.text for reply in some] for some in self.chat.answer(turns, self.settings.decoding, seeds)]


class Llava(Prompted[llava.Llava]):
    """A caption by :class:`models.chat.llava.Llava`."""

    MODEL = llava.Llava
    VERSION: ClassVar[int] = MODEL.VERSION

    class Settings(Instructed, ChatSettings):
        """The model's settings beside those of the captions."""


class LlavaOnevision(Prompted[llava_onevision.LlavaOnevision]):
    """A caption by :class:`models.chat.llava_onevision.LlavaOnevision`."""

    MODEL = llava_onevision.LlavaOnevision
    VERSION: ClassVar[int] = MODEL.VERSION

    class Settings(Instructed, ChatSettings):
        """The model's settings beside those of the captions."""


class Qwen2Vl(Prompted[qwen2_vl.Qwen2Vl]):
    """A caption by :class:`models.chat.qwen2_vl.Qwen2Vl`."""

    MODEL = qwen2_vl.Qwen2Vl
    VERSION: ClassVar[int] = MODEL.VERSION

    class Settings(Instructed, qwen2_5_vl.Qwen25VlSettings):
        """The model's settings beside those of the captions."""


class Qwen25Vl(Prompted[qwen2_5_vl.Qwen25Vl]):
    """A caption by :class:`models.chat.qwen2_5_vl.Qwen25Vl`."""

    MODEL = qwen2_5_vl.Qwen25Vl
    VERSION: ClassVar[int] = MODEL.VERSION

    class Settings(Instructed, qwen2_5_vl.Qwen25VlSettings):
        """The model's settings beside those of the captions."""


class OpenAICompatible(Prompted[openai_compatible.OpenAICompatible]):
    """A caption by :class:`models.chat.openai_compatible.OpenAICompatible`."""

    MODEL = openai_compatible.OpenAICompatible
    VERSION: ClassVar[int] = MODEL.VERSION

    class Settings(Instructed, openai_compatible.OpenAICompatible.Settings):
        """The model's settings beside those of the captions. The API has no beam search, so ``sample: true`` is the
        default here; ``sample: false`` with one beam and one candidate asks for the likeliest words."""

        max_tokens: int = Field(128, ge=1)
        sample: bool = True

        @model_validator(mode="after")
        def _enough_beams(self) -> OpenAICompatible.Settings:
            openai_compatible.no_beams(self)
            return self

    def _made(self, settings: Any) -> openai_compatible.OpenAICompatible:
        return self.MODEL(settings, what="caption")

    def keep_in(self, folder: Path) -> None:
        """Where the model notes which batches are under way."""
        self.chat.keep_in(folder)

    def identity(self) -> dict[str, Any]:
        """Model, revision and what changes words; there are no beams."""
        return {name: value for name, value in super().identity().items() if name not in {"beams", "length_penalty"}}

    def load(self) -> None:
        """See whether the endpoint captions, by asking about a white picture; raises as
        :meth:`models.chat.openai_compatible.OpenAICompatible.probe` does."""
        white = np.full((64, 64, 3), 255, np.uint8)
        must = "which must take pictures"
        self.chat.probe([Turn("user", self.settings.prompt, (white,))], self.settings.decoding, must)
