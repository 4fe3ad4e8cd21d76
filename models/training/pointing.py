"""Auxiliary task of a captioner's decoder: the place of the object that each name means, or that there is none.

A name is looked up where it ends, and an answer knows where the object is that it will name next. Words alone teach
this late: an answer is right or wrong for many reasons, the place of an object for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.training.data import GRID, PATCH
from models.worlds.grammar import MEANING

NOWHERE = GRID * GRID
"""The class of a name that no object of the picture bears; the others are the patches, in raster order."""
UNASKED = -100


class Pointers(nn.Module):
    """Linear readings of a decoder's states (N, width): the patch under the centre of the object that was just named,
    and of the one that comes next."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.named, self.next = nn.Linear(width, NOWHERE + 1), nn.Linear(width, NOWHERE + 1)

    def loss(self, states: Sequence[Tensor], named: Tensor, coming: Tensor) -> Tensor:
        """``states``: the decoder's (N, tokens, width) after each layer, the embeddings first; targets (N, tokens).

        The name is read after two layers (one joins its words, one looks it up), so that the later ones can use it.
        """
        here = cross_entropy(self.named(states[2]).flatten(0, 1).float(), named.flatten(), ignore_index=UNASKED)
        then = cross_entropy(self.next(states[-2]).flatten(0, 1).float(), coming.flatten(), ignore_index=UNASKED)
        return here + then


def targets(
    tokens: Sequence[Sequence[str]], labels: Sequence[Sequence[int]], graphs: Sequence[Mapping[str, Any]]
) -> tuple[Tensor, Tensor]:
    """Targets of :class:`Pointers` at each token of packed rows, whose ``labels`` are ``UNASKED`` outside of
    answers: two (rows, longest) of patches, ``NOWHERE`` or ``UNASKED``.

    >>> ring = {"shape": "ring", "color": "red", "texture": "plain", "size": "small", "box": [48, 0, 16, 16]}
    >>> tokens, labels = ["the", "ring", "?", "a", "red", "ring"], [UNASKED] * 3 + [7, 8, 9]
    >>> named, coming = targets([tokens], [labels], [{"objects": [ring]}])
    >>> named.tolist(), coming.tolist()
    ([[-100, 15, -100, -100, -100, 15]], [[-100, -100, 15, 15, 15, -100]])
    """
    named = np.full((len(tokens), max(map(len, tokens))), UNASKED)
    coming = named.copy()
    for number, (row, answers, graph) in enumerate(zip(tokens, labels, graphs, strict=True)):
        since = 0
        for at, place in _names(row, graph["objects"]):
            named[number, at] = place
            if answers[at] != UNASKED and place != NOWHERE:
                first = at
                while first > since and answers[first] != UNASKED:
                    first -= 1
                coming[number, first:at] = place
            since = at
    return torch.from_numpy(named), torch.from_numpy(coming)


def _names(tokens: Sequence[str], objects: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """End of each name and the patch of the one object that bears it; a name that several bear is passed over."""
    said: dict[str, str] = {}
    for at, token in enumerate(tokens):
        attribute, value = MEANING.get(token, ("", ""))
        if not attribute:
            said = {}
            continue
        said[attribute] = value
        if attribute == "shape":
            bearers = [one for one in objects if all(one[name] == word for name, word in said.items())]
            if len(bearers) == 1:
                x, y, w, h = bearers[0]["box"]
                column, row = (min(GRID - 1, int((2 * start + side) / (2 * PATCH))) for start, side in ((x, w), (y, h)))
                yield at, GRID * row + column
            elif not bearers:
                yield at, NOWHERE
            said = {}
