"""Chat completions by batch files: OpenAI's ``/files`` and ``/batches``, whose JSONL vLLM's ``run-batch`` reads too.

Before a file is sent, a note says which requests it holds, and then the id of its batch. Whoever asks for any of them
after a kill finds the batch under way and pays for no second one; where the kill came between the provider's yes and
our note of it, the batch is known by the note's name in its metadata. Of equal files each batch has a name of its own:
what one left unanswered is asked in the next.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import uuid4

from models.chat import messages
from models.chat.client import FIRST_PAUSE, LONGEST_PAUSE, TRANSIENT, UNPAID, Endpoint, RefusedKeyError, said_within

if TYPE_CHECKING:
    from httpx2 import Client, Response

log = logging.getLogger(__name__)

MOST, LARGEST = 50_000, 190 * 10**6
"""Requests, and bytes, of one file: OpenAI takes 50,000 and 200 MB."""
LARGEST_ANSWERS = 2**30
"""Bytes of a file of answers that are read."""
WITHIN = "24h"
"""When a provider shall be done. What it has not answered by then has failed, and is asked again by the next run."""
UNDER_WAY = {"validating", "in_progress", "finalizing", "cancelling"}
PAGES = 10
"""How many pages of 100 batches are looked through for one whose id was not noted."""
OURS = "palimpsest"
"""Under what the name of its note stands in a batch's metadata."""

Fields = dict[str, Any]
Results = dict[str, "Response | str"]
"""What became of each request, by its id: an answer, or why there is none."""


class Begun(NamedTuple):
    """A batch, with the note of it and the file that this is kept in, if it is."""

    note: Fields
    batch: Fields
    path: Path | None

    def forget(self, wanted: Collection[str]) -> None:
        """Strike from the note what has been wanted; of the rest, which was paid for too, somebody may come to ask."""
        left = [one for one in self.note["requests"] if one not in wanted]
        if self.path and left:
            write(self.path, self.note | {"requests": left})
        elif self.path:
            self.path.unlink(missing_ok=True)


