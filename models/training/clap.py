"""Recipe of the pocket CLAP: a small ``ClapModel``, trained on labels of sounds and on pairs of one sound."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

from models.media.audio import POCKET, waveform_at
from models.training import data
from models.training.data import Examples
from models.training.recipe import Recipe, save_half
from models.training.words import tokenizer
from models.worlds import version
from models.worlds.spectrograms import KINDS, clip

WIDTH, LENGTH, BATCH = 64, 16, 32
FRAMES, MELS = 128, 32
"""What the audio tower sees: 6 s in 128 frames of 32 mel bins, folded into 64 x 64."""

HEARD = 256
"""How many unseen clips the card's figures are of."""

TEMPERATURE = 0.1
"""Temperature of the contrast between a sound and its other version."""

EXTRACTOR: dict[str, Any] = {
    "feature_size": MELS, "sampling_rate": POCKET.rate, "max_length_s": 6,
    "hop_length": 6 * POCKET.rate // (FRAMES - 1), "fft_window_size": 2048, "frequency_max": 10_000,
    "truncation": "rand_trunc", "padding": "repeatpad",
}  # fmt: skip
"""Settings of the feature extractor, in the unfused layout."""


class Clap(Recipe[ClapModel]):
    """Two contrasts: sound and label, where equal kinds are no negatives; and a clip and the sound of its picture."""

    name = "clap"
    folder = "clap"
    steps = 500
    rate = 2e-3
    counts: ClassVar = {"spectrograms": 500}
    learns_plots = False
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "feature-extraction"}
    about = """
A small CLAP (an HTSAT of widths 24, 48 and 96 with two blocks each, windows of 4; a RoBERTa text tower of width 64 and
two layers; vectors of 64 numbers) for sounds of the `spectrograms` world, and no others. It hears at 22.05 kHz.

Every training clip was heard twice: as it was synthesised, and as the sound of its 64 x 64 picture (mel-spectrogram and
back, by Griffin-Lim), which is what the measure embeds. Two losses were added up: sound and label, in which clips of
one kind are not told apart; and clip and sound of its picture, in which every other clip of the batch is wrong. The
first gives the labels their meaning, the second keeps sounds of one kind apart, so that a cosine falls with what is
repainted badly and not only when the kind changes.

The figures: how often the right one of ten labels is nearest to a clip, and to the sound of its picture; how often the
sound of a picture is nearest, among 256, to its own clip; and the measure's mean cosine, between the sounds of two
pictures, of 64 pictures with Telea's repainting of their centre (a quarter of the picture), with the centre blacked
out, with another clip of the same kind, and with one of another.
"""

    def build(self) -> ClapModel:
        size = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 2 * WIDTH}
        words = {"vocab_size": len(self.words), "max_position_embeddings": LENGTH + 1,
                 "pad_token_id": self.words.pad_token_id, "bos_token_id": self.words.cls_token_id,
                 "eos_token_id": self.words.sep_token_id}  # fmt: skip
        audio = {
            "num_mel_bins": MELS, "spec_size": 64, "window_size": 4, "patch_embeds_hidden_size": 24, "hidden_size": 96,
            "depths": [2, 2, 2], "num_attention_heads": [2, 4, 8], "num_hidden_layers": 3, "hidden_dropout_prob": 0.0,
        }  # fmt: skip
        return ClapModel(ClapConfig(text_config=size | words, audio_config=audio, projection_dim=WIDTH))

    @cached_property
    def words(self) -> Any:
        """The tokenizer."""
        return tokenizer((text for texts in self.learnt("spectrograms").captions for text in texts), LENGTH)

    @cached_property
    def lessons(self) -> tuple[np.ndarray, np.ndarray]:
        """Mel features of the training clips, and the numbers of their kinds."""
        examples = self.learnt("spectrograms")
        return features(examples, data.TRAIN_SEED, self.build_folder / self.name), kinds(examples)

    def prepare(self, model: ClapModel) -> None:
        _ = self.lessons

    def loss(self, model: ClapModel, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, float]]:
        mels, numbers = self.lessons
        rows = rng.choice(len(mels), BATCH, replace=False)
        captions = self.learnt("spectrograms").captions
        labels = [captions[row][rng.integers(len(captions[row]))] for row in rows]
        sounds = sounding(model, self.tensor(np.concatenate([mels[rows, 0], mels[rows, 1]])))
        texts = meaning(model, self.words, labels)
        alike = self.tensor(numbers[rows][:, None] == numbers[rows][None]).float()
        right = alike / alike.sum(1, keepdim=True)
        named = sounds @ texts.T
        naming = soft_entropy(model.logit_scale_a.exp() * named, right.repeat(2, 1))
        naming += soft_entropy(model.logit_scale_t.exp() * named.T, right.repeat(1, 2) / 2)
        apart = sounds[:BATCH] @ sounds[BATCH:].T / TEMPERATURE
        own = torch.arange(BATCH, device=self.device)
        knowing = cross_entropy(apart, own) + cross_entropy(apart.T, own)
        return naming + knowing, {"naming": naming.item(), "knowing": knowing.item()}

    def evaluate(self, model: ClapModel) -> dict[str, float]:
        examples = data.world("spectrograms", data.HELD_OUT_SEED, HEARD, self.build_folder)
        mels = features(examples, data.HELD_OUT_SEED, self.build_folder / self.name)
        whole, pictured = (sounding(model, torch.from_numpy(mels[:, k])) for k in (0, 1))
        labels = meaning(model, self.words, [f"this is a {kind} sound" for kind in KINDS])
        right = torch.from_numpy(kinds(examples))
        return {
            "kind of a clip": (whole @ labels.T).argmax(1).eq(right).float().mean().item(),
            "kind of a picture's sound": (pictured @ labels.T).argmax(1).eq(right).float().mean().item(),
            "clip found by its picture's sound": (pictured @ whole.T).argmax(1).eq(
                torch.arange(len(whole))).float().mean().item(),
        } | self.cosines(examples)  # fmt: skip

    def cosines(self, examples: Examples, count: int = 64) -> dict[str, float]:
        """Mean cosines of pictures with changed ones, through the shipped files and the measure itself."""
        from models.inpainters.classical import Telea
        from models.measures.pictures.clap import Clap as Measure

        measure = Measure(Measure.Settings(checkpoint=str(self.weights / self.folder), spectrogram=POCKET))
        measure.load()
        pictures, numbers = list(examples.pictures[:count]), kinds(examples)[:count]
        telea = Telea(Telea.Settings())
        telea.load()
        mask = np.zeros((64, 64), bool)
        mask[16:48, 16:48] = True
        masks = [mask] * count
        places = np.arange(count)
        same, other = ([next((j for j in np.roll(places, -i - 1) if (numbers[j] == numbers[i]) == wanted), i)
                        for i in places] for wanted in (True, False))  # fmt: skip
        changed = {
            "repainted by Telea": telea.inpaint(pictures, masks, [""] * count, [0] * count),
            "blacked out": [np.where(mask[..., None], np.uint8(0), picture) for picture in pictures],
            "another of its kind": [pictures[j] for j in same],
            "one of another kind": [pictures[j] for j in other],
        }
        return {
            f"cosine, {name}": float(np.mean([one["clap"]["whole"] for one in measure.measure(pictures, those, masks)]))
            for name, those in changed.items()
        }

    def save(self, model: ClapModel, folder: Path) -> None:
        save_half(model, folder)
        ClapProcessor(ClapFeatureExtractor(**EXTRACTOR), self.words).save_pretrained(folder)


