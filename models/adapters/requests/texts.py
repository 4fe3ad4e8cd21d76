"""What is asked of texts: their vectors, their words' parts of speech, and how good a caption is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models.adapters.decoding import Decoding
from models.adapters.requests.base import Request, Value
from models.adapters.roles import Pictured, Tagged


@dataclass(frozen=True)
class Embed(Request):
    """Ask for the vector of a text. The reply is (D,) float32 of unit norm."""

    KIND: ClassVar[str] = "embed"
    PLAYED_BY: ClassVar[str] = "embedders"

    text: str

    def parts(self) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Embed], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [({"vector": vector.tolist()}, None) for vector in model.embed([one.text for one in requests])]

    def reply(self, value: Value, picture: Pictured | None) -> np.ndarray:
        return np.array(value["vector"], np.float32)


@dataclass(frozen=True)
class Tag(Request):
    """Ask which parts of speech the words of a text are. The reply are its words, each a :class:`Tagged`."""

    KIND: ClassVar[str] = "tag"
    PLAYED_BY: ClassVar[str] = "taggers"

    text: str

    def parts(self) -> dict[str, Any]:
        return {"text": self.text}

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Tag], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        return [({"words": found}, None) for found in model.tag([one.text for one in requests])]

    def reply(self, value: Value, picture: Pictured | None) -> tuple[Tagged, ...]:
        return tuple(Tagged(*word) for word in value["words"])


@dataclass(frozen=True)
class Measure(Request):
    """Ask how good a caption is by a measure. The reply are its values by metric, None where one is undefined."""

    KIND: ClassVar[str] = "measure"
    PLAYED_BY: ClassVar[str] = "measures"

    text: str
    picture: Pictured | None = None
    references: tuple[str, ...] = ()

    def parts(self) -> dict[str, Any]:
        seen = self.picture and self.picture.digest
        return {"text": self.text, "picture": seen, "references": list(self.references)}

    def pictures_seen(self) -> tuple[Pictured, ...]:
        return (self.picture,) if self.picture else ()

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Measure], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        from models.measures.captions.candidates import Candidate, Corpus

        records = [Candidate(str(n), one.text, one.references, picture=one.picture) for n, one in enumerate(requests)]
        model.fit(Corpus({one.sample: one.references for one in records}, texts=[one.text for one in records]))
        return [(values, None) for values in model.score(records)]

    def reply(self, value: Value, picture: Pictured | None) -> Value:
        return value