class Batches:
    """Asks by files at one endpoint. ``kept``: the folder of notes; without it, a kill forgets what is under way."""

    def __init__(self, settings: Endpoint, kept: Path | None) -> None:
        self.settings = settings
        self.kept = kept
        self._read: list[Callable[[], None]] = []
        """Forget what was read already; it has been remembered when there is more to ask."""

    def begin(self, client: Client, bodies: Sequence[Fields]) -> None:
        """Let batches of those requests be under way that no note knows; why a provider takes none, the wait for the
        answers tells."""
        noted = {one for _, note in self._notes() for one in note["requests"]}
        with suppress(Exception):
            for file in filed(body for body in bodies if self.kept and id_of(body) not in noted):
                self._begun(client, file)

    def answers(self, client: Client, bodies: Sequence[Fields], goes_on: bool = False) -> Callable[[Fields], Response]:
        """Wait for the answers to some requests, and return who gives them; ``goes_on``: nothing has been remembered
        since the last ones.

        That one raises as :meth:`~models.chat.client.Endpoint.held` does, and ConnectionError for what the provider
        left unanswered, or all where it took no file: nothing is sent one by one instead.
        """
        for forget in self._read if not goes_on else ():
            forget()
        self._read = self._read if goes_on else []
        wanted = {id_of(body) for body in bodies}
        found, why = Results(), ""
        try:
            begun, found = self._taken_up(client, wanted)
            held = found.keys() | {one for each in begun for one in each.note["requests"]}
            files = filed(body for body in bodies if id_of(body) not in held)
            begun += [self._begun(client, file) for file in files]
            for each in begun:
                found |= self._results(client, each.note, self._ended(client, each.batch))
                self._read.append(partial(each.forget, wanted))
        except Exception as error:  # whatever a provider does must not make anybody ask for one after the other
            why = str(error) or type(error).__name__

        def answer(body: Fields) -> Response:
            one = found.get(id_of(body), why)
            if isinstance(one, str):
                raise ConnectionError(f"the batch left this unanswered: {self.settings.clean(one)}")
            return self.settings.held(one)

        return answer

    def _taken_up(self, client: Client, wanted: set[str]) -> tuple[list[Begun], Results]:
        """Batches under way that hold something wanted; and what was answered by those that ended meanwhile."""
        begun: list[Begun] = []
        found: Results = {}
        for path, note in self._notes():
            if not wanted.intersection(note["requests"]):
                continue
            known = note["id"] and self._asked(client, "GET", f"batches/{note['id']}", missing=True)
            each = Begun(note, known or self._listed(client, path.stem) or {}, path)
            if each.batch.get("status") in UNDER_WAY:
                begun.append(each)
                continue
            ended = self._results(client, note, each.batch)
            said = {name: one for name, one in ended.items() if not isinstance(one, str) and one.is_success}
            if said.keys() & wanted:
                self._read.append(partial(each.forget, wanted))
            else:
                each.forget(wanted if each.batch else note["requests"])
            found |= said
        return begun, found

    def _notes(self) -> Iterator[tuple[Path, Fields]]:
        """The notes of batches at this endpoint."""
        for path in sorted(self.kept.glob("*.json")) if self.kept else ():
            with suppress(FileNotFoundError):  # another driver has it remembered
                note = json.loads(path.read_text())
                if note["endpoint"] == self.settings.endpoint:
                    yield path, note

    def _begun(self, client: Client, file: bytes) -> Begun:
        """A new batch, of which there is a note before it begins."""
        name = uuid4().hex
        requests = [json.loads(line)["custom_id"] for line in file.splitlines()]
        note = {"endpoint": self.settings.endpoint, "id": None, "requests": requests}
        path = self.kept / f"{name}.json" if self.kept else None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, note)
        batch = self._created(client, name, file)
        if path:
            write(path, note | {"id": batch["id"]})
        return Begun(note | {"id": batch["id"]}, batch, path)

    def _created(self, client: Client, name: str, file: bytes) -> Fields:
        """A new batch; a request for one that was not answered may have been heard, so its batch is looked for."""
        upload = (f"{name}.jsonl", file, "application/jsonl")
        sent = self._asked(client, "POST", "files", files={"file": upload}, data={"purpose": "batch"})
        asked = {"input_file_id": sent["id"], "endpoint": "/v1/chat/completions", "completion_window": WITHIN}
        attempt = 0
        while True:
            try:
                return self._asked(client, "POST", "batches", body=asked | {"metadata": {OURS: name}}, retries=0)
            except ConnectionError:
                if batch := self._listed(client, name):
                    return batch
                if attempt == self.settings.retries:
                    raise
            time.sleep(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE))
            attempt += 1

    def _listed(self, client: Client, name: str) -> Fields | None:
        """The batch of a name, among those that the provider lists."""
        after = ""
        for _ in range(PAGES):
            page = self._asked(client, "GET", f"batches?limit=100{after}", missing=True) or {}
            some = page.get("data") or []
            for batch in some:
                if (batch.get("metadata") or {}).get(OURS) == name:
                    return cast(Fields, batch)
            if not (some and page.get("has_more")):
                break
            after = f"&after={some[-1]['id']}"
        return None

    def _ended(self, client: Client, batch: Fields) -> Fields:
        """A batch when it is over, though the provider, or the way to it, may be away meanwhile.

        Raises RefusedKeyError where it wants another key.
        """
        pause = FIRST_PAUSE
        while batch.get("status") in UNDER_WAY:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                batch = self._asked(client, "GET", f"batches/{batch['id']}")
            except RefusedKeyError:
                raise
            except ConnectionError as error:
                log.warning("Batch %s is under way, but %s", batch["id"], error)
            else:
                log.info("Batch %s: %s, %s", batch["id"], batch.get("status"), batch.get("request_counts"))
        return batch

    def _results(self, client: Client, note: Fields, batch: Fields) -> Results:
        """What a batch came to, in whatever order it says so, and however often; an answer goes before an error."""
        errors = (batch.get("errors") or {}).get("data") or ()
        reasons = [str(batch.get("status")), *(str(error["message"]) for error in errors[:3])]
        found: Results = dict.fromkeys(note["requests"], ", ".join(reasons))
        for name in ("output_file_id", "error_file_id"):
            if not batch.get(name):
                continue
            sent = self.settings.send(client, "GET", f"files/{batch[name]}/content", largest=LARGEST_ANSWERS)
            for line in self.settings.held(sent).content.splitlines():
                with suppress(ValueError, LookupError, TypeError, AttributeError):  # a line that is none
                    one, said = result(line)
                    known = found[one]
                    if isinstance(known, str) or not (isinstance(said, str) or known.is_success):
                        found[one] = said
        return found

    def _asked(self, client: Client, method: str, path: str, missing: bool = False, **said: Any) -> Any:
        """The fields of an answer; none where what is asked for may be ``missing``, and is: who may not look (403) does
        not know that."""
        response = self.settings.send(client, method, path, **said)
        if missing and not response.is_success and response.status_code not in TRANSIENT | UNPAID | {403}:
            return None
        fields = self.settings.held(response).json()
        if not (isinstance(fields, dict) and fields.keys() & {"id", "data"}):
            raise ValueError(f"the endpoint's reply is none about batches: {self.settings.quoted(response)}")
        return fields


def write(path: Path, note: Fields) -> None:
    """Write a note, which is there whole or not at all."""
    half = path.with_suffix(".half")
    half.write_text(json.dumps(note))
    half.replace(path)


def id_of(body: Fields) -> str:
    """The id of a request in files, by which equal ones are one."""
    return sha256(messages.named(body).encode()).hexdigest()[:32]


def filed(bodies: Iterator[Fields]) -> Iterator[bytes]:
    """The files of some requests, as many as a provider's limits make necessary.

    >>> print(*next(filed(iter([{"model": "gpt"}] * 2))).decode().splitlines())
    {"custom_id":"88b399d98434b7081521eb9ac98c8617","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt"}}
    """
    lines: list[bytes] = []
    room = LARGEST
    for name, body in sorted({id_of(body): body for body in bodies}.items()):
        asked = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        line = messages.written(asked) + b"\n"
        if lines and (len(lines) == MOST or len(line) > room):
            yield b"".join(lines)
            lines, room = [], LARGEST
        lines.append(line)
        room -= len(line)
    if lines:
        yield b"".join(lines)


def result(line: bytes) -> tuple[str, Response | str]:
    """A line of a provider's files: the request's id, and what became of it.

    >>> result(b'{"custom_id": "5", "response": null, "error": {"code": "batch_expired", "message": "too late"}}')
    ('5', 'batch_expired: too late')
    """
    from httpx2 import Response

    fields = json.loads(line)
    if said := fields.get("response"):
        response = Response(said["status_code"], json=said["body"])
        response.status_code = said_within(response)
        return fields["custom_id"], response
    error = fields["error"]
    return fields["custom_id"], f"{error['code']}: {error['message']}"
