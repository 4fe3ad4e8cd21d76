"""Reconstruction: how like a picture is what a painter paints of its caption alone, as *RICO* has it (section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from models.adapters import roles
from models.adapters.requests import Asking, Compare, Encode, Paint
from models.measures import Metric
from models.measures.captions.candidates import Candidate, Need
from models.measures.embeddings.cosine import cosine
from models.measures.judged import JudgedMeasure, given, mean


class Likeness(NamedTuple):
    """How like a painting is to the picture."""

    cosine: float
    lpips: float


class Reconstruction(JudgedMeasure):
    """Cosine of an encoder's vectors, and LPIPS, of the picture and of one painting of its caption; their means.

    The picture is the one that was captioned. The painting is scaled to its size for LPIPS. What the cosine is about is
    the encoder's: DINOv2's (adapter ``vit``), CLIP's, or another's; entries with different encoders share the painting.
    A painter hears no more than its ``max_sequence_length`` of a caption, and paints what it can: values of different
    painters are not comparable.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"picture"})
    ROLES: ClassVar[Mapping[str, str]] = {"painter": "painters", "encoder": "encoders", "lpips": "measures"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "reconstruction_cosine",
            "Reconstruction cosine",
            371,
            "grounding",
            "cosine, by an encoder, of the picture and a painting of its caption",
            low=-1,
            high=1,
            checkpoint=True,
        ),
        Metric(
            "reconstruction_lpips",
            "Reconstruction LPIPS",
            372,
            "grounding",
            "LPIPS of the picture and a painting of its caption (Zhang et al. 2018)",
            higher_is_better=False,
            checkpoint=True,
        ),
    )

    class Settings(roles.Settings):
        """There is nothing to set."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {}

    def judge(self, record: Candidate) -> Asking[Likeness]:
        assert record.picture
        painting = given((yield Paint("painter", record.text)))
        replies = yield [
            Encode("encoder", record.picture),
            Encode("encoder", painting),
            Compare("lpips", record.picture, painting),
        ]
        original, painted, distances = map(given, replies)
        if "lpips" not in distances:
            raise ValueError(f"{', '.join(distances)} came for LPIPS: let `lpips` be a measure with adapter lpips")
        return Likeness(cosine(original, painted), distances["lpips"])

    def values(self, answered: Sequence[Likeness]) -> dict[str, float | None]:
        return {f"reconstruction_{name}": mean([getattr(one, name) for one in answered]) for name in Likeness._fields}
