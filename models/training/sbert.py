"""Recipe of the pocket sentence embedder: sentence-transformers, by its own trainer."""

from __future__ import annotations

import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from scipy.stats import spearmanr
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.modules.normalize import Normalize
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules.pooling import Pooling
from torch import Tensor
from transformers import BertModel, TrainerCallback

from models.training.recipe import Log, save_half
from models.training.sentences import FIGURES, LENGTH, WIDTH, Sentences
from models.worlds.grammar import agreement, parse

BATCH = 64
FEWEST = 1500
"""Pairs of each world at least: those of few meanings are learnt from again and again."""


class Sbert(Sentences[SentenceTransformer]):
    """Two wordings of one picture are a positive pair, all others of the batch negatives.

    Pictures that show the same would be false negatives, so every meaning is learnt from once, as far as a world has
    enough of them.
    """

    name = "sbert"
    folder = "sbert"
    steps = 1200
    rate = 1e-3
    card: ClassVar = {"library_name": "sentence-transformers", "pipeline_tag": "sentence-similarity"}
    about = f"""
A small sentence embedder (BERT of width 128, 2 layers, mean pooling, unit norm) trained with
`MultipleNegativesRankingLoss` on pairs of differently worded captions of one picture. It knows the language of the
generated worlds and, where plots were learnt from, of captions of time series, and no other: a cosine of it is to be
reported under its name. The first two figures are of scenes: how often a caption's nearest among 400 others is another
wording of the same scene, and Spearman's correlation between cosines and shares of attributes in common.
{FIGURES}"""

    def build(self) -> SentenceTransformer:
        """The untrained embedder, through the folder from which sentence-transformers reads BERT."""
        folder = self.build_folder / self.name / "untrained"
        self.tokenizer.save_pretrained(folder)
        BertModel(self.config(), add_pooling_layer=False).save_pretrained(folder)
        bert = Transformer(str(folder), max_seq_length=LENGTH)
        return SentenceTransformer(modules=[bert, Pooling(WIDTH, "mean"), Normalize()], device="cpu")

    @cached_property
    def pairs(self) -> Dataset:
        rng = np.random.default_rng(self.seed)
        picked: list[np.ndarray] = []
        for some in self.wordings.values():
            several = [group for group in some if len(group.texts) > 1]
            rounds = range(max(len(several), FEWEST))
            picked += [rng.permutation(several[i % len(several)].texts)[:2] for i in rounds]
        order = rng.permutation(len(picked))
        return Dataset.from_dict({
            "anchor": [str(picked[i][0]) for i in order], "positive": [str(picked[i][1]) for i in order]
        })  # fmt: skip

    def train(self, log: Log, resume: bool, steps: int | None) -> dict[str, float]:
        steps, started = steps or self.steps, time.monotonic()
        torch.manual_seed(self.seed)
        model, folder = self.build(), self.build_folder / self.name / "checkpoints"
        settings = SentenceTransformerTrainingArguments(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=BATCH, learning_rate=self.rate,
            warmup_steps=steps // 20, lr_scheduler_type="cosine", batch_sampler="no_duplicates", seed=self.seed,
            use_cpu=True, bf16=True, logging_steps=50, save_steps=self.checkpoint_every, save_total_limit=1,
            report_to="none", disable_tqdm=True,
        )  # fmt: skip
        trainer = SentenceTransformerTrainer(
            model=model, args=settings, train_dataset=self.pairs, loss=MultipleNegativesRankingLoss(model),
            callbacks=[_Tell(log)],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume and any(folder.glob("checkpoint-*")) or None)
        self.save(model, self.weights / self.folder)
        figures = self.evaluate(SentenceTransformer(str(self.weights / self.folder), device="cpu"))
        log(figures, steps)
        self.write_card(figures, steps, time.monotonic() - started)
        return figures

    def loss(
        self, model: SentenceTransformer, rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError("sentence-transformers' trainer has its own loss")

    def evaluate(self, model: SentenceTransformer) -> dict[str, float]:
        graphs = self.held_out.annotations[:400]
        meanings = [json.dumps(_meaning(graph)) for graph in graphs]
        asked, stored = (
            model.encode([texts[k] for texts in self.held_out.captions[:400]], show_progress_bar=False) for k in (4, 1)
        )
        cosines = asked @ stored.T
        found = [meanings[i] == meanings[j] for i, j in enumerate(cosines.argmax(1))]
        overlap = [
            agreement(parse(texts[4]), graph)["attributes"]
            for texts in self.held_out.captions[:60] for graph in graphs[:60]
        ]  # fmt: skip
        return {
            "retrieval accuracy": float(np.mean(found)),
            "spearman with attributes": float(spearmanr(cosines[:60, :60].ravel(), overlap).statistic),
        } | self.figures(lambda texts: model.encode(list(texts), show_progress_bar=False))

    def save(self, model: SentenceTransformer, folder: Path) -> None:
        model.save(str(folder), create_model_card=False)
        save_half(model[0].model, folder)


class _Tell(TrainerCallback):
    """Hands the trainer's losses to the recipe's log."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **rest: Any) -> None:
        if logs and "loss" in logs:
            self.log({"loss": float(logs["loss"])}, state.global_step)


def _meaning(graph: dict[str, Any]) -> list[Any]:
    """Facts of a scene that a caption can state: no boxes."""
    things = [[thing[name] for name in ("size", "color", "texture", "shape")] for thing in graph["objects"]]
    return [graph["background"], things, [relation["predicate"] for relation in graph["relations"]]]
