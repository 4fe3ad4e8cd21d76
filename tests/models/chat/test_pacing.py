"""Rate limits of our own, and what servers say of theirs."""

from __future__ import annotations

import pytest
from httpx2 import Response

from models.chat.client import Endpoint
from models.chat.pacing import BURST, Pace, wanted


def gone(pace: Pace, pauses: list[float], *tokens: int) -> list[float]:
    """When requests go that want to go at once."""
    times = []
    for many in tokens:
        pace.wait(many)
        times.append(sum(pauses))
    return times


def test_no_minute_sees_more_requests_than_its_limit(pauses):
    times = gone(Pace(120, 0), pauses, *[0] * 300)
    for begin in times:
        assert sum(begin <= time < begin + 60 for time in times) <= 120 * (1 + BURST / 60) + 1
    assert times[-1] == pytest.approx(298 / 2 - BURST, abs=0.5), "and none waits for nothing"


def test_tokens_that_were_guessed_are_settled_by_what_was_counted(pauses):
    """1000 a second: the second request waits until the first, of 5000, is made up for; unless it took but 2000."""
    pace = Pace(0, 60_000)
    assert gone(pace, pauses, 5000, 100) == [0, pytest.approx(5 - BURST)]
    pauses.clear()
    pace = Pace(0, 60_000)
    pace.wait(5000)
    pace.settle(5000, 2000)
    assert gone(pace, pauses, 100) == [pytest.approx(2 - BURST)]


def test_without_limits_nobody_waits_until_a_server_asks_for_it(pauses):
    pace = Pace(0, 0)
    assert gone(pace, pauses, *[10**6] * 20) == [0] * 20
    pace.hold(7)
    assert gone(pace, pauses, 0, 0) == [7, 7]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-remaining-requests": "0"}, 90),  # OpenAI, Groq
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "149984"}, None),
        ({"ratelimit-reset": "50", "ratelimit-remaining": "0"}, 50),  # draft-ietf-httpapi-ratelimit-headers-06
        ({"retry-after": "3", "x-ratelimit-reset-tokens": "9s"}, 3),
        ({"x-ratelimit-reset": "1741305600000", "x-ratelimit-remaining": "0"}, 0),  # OpenRouter: a time, long past
        ({"x-ratelimit-limit-requests": "60"}, None),
    ],
)
def test_hosts_say_in_their_own_ways_how_long_to_wait(headers, seconds):
    assert wanted(Response(429, headers=headers)) == seconds


@pytest.mark.parametrize(("status", "waits"), [(429, 0.9), (503, 0.9), (500, 0)])
def test_a_busy_server_is_left_alone_by_all_who_ask_for_that_model(server, pauses, status, waits):
    """Whoever comes next waits as long as the one that was told; where one request failed, nobody does."""
    said = {"retry-after-ms": "900"} if waits else {}
    host = server(lambda body, n: (200, {}) if n else (status, "busy", said))
    settings = Endpoint(endpoint=host.endpoint, retries=0)
    with settings.client() as client:
        with pytest.raises(ConnectionError, match="busy"):
            settings.complete(client, {"model": "m"})
        settings.complete(client, {"model": "another"})
        assert pauses == []
        Endpoint(endpoint=host.endpoint).complete(client, {"model": "m"})
        assert sum(pauses) == waits


def test_an_endpoint_counts_what_the_server_counts_and_nothing_for_a_refusal(server, pauses):
    """5000 tokens may be written; 2000 were. At 1000 a second the next waits for 2 seconds, less the burst."""
    usage = {"usage": {"prompt_tokens": 1900, "completion_tokens": 100}}
    host = server(lambda body, n: (400, "no") if n == 0 else (200, usage))
    settings = Endpoint(endpoint=host.endpoint, tokens_per_minute=60_000)
    body = {"model": "m", "max_tokens": 5000, "messages": []}
    with settings.client() as client:
        for _ in range(2):
            settings.send(client, "POST", "chat/completions", body)
        assert sum(pauses) == 0
        settings.send(client, "POST", "chat/completions", body)
        assert sum(pauses) == pytest.approx(2 - BURST)
