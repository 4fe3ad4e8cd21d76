"""Recipe of the pocket captioner: transformers' ``BlipForConditionalGeneration`` for 64 x 64 pixels."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
)

from models.pocket.data import GRID, PATCH, Examples, dense_labels
from models.pocket.recipe import Recipe, save_half
from models.pocket.words import SPECIAL, tokenizer
from models.pocket.worlds.grammar import BACKGROUNDS, WORDS, agreement, parse

WIDTH, LENGTH = 160, 44
LOOKING = 0.3
"""Share of the training in which the vision tower only says what each patch shows."""
WORDINGS = (0.5, 0.15, 0.05, 0.05, 0.25)
"""How often each of a scene's five wordings is learnt: mostly those that name everything."""
PLOTS, SCENES = 16, 48
"""Pictures of each kind in a batch."""
MEAN, STD = BlipImageProcessor.image_mean, BlipImageProcessor.image_std


class Looker(nn.Module):
    """The captioner, and beside it the heads that teach its vision tower; only the captioner is shipped."""

    def __init__(self, captioner: BlipForConditionalGeneration) -> None:
        super().__init__()
        self.captioner = captioner
        self.patches = nn.Linear(WIDTH, sum(len(values) + 1 for values in WORDS.values()) + 2)
        self.whole = nn.Linear(WIDTH, len(BACKGROUNDS) + 12)


class Blip(Recipe):
    """First the tower learns to see (dense labels), then the decoder to read it, with the labels kept as company."""

    name = "blip"
    folder = "blip"
    steps = 4200
    rate = 1.5e-3
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "image-to-text"}
    about = """
A small BLIP captioner (vision width 160, 4 layers, patches of 8 pixels; text decoder of 3 layers) for 64 x 64 pictures
of the `scenes` world and, where plots were learnt from, line plots of time series. It knows no other pictures. Captions
start from `[DEC]` as BLIP's do; use beam search. The vision tower was first taught what each patch shows.
"""

    @cached_property
    def tokenizer(self) -> BertTokenizer:
        texts = [text for examples in (self.scenes, self.plots) for captions in examples.captions for text in captions]
        return tokenizer(texts, LENGTH, bos_token="[DEC]", additional_special_tokens=["[ENC]"])

    def build(self) -> Looker:
        layers = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_attention_heads": 5,
                  "projection_dim": WIDTH}  # fmt: skip
        pad, _, _, end, _, start, _ = range(len(SPECIAL))
        text = {**layers, "num_hidden_layers": 3, "vocab_size": len(self.tokenizer), "max_position_embeddings": LENGTH,
                "bos_token_id": start, "eos_token_id": end, "sep_token_id": end, "pad_token_id": pad}  # fmt: skip
        vision = {**layers, "num_hidden_layers": 4, "image_size": PATCH * GRID, "patch_size": PATCH,
                  "initializer_range": 0.02}  # fmt: skip
        return Looker(
            BlipForConditionalGeneration(
                BlipConfig(text_config=text, vision_config=vision, projection_dim=WIDTH, image_text_hidden_size=WIDTH)
            )
        )

    def prepare(self, model: nn.Module) -> None:
        self.scene_words, self.plot_words = self._ids(self.scenes), self._ids(self.plots)
        self.labels, self.offsets, self.grounds = map(torch.from_numpy, dense_labels(self.scenes.annotations))
        self.heights = torch.tensor([[y / 64 for _, y in one["series"]["points"]] for one in self.plots.annotations])

    def _ids(self, examples: Examples) -> list[np.ndarray]:
        """Token ids of every caption, ``[DEC] words [SEP]`` padded, an array (captions, LENGTH) a picture."""
        texts = [text for captions in examples.captions for text in captions]
        if not texts:
            return []
        table = self.tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        rows = np.array(table, np.int16)
        rows[:, 0] = self.tokenizer.bos_token_id
        return np.split(rows, np.cumsum([len(captions) for captions in examples.captions])[:-1])

    def loss(self, model: Looker, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        some = rng.integers(len(self.scenes), size=SCENES)
        plots = rng.integers(len(self.plots), size=PLOTS) if len(self.plots) else np.zeros(0, int)
        pictures = np.concatenate([self.scenes.pictures[some], self.plots.pictures[plots]])
        seen = model.captioner.vision_model(pixel_values=normalise(pictures)).last_hidden_state
        said, whole = model.patches(seen[:SCENES, 1:]).float(), model.whole(seen[:, 0]).float()
        *classes, offsets = said.split([len(values) + 1 for values in WORDS.values()] + [2], dim=-1)
        labels = self.labels[some].long()
        covered = (labels[..., :1] > 0).float()
        dense = sum(cross_entropy(one.flatten(0, 1), labels[..., k].flatten()) for k, one in enumerate(classes))
        dense = dense + (((offsets - self.offsets[some]) ** 2) * covered).sum() / covered.sum()
        dense = dense + cross_entropy(whole[:SCENES, : len(BACKGROUNDS)], self.grounds[some].long())
        if len(plots):
            dense = dense + 4 * (whole[SCENES:, len(BACKGROUNDS) :] - self.heights[plots]).abs().mean()
        if progress < LOOKING:
            return dense, {"dense": dense.item()}
        rows = [self.scene_words[i][rng.choice(5, p=WORDINGS)] for i in some]
        rows += [self.plot_words[i][rng.integers(len(self.plot_words[i]))] for i in plots]
        ids = torch.from_numpy(np.stack(rows)).long()
        ids = ids[:, : int((ids != 0).sum(1).max())]
        words = model.captioner.text_decoder(
            input_ids=ids,
            attention_mask=(ids != 0).long(),
            encoder_hidden_states=seen,
            labels=ids.masked_fill(ids == 0, -100),
        ).loss.float()
        return words + 0.2 * dense, {"dense": dense.item(), "words": words.item()}

    def evaluate(self, model: Looker) -> dict[str, float]:
        captions = caption(model.captioner, self.tokenizer, self.held_out.pictures[:256])
        scores = [
            agreement(parse(text), graph) for text, graph in zip(captions, self.held_out.annotations, strict=False)
        ]
        figures = {f"scenes {name}": float(np.mean([score[name] for score in scores])) for name in scores[0]}
        if len(self.held_out_plots):
            from pycocoevalcap.cider.cider import Cider

            texts = caption(model.captioner, self.tokenizer, self.held_out_plots.pictures)
            plain = {
                i: [" ".join(re.findall(r"\w+", text.lower())) for text in captions]
                for i, captions in enumerate(self.held_out_plots.captions)
            }
            figures["plots cider"] = float(Cider().compute_score(plain, {i: [t] for i, t in enumerate(texts)})[0])
            figures["plots distinct captions"] = float(len(set(texts)))
        return figures

    def save(self, model: Looker, folder: Path) -> None:
        save_half(model.captioner, folder)
        size = {"height": PATCH * GRID, "width": PATCH * GRID}
        BlipProcessor(BlipImageProcessor(size=size), self.tokenizer).save_pretrained(folder)


def normalise(pictures: np.ndarray) -> Tensor:
    """(N, 64, 64, 3) uint8 as BLIP's processor hands them to the model."""
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return (batch - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def caption(
    model: BlipForConditionalGeneration, tokenizer: BertTokenizer, pictures: np.ndarray, beams: int = 3
) -> list[str]:
    """The best caption of each picture by beam search."""
    texts: list[str] = []
    for start in range(0, len(pictures), 64):
        ids = model.generate(
            pixel_values=normalise(pictures[start : start + 64]), num_beams=beams, max_length=LENGTH, do_sample=False
        )
        texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return texts