def features(examples: Examples, seed: int, folder: Path) -> np.ndarray:
    """Log-mel features (N, 2, 1, 128, 32) float32 of each clip as synthesised and of its picture's sound, made once."""
    path = folder / f"features-v{version('spectrograms')}-{seed}-{len(examples)}.npy"
    if not path.exists():
        extractor = ClapFeatureExtractor(**EXTRACTOR)
        made = [
            extractor([clip(seed, index)[0], waveform_at(picture, POCKET, POCKET.rate)], sampling_rate=POCKET.rate,
                      return_tensors="np")["input_features"].astype(np.float16)
            for index, picture in enumerate(examples.pictures)
        ]  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.stack(made))
    return np.load(path).astype(np.float32)


def kinds(examples: Examples) -> np.ndarray:
    """The numbers (N,) of the kinds of clips."""
    return np.array([list(KINDS).index(graph["kind"]) for graph in examples.annotations])


def sounding(model: ClapModel, mels: Tensor) -> Tensor:
    """Unit vectors (N, D) of features (N, 1, 128, 32)."""
    return model.get_audio_features(mels).pooler_output.float()


def meaning(model: ClapModel, words: Any, texts: list[str]) -> Tensor:
    """Unit vectors (N, D) of texts."""
    tokens = words(texts, padding=True, truncation=True, return_tensors="pt").to(model.device)
    return model.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output.float()


def soft_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of rows of logits (N, M) with the shares (N, M) that they should have."""
    return -(wanted * log_softmax(logits, 1)).sum(1).mean()
