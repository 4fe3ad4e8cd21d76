"""Batch files: a provider that answers out of order, twice, in part or not at all; and a driver that is killed.

The provider does as OpenAI's reference says of files and batches: requests go up as JSONL, answers and errors come in
files of their own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from models.adapters import metering
from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from models.chat import batches
from models.chat.openai_compatible import OpenAICompatible

GREEDY = Decoding(beams=1, candidates=1, max_tokens=8)
NAMES = "abcd"


def said(body: dict) -> dict:
    """A batch's answer to one request: its text, backwards."""
    text = body["messages"][-1]["content"][::-1]
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6}}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if body.get("logprobs"):
        likely = [{"token": "yes", "logprob": -0.1}, {"token": "no", "logprob": -2.5}]
        choice["logprobs"] = {"content": [{"top_logprobs": likely}]}
    return {"status_code": 200, "body": {"choices": [choice], "usage": usage}}


def answered(asked: list[dict]) -> tuple[str, list[dict], list[dict]]:
    """How a batch ends in which all went well."""
    return "completed", [{"custom_id": one["custom_id"], "response": said(one["body"])} for one in asked], []


class Provider(ThreadingHTTPServer):
    """Keeps files and batches. ``finish`` makes of its requests what files of answers and of errors hold."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.paid = 0
        """Requests that were taken in batches."""
        self.chats = 0
        self.looks = 2
        """How often a batch is looked at before it is over."""
        self.deaf = False
        """Whether the connection breaks when a batch has begun."""
        self.refuses = False
        """Whether it refuses the key to who looks at a batch, the second time."""
        self.forbids = False
        """Whether nobody may look at batches."""
        self.busy = 0
        """How many times it has no time to begin a batch."""
        self.odd: tuple[bytes, int] | None = None
        """What it says to a file, where that is not what it should."""
        self.finish: Callable[[list[dict]], tuple[str, list[dict], list[dict]]] = answered

    def keep(self, lines: list[dict]) -> str | None:
        if not lines:
            return None
        self.files[name := f"file-{len(self.files)}"] = b"\n".join(json.dumps(line).encode() for line in lines)
        return name

    def look(self, batch: dict) -> dict:
        batch["looks"] += 1
        if batch["looks"] > self.looks and batch["status"] == "in_progress":
            asked = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
            batch["status"], answers, errors = self.finish(asked)
            batch |= {"output_file_id": self.keep(answers), "error_file_id": self.keep(errors)}
        return batch


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        here, path = self.server, self.path.removeprefix("/v1/")
        if found := re.fullmatch(r"files/(.+)/content", path):
            self.reply(here.files[found[1]])
        elif here.forbids:
            self.reply({"error": "not yours"}, 403)
        elif path.startswith("batches?"):
            self.reply({"data": list(here.batches.values()), "has_more": False})
        elif here.refuses and any(batch["looks"] for batch in here.batches.values()):
            self.reply({"error": "no key"}, 401)
        elif batch := here.batches.get(path.removeprefix("batches/")):
            self.reply(here.look(batch))
        else:
            self.reply({"error": "none"}, 404)

    def do_POST(self) -> None:
        here, data = self.server, self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/files" and here.odd:
            self.reply(*here.odd)
        elif self.path == "/v1/files":
            lines = [line.strip() for line in data.splitlines() if line.startswith(b'{"custom_id"')]
            assert b'name="purpose"' in data and b'name="file"; filename=' in data
            self.reply({"id": here.keep([json.loads(line) for line in lines])})
        elif self.path == "/v1/batches" and here.busy:
            here.busy -= 1
            self.reply({"error": "busy"}, 503)
        elif self.path == "/v1/batches":
            asked = json.loads(data)
            assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
            name = f"batch-{len(here.batches)}"
            here.batches[name] = {"id": name, "status": "in_progress", "looks": 0, **asked}
            here.paid += len(here.files[asked["input_file_id"]].splitlines())
            if not here.deaf:
                self.reply(here.batches[name])
        else:
            here.chats += 1
            self.reply(said(json.loads(data))["body"])

    def reply(self, body: Any, status: int = 200) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def driver(provider: Provider, pauses: list[float], tmp_path: Path) -> Callable[..., OpenAICompatible]:
    """Makes a driver's model anew, as after a kill; notes stay."""

    def make(**settings: Any) -> OpenAICompatible:
        given = {"endpoint": provider.endpoint, "model": "gpt", "revision": "1", "batch": True, "retries": 1} | settings
        model = OpenAICompatible(OpenAICompatible.Settings(**given))
        model.keep_in(tmp_path)
        return model

    return make


