"""Edges of the protocol, which a healthy server does not show: small servers that answer as told."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.adapters.decoding import candidate_seeds
from models.chat import client
from models.media.images import decode_png
from tests.models.captioners.hosted import GREEDY, captioner, completion, say


def picture_of(body: dict) -> np.ndarray:
    """The picture in a request."""
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    return decode_png(base64.b64decode(url.partition(",")[2]))


def test_a_request_holds_the_picture_the_prompt_and_how_to_decode(server, pictures):
    echo = server(lambda body, _: completion(" a star\n"))
    (picture,) = pictures(1, 20, 50)
    adapter = captioner(echo.endpoint, served_as="tiny", temperature=0.7, top_p=0.8, candidates=2)
    assert adapter.caption([picture], ["what is this?"], [5]) == [["a star", "a star"]]
    assert np.array_equal(picture_of(echo.requests[0]), picture)
    assert echo.requests[0]["messages"][0]["content"][1:] == [{"type": "text", "text": "what is this?"}]
    seeds = [body.pop("seed") for body in echo.requests]
    assert seeds == candidate_seeds(5, 2)
    for body in echo.requests:
        del body["messages"]
        assert body == {"model": "tiny", "max_tokens": 8, "temperature": 0.7, "top_p": 0.8}


def test_greedy_asks_for_temperature_zero_and_extra_fields_have_the_last_word(server, pictures):
    echo = server(lambda body, _: completion("a star"))
    extra = {"max_tokens": None, "max_completion_tokens": 9, "top_k": 1}
    captioner(echo.endpoint, **GREEDY, extra=extra).caption(pictures(1), [""], [5])
    (body,) = echo.requests
    assert [part["type"] for part in body.pop("messages")[0]["content"]] == ["image_url"]
    assert body == {"model": "palimpsest/tiny", "temperature": 0, "max_completion_tokens": 9, "top_k": 1}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529])
def test_what_may_pass_is_tried_again(server, pictures, pauses, status):
    shy = server(lambda _, count: (status, "busy") if count < 2 else completion("a star"))
    assert say(captioner(shy.endpoint, **GREEDY), pictures(1)) == [["a star"]]
    assert len(shy.requests) == 3
    assert 0.3 < pauses[0] <= 0.5 < pauses[1] <= 1


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("0", 0.3, 0.5),  # "at once" would burn all attempts at once
        ("7", 7, 7),
        ("1.5", 1.5, 1.5),
        ("86400", 60, 60),
        (40, 1, 40),  # as a date, so many seconds from now
        (-40, 0.3, 0.5),
        ("inf", 0.3, 0.5),
        ("soon", 0.3, 0.5),
    ],
)
def test_a_server_may_say_how_long_to_wait(server, pictures, pauses, wish, least, most):
    said = wish if isinstance(wish, str) else in_seconds(wish)
    shy = server(lambda _, count: completion("a star") if count else (429, "busy", {"retry-after": said}))
    assert say(captioner(shy.endpoint, **GREEDY), pictures(1)) == [["a star"]]
    (pause,) = pauses
    assert least <= pause <= most


def test_a_reply_that_comes_byte_by_byte_is_not_waited_for(pictures, pauses):
    """Each byte is there in time, and the whole would take minutes."""

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "5000")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        endpoint = f"http://127.0.0.1:{slow.server_address[1]}/v1"
        with pytest.raises(ConnectionError, match="did not answer: its reply was not whole after 0.4 seconds"):
            say(captioner(endpoint, **GREEDY, timeout=0.4, retries=0), pictures(1))
        slow.shutdown()


def test_a_caption_of_megabytes_is_a_failure(server, pictures, monkeypatch):
    long = server(lambda *_: completion("star " * 200_000))
    with pytest.raises(ValueError, match="ignored `max_tokens`: its caption has 999999 characters"):
        say(captioner(long.endpoint, **GREEDY), pictures(1))
    monkeypatch.setattr(client, "LARGEST", 2**16)
    with pytest.raises(ValueError, match="the endpoint's reply is no chat completion: it has over 0 MiB"):
        say(captioner(long.endpoint, **GREEDY), pictures(1))


def test_what_steers_a_terminal_does_not_reach_it(server, pictures):
    rude = server(lambda *_: (422, "\x1b]0;mine\x07\x1b[2Jno \u202e\u200bsuch thing"))
    with pytest.raises(ValueError) as caught:
        say(captioner(rude.endpoint, **GREEDY), pictures(1))
    assert str(caught.value) == "the endpoint answered 422: ]0;mine[2Jno such thing"


def test_patience_ends(server, pictures, pauses):
    broken = server(lambda *_: (500, {"error": {"message": "out of\n memory"}}))
    with pytest.raises(ConnectionError) as caught:
        say(captioner(broken.endpoint, **GREEDY, retries=9), pictures(1))
    assert str(caught.value) == 'the endpoint answered 500: {"error": {"message": "out of\\n memory"}}'
    assert len(broken.requests) == 10
    assert max(pauses) <= client.LONGEST_PAUSE and sorted(pauses) == pauses


def test_a_lost_connection_is_made_again(server, pictures, pauses):
    rude = server(lambda _, count: completion("a star") if count else None)
    assert say(captioner(rude.endpoint, **GREEDY), pictures(1)) == [["a star"]]
    assert len(rude.requests) == 2


def test_a_slow_answer_is_not_waited_for(server, pictures, pauses):
    done = threading.Event()
    slow = server(lambda *_: (done.wait(60), completion("late"))[1])
    with pytest.raises(ConnectionError, match="the endpoint did not answer: timed out"):
        say(captioner(slow.endpoint, **GREEDY, timeout=0.5, retries=1), pictures(1))
    done.set()
    assert len(slow.requests) == 2


def test_a_reply_that_breaks_off_is_asked_for_again(server, pictures, pauses):
    """More was promised than came before the connection was closed."""
    half = server(lambda _, count: completion("a star") if count else (200, '{"choi', {"content-length": "99"}))
    assert say(captioner(half.endpoint, **GREEDY), pictures(1)) == [["a star"]]
    assert len(half.requests) == 2


def test_an_error_that_says_200_is_an_error(server, pictures, pauses):
    """As routers answer that have sent their headers before the model fails."""
    late = server(lambda _, n: completion("a star") if n else (200, {"error": {"code": 503, "message": "overloaded"}}))
    assert say(captioner(late.endpoint, **GREEDY), pictures(1)) == [["a star"]]
    refused = server(lambda *_: (200, {"error": {"code": 400, "message": "no pictures"}}))
    with pytest.raises(
        ValueError, match='the endpoint answered 400: {"error": {"code": 400, "message": "no pictures"}}'
    ):
        say(captioner(refused.endpoint, **GREEDY), pictures(1))
    assert (len(late.requests), len(refused.requests)) == (2, 1)
    broken = server(lambda *_: completion("a sta", "error"))
    with pytest.raises(ConnectionError, match="the endpoint failed before its caption was whole"):
        say(captioner(broken.endpoint, **GREEDY), pictures(1))


def test_a_redirect_is_told_and_does_not_get_the_key(server, pictures, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    elsewhere = server(lambda *_: completion("a star"))
    there = f"{elsewhere.endpoint}/chat/completions"
    moved = server(lambda *_: (307, "", {"location": f"{there}?was=sk-very-secret"}))
    with pytest.raises(ValueError) as caught:
        say(captioner(moved.endpoint, **GREEDY), pictures(1))
    said = f"the endpoint answered 307, a redirect to {there}?was=***: if that is right, set `endpoint` to it"
    assert str(caught.value) == said and elsewhere.requests == []


def test_a_key_that_comes_back_is_in_no_caption(server, pictures, monkeypatch):
    """A server that repeats what it was sent; what is no key, as vLLM's "EMPTY", may be a word."""
    echo = server(lambda *_: completion(f"a star {echo.keys[-1]}"))
    for key, caption in (("sk-very-secret", "a star Bearer ***"), ("EMPTY", "a star Bearer EMPTY")):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        assert say(captioner(echo.endpoint, **GREEDY), pictures(1)) == [[caption]]


