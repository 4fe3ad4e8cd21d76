"""CLIPScore: how well a caption fits its picture, as CLIP sees both (Hessel et al. 2021, arXiv 2104.08718)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from models.adapters.ahead import moved, on_device, prepared
from models.adapters.backbones import read_backbone
from models.adapters.finite import finite
from models.adapters.pretrained import Checkpoint
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need
from models.measures.captions.references import check_own, check_references

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPModel

PREFIX = "A photo depicts "
WEIGHT = 2.5


class ClipScore(CaptionMeasure):
    """CLIPScore without references, and RefCLIPScore with them; of a corpus, their means.

    The picture is the one that was captioned: the original, or the repainted one, so that a caption is asked whether it
    fits what its captioner saw. Captions and references begin with :data:`PREFIX`, as in the authors' code, and are cut
    at what CLIP reads (77 tokens). Paper and code agree on the values but where a caption is unlike every reference:
    its likeness is 0 there, as in the paper's equation, and negative in the code.

    Each distinct text and picture is embedded once a corpus.
    """

    VERSION: ClassVar[int] = 1
    PREPARES: ClassVar[bool] = True
    BEGUN: ClassVar[str] = PREFIX
    """How texts begin for CLIP."""
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references", "picture"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "clipscore",
            "CLIPScore",
            221,
            "captions",
            "2.5 · cosine of caption and picture by CLIP, 0 where negative, without references (Hessel et al. 2021)",
            high=WEIGHT,
            checkpoint=True,
        ),
        Metric(
            "refclipscore",
            "RefCLIPScore",
            222,
            "captions",
            "harmonic mean of CLIPScore and the cosine to the nearest reference by CLIP (Hessel et al. 2021)",
            high=2 * WEIGHT / (WEIGHT + 1),
            checkpoint=True,
        ),
    )

    class Settings(Checkpoint):
        """``checkpoint``: a folder of transformers' ``CLIPModel`` with tokenizer and image processor, or a hub id (the
        paper's is openai/clip-vit-base-patch32) with its commit as ``revision``."""

    _model: CLIPModel

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """The checkpoint; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read the model in float32 with its tokenizer and processor; on a GPU where there is one.

        Raises
        ------
        ValueError
            The checkpoint is no CLIP model, or lacks weights.
        """
        import torch
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        wanted = "a CLIP: take one such as openai/clip-vit-base-patch32"
        self._model = read_backbone(checkpoint, revision, ("clip",), wanted, ("logit_scale",), dtype=torch.float32)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, revision=revision)
        self._processor = transformers.AutoImageProcessor.from_pretrained(checkpoint, revision=revision)
        self._length = self._model.text_model.config.max_position_embeddings
        self.device = self._model.device.type
        # As for Sbert: exact on CPU, where texts and pictures go one by one.
        self._batch_size = 1 if self.device == "cpu" else 64

    def fit(self, corpus: Corpus) -> None:
        """Drop the vectors of another corpus; raises ValueError about an item without references."""
        check_references(corpus.references)
        self._forget()

    def _forget(self) -> None:
        self._texts: dict[str, np.ndarray] = {}
        self._pictures: dict[str, np.ndarray] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """``{"clipscore": value, "refclipscore": value}`` of each, in [0, 2.5] and [0, 10/7].

        Raises
        ------
        ValueError
            A record without references or without its picture.
        """
        for record in records:
            check_own(record.sample, record.references)
        pictures = self._seen(records, [text for record in records for text in (record.text, *record.references)])
        return [self._values(record, picture) for record, picture in zip(records, pictures, strict=True)]

    def _seen(self, records: Sequence[Candidate], texts: Iterable[str]) -> list[str]:
        """Embed texts and the pictures of records, whose digests are returned."""
        pictures = []
        for record in records:
            if record.picture is None:
                raise ValueError(f"{record.sample!r} has a caption but no picture: give the one that was captioned")
            pictures.append(record.picture)
        self._embed(self._texts, {text: text for text in texts}, self._text_vectors)
        self._embed(self._pictures, {picture.digest: picture for picture in pictures}, self._picture_vectors)
        return [picture.digest for picture in pictures]

    def _values(self, record: Candidate, picture: str) -> dict[str, float]:
        caption = self._texts[record.text]
        fits = WEIGHT * _cosine(caption, self._pictures[picture])
        alike = max(_cosine(caption, self._texts[text]) for text in record.references)
        return {"clipscore": fits, "refclipscore": 2 * fits * alike / (fits + alike) if fits and alike else 0.0}

    def _embed(
        self,
        known: dict[str, np.ndarray],
        asked: dict[str, Any],
        vectors: Callable[[list[Any]], Callable[[], np.ndarray]],
    ) -> None:
        """Add the unit vectors (D,) float64 of what is not known yet."""
        new = [(key, thing) for key, thing in asked.items() if key not in known]
        some = [new[start : start + self._batch_size] for start in range(0, len(new), self._batch_size)]
        for one, vectors_of in [(one, vectors([thing for _, thing in one])) for one in some]:
            found = finite(on_device(vectors_of), "the embedding by CLIP")
            known.update(zip((key for key, _ in one), found, strict=True))

    def _text_vectors(self, texts: Iterable[str]) -> Callable[[], np.ndarray]:
        prefixed = [self.BEGUN + text for text in texts]
        cut = {"padding": True, "truncation": True, "max_length": self._length, "return_tensors": "pt"}
        tokens = self._tokenizer(prefixed, **cut)
        return partial(self._unit, self._model.get_text_features, tokens["input_ids"], tokens["attention_mask"])

    def _picture_vectors(self, pictures: Iterable[Any]) -> Callable[[], np.ndarray]:
        import torch

        return partial(self._unit, self._model.get_image_features, torch.cat(prepared(self._pixels, pictures)))

    def _pixels(self, picture: Any) -> Tensor:
        pixels: Tensor = self._processor(images=Image.fromarray(picture.pixels()), return_tensors="pt")["pixel_values"]
        return pixels

    def _unit(self, features: Callable[..., Any], *inputs: Tensor) -> np.ndarray:
        """Vectors (N, D) float64 of unit norm."""
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = features(*(moved(one, self._model.device) for one in inputs)).pooler_output
            vectors: np.ndarray = torch.nn.functional.normalize(found.double(), dim=1).cpu().numpy()
        return vectors


class ClipCosine(ClipScore):
    """The cosine of a text and a picture by CLIP as it is, by which T2I-CompBench judges pictures of a prompt.

    No words are put before the text, negative values stay, and nothing is weighted.
    """

    VERSION: ClassVar[int] = 1
    BEGUN: ClassVar[str] = ""
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"picture"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "clip_cosine",
            "CLIP cosine",
            666,
            "other",
            "cosine of text and picture by CLIP (T2I-CompBench's by openai/clip-vit-base-patch32)",
            low=-1.0,
            high=1.0,
            checkpoint=True,
        ),
    )

    def fit(self, corpus: Corpus) -> None:
        """Drop the vectors of another corpus."""
        self._forget()

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """``{"clip_cosine": value}`` of each, in [-1, 1].

        Raises
        ------
        ValueError
            A record without its picture.
        """
        pictures = self._seen(records, [record.text for record in records])
        return [
            {"clip_cosine": float(np.clip(self._texts[record.text] @ self._pictures[picture], -1.0, 1.0))}
            for record, picture in zip(records, pictures, strict=True)
        ]


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of unit vectors, 0 where it is negative."""
    return min(max(float(one @ other), 0.0), 1.0)
