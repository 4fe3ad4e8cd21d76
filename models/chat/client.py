"""Client of a server with OpenAI's HTTP API: retries, pauses and limits, the API key, and what is said without it."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from models.adapters import metering
from models.adapters.settings import Settings
from models.chat.messages import written
from models.chat.pacing import Pace, pace_of, wanted

if TYPE_CHECKING:
    from httpx2 import Client, Response

TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
"""HTTP statuses that may pass: asked again, after a pause. Those from 520 on are said by proxies and busy hosts."""
BUSY = 429
"""The status that is said to all who ask, and not of one request."""
UNPAID = {401, 402}
"""HTTP statuses that are about the API key, or its account, and not about what is asked."""
SPENT = "insufficient_quota"
"""How OpenAI says 402, under the status of who asks too often: no pause helps."""
LARGEST = 64 * 2**20
"""Bytes of a reply that are read; probabilities of a long prompt's tokens take some."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds. A pause doubles from one attempt to the next, unless the server says how long it wants to be left alone."""
SHORTEST_KEY = 12
"""Characters of a key that is taken out of replies too; a shorter one ("none", "EMPTY") is no secret, but may be a
word."""
PICTURE = 1000
"""Tokens that a picture is taken for until the server has counted them."""


class RefusedKeyError(ConnectionError):
    """The server wants another API key, or money: waiting alone does not help."""


class Price(Settings):
    """Money for a thousand tokens: of the ``prompt``, of that part of it which the server had ``cached`` (as the rest,
    where absent), and of the ``completion``."""

    prompt: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)
    completion: float = Field(ge=0)

    def of(self, tokens: Mapping[str, float]) -> float:
        """What these tokens cost.

        >>> Price(prompt=2, cached=1, completion=8).of(
        ...     {"prompt_tokens": 3000, "cached_tokens": 1000, "completion_tokens": 500})
        9.0
        """
        cached = tokens["cached_tokens"]
        dear = (tokens["prompt_tokens"] - cached) * self.prompt + tokens["completion_tokens"] * self.completion
        return (dear + cached * (self.prompt if self.cached is None else self.cached)) / 1000