def test_an_account_that_is_used_up_fails_no_item_for_good(server, pictures):
    """402 and 401 are about the account, and not about what was asked: the next run asks again. OpenAI says 429 of it,
    which is said of who asks too often, too: no pause helps, and none is made."""
    spent = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": None,
                       "code": "insufficient_quota"}}  # fmt: skip
    for said, told in (((402, "top up"), "402: top up"), ((429, spent, {"retry-after": "20"}), "402: .*your current")):
        broke = server(lambda *_, said=said: said)
        with pytest.raises(ConnectionError, match=f"the endpoint answered {told}"):
            say(captioner(broke.endpoint, **GREEDY), pictures(1))
        assert len(broke.requests) == 1
        with pytest.raises(ConnectionError, match=f"answered {told}.*: see to the account of the API key in OPENAI"):
            captioner(broke.endpoint, **GREEDY).load()


def test_what_will_not_pass_is_told_at_once(server, pictures):
    strict = server(lambda *_: (422, {"detail": "seed: unknown field"}))
    with pytest.raises(ValueError, match='the endpoint answered 422: {"detail": "seed: unknown field"}'):
        say(captioner(strict.endpoint), pictures(1))
    assert len(strict.requests) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (completion(""), "the endpoint's caption is empty (finish_reason stop)"),
        (completion(" \n"), "the endpoint's caption is empty (finish_reason stop)"),
        (completion(None, "length"), "the endpoint's caption is empty (finish_reason length): raise `max_tokens`, the "
                                     "model spent them on something else"),
        (completion("a st", "content_filter"), "the endpoint's filter withheld the caption"),
        ((200, '{"choices": [{"mess'), "the endpoint's reply is no chat completion: 200: {\"choices\": [{\"mess"),
        ((200, {"choices": []}), 'the endpoint\'s reply is no chat completion: 200: {"choices": []}'),
        ((200, ["a star"]), 'the endpoint\'s reply is no chat completion: 200: ["a star"]'),
        ((200, "<html>" + "x" * 999), "the endpoint's reply is no chat completion: 200: <html>" + "x" * 194),
    ],
)  # fmt: skip
def test_what_is_no_caption_is_a_failure(server, pictures, answer, message):
    odd = server(lambda *_: answer)
    with pytest.raises(ValueError) as caught:
        say(captioner(odd.endpoint, **GREEDY), pictures(1))
    assert str(caught.value) == message
    assert len(odd.requests) == 1, "the same question would have the same answer"


