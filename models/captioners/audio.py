"""Captions of spectrograms by audio captioners: the picture is turned back into sound (paper 000, appendix F)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from models.adapters.checkpoints import identify
from models.adapters.decoding import Decoding, generated
from models.adapters.pretrained import Pretrained, read
from models.media.audio import Spectrogram, waveform_at


class Listener(ABC):
    """Base of audio captioners: pictures become waveforms at ``rate``, and are decoded in full micro-batches.

    An item does not depend on its batch, as for :class:`models.captioners.blip.Blip`: every forward has ``micro_batch``
    clips, the last one filled up by repetition, and a sampled word comes from the item's own generator. Prompts are not
    used.
    """

    class Settings(Decoding, Pretrained):
        """``spectrogram``: how the corpus made its pictures."""

        spectrogram: Spectrogram = Spectrogram()

    rate: int
    """Samples per second of the model's input; there after ``load()``."""

    def __init__(self, settings: Listener.Settings) -> None:
        self.settings = settings

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` captions of each picture (bins, width, 3) uint8, without blanks around them.

        Raises ValueError for a picture that is not of the spectrogram's size.
        """
        size, count, results = self.settings.micro_batch, self.settings.candidates, []
        for start in range(0, len(pictures), size):
            sounds = [waveform_at(one, self.settings.spectrogram, self.rate) for one in pictures[start : start + size]]
            rows = [*range(len(sounds)), *[len(sounds) - 1] * (size - len(sounds))]
            texts = self._say([sounds[i] for i in rows], [seeds[start + i] for i in rows])
            results += [[text.strip() for text in texts[i * count : (i + 1) * count]] for i in range(len(sounds))]
        return results

    @abstractmethod
    def _say(self, sounds: list[np.ndarray], seeds: list[int]) -> list[str]:
        """``candidates`` captions of each of ``micro_batch`` sounds (samples,), sound after sound."""


class SpeechSeq2Seq(Listener):
    """Any encoder-decoder of transformers' ``AutoModelForSpeechSeq2Seq``, such as an audio captioner of Whisper's kind.

    LP-MusicCaps is none: :class:`models.captioners.lp_music_caps.LpMusicCaps` reads its authors' file as it is.

    Words are chosen by the ``generate`` that all models of transformers have. Whisper's own is made for long speech: it
    falls back on other temperatures, and gives every candidate the same caption.
    """

    VERSION: ClassVar[int] = 1

    class Settings(Listener.Settings):
        """``prefix``: text that every caption begins with and that is cut off again, for models that were trained with
        such a mark of style ("clotho > caption: ")."""

        prefix: str = ""

    settings: Settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity(*self.settings.unused)

    def load(self) -> None:
        """Read model, feature extractor and tokenizer, on a GPU where there is one; a hub id is downloaded unless
        cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture or lacks weights, or ``prefix`` and ``max_tokens`` are more than
            its decoder has positions for.
        """
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        identify(checkpoint, revision)
        config = transformers.AutoConfig.from_pretrained(checkpoint, revision=revision)
        if type(config) not in transformers.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING or not config.is_encoder_decoder:
            raise ValueError(
                f"checkpoint {checkpoint!r} is of type {config.model_type!r}, not an encoder-decoder from sound to "
                "text: take one of AutoModelForSpeechSeq2Seq, such as an audio captioner of Whisper's kind"
            )
        self._model, processor = read(self.settings, config.model_type, "AutoModelForSpeechSeq2Seq", "AutoProcessor")
        self._extractor, self._tokenizer = processor.feature_extractor, processor.tokenizer
        self.device, self.rate = self._model.device.type, self._extractor.sampling_rate
        start = getattr(self._tokenizer, "prefix_tokens", None) or [config.decoder_start_token_id]
        self._start = [*start, *self._tokenizer(self.settings.prefix, add_special_tokens=False)["input_ids"]]
        left = getattr(config, "max_target_positions", math.inf) - len(self._start)
        if self.settings.max_tokens > left:
            raise ValueError(
                f"max_tokens is {self.settings.max_tokens}, but behind a beginning of {len(self._start)} tokens the "
                f"decoder of {checkpoint!r} has only {left} positions: set at most that"
            )

    def _say(self, sounds: list[np.ndarray], seeds: list[int]) -> list[str]:
        import torch
        from transformers import GenerationMixin

        inputs = self._extractor(sounds, sampling_rate=self.rate, return_tensors="pt")
        ids = generated(
            partial(GenerationMixin.generate, self._model),
            self.settings,
            seeds,
            **inputs.to(self.device, self._model.dtype),
            decoder_input_ids=torch.tensor([self._start] * len(sounds), device=self.device),
        )
        return self._tokenizer.batch_decode(ids[:, len(self._start) :], skip_special_tokens=True)
