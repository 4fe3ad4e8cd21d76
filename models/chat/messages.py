"""Messages of chat completions: turns as JSON, in which a picture becomes PNG when it is sent, and not before.

So pictures are encoded by the threads that send, each once however many questions are asked about it, while others wait
for the server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from models.adapters.roles import Turn
from models.media.images import encode_png


class Shown:
    """A picture (H, W, 3) uint8 in a message; ``digest`` says which, before it is encoded."""

    def __init__(self, picture: np.ndarray, digest: str) -> None:
        self.digest = digest
        self._picture = picture
        self._url = ""
        self._lock = Lock()

    def url(self) -> str:
        """The picture as PNG in a data URL."""
        with self._lock:
            if not self._url:
                self._url = f"data:image/png;base64,{base64.b64encode(encode_png(self._picture)).decode()}"
        return self._url


_SHOWN: WeakValueDictionary[str, Shown] = WeakValueDictionary()
"""Pictures that are in messages now."""


def shown(picture: np.ndarray) -> Shown:
    """A picture as messages hold it; equal ones are one."""
    pixels = np.ascontiguousarray(picture)
    digest = sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    return _SHOWN.setdefault(digest, Shown(pixels, digest))


def content(turn: Turn) -> str | list[dict[str, Any]]:
    """A turn's content: its pictures, then the text where there is one."""
    if not turn.pictures:
        return turn.text
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": shown(picture)}} for picture in turn.pictures
    ]
    return [*parts, {"type": "text", "text": turn.text}] if turn.text else parts


def named(body: Any) -> str:
    """A request as text that tells it from others, without encoding its pictures.

    Those that begin alike have names that do.

    >>> blank = np.zeros((2, 2, 3), np.uint8)
    >>> named(content(Turn("user", "what?", (blank,))))[:74]
    '[{"type": "image_url", "image_url": {"url": "93d26e15f25c34326afa2530eafd7'
    """
    return json.dumps(body, default=lambda one: one.digest)


def written(body: Mapping[str, Any]) -> bytes:
    """A request as it is sent."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=lambda one: one.url()).encode()