class Endpoint(Settings):
    """``endpoint``: the base URL, usually ending in ``/v1``. The API key, where one is needed, is read from the
    environment variable ``api_key_variable``. ``timeout``: seconds to wait for an answer, and again for the whole of
    it. ``retries``: how often a request is made again that was not answered, or with 408, 429 or 5xx, after pauses of
    0.5, 1, 2, ... seconds or of what the server asks for beyond that, 60 at most; where it has too much to do (429), no
    other request goes to the model meanwhile. ``concurrency`` requests are in flight at a time.

    ``requests_per_minute``, ``tokens_per_minute``: no more than these are asked for by this process, prompts included;
    unlimited where absent. ``price`` of the model's tokens, for what a study costs. None of these enters a key.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # an endpoint that is refused may hold a password

    endpoint: str
    api_key_variable: str = "OPENAI_API_KEY"
    timeout: float = Field(120.0, gt=0)
    retries: int = Field(5, ge=0)
    concurrency: int = Field(8, ge=1)
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    price: Price | None = None

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Endpoint:
        """Settings are committed, logged and shown; so the message does not repeat what it refuses."""
        try:
            url = urlsplit(self.endpoint)
            sound = url.scheme in ("http", "https") and url.hostname and url.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("`endpoint` is no URL such as http://localhost:8000/v1")
        if "@" in url.netloc or url.query or url.fragment:
            raise ValueError(
                "`endpoint` holds more than scheme, host and path: leave out user, password and query, and put the "
                "API key into the environment variable that `api_key_variable` names"
            )
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", self.api_key_variable):
            raise ValueError(
                "`api_key_variable` is no name of an environment variable (letters, digits, underscores): the key "
                "itself belongs there, not here"
            )
        return self

    def key(self) -> str:
        """The API key, or nothing; kept nowhere."""
        return os.environ.get(self.api_key_variable, "").strip()

    def client(self) -> Client:
        """Open connections to the server; raises ValueError where the key is none."""
        import httpx2

        key = self.key()
        if not (key.isascii() and key.isprintable()):  # httpx would say so, and show the key
            raise ValueError(f"Environment variable {self.api_key_variable} holds no API key: set it anew.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        return httpx2.Client(base_url=self.endpoint, headers=headers, timeout=self.timeout, limits=limits)

    def pace(self, model: str) -> Pace:
        """When requests to a model may go."""
        limits = self.requests_per_minute or 0, self.tokens_per_minute or 0
        return pace_of(self.endpoint, self.api_key_variable, model, *limits)

    def send(
        self,
        client: Client,
        method: str,
        path: str,
        body: Mapping[str, Any] = MappingProxyType({}),
        retries: int | None = None,
        largest: int = 0,
        **upload: Any,
    ) -> Response:
        """The server's answer, whatever its status, once it is not a transient one or attempts are used up.

        ``upload`` goes to httpx: files, and what is said of them. Raises ConnectionError without any answer, and
        ValueError where it is too long to be read. No redirect is followed: the key is meant for this server.
        """
        from httpx2 import RequestError

        retries = self.retries if retries is None else retries
        pace, guessed = self.pace(body.get("model", "")), guess(body) if self.tokens_per_minute else 0
        kind = {"content-type": "application/json"}
        attempt = 0
        while True:
            pace.wait(guessed)
            pause = min(FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1), LONGEST_PAUSE)  # not all together
            try:
                content = {"content": written(body), "headers": kind} if body else upload
                response = self._received(client, method, path, largest or LARGEST, content)
            except RequestError as error:
                if attempt == retries:
                    what = self.clean(str(error)) or type(error).__name__
                    raise ConnectionError(f"the endpoint did not answer: {what}") from None
            else:
                if guessed:
                    tokens = used(response)
                    took = tokens["prompt_tokens"] + tokens["completion_tokens"] if tokens else guessed
                    pace.settle(guessed, took if response.is_success else 0)
                asked = wanted(response)
                pause = max(pause, min(asked or 0, LONGEST_PAUSE))
                if response.status_code == BUSY or (response.status_code in TRANSIENT and asked is not None):
                    pace.hold(pause)
                if attempt == retries or response.status_code not in TRANSIENT:
                    return response
            time.sleep(pause)
            attempt += 1

    def _received(self, client: Client, method: str, path: str, largest: int, content: Mapping[str, Any]) -> Response:
        """An answer that was there within ``timeout``, however slowly it came, without the key wherever it had it.

        One that says 200 of an error, as routers do that have begun to answer, has the error's own status.
        """
        from httpx2 import ReadTimeout, Response

        data = bytearray()
        with client.stream(method, path, **content) as answer:
            ends = monotonic() + self.timeout  # what is sent may take its time, as a batch of pictures does
            for some in answer.iter_bytes():
                data += some
                if monotonic() > ends:
                    raise ReadTimeout(f"its reply was not whole after {self.timeout:g} seconds")
                if len(data) > largest:
                    raise ValueError(f"the endpoint's reply is no chat completion: it has over {largest >> 20} MiB")
        if len(key := self.key().encode()) >= SHORTEST_KEY:
            data = data.replace(key, b"***")
        coded = ("content-encoding", "content-length", "transfer-encoding")  # which the content is no more
        headers = {name: said for name, said in answer.headers.items() if name not in coded}
        response = Response(answer.status_code, headers=headers, content=bytes(data), request=answer.request)
        response.status_code = said_within(response)
        return response

    def complete(self, client: Client, body: Mapping[str, Any]) -> Response:
        """The answer to a chat completion; raises as :meth:`held` does."""
        return self.held(self.send(client, "POST", "chat/completions", body))

    def held(self, response: Response) -> Response:
        """An answer that is one.

        Raises ConnectionError where it is a transient error (RefusedKeyError where the key is none), and ValueError
        where the request is refused.
        """
        if not response.is_success:
            passing = ConnectionError if response.status_code in TRANSIENT else ValueError
            kind = RefusedKeyError if response.status_code in UNPAID else passing
            raise kind(f"the endpoint answered {self.quoted(response)}")
        return response

    def meter(self, model: str, response: Response) -> None:
        """Count what an answer took, as far as the server tells, and what that costs."""
        if (tokens := used(response)) is not None:
            cost = {"cost": self.price.of(tokens)} if self.price else {}
            metering.count(model, Counter({"requests": 1, **tokens, **cost}))

    def quoted(self, response: Response) -> str:
        """Status and the beginning of an answer, on one line and without the key; or where it redirects."""
        if response.has_redirect_location:
            where = self.clean(response.headers["location"])
            return f"{response.status_code}, a redirect to {where}: if that is right, set `endpoint` to it"
        return f"{response.status_code}: {self.clean(response.text)}"

    def clean(self, text: str) -> str:
        """The beginning of a text, on one line and without the key."""
        short = printable(" ".join(text.split()))
        return (short.replace(key, "***") if (key := self.key()) else short)[:200]


def printable(text: str) -> str:
    """A text without what steers a terminal, or turns the direction of writing.

    >>> printable("\x1b[31mred\x07, \u202eback")
    '[31mred, back'
    """
    return "".join(character for character in text if character.isprintable())


def said_within(response: Response) -> int:
    """The status of an answer; that of the error which it holds in place of choices, where it says one.

    >>> from httpx2 import Response
    >>> said_within(Response(200, json={"error": {"code": 429, "message": "busy"}}))
    429
    >>> said_within(Response(429, json={"error": {"code": "insufficient_quota", "message": "top up"}}))
    402
    """
    if b'"error"' not in response.content or b'"choices"' in response.content:
        return response.status_code
    try:
        code = response.json()["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return response.status_code
    if code == SPENT:
        return 402
    said = isinstance(code, int) and 400 <= code < 600 and response.is_success
    return code if said else response.status_code


def used(response: Response) -> dict[str, int] | None:
    """The tokens that an answer took; None where it does not tell.

    >>> from httpx2 import Response
    >>> used(Response(200, json={"usage": {"prompt_tokens": 9, "completion_tokens": 2}}))
    {'prompt_tokens': 9, 'cached_tokens': 0, 'completion_tokens': 2}
    """
    try:
        usage = json.loads(response.content)["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        numbers = {"prompt_tokens": usage["prompt_tokens"], "cached_tokens": cached}
        numbers |= {"completion_tokens": usage.get("completion_tokens") or 0}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return numbers if all(isinstance(number, int) and number >= 0 for number in numbers.values()) else None


def guess(body: Mapping[str, Any]) -> int:
    """About how many tokens a chat completion may take, before the server has counted them.

    >>> guess({"max_tokens": 10, "n": 2, "messages": [{"role": "user", "content": "what is this?..."}]})
    24
    """
    guessed = (body.get("max_tokens") or 0) * (body.get("n") or 1)
    for message in body.get("messages", ()):
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        guessed += sum(len(part["text"]) // 4 if part["type"] == "text" else PICTURE for part in parts)
    return guessed


def listed(listing: Response) -> list[str]:
    """The names in an answer to ``GET /models``; none where it is something else.

    >>> from httpx2 import Response
    >>> listed(Response(200, json={"data": [{"id": "qwen"}]})), listed(Response(404, text="Not found"))
    (['qwen'], [])
    """
    try:
        return [printable(str(model["id"])) for model in listing.json()["data"]]
    except (ValueError, LookupError, TypeError):
        return []