def test_a_caption_that_was_cut_is_a_caption(server, pictures):
    cut = server(lambda *_: completion("a star left of", "length"))
    assert say(captioner(cut.endpoint, **GREEDY), pictures(1)) == [["a star left of"]]


def colour(body: dict) -> int:
    return int(picture_of(body)[0, 0, 0])


def test_answers_come_in_the_order_of_the_pictures_and_several_are_asked_for_at_a_time(server):
    """All four requests must be there before any is answered; then the last is answered first."""
    together, turns = threading.Barrier(4, timeout=60), [threading.Event() for _ in range(5)]
    turns[4].set()

    def backwards(body: dict, _: int) -> tuple[int, dict]:
        together.wait()
        turns[colour(body) + 1].wait(60)
        turns[colour(body)].set()
        return completion(f"colour {colour(body)}")

    late = server(backwards)
    plain = [np.full((4, 4, 3), value, np.uint8) for value in range(4)]
    adapter = captioner(late.endpoint, **GREEDY, concurrency=4, retries=0)
    assert say(adapter, plain) == [[f"colour {value}"] for value in range(4)]


def test_one_bad_reply_fails_no_neighbour_and_costs_none_a_second_request(server):
    """As the loop asks: all together, and when that raises, one by one."""
    picky = server(lambda body, _: completion("" if colour(body) == 2 else f"colour {colour(body)}"))
    plain = [np.full((4, 4, 3), value, np.uint8) for value in range(4)]
    adapter = captioner(picky.endpoint, **GREEDY)
    with pytest.raises(ValueError, match="empty"):
        say(adapter, plain)
    assert len(picky.requests) == 4
    for value in (0, 1, 3):
        assert say(adapter, plain[value : value + 1]) == [[f"colour {value}"]]
    with pytest.raises(ValueError, match="empty"):
        say(adapter, plain[2:3])
    assert len(picky.requests) == 4
    say(adapter, plain[:1])
    assert len(picky.requests) == 5, "what was said is given once"


def test_no_pictures_no_captions():
    assert captioner().caption([], [], []) == []


# What is wrong with the endpoint as a whole is said when it is loaded.


def test_an_endpoint_that_is_not_there_is_told_in_one_sentence():
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ConnectionError) as caught:
            captioner(endpoint).load()
    assert re.fullmatch(
        rf"Endpoint {endpoint}: the endpoint did not answer: .*refused\. Is the server up, and the URL right\?",
        str(caught.value),
    )


@pytest.mark.parametrize("models", [None, ["palimpsest/tiny"]])
def test_an_endpoint_that_wants_a_key_names_the_variable(server, models):
    closed = server(lambda *_: (401, "who are you?"), models)
    with pytest.raises(ConnectionError) as caught:
        captioner(closed.endpoint, api_key_variable="VLLM_KEY").load()
    assert str(caught.value) == (
        f"Endpoint {closed.endpoint} answered 401: set the environment variable VLLM_KEY to an API key that it accepts."
    )


def test_an_endpoint_without_its_path_or_a_model_without_eyes_is_told(server):
    elsewhere = server(lambda *_: (404, "no such page"))
    with pytest.raises(ValueError) as caught:
        captioner(elsewhere.endpoint).load()
    assert str(caught.value) == (
        f'Endpoint {elsewhere.endpoint} answered a request to "palimpsest/tiny" with 404: no such page: check '
        "`endpoint`, which usually ends in /v1, and `model`, which must take pictures."
    )


