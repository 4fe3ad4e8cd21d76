"""Captions by any server that speaks OpenAI's chat completions: vLLM, ``transformers serve``, a hosted model."""

from __future__ import annotations

import base64
import difflib
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from models.adapters.settings import unknown
from models.captioners.decoding import Instructed, candidate_seeds
from models.media.images import encode_png

if TYPE_CHECKING:
    from httpx2 import Client, Response

TRANSIENT = {408, 429, 500, 502, 503, 504}
"""HTTP statuses that may pass: asked again, after a pause."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds. A pause doubles from one attempt to the next, unless the server says how long it wants to be left alone."""


class OpenAICompatible:
    """A vision-language model behind ``/chat/completions``; it gets the picture as PNG, then its prompt.

    The API has no beam search, so ``sample: true`` is the default here; ``sample: false`` with one beam and one
    candidate asks for the likeliest words (temperature 0).

    Each candidate is a request of its own, with its own seed from the item's: so candidate k stays the same when more
    are asked for, as with the local captioners, and servers that ignore ``n`` (``transformers serve``) or refuse it
    serve as well. It costs the prompt once a candidate where prompts are paid for; vLLM caches them. Candidates are in
    the order they were drawn: the API ranks nothing.

    Some things are for the server to keep. What a request leaves out (a repetition penalty, top-k) it may take from the
    checkpoint's ``generation_config.json``, which the local captioners do not; start vLLM with ``--generation-config
    vllm``. Whether it samples alike for equal seeds, and rounds alike whatever else it computes: vLLM has a generator
    for each request, and ``VLLM_BATCH_INVARIANT=1``. ``transformers serve`` seeds one generator for all, so give it
    ``concurrency: 1``, and samples only where that file says ``do_sample``.

    A caption cut off at ``max_tokens`` is a caption, as with the local captioners. An empty one, one that the server's
    filter cut, and a request that fails after all retries make their item fail, alone.
    """

    VERSION: ClassVar[int] = 1

    class Settings(Instructed):
        """``endpoint``: the base URL, usually ending in ``/v1``. ``model``: what is served there, and ``revision``,
        which version of it, in words of your own that change when the weights or their precision do: a commit, a
        dated release, ``"cc59489, bf16, awq"``. Nothing on this side can see that, so the two stand in every key, and
        where the model is served does not: the same model served elsewhere gives the same items. ``served_as``: the
        endpoint's name for the model, where it is another one (a path, an alias).

        The API key, where one is needed, is read from the environment variable ``api_key_variable``.
        ``extra``: further fields of the request, in the server's own words, for instance
        ``{chat_template_kwargs: {enable_thinking: false}}``; null takes a field out.

        ``concurrency`` requests are in flight at a time; to keep them so, the entry's ``batch_size`` should be several
        times that. ``timeout``: seconds to wait for an answer. ``retries``: how often a request is made again that was
        not answered, or with 408, 429 or 5xx, after pauses of 0.5, 1, 2, ... seconds or what the server asks for, 60
        at most.
        """

        model_config = ConfigDict(hide_input_in_errors=True)  # an endpoint that is refused may hold a password

        endpoint: str
        model: str = Field(min_length=1)
        revision: str = Field(min_length=1)
        served_as: str | None = None
        api_key_variable: str = "OPENAI_API_KEY"
        sample: bool = True
        extra: dict[str, Any] = {}
        concurrency: int = Field(8, ge=1)
        timeout: float = Field(120.0, gt=0)
        retries: int = Field(5, ge=0)

        @model_validator(mode="after")
        def _enough_beams(self) -> OpenAICompatible.Settings:
            if not self.sample and (self.beams, self.candidates) != (1, 1):
                raise ValueError(
                    f"chat completions know no beam search, so {self.beams} beams and {self.candidates} candidates "
                    "cannot be had: set `sample: true`, or `beams: 1` and `candidates: 1` for the likeliest words"
                )
            return self

        @model_validator(mode="after")
        def _holds_no_secret(self) -> OpenAICompatible.Settings:
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

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = "endpoint"
        self._name = settings.served_as or settings.model
        self._asked: dict[tuple[bytes, str, int], Future[list[str]]] = {}

    def identity(self) -> dict[str, Any]:
        """Model, revision and what changes words; neither the endpoint nor how it is asked."""
        here = {"model", "endpoint", "served_as", "api_key_variable", "concurrency", "timeout", "retries"}
        absent = {"prompt", "box_prompt", "beams", "length_penalty"}
        settings = self.settings.model_dump(exclude=here | absent | self.settings.unused)
        return {"checkpoint": self.settings.model} | settings

    def load(self) -> None:
        """See whether the endpoint captions, by asking about a white picture; what is wrong is said once, not per item.

        Raises
        ------
        ConnectionError
            The endpoint cannot be reached, or wants another API key.
        ValueError
            It does not serve the model (a server need not list all that it serves), or refuses such requests.
        """
        endpoint, white = self.settings.endpoint, encode_png(np.full((64, 64, 3), 255, np.uint8))
        with self._client() as client:
            try:
                served = _listed(self._send(client, "GET", "models", retries=0))
                retries = 0 if served and self._name not in served else self.settings.retries
                answer = self._send(
                    client, "POST", "chat/completions", self._request(white, self.settings.prompt), retries
                )
            except ConnectionError as error:
                raise ConnectionError(f"Endpoint {endpoint}: {error}. Is the server up, and the URL right?") from None
        if answer.is_success:
            return
        if answer.status_code in (401, 403):
            raise ConnectionError(
                f"Endpoint {endpoint} answered {answer.status_code}: set the environment variable "
                f"{self.settings.api_key_variable} to an API key that it accepts."
            )
        if served and self._name not in served:
            nearest = difflib.get_close_matches(self._name, served, n=20, cutoff=0)  # hosts list hundreds
            raise ValueError(unknown(f"model at {endpoint}", self._name, nearest))
        raise ValueError(
            f'Endpoint {endpoint} answered a request to "{self._name}" with {self._told(answer)}: check `endpoint`, '
            "which usually ends in /v1, and `model`, which must take pictures."
        )

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """``candidates`` captions of each picture (H, W, 3) uint8, without blanks around them.

        Raises when one of the items fails. The loop then asks item by item, and is given what was said before: a
        failure costs its neighbours no second request.

        Raises
        ------
        ConnectionError
            No answer, or none but a transient error, in all attempts.
        ValueError
            The endpoint refused the request, or what it said is no caption.
        """
        items = [(encode_png(picture), *rest) for picture, *rest in zip(pictures, prompts, seeds, strict=True)]
        with self._client() as client, ThreadPoolExecutor(self.settings.concurrency) as pool:
            try:
                asked = {
                    item: self._asked.pop(item, None) or pool.submit(self._caption, client, *item)
                    for item in dict.fromkeys(items)
                }
                wait(asked.values())
            finally:
                pool.shutdown(cancel_futures=True)  # when interrupted, what has not begun never does
        if len(items) > 1:
            self._asked = asked if any(future.exception() for future in asked.values()) else {}
        return [asked[item].result() for item in items]

    def _caption(self, client: Client, picture: bytes, prompt: str, seed: int) -> list[str]:
        """All candidates of one picture."""
        if not self.settings.sample:
            return [self._complete(client, self._request(picture, prompt))]
        seeds = candidate_seeds(seed, self.settings.candidates)
        return [self._complete(client, self._request(picture, prompt, one)) for one in seeds]

    def _request(self, picture: bytes, prompt: str, seed: int | None = None) -> dict[str, Any]:
        """What is sent."""
        url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        body = {
            "model": self._name,
            "messages": [{"role": "user", "content": content if prompt else content[:1]}],
            "max_tokens": self.settings.max_tokens,
            "temperature": self.settings.temperature if self.settings.sample else 0,
            "top_p": self.settings.top_p if self.settings.sample else None,
            "seed": seed,
        }
        return {name: value for name, value in (body | self.settings.extra).items() if value is not None}

    def _complete(self, client: Client, body: Mapping[str, Any]) -> str:
        """What the model answers."""
        response = self._send(client, "POST", "chat/completions", body)
        if not response.is_success:
            kind = ConnectionError if response.status_code in TRANSIENT else ValueError
            raise kind(f"the endpoint answered {self._told(response)}")
        try:
            choice = response.json()["choices"][0]
            text, ended = (choice["message"]["content"] or "").strip(), choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"the endpoint's reply is no chat completion: {self._told(response)}") from None
        if ended == "content_filter":
            raise ValueError("the endpoint's filter withheld the caption")
        if not text:
            more = ": raise `max_tokens`, the model spent them on something else" if ended == "length" else ""
            raise ValueError(f"the endpoint's caption is empty (finish_reason {ended}){more}")
        return text

    def _client(self) -> Client:
        import httpx2

        key = self._key()
        if not (key.isascii() and key.isprintable()):  # httpx would say so, and show the key
            raise ValueError(f"Environment variable {self.settings.api_key_variable} holds no API key: set it anew.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.settings.endpoint, headers=headers, timeout=self.settings.timeout)

    def _key(self) -> str:
        """The API key, or nothing; kept nowhere."""
        return os.environ.get(self.settings.api_key_variable, "").strip()

    def _send(
        self, client: Client, method: str, path: str, body: Mapping[str, Any] | None = None, retries: int | None = None
    ) -> Response:
        """The endpoint's answer, whatever its status, once it is not a transient one or attempts are used up."""
        from httpx2 import RequestError

        retries = self.settings.retries if retries is None else retries
        attempt = 0
        while True:
            pause = FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1)  # not all together
            try:
                response = client.request(method, path, json=body)
            except RequestError as error:
                if attempt == retries:
                    what = self._clean(str(error)) or type(error).__name__
                    raise ConnectionError(f"the endpoint did not answer: {what}") from None
            else:
                if attempt == retries or response.status_code not in TRANSIENT:
                    return response
                if (wanted := response.headers.get("retry-after", "")).isdecimal():
                    pause = float(wanted)
            time.sleep(min(pause, LONGEST_PAUSE))
            attempt += 1

    def _told(self, response: Response) -> str:
        """Status and the beginning of an answer, on one line and without the key."""
        return f"{response.status_code}: {self._clean(response.text)}"

    def _clean(self, text: str) -> str:
        short = " ".join(text.split())
        return (short.replace(key, "***") if (key := self._key()) else short)[:200]


def _listed(listing: Response) -> list[str]:
    """The names in an answer to ``GET /models``; none where it is something else.

    >>> from httpx2 import Response
    >>> _listed(Response(200, json={"data": [{"id": "qwen"}]})), _listed(Response(404, text="Not found"))
    (['qwen'], [])
    """
    try:
        return [str(model["id"]) for model in listing.json()["data"]]
    except (ValueError, LookupError, TypeError):
        return []
