"""Any server of OpenAI's chat completions as a chat model: vLLM, ``transformers serve``, a hosted model."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, Field

from models.adapters.ahead import UnderWayError, only_begins
from models.adapters.decoding import Decoding, candidate_seeds
from models.adapters.roles import Conversation, Logits, Reply, Scores, Turn
from models.adapters.settings import unknown
from models.chat.batches import Batches
from models.chat.choices import apart, normalised
from models.chat.client import Endpoint, listed
from models.chat.completions import (
    checked,
    continuation_scores,
    first_tokens,
    replies,
    response_format,
    written_scores,
)
from models.chat.in_flight import in_flight
from models.chat.messages import content, named

if TYPE_CHECKING:
    from httpx2 import Response

log = logging.getLogger(__name__)

T = TypeVar("T")
Body = dict[str, Any]
Complete = Callable[[Body], "Response"]
"""Gets the answer to a chat completion."""

LONGEST, LONGEST_TOKEN = 100_000, 100
"""Characters that a reply may have, whatever ``extra`` says, and for each token of ``max_tokens``."""

LISTED, LISTED_ELSEWHERE = 20, 5
"""First tokens whose probability is asked for: as many as OpenAI and vLLM give at most, and hosts that refuse that."""


class OpenAICompatible:
    """A model behind ``/chat/completions``; a turn's pictures go before its text, as PNG.

    The API has no beam search: replies are sampled, or, with one beam and one candidate, the likeliest words
    (temperature 0).

    Each candidate is a request of its own, with its own seed from the item's: so candidate k stays the same when more
    are asked for, as in process, and servers that ignore ``n`` (``transformers serve``) or refuse it serve as well. It
    costs the prompt once a candidate where prompts are paid for; vLLM caches them. Candidates are in the order they
    were drawn: the API ranks nothing.

    Some things are for the server to keep. What a request leaves out (a repetition penalty, top-k) it may take from the
    checkpoint's ``generation_config.json``, which models in process do not; start vLLM with ``--generation-config
    vllm``. Whether it samples alike for equal seeds, and rounds alike whatever else it computes, no reply can prove:
    vLLM has a generator for each request, and ``VLLM_BATCH_INVARIANT=1``. ``transformers serve`` seeds one generator
    for all, so give it ``concurrency: 1``, and samples only where that file says ``do_sample``. Everything else that a
    server may ignore without a word (``n``, ``logprobs``, ``top_logprobs``, ``prompt_logprobs``, ``response_format``,
    ``continue_final_message`` where it matters to a probability) is looked for in its reply, and an item fails that
    lacks it, saying so.

    A reply cut off at ``max_tokens`` is a reply, as in process. An empty one, one that the server's filter cut, and a
    request that fails after all retries make their item fail, alone.
    """

    VERSION: ClassVar[int] = 1
    KEEPS_PROMPTS: ClassVar[bool] = True
    """Whether prompts that begin alike are read once, if they come one behind the other."""

    class Settings(Endpoint):
        """``model``: what is served at the endpoint, and ``revision``, which version of it, in words of your own that
        change when the weights or their precision do: a commit, a dated release, ``"cc59489, bf16, awq"``. Nothing on
        this side can see that, so the two stand in every key, and where the model is served does not: the same model
        served elsewhere gives the same items. ``served_as``: the endpoint's name for the model, where it is another one
        (a path, an alias).

        ``extra``: further fields of the request, in the server's own words, for instance
        ``{chat_template_kwargs: {enable_thinking: false}}``; null takes a field out. ``together``: ask for all
        candidates of an item in one request (``n``), which costs the prompt once; they then share a seed, and are other
        ones when another number is asked for.

        ``batch``: ask by files that the provider answers within a day, and cheaper (:mod:`models.chat.batches`): of as
        many items as the entry's ``batch_size`` at a time. Without, to keep ``concurrency`` requests in flight,
        ``batch_size`` should be several times that. See :class:`models.chat.client.Endpoint` for the rest.
        """

        model: str = Field(min_length=1)
        revision: str = Field(min_length=1)
        served_as: str | None = None
        extra: dict[str, Any] = {}
        together: bool = False
        batch: bool = False

    def __init__(self, settings: Settings, what: str = "reply") -> None:
        """``what``: the name of a reply in error messages."""
        self.settings = settings
        self.device = "endpoint"
        self.positions = math.inf  # the server knows
        self._what = what
        self._name = settings.served_as or settings.model
        self._listed = LISTED
        self._asked: dict[str, Future[Any]] = {}
        self._several = False
        self._batches = Batches(settings, None)

    def keep_in(self, folder: Path) -> None:
        """Where to note which batches are under way, for whoever comes after a kill."""
        self._batches.kept = folder

    def identity(self) -> dict[str, Any]:
        """Model, revision and what changes words; neither the endpoint nor how it is asked."""
        settings = self.settings
        together = {"together": True} if settings.together else {}
        return {"checkpoint": settings.model, "revision": settings.revision, "extra": settings.extra} | together

    def load(self) -> None:
        """See whether the endpoint answers; what is wrong is said once, not per item. Raises as :meth:`probe` does."""
        decoding = Decoding(beams=1, candidates=1, max_tokens=16)
        self.probe([Turn("user", "Hello.")], decoding, "which must be one that chats")

    def probe(self, conversation: Conversation, decoding: Decoding, must: str) -> None:
        """See whether the endpoint answers a conversation.

        Raises
        ------
        ConnectionError
            The endpoint cannot be reached, or wants another API key.
        ValueError
            It does not serve the model (a server need not list all that it serves), or refuses such requests; ``must``
            says what of the model may be the reason.
        """
        settings, endpoint = self.settings, self.settings.endpoint
        body = self._body(conversation, decoding)
        with settings.client() as client:
            try:
                served = listed(settings.send(client, "GET", "models", retries=0))
                retries = 0 if served and self._name not in served else settings.retries
                answer = settings.send(client, "POST", "chat/completions", body, retries)
            except ConnectionError as error:
                raise ConnectionError(f"Endpoint {endpoint}: {error}. Is the server up, and the URL right?") from None
        if answer.is_success:
            settings.meter(settings.model, answer)
            return
        if answer.status_code in (401, 403):
            raise ConnectionError(
                f"Endpoint {endpoint} answered {answer.status_code}: set the environment variable "
                f"{settings.api_key_variable} to an API key that it accepts."
            )
        if answer.status_code == 402:
            raise ConnectionError(
                f"Endpoint {endpoint} answered {settings.quoted(answer)}: see to the account of the API key in "
                f"{settings.api_key_variable}."
            )
        if served and self._name not in served:
            nearest = difflib.get_close_matches(self._name, served, n=20, cutoff=0)  # hosts list hundreds
            raise ValueError(unknown(f"model at {endpoint}", self._name, nearest))
        raise ValueError(
            f'Endpoint {endpoint} answered a request to "{self._name}" with {settings.quoted(answer)}: check '
            f"`endpoint`, which usually ends in /v1, and `model`, {must}."
        )

    def answer(
        self,
        conversations: Sequence[Conversation],
        decoding: Decoding,
        seeds: Sequence[int],
        form: type[BaseModel] | None = None,
    ) -> list[list[Reply]]:
        """``decoding.candidates`` replies to each conversation; with a ``form``, each is JSON of that model.

        Raises when one of the items fails. The loop then asks item by item, and is given what was said before: a
        failure costs its neighbours no second request.

        Raises
        ------
        ConnectionError
            No answer, or none but a transient error, in all attempts.
        ValueError
            The decoding is a beam search, the endpoint refused the request or ignored a part of it, or what it said is
            no reply.
        """
        no_beams(decoding)
        needed: dict[str, Any] = {"response_format": response_format(form)} if form else {}
        jobs = []
        for conversation, seed in zip(conversations, seeds, strict=True):
            if not decoding.sample:
                requests = [needed]
            elif self.settings.together:
                requests = [needed | {"seed": candidate_seeds(seed, 1)[0], "n": decoding.candidates}]
            else:
                requests = [needed | {"seed": one} for one in candidate_seeds(seed, decoding.candidates)]
            jobs.append([self._body(conversation, decoding, **request) for request in requests])

        def ask(complete: Complete, body: Body) -> list[Reply]:
            return self._replies(self._fields(complete, body), decoding, body.get("n", 1), form)

        return [[reply for some in item for reply in some] for item in self._all(jobs, ask)]

    def answer_scored(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Reply, Scores | None]]:
        """A reply to each conversation, and how probable it was as it was written; None where the server does not tell.

        Raises
        ------
        ConnectionError, ValueError
            As :meth:`answer` does.
        """
        no_beams(decoding)
        jobs = []
        for conversation, seed in zip(conversations, seeds, strict=True):
            seeded = {"seed": candidate_seeds(seed, 1)[0]} if decoding.sample else {}
            jobs.append([self._body(conversation, decoding, logprobs=True, **seeded)])

        def ask(complete: Complete, body: Body) -> tuple[Reply, Scores | None]:
            fields = self._fields(complete, body)
            [reply] = self._replies(fields, decoding)
            return reply, written_scores(fields["choices"][0], reply.text)

        return [one for (one,) in self._all(jobs, ask)]

    def logits(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Logits]:
        """Raises ValueError: no server tells logits."""
        raise ValueError("an endpoint tells no logits: take a model in process, or ratings by probabilities")

    def log_probabilities(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Scores]:
        """How probable each continuation is, token by token, by vLLM's ``prompt_logprobs``.

        vLLM cuts text and continuation into tokens together, and gives probabilities at temperature 1 unless started
        with another ``--logprobs-mode``.

        Raises
        ------
        ConnectionError, ValueError
            As :meth:`answer` does.
        """
        return self._scores(conversations, continuations)

    def _scores(
        self, conversations: Sequence[Conversation], continuations: Sequence[str], goes_on: bool = False
    ) -> list[Scores]:
        jobs = []
        for conversation, text in zip(conversations, continuations, strict=True):
            begun = conversation[-1].text if conversation[-1].role == "assistant" else ""
            before = conversation[:-1] if conversation[-1].role == "assistant" else conversation
            whole = [*before, Turn("assistant", begun + text)]
            jobs.append([self._body(conversation, ONE_TOKEN), self._body(whole, ONE_TOKEN, prompt_logprobs=0)])
        pairs = self._all(jobs, self._fields, goes_on)
        return [
            continuation_scores(before, after, text) for (before, after), text in zip(pairs, continuations, strict=True)
        ]

    def choose(self, conversations: Sequence[Conversation], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Probability of each choice among them, (choices,) float64.

        Choices that are all among the 20 likeliest first tokens (5, where the endpoint refuses 20) cost one request;
        otherwise all of the item are scored by :meth:`log_probabilities`.

        Raises
        ------
        ConnectionError, ValueError
            As :meth:`answer` does, and where a choice is the beginning of another one.
        """
        for some in choices:
            apart(some, some)
        likely = [first_tokens(fields) for (fields,) in self._first(conversations)]
        asked = list(zip(conversations, choices, likely, strict=True))
        whole = [(conversation, some) for conversation, some, known in asked if not known.keys() >= set(some)]
        try:
            scored = iter(
                self._scores(
                    [conversation for conversation, some in whole for _ in some],
                    [choice for _, some in whole for choice in some],
                    goes_on=True,
                )
            )
        except ValueError as error:
            missing, known = next((one, known) for _, some, known in asked for one in some if one not in known)
            raise ValueError(f"{missing!r} is not among the {len(known)} likeliest first tokens, and {error}") from None
        return [
            normalised(
                [known[choice] for choice in some]
                if known.keys() >= set(some)
                else [float(next(scored).log_probabilities.sum()) for _ in some]
            )
            for _, some, known in asked
        ]

    def _first(self, conversations: Sequence[Conversation]) -> list[list[Body]]:
        """Answers of one token, with the likeliest; of fewer from now on where the endpoint refuses so many."""
        asked = {"logprobs": True, "top_logprobs": self._listed}
        try:
            return self._all([[self._body(one, ONE_TOKEN, **asked)] for one in conversations], self._fields)
        except ValueError as error:
            if "top_logprobs" not in str(error) or self._listed == LISTED_ELSEWHERE:
                raise
        log.warning(
            "Endpoint %s refuses `top_logprobs: %d`: it is asked for %d, and choices that are not among these are "
            "scored one by one.", self.settings.endpoint, self._listed, LISTED_ELSEWHERE,
        )  # fmt: skip
        self._listed = LISTED_ELSEWHERE
        return self._first(conversations)

    def _all(
        self, jobs: Sequence[list[Body]], ask: Callable[[Complete, Body], T], goes_on: bool = False
    ) -> list[list[T]]:
        """Results of each job's requests; equal jobs are sent once, and several at a time.

        Those that begin alike, as with one picture, go one behind the other: a server that keeps what it has read of
        prompts has it then. What several items were answered is kept until the next several are asked about, since one
        of them may fail and all be asked again, one by one. ``goes_on``: with what the last call was about.
        """
        if not goes_on:
            self._several, self._asked = len(jobs) > 1, {} if len(jobs) > 1 else self._asked
        names = [named(bodies) for bodies in jobs]
        given = dict(zip(names, jobs, strict=True))
        asked: dict[str, Future[list[T]]] = {name: self._asked.pop(name) for name in given if name in self._asked}
        missing = {name: given[name] for name in sorted(given.keys() - asked.keys())}

        with self.settings.client() as client:
            complete: Complete = partial(self.settings.complete, client)
            bodies = [body for some in missing.values() for body in some]
            if self.settings.batch and only_begins():
                self._batches.begin(client, bodies)
                raise UnderWayError
            if self.settings.batch and missing:
                complete = self._batches.answers(client, bodies, goes_on)
            works = {name: partial(asked_in_turn, ask, complete, bodies) for name, bodies in missing.items()}
            asked |= in_flight(works, self.settings.concurrency)
        if self._several:
            self._asked |= asked
        return [asked[name].result() for name in names]

    def _replies(
        self, fields: dict[str, Any], decoding: Decoding, count: int = 1, form: type[BaseModel] | None = None
    ) -> list[Reply]:
        """The ``count`` replies in an answer; raises ValueError where they are none, or longer than they can be."""
        found = replies(fields["choices"], count, self._what, form)
        if (longest := max(len(reply.text) for reply in found)) > max(LONGEST, LONGEST_TOKEN * decoding.max_tokens):
            raise ValueError(f"the endpoint ignored `max_tokens`: its {self._what} has {longest} characters")
        return found

    def _body(self, conversation: Conversation, decoding: Decoding, **needed: Any) -> Body:
        """Body of a request; ``needed`` are fields that ``extra`` does not overrule."""
        body = {
            "model": self._name,
            "messages": [{"role": turn.role, "content": content(turn)} for turn in conversation],
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature if decoding.sample else 0,
            "top_p": decoding.top_p if decoding.sample else None,
        }
        if conversation[-1].role == "assistant":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return {name: value for name, value in (body | self.settings.extra | needed).items() if value is not None}

    def _fields(self, complete: Complete, body: Body) -> Body:
        """The fields of an answer to a chat completion, at least one choice among them."""
        response = complete(body)
        self.settings.meter(self.settings.model, response)
        try:
            return checked(response.json())
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"the endpoint's reply is no chat completion: {self.settings.quoted(response)}") from None


def asked_in_turn(ask: Callable[[Complete, Body], T], complete: Complete, bodies: list[Body]) -> list[T]:
    """The results of the requests of one job."""
    return [ask(complete, body) for body in bodies]


ONE_TOKEN = Decoding(beams=1, candidates=1, max_tokens=1)
"""For what is asked not for its words but for its probabilities."""


def no_beams(decoding: Decoding) -> None:
    """Raise ValueError where a beam search is asked for."""
    if not decoding.sample and (decoding.beams, decoding.candidates) != (1, 1):
        raise ValueError(
            f"chat completions know no beam search, so {decoding.beams} beams and {decoding.candidates} candidates "
            "cannot be had: set `sample: true`, or `beams: 1` and `candidates: 1` for the likeliest words"
        )
