"""T2I-CompBench: attributes are asked about, relations in the plane measured, actions compared by CLIP, and complex
prompts all of these (Huang et al. 2023, arXiv 2307.06350)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Choose, Conversation, Detect, Measure
from models.measures import Metric
from models.measures.prompted import YES_NO, Painting, PaintingJudge
from models.measures.prompted.phrases import Source, named
from models.measures.prompted.spatial import placed, relation, released
from models.recaptioners import filled


class AttributeBinding(PaintingJudge):
    """The product over the things that a prompt names of P(yes) to whether each is there as it is said.

    "A red car?" is answered with yes where there is a car and it is red, so an attribute that went to another thing
    costs what it should. The released code asks BLIP "a red car?"; ``prompt`` says it to chat models.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"answerer": "chat", "language_model": "chat"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("attribute_binding", "Attribute binding", 661, "other",
               "product over the things named of P(yes) of yes and no to \"thing?\" (T2I-CompBench)",
               high=1.0, checkpoint=True),
    )  # fmt: skip

    class Settings(roles.Settings):
        prompt: str = "{thing}? Answer yes or no."
        answers: tuple[str, str] = YES_NO
        phrases: Source = "listed"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def asks(self) -> frozenset[str]:
        return frozenset(self.ROLES) if self.settings.phrases == "asked" else frozenset({"answerer"})

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, painting: Painting) -> Conversation:
        phrases = yield from named(painting.prompt.text, self.settings.phrases)
        replies = yield [
            Choose("answerer", filled(self.settings.prompt, thing=phrase), pictures=(painting.picture,),
                   choices=self.settings.answers)
            for phrase in phrases
        ]  # fmt: skip
        for phrase, reply in zip(phrases, replies, strict=True):
            if not reply:
                raise ValueError(f"there is no answer about {phrase!r}: {reply.reason}")
        answers = {phrase: reply[0] for phrase, reply in zip(phrases, replies, strict=True)}
        return {"attribute_binding": math.prod(reply[0] for reply in replies), "steps": {"answers": answers}}


class Spatial2D(PaintingJudge):
    """Where a detector finds the two things of a prompt such as "a cat on the left of a lamp".

    ``spatial_2d`` does not depend on the picture's size and mends what the released code gets wrong;
    ``spatial_2d_released`` is that code's (:mod:`models.measures.prompted.spatial`).
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"detector": "detectors", "language_model": "chat"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("spatial_2d", "2-D spatial", 662, "other",
               "half for finding both things, half for their relation, in shares of the longer side", high=1.0,
               checkpoint=True),
        Metric("spatial_2d_released", "2-D spatial released", 663, "other",
               "the same in pixels, as T2I-CompBench's code computes it", high=1.0, checkpoint=True),
    )  # fmt: skip

    class Settings(roles.Settings):
        phrases: Source = "listed"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def asks(self) -> frozenset[str]:
        return frozenset(self.ROLES) if self.settings.phrases == "asked" else frozenset({"detector"})

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, painting: Painting) -> Conversation:
        text = painting.prompt.text
        phrases = (yield from named(text, "asked")) if self.settings.phrases == "asked" else ()
        wanted = relation(text, phrases)
        found = yield Detect("detector", painting.picture, wanted.labels)
        if not found:
            raise ValueError(f"the detector gave nothing: {found.reason}")
        boxes = [{"label": one.label, "score": one.score, "box": list(one.box)} for one in found.detections]
        values = {"spatial_2d": placed(wanted, found), "spatial_2d_released": released(wanted, found)}
        return {**values, "steps": {"detections": boxes}}


class NonSpatial(PaintingJudge):
    """The cosine of prompt and picture by CLIP, as T2I-CompBench judges what things do."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"similarity": "measures"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("non_spatial", "Non-spatial", 664, "other", "cosine of prompt and picture by CLIP (T2I-CompBench)",
               low=-1.0, high=1.0, checkpoint=True),
    )  # fmt: skip

    class Settings(roles.Settings):
        pass

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {}

    def judge(self, painting: Painting) -> Conversation:
        values = yield Measure("similarity", painting.prompt.text, painting.picture)
        if not values:
            raise ValueError(f"the prompt could not be compared with the picture: {values.reason}")
        if "clip_cosine" not in values:
            raise ValueError(f"the measure gives {', '.join(values)}: let `similarity` be played by clip-cosine")
        return {"non_spatial": values["clip_cosine"], "steps": {}}


PARTS = {
    "complex/spatial": ("attribute_binding", "spatial_2d"),
    "complex/action": ("attribute_binding", "non_spatial"),
    "complex/spatialaction": ("attribute_binding", "spatial_2d", "non_spatial"),
}
"""What is judged of a complex prompt, by its category."""


class Complex(PaintingJudge):
    """The mean of what a complex prompt asks for: its attributes, and by its category relation and action."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {**AttributeBinding.ROLES, **Spatial2D.ROLES, **NonSpatial.ROLES}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("complex_3_in_1", "3-in-1", 665, "other",
               "mean of attribute binding, 2-D spatial and non-spatial, of those that the prompt is about", high=1.0,
               checkpoint=True),
    )  # fmt: skip

    class Settings(roles.Settings):
        prompt: str = AttributeBinding.Settings().prompt
        answers: tuple[str, str] = YES_NO

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        binding = AttributeBinding(AttributeBinding.Settings(**settings.model_dump(), phrases="asked"))
        spatial = Spatial2D(Spatial2D.Settings(phrases="asked"))
        self._judges = {
            "attribute_binding": binding, "spatial_2d": spatial, "non_spatial": NonSpatial(NonSpatial.Settings()),
        }  # fmt: skip

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, painting: Painting) -> Conversation:
        category = painting.prompt.category
        if category not in PARTS:
            raise ValueError(f"{category or 'no category'!r} is no category of complex prompts: {', '.join(PARTS)}")
        parts, steps = {}, {}
        for name in PARTS[category]:
            found = yield from self._judges[name].judge(painting)
            parts[name], steps[name] = found[name], found["steps"]
        return {"complex_3_in_1": sum(parts.values()) / len(parts), "steps": {"parts": parts, **steps}}
