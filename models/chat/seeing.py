"""Chat models of transformers that see: pictures are encoded once, whatever is asked about them."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from models.adapters.pretrained import read
from models.adapters.roles import Conversation, Turn
from models.chat.in_process import InProcess
from models.chat.prompts import PIXELS, Inputs, Prompt, opened

if TYPE_CHECKING:
    from torch import Tensor

ENCODED = "mm_encoder_outputs"
"""What transformers calls that which stands in for pixels."""

KEPT = 2**28
"""Bytes of encoded pictures that are kept for what is asked next."""


class Seeing(InProcess):
    """Base of transformers' vision-language models; a subclass names its classes.

    The pictures of a conversation go through the vision tower together, beside those of other conversations, and what
    comes out is used for all that is asked about them. Who shares a forward there is decided as it is for texts.
    """

    TYPE: ClassVar[str]
    """The model type in the checkpoint's ``config.json``."""
    MODEL: ClassVar[str]
    PROCESSOR: ClassVar[str]

    def load(self) -> None:
        """As :meth:`models.chat.in_process.InProcess.load`."""
        super().load()
        self._encode = self._model.base_model.get_image_features
        self._reads = inspect.signature(self._encode).parameters.keys()
        self._features: dict[bytes, Tensor] = {}

    def _read(self) -> tuple[Any, Any]:
        return read(self.settings, self.TYPE, self.MODEL, self.PROCESSOR, attn_implementation=self.settings.attention)

    def ended(self, conversation: Conversation, reply: str) -> str:
        """A whole reply, with what the chat template writes behind it.

        Some templates, such as LLaVA-OneVision's, begin a turn otherwise once it is answered; a reply begins where it
        is generated. Raises ``ValueError`` where the template changes the reply itself.
        """
        written = self._text([*conversation, Turn("assistant", reply)], whole=True)
        _, found, end = written.rpartition(reply)
        if not found:
            raise ValueError(f"the chat template of {self.settings.checkpoint!r} changes the reply {reply!r:.60}")
        return reply + end

    def _text(self, conversation: Conversation, whole: bool = False) -> str:
        """A conversation as the chat template writes it: open for a reply, unless it is ``whole``."""
        image = {"type": "image"}
        messages = [
            {"role": turn.role, "content": [image] * len(turn.pictures) + [{"type": "text", "text": turn.text}]}
            for turn in conversation
        ]
        return self._processor.apply_chat_template(messages, **({} if whole else opened(conversation)))

    def _inputs(self, conversation: Conversation) -> Inputs:
        text = self._text(conversation)
        images = [Image.fromarray(picture) for turn in conversation for picture in turn.pictures]
        return dict(self._processor(images=[images] if images else None, text=[text], return_tensors="pt"))

    def _prompt(self, conversation: Conversation, room: int) -> Prompt:
        prompt = super()._prompt(conversation, room)
        return prompt._replace(pictures=self._key(prompt.inputs))

    def _seen(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        new = {one.pictures: one for one in prompts if one.pictures and one.pictures not in self._features}
        missing = list(new.values())
        encoded = self._in_batches(
            [(one.shapes, sum(map(math.prod, one.shapes))) for one in missing],
            lambda rows: self._encoded([missing[i] for i in rows]),
        )
        self._features |= dict(zip(new, encoded, strict=True))
        found = []
        for prompt in prompts:
            inputs = {name: tensor for name, tensor in prompt.inputs.items() if name != PIXELS}
            seen = {ENCODED: self._features[prompt.pictures]} if prompt.pictures else {}
            found.append(prompt._replace(inputs=inputs | seen))
        self._forget()
        return found

    def _forget(self) -> None:
        """Forget the first encoded pictures where there are too many."""
        size = 0
        for key in reversed(list(self._features)):
            size += self._features[key].nbytes
            if size > KEPT:
                del self._features[key]

    def _batch(self, rows: Sequence[Inputs]) -> Inputs:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        batch: dict[str, Any] = super()._batch(
            [{name: tensor for name, tensor in row.items() if name != ENCODED} for row in rows]
        )
        if features := [row[ENCODED].to(self.device) for row in rows if ENCODED in row]:
            batch[ENCODED] = {"image": BaseModelOutputWithPooling(pooler_output=features)}  # type: ignore[arg-type]
        return batch

    def _key(self, inputs: Inputs) -> bytes | None:
        """What tells the pictures of a conversation from others; None where there are none."""
        if PIXELS not in inputs:
            return None
        said = hashlib.sha256()
        for tensor in self._pictures(inputs).values():
            said.update(tensor.numpy().tobytes())
        return said.digest()

    def _pictures(self, inputs: Inputs) -> Inputs:
        """What the vision tower is given of a conversation's inputs."""
        return {name: inputs[name] for name in self._reads if name in inputs}

    def _encoded(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """The encoded pictures of each conversation, (tokens, D)."""
        import torch

        batch = super()._batch([self._pictures(prompt.inputs) for prompt in prompts])
        batch[PIXELS] = batch[PIXELS].to(self._model.dtype)
        with torch.inference_mode():
            found = iter(self._encode(**batch, return_dict=True).pooler_output)
        return [torch.cat([next(found) for _ in prompt.shapes]) for prompt in prompts]
