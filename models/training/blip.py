"""Recipe of the pocket BLIP: transformers' ``BlipForConditionalGeneration`` for 64 x 64 pixels."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
)

from models.training.captioning import Captioning
from models.training.data import GRID, PATCH, Examples
from models.training.recipe import save_half
from models.training.seeing import Heads
from models.training.words import SPECIAL, tokenizer

WIDTH, LENGTH = 128, 44
LOOKING = 0.3
"""Share of the training in which the vision tower only says what each patch shows."""
SHARES = {"scenes": 28, "referring": 8, "series": 6, "plots": 6, "radiographs": 4, "spectrograms": 4}
"""Pictures of each world in a batch."""
WORDINGS = (0.6, 0.1, 0.05, 0.05, 0.2)
"""How often each of a scene's five wordings is learnt: mostly those that name everything."""
MEAN, STD = BlipImageProcessor.image_mean, BlipImageProcessor.image_std


class Looker(nn.Module):
    """The captioner, and beside it the heads that teach its vision tower; only the captioner is shipped."""

    def __init__(self, captioner: BlipForConditionalGeneration, heads: Heads) -> None:
        super().__init__()
        self.captioner, self.heads = captioner, heads


class Blip(Captioning[Looker]):
    """Recipe of BLIP: the vision tower is trained on dense labels first, then with the decoder on captions too."""

    name = "blip"
    folder = "blip"
    steps = 2400
    rate = 1.5e-3
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "image-to-text"}
    about = """
A small BLIP captioner (vision width 128, 4 layers, patches of 8 pixels; text decoder of 3 layers) for 64 x 64
pictures of the generated worlds and, where plots were learnt from, line plots of time series. It knows no other
pictures. Captions start from `[DEC]` as BLIP's do; use beam search. The vision tower was first taught what each patch
shows. It takes no prompt: where a red box is drawn, it says what is inside.
"""

    @cached_property
    def tokenizer(self) -> BertTokenizer:
        texts = [text for one in self.lessons.sources.values() for captions in one.captions for text in captions]
        return tokenizer(texts, LENGTH, bos_token="[DEC]", additional_special_tokens=["[ENC]"])

    def build(self) -> Looker:
        layers = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_attention_heads": 4,
                  "projection_dim": WIDTH}  # fmt: skip
        pad, _, _, end, _, start, _ = range(len(SPECIAL))
        text = {**layers, "num_hidden_layers": 3, "vocab_size": len(self.tokenizer), "max_position_embeddings": LENGTH,
                "bos_token_id": start, "eos_token_id": end, "sep_token_id": end, "pad_token_id": pad}  # fmt: skip
        vision = {**layers, "num_hidden_layers": 4, "image_size": PATCH * GRID, "patch_size": PATCH,
                  "initializer_range": 0.02}  # fmt: skip
        return Looker(
            BlipForConditionalGeneration(
                BlipConfig(text_config=text, vision_config=vision, projection_dim=WIDTH, image_text_hidden_size=WIDTH)
            ),
            Heads(WIDTH, len(self.lessons.marks)),
        )

    def prepare(self, model: Looker) -> None:
        self.words = {name: self._ids(examples) for name, examples in self.lessons.sources.items()}

    def _ids(self, examples: Examples) -> list[np.ndarray]:
        """Token ids of every caption, ``[DEC] words [SEP]`` padded, an array (captions, LENGTH) a picture."""
        texts = [text for captions in examples.captions for text in captions]
        table = self.tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
        rows = np.array(table, np.int16)
        rows[:, 0] = self.tokenizer.bos_token_id
        return np.split(rows, np.cumsum([len(captions) for captions in examples.captions])[:-1])

    def loss(self, model: Looker, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        views = self.lessons.draw(rng, SHARES)
        pixels = normalise(views.pictures).to(self.device)
        seen = model.captioner.vision_model(pixel_values=pixels).last_hidden_state
        dense = self.lessons.loss(model.heads, views, seen[:, 1:], seen[:, 0])
        if progress < LOOKING:
            return dense, {"dense": dense.item()}
        rows = []
        for name, some in views.numbers.items():
            for texts in (self.words[name][k] for k in some):
                rows.append(texts[rng.choice(5, p=WORDINGS) if name == "scenes" else rng.integers(len(texts))])
        ids = self.tensor(np.stack(rows)).long()
        ids = ids[:, : int((ids != 0).sum(1).max())]
        words = model.captioner.text_decoder(
            input_ids=ids,
            attention_mask=(ids != 0).long(),
            encoder_hidden_states=seen,
            labels=ids.masked_fill(ids == 0, -100),
        ).loss.float()
        return words + 0.2 * dense, {"dense": dense.item(), "words": words.item()}

    def evaluate(self, model: Looker) -> dict[str, float]:
        figures = self.described(lambda _, pictures: caption(model.captioner, self.tokenizer, pictures), 256)
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
