"""What models are asked to do with pictures: paint, encode, compare, and find things in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from models.adapters.ahead import prepared
from models.adapters.decoding import Decoding
from models.adapters.requests.base import Request, Value
from models.adapters.roles import Detection, Pictured
from models.media.images import encode_png, scaled


@dataclass(frozen=True)
class Paint(Request):
    """Paint what a text says. The reply is the picture.

    Of equal texts each ``draw`` is a picture of its own.
    """

    KIND: ClassVar[str] = "paint"
    PLAYED_BY: ClassVar[str] = "painters"

    text: str
    draw: int = 0

    def parts(self) -> dict[str, Any]:
        return {"text": self.text, "draw": self.draw}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Paint], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [({}, encode_png(picture)) for picture in model.paint([one.text for one in requests], seeds)]

    def reply(self, value: Value, picture: Pictured | None) -> Pictured | None:
        return picture


@dataclass(frozen=True)
class Encode(Request):
    """Ask for the vector of a picture, an encoder's CLS. The reply is (D,) float32."""

    KIND: ClassVar[str] = "encode"
    PLAYED_BY: ClassVar[str] = "encoders"

    picture: Pictured

    def parts(self) -> dict[str, Any]:
        return {"picture": self.picture.digest}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,)

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Encode], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [
            ({"vector": vector.tolist()}, None)
            for vector, _ in model.encode(prepared(lambda one: one.picture.pixels(), requests))
        ]

    def reply(self, value: Value, picture: Pictured | None) -> np.ndarray:
        return np.array(value["vector"], np.float32)


@dataclass(frozen=True)
class Compare(Request):
    """Ask how far another picture, scaled to this one's size, is from it. The reply are the values by metric, whole."""

    KIND: ClassVar[str] = "compare"
    PLAYED_BY: ClassVar[str] = "measures"

    picture: Pictured
    other: Pictured

    def parts(self) -> dict[str, Any]:
        return {"picture": self.picture.digest, "other": self.other.digest}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return self.picture, self.other

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Compare], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        if not hasattr(model, "measure"):
            raise ValueError("a measure of captions compares no pictures: name one of pictures, such as lpips")
        pictures = prepared(lambda one: one.picture.pixels(), requests)
        pairs = zip(requests, pictures, strict=True)
        others = prepared(lambda pair: scaled(pair[0].other.pixels(), pair[1]), pairs)
        masks = [np.ones(picture.shape[:2], bool) for picture in pictures]
        found = model.measure(pictures, others, masks)
        return [({name: regions["whole"] for name, regions in values.items()}, None) for values in found]

    def reply(self, value: Value, picture: Pictured | None) -> Value:
        return value


class Detected(NamedTuple):
    """What a detector found in a picture, whose sides are in pixels."""

    width: int
    height: int
    detections: tuple[Detection, ...]


@dataclass(frozen=True)
class Detect(Request):
    """Ask where things of some names are in a picture. The reply is :class:`Detected`."""

    KIND: ClassVar[str] = "detect"
    PLAYED_BY: ClassVar[str] = "detectors"

    picture: Pictured
    names: tuple[str, ...]

    def parts(self) -> dict[str, Any]:
        return {"picture": self.picture.digest, "names": list(self.names)}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,)

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Detect], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        pictures = prepared(lambda one: one.picture.pixels(), requests)
        found = model.detect(pictures, [one.names for one in requests])
        return [
            (
                {"height": picture.shape[0], "width": picture.shape[1], "detections": [one._asdict() for one in some]},
                None,
            )
            for picture, some in zip(pictures, found, strict=True)
        ]

    def reply(self, value: Value, picture: Pictured | None) -> Detected:
        some = (Detection(one["label"], one["score"], tuple(one["box"])) for one in value["detections"])
        return Detected(value["width"], value["height"], tuple(some))
