"""LaCLIP: a language model rewrites a caption after examples, and sees no picture (Fan et al. 2023; *RICO*, B.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Ask, Conversation
from models.recaptioners import Case, Rewriting, filled, plain

PROMPT = """\
Rewrite the image caption in other words, as a full sentence. Keep what it says, and write the caption alone.

brown dog beach ball => A brown dog runs along the beach after a ball.
city street at night, rain => Rain falls on a city street at night, and the lamps shine on the wet road.
birthday cake with candles on table => On the table stands a birthday cake with lit candles.
{caption} =>"""


class LaClip(Rewriting):
    """Rewrites a caption in words alone; the first caption stands for the picture's alt text."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"language_model": "chat"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)

    class Settings(roles.Settings):
        prompt: str = PROMPT

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def most(self, caption: str) -> dict[str, int | None]:
        return dict.fromkeys(self.ROLES, 1)

    def recaption(self, case: Case) -> Conversation:
        caption = yield Ask("language_model", filled(self.settings.prompt, caption=case.caption), read=plain)
        return {"caption": caption or case.caption, "steps": {}}
