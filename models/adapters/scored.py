"""Requests for what a model knows of a reply beside its words: how probable they were as it wrote them, and logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from models.adapters.decoding import Decoding
from models.adapters.requests import Ask, LogProbs, Pictured, Value, kept, scores_of
from models.adapters.roles import Logits, Scores


class Said(NamedTuple):
    """A reply as it was read, with its :class:`Scores`; None where the model does not tell, or reading changed it."""

    read: Any
    scores: Scores | None


@dataclass(frozen=True)
class Scored(Ask):
    """Ask a question, and keep how probable the reply was as it was written. The reply is :class:`Said`.

    It is another item than the same question asked by :class:`Ask`, and its scores are those of
    :class:`~models.adapters.requests.LogProbs` up to rounding, without a forward of their own.
    """

    KIND: ClassVar[str] = "scored"

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[Ask], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        found = model.answer_scored([one.conversation() for one in requests], decoding, seeds)
        return [
            ({"text": reply.text, "finish": reply.finish} | (kept(scores) if scores else {}), None)
            for reply, scores in found
        ]

    def reply(self, value: Value, picture: Pictured | None) -> Said:
        read = super().reply(value, picture)
        return Said(read, scores_of(value) if "spans" in value and read == value["text"] else None)


@dataclass(frozen=True)
class RawScores(LogProbs):
    """Ask for what a model gives a continuation before the softmax. The reply are its :class:`Logits`."""

    KIND: ClassVar[str] = "logits"

    @classmethod
    def answers(
        cls, model: Any, requests: Sequence[LogProbs], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Value, bytes | None]]:
        found = model.logits([one.conversation() for one in requests], [one.continuation for one in requests])
        return [({"logits": one.logits.tolist(), "spans": one.spans}, None) for one in found]

    def reply(self, value: Value, picture: Pictured | None) -> Any:
        return Logits(np.array(value["logits"], np.float64), tuple((start, end) for start, end in value["spans"]))
