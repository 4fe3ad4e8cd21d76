"""Captioners that answer in a chat: a user's message is one picture and one prompt, the reply is the caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from PIL import Image

from models.captioners.decoding import Instructed, generation
from models.captioners.pretrained import Pretrained, read

if TYPE_CHECKING:
    from transformers import BatchFeature


class ChatSettings(Pretrained, Instructed):
    """``attention``: the implementation that transformers uses; another one rounds otherwise and is another item."""

    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"


class Chat:
    """What transformers' chat models share; a subclass names its classes.

    An item does not depend on its batch. Its picture and prompt are prepared alone. Pictures of other sizes, and
    prompts of other lengths, give other numbers of tokens, and padding them to one length would change how kernels
    round; so only items of one size and one length share a forward, and that always has ``micro_batch`` rows, the last
    repeated where there are fewer. For a corpus of many sizes, set ``micro_batch`` to 1.
    """

    VERSION: ClassVar[int]
    Settings: ClassVar = ChatSettings
    TYPE: ClassVar[str]
    """The model type in the checkpoint's ``config.json``."""
    MODEL: ClassVar[str]
    PROCESSOR: ClassVar[str]

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings but the prompts, which are an item's own; raises as ``identify`` does."""
        return self.settings.identity("prompt", "box_prompt")

    def load(self) -> None:
        """Read model and processor, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, lacks weights, has no chat template, or has no more positions
            than ``max_tokens``.
        """
        settings = self.settings
        self._model, self._processor = read(
            settings, self.TYPE, self.MODEL, self.PROCESSOR, attn_implementation=settings.attention
        )
        self.device = self._model.device.type
        self._positions = self._model.config.text_config.max_position_embeddings
        if self._processor.chat_template is None:
            raise ValueError(f"checkpoint {settings.checkpoint!r} has no chat template: add its chat_template.jinja")
        if settings.max_tokens >= self._positions:
            raise ValueError(
                f"max_tokens is {settings.max_tokens}, but the decoder of {settings.checkpoint!r} has only "
                f"{self._positions} positions, for picture and prompt too: set less"
            )

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` replies about each picture (H, W, 3) uint8 to its prompt, without blanks around them.

        Raises
        ------
        ValueError
            A picture and its prompt leave no room for ``max_tokens``.
        """
        inputs = [self._prepare(picture, prompt) for picture, prompt in zip(pictures, prompts, strict=True)]
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, (picture, one) in enumerate(zip(pictures, inputs, strict=True)):
            alike.setdefault((*picture.shape, one["input_ids"].shape[1]), []).append(index)
        size, results = self.settings.micro_batch, {}
        for indices in alike.values():
            for start in range(0, len(indices), size):
                some = indices[start : start + size]
                rows = some + some[-1:] * (size - len(some))
                replies = self._reply([inputs[i] for i in rows], [seeds[i] for i in rows])
                results.update(zip(some, replies, strict=False))
        return [results[index] for index in range(len(pictures))]

    def _prepare(self, picture: np.ndarray, prompt: str) -> BatchFeature:
        """The model's inputs for one item."""
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        text = self._processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = self._processor(images=[Image.fromarray(picture)], text=[text], return_tensors="pt")
        length = inputs["input_ids"].shape[1]
        if length + self.settings.max_tokens > self._positions:
            raise ValueError(
                f"A picture of {picture.shape[1]} x {picture.shape[0]} pixels and its prompt are {length} tokens; with "
                f"{self.settings.max_tokens} more that is over the {self._positions} positions of "
                f"{self.settings.checkpoint!r}: take smaller pictures, a shorter prompt, or less max_tokens"
            )
        return inputs

    def _reply(self, inputs: list[BatchFeature], seeds: list[int]) -> list[list[str]]:
        """One call of ``generate`` for a full micro-batch of equal shapes."""
        import torch

        batch = {name: torch.cat([one[name] for one in inputs]).to(self.device) for name in inputs[0]}
        batch["pixel_values"] = batch["pixel_values"].to(self._model.dtype)
        ids = self._model.generate(**batch, **generation(self.settings, seeds))[:, batch["input_ids"].shape[1] :]
        texts = [text.strip() for text in self._processor.batch_decode(ids, skip_special_tokens=True)]
        count = self.settings.candidates
        return [texts[i : i + count] for i in range(0, len(texts), count)]
