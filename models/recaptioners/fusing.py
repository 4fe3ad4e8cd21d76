"""Methods that fuse a caption with one that a model writes of the picture: VeCLIP (Lai et al. 2024) and CapsFusion (Yu
et al. 2024), as paper *RICO* runs them (appendix B.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Ask, Conversation
from models.recaptioners import Case, Rewriting, filled, plain

DESCRIBE = "Describe the image in one sentence."
VECLIP = """\
Rephrase the two captions of one image as one. Keep the names and details of the first and the visual concepts of the \
second, and write the caption alone.
First: {caption}
Second: {seen}"""
CAPSFUSION = """\
Merge the information of two sentences about one image. Sentence 1 holds knowledge about the world, and may be badly \
formed. Sentence 2 is well formed, but may lack details or be wrong in some. Write one well formed sentence that keeps \
the knowledge of sentence 1; do not put one behind the other.
Sentence 1: {caption}
Sentence 2: {seen}"""


class Fusing(Rewriting):
    """Base of these methods; the first caption stands for the picture's alt text.

    Where the captioner or the language model fails, the first caption stays.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "chat", "language_model": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)

    class Settings(roles.Settings):
        prompt: str = DESCRIBE
        fuse: str

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def most(self, caption: str) -> dict[str, int | None]:
        return dict.fromkeys(self.ROLES, 1)

    def recaption(self, case: Case) -> Conversation:
        seen = yield Ask("captioner", self.settings.prompt, pictures=(case.picture,), read=plain)
        if not seen:
            return {"caption": case.caption, "steps": {}}
        fuse = filled(self.settings.fuse, caption=case.caption, seen=seen)
        caption = yield Ask("language_model", fuse, read=plain)
        return {"caption": caption or case.caption, "steps": {"seen": seen}}


class VeClip(Fusing):
    """Fuses the visual concepts that a captioner sees into the caption."""

    class Settings(Fusing.Settings):
        fuse: str = VECLIP


class CapsFusion(Fusing):
    """Fuses a synthetic caption with the knowledge that the first one holds.

    The released CapsFusion-LLaMA was trained with a prompt of its own: give that as ``fuse`` with its checkpoint.
    """

    class Settings(Fusing.Settings):
        fuse: str = CAPSFUSION