def ask(model: OpenAICompatible, names: str = NAMES) -> list[str]:
    """The replies, as the loop asks for them: together, and where that raises one by one."""
    turns = [[Turn("user", f"{name}?")] for name in names]
    try:
        return [reply.text for (reply,) in model.answer(turns, GREEDY, [0] * len(turns))]
    except Exception as error:
        if len(names) == 1:
            return [str(error)]
        return [text for name in names for text in ask(model, name)]


def test_a_file_of_requests_is_answered_in_whatever_order(provider, driver):
    provider.finish = lambda asked: ("completed", [*answered(asked)[1][::-1], *answered(asked)[1]], [])  # and twice
    metering.taken()
    assert ask(driver()) == [f"?{name}" for name in NAMES]
    assert (provider.paid, provider.chats, len(provider.batches)) == (4, 0, 1)
    counted = {"requests": 4, "prompt_tokens": 40, "cached_tokens": 24, "completion_tokens": 8}
    assert metering.taken() == {"gpt": counted}, "each once"


@pytest.fixture
def killed(provider: Provider, driver: Callable[..., OpenAICompatible], monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver was killed while it waited for its batch."""

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(batches.Batches, "_ended", kill)
        ask(driver())
    assert (provider.paid, len(provider.batches)) == (4, 1)


def test_a_killed_driver_finds_its_batch_and_pays_once(killed, provider, driver):
    assert ask(driver(), "bcx") == ["?b", "?c", "?x"], "in other company, too"
    assert provider.paid == 5, "x was new"


def test_a_batch_that_ended_while_nobody_looked_is_read(killed, provider, driver):
    provider.looks = 0
    assert ask(driver()) == [f"?{name}" for name in NAMES]
    assert provider.paid == 4


def test_what_was_paid_for_and_is_wanted_later_is_not_forgotten(killed, provider, driver, tmp_path):
    """With another `batch_size` the next run asks for the same in other portions."""
    provider.looks = 0
    model = driver()
    assert (ask(model, "b"), ask(model, "ad"), ask(driver(), "cx")) == (["?b"], ["?a", "?d"], ["?c", "?x"])
    assert provider.paid == 5


def test_a_kill_between_the_providers_yes_and_our_note_costs_nothing(killed, provider, driver, tmp_path):
    (note,) = tmp_path.iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"id": None}))
    assert ask(driver()) == [f"?{name}" for name in NAMES]
    assert provider.paid == 4


def test_a_second_kill_before_answers_are_remembered_costs_nothing(killed, provider, driver):
    """The batch has ended, and its answers are read; its note stays until there is more to ask."""
    provider.looks = 0
    for _ in range(2):
        assert ask(driver(), "abcd") == [f"?{name}" for name in NAMES]
    assert provider.paid == 4


def test_a_note_that_another_driver_strikes_meanwhile_is_none(provider, driver, tmp_path):
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    assert ask(driver(), "a") == ["?a"]


def test_a_key_that_is_refused_while_a_batch_is_under_way_is_told(killed, provider, driver, pauses):
    """Nobody waits for ever; with another key the batch is found again."""
    provider.refuses = True
    assert ask(driver(), "ab") == ['the batch left this unanswered: the endpoint answered 401: {"error": "no key"}'] * 2
    provider.refuses = False
    assert ask(driver(), "ab") == ["?a", "?b"]
    assert provider.paid == 4


def test_who_may_not_look_for_a_batch_does_not_take_it_for_lost(killed, provider, driver):
    """As with the key of another project."""
    provider.forbids = True
    said = 'the batch left this unanswered: the endpoint answered 403: {"error": "not yours"}'
    assert ask(driver()) == [said] * 4
    provider.forbids = False
    assert ask(driver()) == [f"?{name}" for name in NAMES]
    assert provider.paid == 4


def test_what_was_remembered_is_not_noted_for_ever(provider, driver, tmp_path):
    model = driver()
    ask(model)
    assert len(list(tmp_path.iterdir())) == 1, "it may not be remembered yet"
    ask(model, "x")
    assert [json.loads(note.read_text())["id"] for note in tmp_path.iterdir()] == ["batch-1"]


def test_what_a_call_has_read_stays_noted_while_it_goes_on_asking(provider, driver, tmp_path):
    """First tokens are read, and not remembered, while what is not among them is asked about for another day."""
    model = driver()
    with pytest.raises(ValueError, match="ignored `prompt_logprobs`"):
        model.choose([[Turn("user", "a?")]], [["yes", "maybe"]])
    assert (provider.paid, len(list(tmp_path.iterdir()))) == (4, 2)


def test_a_provider_that_began_a_batch_and_did_not_say_so_is_not_paid_twice(provider, driver):
    provider.deaf = True
    assert ask(driver()) == [f"?{name}" for name in NAMES]
    assert provider.paid == 4


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_a_batch_that_left_things_out_is_not_taken_for_the_next_one_of_the_same_requests(
    provider, driver, tmp_path, status
):
    """Both hold the same file, and the second was not noted: while it is not begun yet, and when it is under way."""
    provider.finish = lambda asked: (status, [], [])
    assert ask(driver(), "a") == [f"the batch left this unanswered: {status}"]
    provider.finish, provider.busy = answered, 1
    assert ask(driver(), "a") == ["?a"]
    (note,) = tmp_path.iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"id": None}))
    assert ask(driver(), "a") == ["?a"]
    assert provider.paid == 2


def test_what_fails_fails_alone_and_is_not_sent_again_one_by_one(provider, driver):
    def in_part(asked: list[dict]) -> tuple[str, list[dict], list[dict]]:
        ids = {one["body"]["messages"][0]["content"]: one["custom_id"] for one in asked}
        bad = {
            "custom_id": ids["b?"],
            "response": {"status_code": 400, "body": {"error": {"message": "no such thing"}}},
        }
        late = {"custom_id": ids["c?"], "error": {"code": "batch_expired", "message": "not in\n\x1b[31m24 hours"}}
        return "expired", [one for one in answered(asked)[1] if one["custom_id"] == ids["a?"]], [bad, late]

    provider.finish = in_part
    model = driver()
    assert ask(model) == [
        "?a",
        'the endpoint answered 400: {"error":{"message":"no such thing"}}',
        "the batch left this unanswered: batch_expired: not in [31m24 hours",
        "the batch left this unanswered: expired",
    ]
    assert provider.paid == 4 and provider.chats == 0
    provider.finish = answered
    assert ask(model, "cd") == ["?c", "?d"], "by the next run, in a file of their own"
    assert provider.paid == 6


def test_a_batch_that_is_refused_as_a_whole_is_told_and_may_be_asked_for_again(provider, driver):
    provider.finish = lambda asked: ("failed", [], [])
    assert ask(driver(), "ab") == ["the batch left this unanswered: failed"] * 2
    provider.finish = answered
    assert ask(driver(), "ab") == ["?a", "?b"]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ((b"no such page", 404), "the endpoint answered 404: no such page"),
        ((b"<html>welcome</html>", 200), "Expecting value: line 1 column 1 (char 0)"),
        ((b"[]", 200), "the endpoint's reply is none about batches: 200: []"),
    ],
)
def test_a_server_without_batches_is_told_and_asked_for_nothing_else(provider, driver, odd, why):
    provider.odd = odd
    assert ask(driver(), "ab") == [f"the batch left this unanswered: {why}"] * 2
    assert (provider.chats, provider.paid) == (0, 0)


def test_batches_are_those_that_openai_describes():
    """Witness: the types of OpenAI's own client."""
    openai = pytest.importorskip("openai.types")
    statuses = set(get_args(openai.Batch.model_fields["status"].annotation))
    assert statuses == batches.UNDER_WAY | {"completed", "failed", "expired", "cancelled"}
    fields = get_type_hints(openai.BatchCreateParams)
    assert {"input_file_id", "endpoint", "completion_window", "metadata"} <= fields.keys()
    assert {"output_file_id", "error_file_id", "errors", "metadata"} <= openai.Batch.model_fields.keys()


def test_files_keep_to_the_providers_limits(monkeypatch):
    bodies = [{"model": str(n)} for n in range(8)]
    (whole,) = batches.filed(iter(bodies))
    monkeypatch.setattr(batches, "MOST", 3)
    assert [len(file.splitlines()) for file in batches.filed(iter(bodies))] == [3, 3, 2]
    monkeypatch.setattr(batches, "LARGEST", 2 * len(whole) // 8)
    files = list(batches.filed(iter(bodies[::-1])))
    assert [len(file.splitlines()) for file in files] == [2] * 4 and b"".join(files) == whole
