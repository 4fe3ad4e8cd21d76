"""What DVC would skip is run again: failed items, by the next repro what a retry may mend, and the rest where it is
asked for; and stages whose models' files were replaced."""

from __future__ import annotations

import copy
import json
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from models.media.images import encode_png
from tests.conftest import SMALL

STAGE = "caption@remote"
CAPTIONS = 6


class Server(ThreadingHTTPServer):
    """A captioning server; of every second picture it says ``trouble``, a status, as long as there is any."""

    trouble: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = 0
        self.probe = ""
        """The picture that was sent first, to see whether the server is there; it never fails."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.reply(404, {})

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][0]["content"]
        self.server.asked += 1
        picture = content[0]["image_url"]["url"]
        self.server.probe = self.server.probe or picture
        if self.server.trouble and picture != self.server.probe and zlib.crc32(picture.encode()) % 2:
            self.reply(self.server.trouble, {"error": "trouble"})
        else:
            message = {"role": "assistant", "content": "a star"}
            self.reply(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def reply(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def captioning() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def asking(captioning: Server) -> dict:
    """A study with the server as its captioner."""
    params = copy.deepcopy(SMALL)
    params["corpora"]["scenes"]["count"] = 3
    params["degradations"], params["inpainters"] = {"blur": {"kind": "blur"}}, {"telea": {"adapter": "telea"}}
    endpoint = f"http://127.0.0.1:{captioning.server_address[1]}/v1"
    remote = {"adapter": "openai-compatible", "endpoint": endpoint, "model": "tiny", "revision": "1", "retries": 0}
    params["captioners"] = {"remote": remote | {"sample": False, "beams": 1, "candidates": 1, "max_tokens": 8}}
    return params


def test_a_stage_runs_again_when_files_of_its_model_are_replaced_under_their_name(checkout, captioning):
    """An example that is shown stands for any of them: checkpoints and adapters go the same way, through `identify`."""
    params = asking(captioning)
    params["captioners"]["other"] = params["captioners"]["remote"] | {"revision": "2"}
    params["captioners"]["remote"] |= {"example": {"picture": "mine/example.png", "caption": "a disc"}}
    one = checkout(params)
    example = one.path / "mine/example.png"
    example.parent.mkdir()
    example.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    one.run("palimpsest", "repro", "caption")
    before, other = one.link(STAGE), one.link("caption@other")
    assert list(before["digests"]) == ["mine/example.png"] and other["digests"] == {}

    example.write_bytes(encode_png(np.full((8, 8, 3), 9, np.uint8)))
    said = one.run("palimpsest", "repro", "caption").stdout
    assert f"Running {STAGE} again: other files of a model lie under the name that they know." in said
    assert one.counts(STAGE) == (0, CAPTIONS) and one.link("caption@other") == other
    assert "again" not in one.run("palimpsest", "repro", "caption").stdout


def test_what_failed_is_tried_again(checkout, captioning):
    one = checkout(asking(captioning))

    captioning.trouble = 400  # which no retry mends
    said = one.run("palimpsest", "repro", STAGE).stdout
    failed = one.link(STAGE)["failed"]
    assert 0 < failed < CAPTIONS, "the pictures should be told apart"
    assert one.link(STAGE)["passing"] == 0
    assert f"{STAGE}: {failed} failed items, 0 faults in its input" in said
    assert "`palimpsest repro --retry-failed` tries failed items again." in said
    captioning.asked = 0
    one.run("palimpsest", "repro", STAGE)
    assert captioning.asked == 0

    captioning.trouble = 503  # a retry may mend this
    one.run("palimpsest", "repro", "--retry-failed", STAGE)
    assert (one.link(STAGE)["failed"], one.link(STAGE)["passing"]) == (failed, failed)
    assert captioning.asked >= failed

    captioning.trouble = None
    said = one.run("palimpsest", "repro", STAGE).stdout
    assert f"Trying again what failed in {STAGE}." in said
    link = one.link(STAGE)
    assert (link["recalled"], link["computed"], link["failed"]) == (CAPTIONS - failed, failed, 0)
    captioning.asked = 0
    one.run("palimpsest", "repro", "--retry-failed", "--strict", STAGE)
    assert captioning.asked == 0
