"""A captioner behind an endpoint, asked as both its tests ask: with a scripted server, and with a real one."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.captioners.prompted import OpenAICompatible

PROMPT = "describe the image"
GREEDY = {"sample": False, "beams": 1, "candidates": 1}


def captioner(endpoint: str = "http://127.0.0.1:1/v1", **settings: Any) -> OpenAICompatible:
    given = {"endpoint": endpoint, "model": "palimpsest/tiny", "revision": "1", "max_tokens": 8} | settings
    return OpenAICompatible(OpenAICompatible.Settings(**given))


def say(adapter: OpenAICompatible, pictures: list[np.ndarray], seeds: list[int] | None = None) -> list[list[str]]:
    return adapter.caption(pictures, [PROMPT] * len(pictures), seeds or [0] * len(pictures))


def completion(text: str | None, ended: str = "stop") -> tuple[int, dict]:
    """Status and body of an answer with one reply."""
    return 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}]}
