"""A captioner behind an endpoint, asked as both its tests ask: with a scripted server, and with a real one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from models.captioners.prompted import OpenAICompatible

PROMPT = "describe the image"
GREEDY = {"sample": False, "beams": 1, "candidates": 1}


def captioner(endpoint: str = "http://127.0.0.1:1/v1", **settings: Any) -> OpenAICompatible:
    given = {"endpoint": endpoint, "model": "palimpsest/tiny", "revision": "1", "max_tokens": 8} | settings
    return OpenAICompatible(OpenAICompatible.Settings(**given))


def say(adapter: OpenAICompatible, pictures: list[np.ndarray], seeds: list[int] | None = None) -> list[list[str]]:
    return adapter.caption(pictures, [PROMPT] * len(pictures), seeds or [0] * len(pictures))


def completion(text: str | None, ended: str = "stop") -> tuple[int, dict]:
    """Status and body of an answer with one reply."""
    return 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}]}


@contextmanager
def serving(checkpoint: Path, home: Path) -> Iterator[str]:
    """The endpoint of a process of `transformers serve`, where a checkpoint is the hub's ``palimpsest/tiny``.

    Raises RuntimeError where it does not come up.
    """
    repository, commit = home / "hub/models--palimpsest--tiny", "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(commit)
    shutil.copytree(checkpoint, repository / "snapshots" / commit)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    hub = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    environment |= hub | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "palimpsest/tiny", "--device", "cpu",
               "--host", "127.0.0.1", "--port", port]  # fmt: skip
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process, home / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server did not come up:\n{log.read_text()[-3000:]}")
