"""Captions from an endpoint: how many requests in flight are worth, and against transformers called one by one.

    python -m tests.bench.bench_endpoints [pictures]

First a server that does nothing but wait, so long for each request: what ``concurrency`` 8 gains over 1 is at most 8.
Then a process of ``transformers serve`` with a pocket checkpoint, asked by our adapter, against the papers' loop in
process, one picture at a time with ``generate``, and against our adapter of the same checkpoint. That server computes
one request at a time, so there is nothing to be gained from it: the ratio is what a process, HTTP and PNG cost. What
vLLM or SGLang gain by computing requests together, only a GPU can tell. Captions must be the same everywhere.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from models.captioners.prompted import LlavaOnevision
from models.pocket import WEIGHTS
from models.worlds.scenes import scene
from tests.models.captioners.hosted import GREEDY, PROMPT, captioner, completion, serving

LATENCY = 0.1
"""Seconds that the idle server waits."""
CHECKPOINT = WEIGHTS / "llava-onevision"
MOST = 40

Caption = Callable[[Sequence[np.ndarray]], list[str]]


@contextmanager
def waiting() -> Iterator[str]:
    """The endpoint of a server that answers each request after :data:`LATENCY`, and any number at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(LATENCY)
            data = json.dumps(completion("a star")[1]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # of 5, a connection that finds it full is tried again after a second

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def asking(endpoint: str, concurrency: int) -> Caption:
    """Captions by our adapter, from an endpoint."""
    adapter = captioner(endpoint, **GREEDY, max_tokens=MOST, concurrency=concurrency)
    return lambda some: [texts[0] for texts in adapter.caption(some, [PROMPT] * len(some), [0] * len(some))]


def in_process() -> Caption:
    """Captions by our adapter of the checkpoint."""
    settings = {"checkpoint": str(CHECKPOINT), "beams": 1, "candidates": 1, "max_tokens": MOST}
    adapter = LlavaOnevision(LlavaOnevision.Settings(**settings))
    adapter.load()
    return lambda some: [texts[0] for texts in adapter.caption(some, [PROMPT] * len(some), [0] * len(some))]


def by_hand() -> Caption:
    """Captions by transformers, one picture at a time."""
    from PIL import Image
    from transformers import AutoProcessor, LlavaOnevisionForConditionalGeneration

    model = LlavaOnevisionForConditionalGeneration.from_pretrained(CHECKPOINT).eval()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)

    def caption(some: Sequence[np.ndarray]) -> list[str]:
        texts = []
        for picture in some:
            parts = [{"type": "image", "image": Image.fromarray(picture)}, {"type": "text", "text": PROMPT}]
            inputs = processor.apply_chat_template(
                [{"role": "user", "content": parts}],
                add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            )  # fmt: skip
            ids = model.generate(**inputs, max_new_tokens=MOST, do_sample=False)
            texts.append(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
        return texts

    return caption


def took(caption: Caption, some: Sequence[np.ndarray]) -> tuple[float, list[str]]:
    """Seconds on the clock, and the captions; behind a first one that is not counted."""
    caption(some[:1])
    begun = time.perf_counter()
    said = caption(some)
    return time.perf_counter() - begun, said


def main(count: int) -> dict[str, float]:
    """Print seconds and ratios; returns the seconds."""
    pictures = [scene(0, index).picture for index in range(count)]
    seconds, said = {}, {}
    with waiting() as endpoint:
        for concurrency in (1, 8):
            name = f"waits {LATENCY:g} s, {concurrency} in flight"
            seconds[name], _ = took(asking(endpoint, concurrency), pictures)
    one, eight = seconds.values()
    print(f"{count} pictures. A server that waits: 1 in flight {one:.2f} s, 8 {eight:.2f} s, {one / eight:.1f} times")
    with tempfile.TemporaryDirectory() as home, serving(CHECKPOINT, Path(home)) as endpoint:
        for name, caption in (
            ("transformers, one by one", by_hand()),
            ("ours in process", in_process()),
            ("endpoint, 1 in flight", asking(endpoint, 1)),
            ("endpoint, 8 in flight", asking(endpoint, 8)),
        ):
            seconds[name], said[name] = took(caption, pictures)
            first = next(iter(said))
            same = sum(one == other for one, other in zip(said[first], said[name], strict=True))
            ratio = seconds[first] / seconds[name]
            print(f"{name:26} {seconds[name]:7.2f} s  {ratio:5.2f}×  same captions {same} of {count}", flush=True)
    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 32)
