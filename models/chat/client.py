"""Client of a server with OpenAI's HTTP API: retries and pauses, the API key, and error texts without it."""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import monotonic
from time import time as now
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from models.adapters.settings import Settings

if TYPE_CHECKING:
    from httpx2 import Client, Response

TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
"""HTTP statuses that may pass: asked again, after a pause. Those from 520 on are said by proxies and busy hosts."""
LARGEST = 64 * 2**20
"""Bytes of a reply that are read; probabilities of a long prompt's tokens take some."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds. A pause doubles from one attempt to the next, unless the server says how long it wants to be left alone."""


class Endpoint(Settings):
    """``endpoint``: the base URL, usually ending in ``/v1``. The API key, where one is needed, is read from the
    environment variable ``api_key_variable``. ``timeout``: seconds to wait for the whole of an answer. ``retries``: how
    often a request is made again that was not answered, or with 408, 429 or 5xx, after pauses of 0.5, 1, 2, ... seconds
    or of what the server asks for beyond that, 60 at most.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # an endpoint that is refused may hold a password

    endpoint: str
    api_key_variable: str = "OPENAI_API_KEY"
    timeout: float = Field(120.0, gt=0)
    retries: int = Field(5, ge=0)

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
        return httpx2.Client(base_url=self.endpoint, headers=headers, timeout=self.timeout)

    def send(
        self, client: Client, method: str, path: str, body: Mapping[str, Any] | None = None, retries: int | None = None
    ) -> Response:
        """The server's answer, whatever its status, once it is not a transient one or attempts are used up.

        Raises ConnectionError without any, and ValueError where it is too long to be read.
        """
        from httpx2 import RequestError

        retries = self.retries if retries is None else retries
        attempt = 0
        while True:
            pause = FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1)  # not all together
            try:
                response = self._received(client, method, path, body)
            except RequestError as error:
                if attempt == retries:
                    what = self.clean(str(error)) or type(error).__name__
                    raise ConnectionError(f"the endpoint did not answer: {what}") from None
            else:
                if attempt == retries or response.status_code not in TRANSIENT:
                    return response
                pause = max(pause, wanted(response))
            time.sleep(min(pause, LONGEST_PAUSE))
            attempt += 1

    def _received(self, client: Client, method: str, path: str, body: Mapping[str, Any] | None) -> Response:
        """An answer that was there within ``timeout``, however slowly it came."""
        from httpx2 import ReadTimeout, Response

        ends, content = monotonic() + self.timeout, bytearray()
        with client.stream(method, path, json=body) as answer:
            for some in answer.iter_bytes():
                content += some
                if monotonic() > ends:
                    raise ReadTimeout(f"its reply was not whole after {self.timeout:g} seconds")
                if len(content) > LARGEST:
                    raise ValueError(f"the endpoint's reply is no chat completion: it has over {LARGEST >> 20} MiB")
        kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
        return Response(answer.status_code, headers=kept, content=bytes(content), request=answer.request)

    def complete(self, client: Client, body: Mapping[str, Any]) -> Response:
        """The answer to a chat completion.

        Raises ConnectionError where there is none but a transient error in all attempts, ValueError where the request
        is refused.
        """
        response = self.send(client, "POST", "chat/completions", body)
        if not response.is_success:
            kind = ConnectionError if response.status_code in TRANSIENT else ValueError
            raise kind(f"the endpoint answered {self.quoted(response)}")
        return response

    def quoted(self, response: Response) -> str:
        """Status and the beginning of an answer, on one line and without the key."""
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


def wanted(response: Response) -> float:
    """Seconds for which a server wants to be left alone: a number or a date in ``Retry-After``; 0 where it says none.

    >>> from httpx2 import Response
    >>> said = ("1.5", "soon", "nan", "Mon, 01 Jan 2024 00:00:00 GMT")
    >>> [wanted(Response(429, headers={"retry-after": text})) for text in said]
    [1.5, 0.0, 0.0, 0.0]
    """
    said = response.headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - now()
        except ValueError:
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


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
