"""Recipes of the pocket sentence embedders in SimCSE's manner (Gao et al. 2021, arXiv 2104.08821)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import BertModel

from models.embedders import simcse
from models.training.recipe import save_half
from models.training.sentences import FIGURES, Sentences
from models.training.wordings import Group, contradiction

TEMPERATURE = 0.05
SHARES = {"scenes": 28, "referring": 12, "series": 10, "plots": 6, "radiographs": 5, "spectrograms": 3}
"""Groups of captions of each world in a batch: in none are there two that mean the same."""


class Supervised(Sentences[BertModel]):
    """Recipe that pulls two wordings of one picture together and pushes one with an attribute changed away."""

    name = "simcse-sup"
    folder = "simcse-sup"
    steps = 1200
    rate = 2e-3
    dropout: ClassVar = 0.0
    """A tenth, as large models have it, hides from so small a one the attribute that makes a wording wrong."""
    embedder: ClassVar[type[simcse.Simcse]] = simcse.SupervisedSimcse
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "sentence-similarity"}
    about = f"""
A small sentence embedder (BERT of width 128, 2 layers; CLS through the pooler) trained from nothing as supervised
SimCSE is: InfoNCE at temperature 0.05, where two wordings of one picture are a positive pair, a wording with one
attribute changed is the hard negative (as entailment and contradiction are there), and all else in the batch is a
negative.
{FIGURES}"""

    def build(self) -> BertModel:
        dropout = {"hidden_dropout_prob": self.dropout, "attention_probs_dropout_prob": self.dropout}
        return BertModel(self.config(initializer_range=0.06, **dropout))  # BERT's 0.02 is for a width of 768

    def draw(self, rng: np.random.Generator) -> list[Group]:
        """Different groups of every world."""
        shares = {world: min(SHARES[world], len(some)) for world, some in self.wordings.items()}
        return [self.wordings[world][i] for world, share in shares.items()
                for i in rng.choice(len(self.wordings[world]), share, replace=False)]  # fmt: skip

    def loss(self, model: BertModel, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        drawn = self.draw(rng)
        pairs = [[str(text) for text in rng.choice(group.texts, 2, replace=len(group.texts) < 2)] for group in drawn]
        wrong = [contradiction(group.world, pair[rng.integers(2)], group.graph, rng) or pair[1]
                 for group, pair in zip(drawn, pairs, strict=True)]  # fmt: skip
        anchors, others = ([pair[k] for pair in pairs] for k in (0, 1))
        vectors = self.vectors(model, anchors + others + wrong).chunk(3)
        return contrast(vectors[0], torch.cat(vectors[1:]), anchors, others + wrong), {}

    def vectors(self, model: BertModel, texts: Sequence[str]) -> Tensor:
        """Unit vectors, through dropout while training, and through the pooler in both recipes."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        parts = []
        for some in np.array_split(order, 2):  # short ones are not padded for the long ones
            tokens = self.tokenizer([texts[i] for i in some], padding=True, truncation=True, return_tensors="pt")
            parts.append(model(**tokens.to(self.device)).pooler_output.float())
        return normalize(torch.cat(parts)[np.argsort(order)], dim=1)

    def evaluate(self, model: BertModel) -> dict[str, float]:
        shipped = self.embedder(self.embedder.Settings(checkpoint=str(self.weights / self.folder)))
        shipped.load()
        return self.figures(shipped.embed)

    def save(self, model: BertModel, folder: Path) -> None:
        save_half(model, folder)
        self.tokenizer.save_pretrained(folder)


class Unsupervised(Supervised):
    """Recipe whose positive pairs are one sentence twice through dropout."""

    name = "simcse-unsup"
    folder = "simcse-unsup"
    steps = 300
    rate = 1e-3
    dropout = 0.1
    embedder: ClassVar[type[simcse.Simcse]] = simcse.UnsupervisedSimcse
    about = f"""
A small sentence embedder (BERT of width 128, 2 layers) trained from nothing as unsupervised SimCSE is: InfoNCE at
temperature 0.05, where a caption that goes through dropout twice is its own positive, and all other captions of the
batch are negatives. While training, CLS went through the pooler; to embed, take the raw CLS state, as its authors do.
It was never told which captions are of one picture, and no text alone tells that a disc is a circle and that red is not
blue, since all four words occur in the same places: it counts words in common rather than what they mean, and is weak
by nature.
{FIGURES}"""

    def loss(self, model: BertModel, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        texts = [str(rng.choice(group.texts)) for group in self.draw(rng)]
        first, second = self.vectors(model, texts + texts).chunk(2)
        return contrast(first, second, texts, texts), {}


def contrast(anchors: Tensor, others: Tensor, said: Sequence[str], heard: Sequence[str]) -> Tensor:
    """InfoNCE: anchor i, which was ``said``, belongs to other i, and to no other that was ``heard`` in other words."""
    logits = anchors @ others.T / TEMPERATURE
    alike = torch.tensor([
        [j != i and text in (said[i], heard[i]) for j, text in enumerate(heard)] for i in range(len(said))
    ])  # fmt: skip
    positives = torch.arange(len(said), device=logits.device)
    return cross_entropy(logits.masked_fill(alike.to(logits.device), -torch.inf), positives)
