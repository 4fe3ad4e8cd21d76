"""Likeness in sound: cosine of CLAP audio vectors (Wu et al. 2023, arXiv 2211.06687; paper 000, appendix F)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from models.adapters import roles
from models.adapters.backbones import read_backbone
from models.adapters.checkpoints import identify
from models.measures import Metric, PictureMeasure
from models.measures.embeddings.cosine import cosine
from models.measures.regions import check_pair
from models.media.audio import Spectrogram, waveform_at
from models.media.images import composite

if TYPE_CHECKING:
    from transformers import ClapModel


class Clap(PictureMeasure):
    """Similarity of the sounds of a spectrogram and its repainted version: both are turned back into waveforms.

    An embedding is of a whole clip, and so is a cosine. That of ``region`` is to the original with only the repainted
    part replaced, that of ``outside`` to the original with only the rest replaced: what a picture that is composited,
    as this project's are, has everywhere and in the region is the same, and outside it has 1.

    The original takes the way through the picture too; what a picture cannot hold, such as phase, is held against
    nobody. The text tower is not used.
    """

    VERSION: ClassVar[int] = 1
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "clap",
            "CLAP",
            131,
            "pictures",
            "cosine of the sounds of two spectrograms, as CLAP hears them (Wu et al. 2023)",
            low=-1,
            high=1,
            regional=True,
            checkpoint=True,
        ),
    )

    class Settings(roles.Settings):
        """``checkpoint``: a folder of transformers' ``ClapModel`` with its feature extractor, or a hub id (the paper's
        is laion/clap-htsat-unfused) with its commit as ``revision``. ``spectrogram``: how the corpus made its pictures.
        """

        checkpoint: str
        revision: str | None = None
        spectrogram: Spectrogram = Spectrogram()

    _model: ClapModel

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and spectrogram; raises as :func:`models.adapters.checkpoints.identify` does."""
        spectrogram = self.settings.spectrogram.model_dump()
        return identify(self.settings.checkpoint, self.settings.revision) | {"spectrogram": spectrogram}

    def load(self) -> None:
        """Read the model and its feature extractor; on a GPU where there is one.

        Raises
        ------
        ValueError
            The checkpoint is no CLAP model, or lacks weights of its audio tower.
        """
        import torch
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        wanted = "a CLAP: take one such as laion/clap-htsat-unfused"
        unused = "text_", "logit_scale"
        self._model = read_backbone(checkpoint, revision, ("clap",), wanted, unused, dtype=torch.float32)
        where: dict[str, Any] = {"pretrained_model_name_or_path": checkpoint, "revision": revision}
        self._extractor = transformers.ClapFeatureExtractor.from_pretrained(**where)
        self.device = self._model.device.type

    def measure(
        self, originals: Sequence[np.ndarray], results: Sequence[np.ndarray], masks: Sequence[np.ndarray]
    ) -> list[dict[str, dict[str, float | None]]]:
        """``{"clap": {region: cosine}}`` of each pair, in [-1, 1]; None for an empty region.

        Each distinct picture is heard once, and alone, because kernels round otherwise for another batch shape: a
        pair's value does not depend on its neighbours, and equal pictures have 1.

        Raises
        ------
        ValueError
            About the first pair that cannot be compared, or is not of the spectrogram's size.
        """
        vectors: dict[bytes, np.ndarray] = {}

        def embedded(picture: np.ndarray) -> np.ndarray:
            key = picture.tobytes()
            if key not in vectors:
                vectors[key] = self._embed(picture)
            return vectors[key]

        values = []
        for original, result, mask in zip(originals, results, masks, strict=True):
            check_pair(original, result, mask)
            changed = {
                "whole": result,
                "region": composite(original, result, mask) if mask.any() else None,
                "outside": composite(original, result, ~mask) if not mask.all() else None,
            }
            values.append({"clap": {
                region: None if picture is None else cosine(embedded(original), embedded(picture))
                for region, picture in changed.items()
            }})  # fmt: skip
        return values

    def _embed(self, picture: np.ndarray) -> np.ndarray:
        """The vector (D,) float64 of a picture's sound; what is longer than the model hears is cut at its end."""
        import torch

        rate = self._extractor.sampling_rate
        wave = waveform_at(picture, self.settings.spectrogram, rate)[: self._extractor.nb_max_samples]
        features = self._extractor(wave, sampling_rate=rate, return_tensors="pt")["input_features"]
        # A fused model looks closer at one clip of a batch, taken at random, where none is longer than it hears.
        longer = torch.zeros(1, 1, dtype=torch.bool)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            made = self._model.get_audio_features(features.float().to(self.device), is_longer=longer.to(self.device))
        return made.pooler_output[0].double().cpu().numpy()