def test_a_model_that_is_served_but_not_listed_will_do(server):
    captioner(server(lambda *_: completion("white"), ["something/else"]).endpoint).load()


def test_of_many_served_models_the_nearest_are_shown(server):
    many = server(lambda *_: (404, "unknown"), [f"model-{index}" for index in range(300)])
    with pytest.raises(ValueError, match='did you mean "model-299"') as caught:
        captioner(many.endpoint, model="model-29999").load()
    assert len(str(caught.value)) < 500 and len(many.requests) == 1


# Secrets and keys.


def test_the_key_is_sent_and_shown_nowhere(server, pictures, monkeypatch, caplog):
    secret = "sk-very-secret"
    monkeypatch.setenv("VLLM_KEY", f"{secret}\n")
    tells = server(lambda body, count: (400, f"you sent {tells.keys[count]}") if count else completion("a star"))
    adapter = captioner(tells.endpoint, api_key_variable="VLLM_KEY", **GREEDY)
    with caplog.at_level(logging.DEBUG):
        adapter.load()
        with pytest.raises(ValueError, match=r"you sent Bearer \*\*\*") as caught:
            say(adapter, pictures(1))
    assert tells.keys == [f"Bearer {secret}"] * 2
    shown = [repr(adapter), repr(vars(adapter)), str(adapter.settings), json.dumps(adapter.identity()), caplog.text]
    assert not [text for text in [*shown, str(caught.value)] if secret in text]


def test_without_a_key_none_is_sent(server, pictures):
    free = server(lambda *_: completion("a star"))
    say(captioner(free.endpoint, **GREEDY), pictures(1))
    assert free.keys == [None]


@pytest.mark.parametrize("key", ["sk-se\ncret", "sk-secr€t"])
def test_a_broken_key_is_not_repeated(pictures, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError) as caught:
        captioner().load()
    assert str(caught.value) == "Environment variable OPENAI_API_KEY holds no API key: set it anew."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "http://me:secret@there/v1"}, "`endpoint` holds more than scheme, host and path"),
        ({"endpoint": "https://there/v1?key=secret"}, "`endpoint` holds more than scheme, host and path"),
        ({"endpoint": "http://me:sec/ret@there/v1"}, "`endpoint` is no URL such as http://localhost:8000/v1"),
        ({"endpoint": "there/v1"}, "`endpoint` is no URL such as http://localhost:8000/v1"),
        ({"api_key_variable": "sk-secret"}, "`api_key_variable` is no name of an environment variable"),
        ({"sample": False}, "chat completions know no beam search, so 6 beams and 3 candidates cannot be had"),
        ({"sample": False, "beams": 1}, "chat completions know no beam search, so 1 beams and 3 candidates"),
    ],
)
def test_what_cannot_be_is_refused_without_repeating_secrets(settings, message):
    given = {"adapter": "openai-compatible", "endpoint": "http://there/v1", "model": "tiny", "revision": "1"}
    with pytest.raises(ValueError) as caught:
        build("captioners", "mine", given | settings)
    assert str(caught.value).startswith(f"openai-compatible (entry mine): {message}")
    assert "sec" not in str(caught.value)
    with pytest.raises(ValueError) as raw:
        captioner(**settings)
    assert "sec" not in str(raw.value)


def test_the_same_model_served_elsewhere_gives_the_same_items():
    here = captioner().identity()
    there = {"endpoint": "https://api.example.com/v1", "served_as": "tiny", "api_key_variable": "THEIRS",
             "concurrency": 1, "timeout": 9, "retries": 0, "batch": True, "requests_per_minute": 9,
             "tokens_per_minute": 9, "price": {"prompt": 1, "completion": 2}}  # fmt: skip
    for name, value in there.items():
        assert captioner(**{name: value}).identity() == here, name
    assert json.loads(json.dumps(here)) == here


def test_what_changes_words_is_in_the_identity():
    sampled, greedy = captioner().identity(), captioner(**GREEDY).identity()
    assert (sampled["checkpoint"], sampled["revision"]) == ("palimpsest/tiny", "1")
    for change in ({"model": "other"}, {"revision": "2"}, {"candidates": 2}, {"max_tokens": 9}, {"temperature": 0.5},
                   {"top_p": 0.5}, {"extra": {"top_k": 5}}, GREEDY):  # fmt: skip
        assert captioner(**change).identity() != sampled, change
    for change in ({"beams": 2}, {"length_penalty": 0.0}, {"prompt": "Look."}, {"box_prompt": "Look."}):
        assert captioner(**change).identity() == sampled, change
    for change in ({"temperature": 0.5}, {"top_p": 0.5}):
        assert captioner(**GREEDY, **change).identity() == greedy, change
