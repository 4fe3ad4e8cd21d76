"""Self-Loop: captions of a picture's parts, without what a detector does not find, merged into the caption (paper
*CAPTURE*, Dong et al. 2024; as paper *RICO* runs it, appendix B.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Conversation, Detect, Pictured
from models.recaptioners import Case, Rewriting, filled, plain
from models.recaptioners.scalecap import QUESTIONS, instructions
from models.recaptioners.sentences import sentences

LOCAL = "Describe this part of an image in detail."
MERGE = """\
A caption of an image, and captions of parts of it. Write one caption of at most 300 words that adds the details of \
the parts to the caption. Where the two contradict each other, believe the caption. Write the caption alone.
Caption: {caption}
Parts:
{parts}"""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of the picture's width and height."""


@dataclass(frozen=True)
class Part:
    """A part of a picture. Its digest is made of the picture's and the box, so that nobody need look at it first."""

    whole: Pictured
    box: Box

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.whole.digest} {list(self.box)}".encode()).hexdigest()

    @property
    def item(self) -> str:
        """The key of the item whose picture it is a part of."""
        return getattr(self.whole, "item", "")

    def pixels(self) -> np.ndarray:
        """The part (h, w, 3) uint8, of one pixel at least."""
        whole = self.whole.pixels()
        sides = [whole.shape[1], whole.shape[0]] * 2
        left, top, right, bottom = (round(share * side) for share, side in zip(self.box, sides, strict=True))
        left, top = min(left, sides[0] - 1), min(top, sides[1] - 1)
        return whole[top : max(bottom, top + 1), left : max(right, left + 1)]


class SelfLoop(Rewriting):
    """Adds what captions of parts say to the caption.

    Parts are what a ``segmenter`` finds: of those that overlap (``overlap`` is the least intersection over union) the
    surest, and of these the ``most`` largest, ours in place of the authors' clusters. With ``regions: grid`` they are
    ``grid`` x ``grid`` equal ones, and nobody is asked; that is not the paper's. With ``filtered`` a sentence about a
    part counts only if a ``detector`` finds every object in the picture that the language model reads in it. Where
    nothing is left, or the language model fails, the first caption stays.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {
        "segmenter": "detectors",
        "captioner": "chat",
        "detector": "detectors",
        "language_model": "chat",
    }

    class Settings(roles.Settings):
        regions: Literal["segments", "grid"] = "segments"
        grid: int = Field(2, ge=1, le=8)
        most: int = Field(10, ge=1)
        overlap: float = Field(0.5, gt=0, le=1)
        filtered: bool = True
        prompt: str = LOCAL
        questions: str = QUESTIONS
        merge: str = MERGE

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def asks(self) -> frozenset[str]:
        absent = {"segmenter": self.settings.regions == "grid", "detector": not self.settings.filtered}
        return frozenset(role for role in self.ROLES if not absent.get(role))

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def most(self, caption: str) -> dict[str, int | None]:
        said = self.settings
        parts = said.grid**2 if said.regions == "grid" else said.most
        unbounded = None if said.filtered else 1
        counted = {"segmenter": 1, "captioner": parts, "detector": 1, "language_model": unbounded}
        return {role: counted[role] for role in self.asks}

    def recaption(self, case: Case) -> Conversation:
        said = self.settings
        boxes = yield from self._boxes(case.picture)
        told = yield [Ask("captioner", said.prompt, pictures=(Part(case.picture, box),), read=plain) for box in boxes]
        parts = [{"box": list(box), "caption": text or None} for box, text in zip(boxes, told, strict=True)]
        steps: dict[str, Any] = {"parts": parts}
        texts = [text for text in told if text]
        if said.filtered:
            texts, steps["absent"] = yield from self._found(case.picture, texts)
        if not texts:
            return {"caption": case.caption, "steps": steps}
        merge = filled(said.merge, caption=case.caption, parts="\n".join(dict.fromkeys(texts)))
        caption = yield Ask("language_model", merge, read=plain)
        return {"caption": caption or case.caption, "steps": steps}

    def _boxes(self, picture: Pictured) -> Asking[list[Box]]:
        """The boxes of the parts."""
        if self.settings.regions == "grid":
            edges = np.linspace(0, 1, self.settings.grid + 1).tolist()
            spans = list(zip(edges, edges[1:], strict=False))
            return [(left, top, right, bottom) for (top, bottom), (left, right) in product(spans, spans)]
        found = yield Detect("segmenter", picture, ())
        if not found:
            return []
        sides = np.array([found.width, found.height] * 2)
        boxes = np.array([one.box for one in found.detections]).reshape(-1, 4) / sides
        kept = apart(boxes.clip(0, 1), self.settings.overlap)
        kept.sort(key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))
        return kept[: self.settings.most]

    def _found(self, picture: Pictured, texts: Sequence[str]) -> Asking[tuple[list[str], list[str]]]:
        """The texts without the sentences that name what a detector does not find; and what that is."""
        cut = [sentences(text) for text in texts]
        lines = list(dict.fromkeys(line for some in cut for line in some))
        replies = yield [
            Ask("language_model", filled(self.settings.questions, sentence=one), read=instructions) for one in lines
        ]
        named = {
            line: [name.removeprefix("the ") for name in names or ()]
            for line, names in zip(lines, replies, strict=True)
        }
        names = list(dict.fromkeys(name for some in named.values() for name in some))
        if not names:
            return list(texts), []
        seen = yield Detect("detector", picture, tuple(names))
        if not seen:
            return list(texts), []
        absent = [name for name in names if name not in {one.label for one in seen.detections}]
        kept = [[line for line in some if not set(named[line]) & set(absent)] for some in cut]
        return [" ".join(some) for some in kept if some], absent


def apart(boxes: np.ndarray, overlap: float) -> list[Box]:
    """Boxes (N, 4), the surest first, without those that overlap with one before.

    >>> apart(np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 0, 0.5, 0.5]]), 0.5)
    [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5)]
    """
    kept: list[Box] = []
    for left, top, right, bottom in boxes.tolist():
        for other in kept:
            width, height = min(right, other[2]) - max(left, other[0]), min(bottom, other[3]) - max(top, other[1])
            inside = max(width, 0) * max(height, 0)
            both = (right - left) * (bottom - top) + (other[2] - other[0]) * (other[3] - other[1]) - inside
            if inside >= overlap * both:
                break
        else:
            kept.append((left, top, right, bottom))
    return kept
