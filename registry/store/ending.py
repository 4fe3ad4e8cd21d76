"""How processes end that are told to: what they have begun is closed, and nothing that they started stays behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

import psutil

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS = 30
"""How long what was started may take to end; a batch on a slow device may take longer, and is lost."""
POLL = 0.1
"""After how many seconds what was started meanwhile is looked for."""

told = 0
"""The exit code of this process, once it was told to end."""

PARENT_DIED = 1
"""The option of prctl that asks for a signal when the parent ends (Linux)."""


def on_signals() -> None:
    """Let the first signal that tells this process to end raise ``SystemExit``, with 128 and its number.

    What ``nohup`` ignores stays ignored. A stage that DVC runs is told to end when DVC is gone.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DIED, signal.SIGTERM)


def leave(number: int, _frame: FrameType | None) -> NoReturn:
    """End orderly; a second signal does not cut that off."""
    global told
    told = 128 + number
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(told)


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end and return its exit code; a signal to this process ends first what that has started."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    on_signals()
    try:
        with subprocess.Popen(command, env=environment) as process:
            try:
                return process.wait()
            except SystemExit:
                end(process.pid)
                raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(program: int) -> None:
    """End a program as by Ctrl-C, on which DVC waits for its stage, and what it started by SIGTERM.

    A program that is only beginning may start others while it ends: they are looked for until all are gone.
    """
    try:
        running = {psutil.Process(program)}
    except psutil.NoSuchProcess:
        return
    told: set[psutil.Process] = set()
    until = time.monotonic() + SECONDS
    while running and time.monotonic() < until:
        running |= {child for process in running for child in started_by(process)}
        for process in running - told:
            tell(process, signal.SIGINT if process.pid == program else signal.SIGTERM)
        told |= running
        running = set(psutil.wait_procs(running, POLL)[1])
    for process in running:
        tell(process, signal.SIGKILL)


def started_by(process: psutil.Process) -> list[psutil.Process]:
    """What a process has started, and what that has."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def tell(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
