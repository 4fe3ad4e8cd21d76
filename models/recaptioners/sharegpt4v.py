"""ShareGPT4V: a captioner trained on detailed captions writes a new one (Chen et al. 2023; paper *RICO*, B.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Ask, Conversation
from models.recaptioners import Case, Rewriting, plain


class ShareGpt4v(Rewriting):
    """Has a captioner write a caption anew, whatever the first one says; Share-Captioner is the paper's."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"captioner": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)

    class Settings(roles.Settings):
        prompt: str = "Analyze the image in a comprehensive and detailed manner."

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def most(self, caption: str) -> dict[str, int | None]:
        return dict.fromkeys(self.ROLES, 1)

    def recaption(self, case: Case) -> Conversation:
        caption = yield Ask("captioner", self.settings.prompt, pictures=(case.picture,), read=plain)
        return {"caption": caption or case.caption, "steps": {}}
