"""Base of the recipes of the pocket sentence embedders: training data and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from transformers import BertConfig, BertTokenizer

from models.training.data import COUNTS
from models.training.recipe import Model, Recipe
from models.training.wordings import Group, figures, groups
from models.training.words import tokenizer

WIDTH, LENGTH = 128, 64

FIGURES = """
The figures, by world, are of 200 unseen meanings (fewer where a world has fewer) with two wordings each. `retrieval`:
how often a wording's nearest, among one other wording of each meaning, is of its own. `auc`: how often two wordings of
one picture are nearer than one of them and the other with one attribute changed (area under the ROC curve, 0.5 is
chance). `measured`: how often a new wording is nearer to the nearest of its picture's references than the same with one
attribute changed, which is what a measure has to notice. `alignment` and `uniformity` are those of Wang and Isola
(2020), lower is better. Two captions of a `series` or `referring` picture mostly speak of different things (only in a
fifth of the pairs of `series` do their words tell that the changed one is wrong), so no embedder can do well by the
first two figures there.
"""


class Sentences(Recipe[Model]):
    """A recipe that learns from the captions of all worlds, grouped by what they mean."""

    counts: ClassVar = COUNTS

    @cached_property
    def wordings(self) -> dict[str, list[Group]]:
        """World -> its groups; ``plots`` are the prepared corpora of time series."""
        return {world: groups(world, examples) for world, examples in self.sources.items()}

    @cached_property
    def tokenizer(self) -> BertTokenizer:
        return tokenizer([text for some in self.wordings.values() for group in some for text in group.texts], LENGTH)

    def config(self, **others: Any) -> BertConfig:
        """Two layers: less than half a million parameters."""
        return BertConfig(
            vocab_size=len(self.tokenizer), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=2 * WIDTH, max_position_embeddings=LENGTH, pad_token_id=self.tokenizer.pad_token_id,
            **others,
        )  # fmt: skip

    def figures(self, embed: Callable[[Sequence[str]], np.ndarray]) -> dict[str, float]:
        """Figures of an embedder of unit vectors, for its card."""
        return figures(embed, {world: groups(world, self.unseen(world)) for world in self.counts})
