"""When requests may go to an endpoint: rate limits of our own, and pauses that a server asks for."""

from __future__ import annotations

import math
import re
import threading
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import Response

BURST = 1.0
"""Seconds whose share of a minute's limit may go at once; hosts count by shorter times than minutes too."""

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LIMIT = re.compile(r"(x-)?ratelimit-reset(-[\w-]+)?")
"""Headers that say when a limit is lifted: OpenAI's by requests and by tokens, the IETF draft's, OpenRouter's."""


class Pace:
    """Lets requests go at most so many a minute, all threads of the process together; 0 stands for no limit.

    Both limits are token buckets (as a virtual schedule: ITU-T I.371's GCRA), which one request may overdraw: those
    behind it wait until that is made up for. In any T seconds go at most T + 1 seconds' share, and one request.
    """

    def __init__(self, requests_per_minute: float, tokens_per_minute: float) -> None:
        self._seconds_each = [60 / most if most else 0.0 for most in (requests_per_minute, tokens_per_minute)]
        self._free = [-math.inf, -math.inf]
        self._held = -math.inf
        self._lock = threading.Lock()

    def wait(self, tokens: float = 0) -> None:
        """Wait until one more request may go, and one that takes about so many tokens."""
        with self._lock:
            now = time.monotonic()
            begins = [max(now - BURST, free) for free in self._free]
            amounts = zip(begins, self._seconds_each, (1, tokens), strict=True)
            self._free = [begin + each * amount for begin, each, amount in amounts]
        while (pause := max(*begins, self._held) - time.monotonic()) > 0:  # others may be told to wait meanwhile
            time.sleep(pause)

    def hold(self, seconds: float) -> None:
        """Let no request go for so long."""
        with self._lock:
            self._held = max(self._held, time.monotonic() + seconds)

    def settle(self, guessed: float, took: float) -> None:
        """Take what a request took for what it was guessed to take."""
        with self._lock:
            self._free[1] += (took - guessed) * self._seconds_each[1]


@cache
def pace_of(
    endpoint: str, api_key_variable: str, model: str, requests_per_minute: float, tokens_per_minute: float
) -> Pace:
    """The pace of all requests to a model with one API key, wherever in this process they come from."""
    return Pace(requests_per_minute, tokens_per_minute)


def wanted(response: Response) -> float | None:
    """Seconds for which a server wants to be left alone; None where it says nothing of the kind.

    ``retry-after-ms`` goes before ``retry-after``, and that before the limits that are said to be used up, of which the
    longest counts.

    >>> from httpx2 import Response
    >>> said = ("1.5", "soon", "nan", "Mon, 01 Jan 2024 00:00:00 GMT")
    >>> [wanted(Response(429, headers={"retry-after": text})) for text in said]
    [1.5, None, None, 0.0]
    >>> wanted(Response(429, headers={"retry-after-ms": "250", "retry-after": "1"}))
    0.25
    >>> limits = {"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}
    >>> wanted(Response(429, headers=limits | {"x-ratelimit-reset-tokens": "6m", "x-ratelimit-remaining-tokens": "9"}))
    1.0
    """
    headers = response.headers
    if (milliseconds := seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    if (asked := seconds(headers.get("retry-after", ""))) is not None:
        return asked
    lifted = [
        seconds(said)
        for name, said in headers.items()
        if LIMIT.fullmatch(name) and headers.get(name.replace("reset", "remaining"), "0").strip("-.0") == ""
    ]
    return max((one for one in lifted if one is not None), default=None)


def seconds(said: str) -> float | None:
    """Seconds that a header says: a number of them, a duration, or a date; None for anything else.

    >>> [seconds(text) for text in ("2", "6m0.5s", "88ms", "2000-01-01T00:00:00Z", "946684800", "-3", "inf", "")]
    [2.0, 360.5, 0.088, 0.0, 0.0, 0.0, None, None]
    >>> seconds(f"Mon, 01 Jan {10**20} 00:00:00 GMT")
    """
    said = said.strip()
    if parts := re.fullmatch(r"(?:[\d.]+(?:ms|s|m|h|d))+", said) and re.findall(r"([\d.]+)(ms|s|m|h|d)", said):
        numbers = [(number(amount), UNITS[unit]) for amount, unit in parts]
        return sum(amount * unit for amount, unit in numbers if amount is not None)
    if (plain := number(said)) is None:
        for read in (parsedate_to_datetime, datetime.fromisoformat):
            try:
                plain = read(said).timestamp()
            except (ValueError, OverflowError):
                continue
            return max(0.0, plain - time.time())
        return None
    if plain > 1e8:  # a time since 1970, which some give in milliseconds
        plain = (plain / 1000 if plain > 1e11 else plain) - time.time()
    return max(0.0, plain)


def number(said: str) -> float | None:
    """A finite number, or None."""
    try:
        found = float(said)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
