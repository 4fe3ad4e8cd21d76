"""Requests in flight: a process that is told to end leaves at once, whatever its threads wait for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from tests.conftest import ROOT
from tests.models.captioners.hosted import completion

DRIVER = """
import sys
from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from models.chat.openai_compatible import OpenAICompatible
from registry.store import ending

ending.on_signals()
settings = {"endpoint": sys.argv[1], "model": "gpt", "revision": "1", "concurrency": 3, "timeout": 600}
model = OpenAICompatible(OpenAICompatible.Settings(**settings))
turns = [[Turn("user", text)] for text in ("fine", "busy", "slow", "more")]
model.answer(turns, Decoding(beams=1, candidates=1, max_tokens=8), [0] * len(turns))
"""


def test_a_process_that_is_told_to_end_waits_for_no_retry_and_no_server(server):
    """One thread sleeps for a minute, since the server asked for that; another one waits for an answer."""
    there, ended = threading.Barrier(3), threading.Event()

    def answer(body, _):
        text = body["messages"][0]["content"]
        if text == "busy":
            there.wait(60)
            return 503, "busy", {"retry-after": "60"}
        if text == "slow":
            there.wait(60)
            ended.wait(60)
        return completion("a star")

    here = server(answer)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", DRIVER, here.endpoint], env=environment)
    try:
        there.wait(60)
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell starts in the background
        assert process.wait(40) == 128 + signal.SIGTERM
    finally:
        process.kill()
        ended.set()
