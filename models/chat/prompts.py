"""Conversations as tensors: what a model is given, filled up on the left, and with tokens behind it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.adapters.roles import Conversation

if TYPE_CHECKING:
    from torch import Tensor

PIXELS = "pixel_values"

TEXT = ("input_ids", "attention_mask", "mm_token_type_ids")
"""Inputs that there is one of for each token; of the types 0 is text."""

Inputs = dict[str, "Tensor"]
"""What a model is given, one row of each."""


class Prompt(NamedTuple):
    """A conversation as the model gets it. ``shapes``: those of its pictures; ``pictures`` tells them from others."""

    inputs: Inputs
    shapes: tuple[tuple[int, ...], ...]
    pictures: bytes | None = None

    @property
    def length(self) -> int:
        """Tokens, those of pictures included."""
        return self.inputs["input_ids"].shape[1]

    def content(self) -> Hashable:
        """Bytes of the inputs, equal for equal prompts."""
        return tuple(tensor.numpy().tobytes() for tensor in self.inputs.values())


def opened(conversation: Conversation) -> dict[str, bool]:
    """Options of a chat template that open a new turn of the assistant, or continue its last one."""
    begun = conversation[-1].role == "assistant"
    return {"add_generation_prompt": not begun, "continue_final_message": begun}


def padded(inputs: Inputs, unit: int) -> Inputs:
    """Inputs filled up on the left to a multiple of ``unit`` tokens."""
    return _lengthened(inputs, -inputs["input_ids"].shape[1] % unit)


def together(rows: Sequence[Inputs]) -> list[Inputs]:
    """Rows that can be one batch: texts filled up on the left to the longest, pictures' tiles to the most of them.

    How many tiles of a row are pictures, a model knows from their sizes.
    """
    from torch.nn.functional import pad

    longest = max((row["input_ids"].shape[1] for row in rows if "input_ids" in row), default=0)
    tiles = max((row[PIXELS].shape[1] for row in rows if PIXELS in row), default=0)
    made = []
    for row in rows:
        if "input_ids" in row:
            row = _lengthened(row, longest - row["input_ids"].shape[1])
        if PIXELS in row and row[PIXELS].ndim == 5:
            row = row | {PIXELS: pad(row[PIXELS], (0, 0) * 3 + (0, tiles - row[PIXELS].shape[1]))}
        made.append(row)
    return made


def _lengthened(inputs: Inputs, more: int) -> Inputs:
    """Inputs with ``more`` tokens before them that are not attended to."""
    from torch.nn.functional import pad

    return inputs | {name: pad(inputs[name], (more, 0)) for name in TEXT if name in inputs} if more else inputs


def behind(inputs: Inputs, path: Sequence[int]) -> Inputs:
    """Inputs whose text goes on with the tokens of a path."""
    import torch

    ids = torch.tensor([list(path)], dtype=torch.long)
    more = dict(zip(TEXT, (ids, torch.ones_like(ids), torch.zeros_like(ids)), strict=True))
    return inputs | {name: torch.cat([inputs[name], value], 1) for name, value in more.items() if name in inputs}
