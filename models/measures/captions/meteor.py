"""METEOR 1.5 (Denkowski and Lavie 2014) by its authors' Java program: one process, for as long as it is needed."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import IO

from models.measures.captions.java import METEOR, java_command, java_environment

_START_SECONDS = 300.0


class MeteorError(RuntimeError):
    """METEOR's process died, did not answer in time, or refused a question."""


class Incomplete(MeteorError):
    """METEOR cannot be had; ``values`` are those of the other metrics."""

    def __init__(self, message: str, values: Mapping[str, float]) -> None:
        super().__init__(message)
        self.values = values


class Meteor:
    """English, normalised text (``-l en -norm``), as coco-caption runs it.

    The program first aligns a caption with its references, giving *statistics* (the counts of the formula, as a line of
    numbers), and scores any number of statistics afterwards: each alone, and pooled as a corpus. It reads its tables
    for about ten seconds, at the first question or in :meth:`start`.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        """``timeout``: seconds granted to one alignment. Long repetitive captions take minutes or all of its memory."""
        self.timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        java_command(METEOR)

    def start(self) -> None:
        """Start the process if it is not running; raises :class:`MeteorError` where it does not answer."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the process writes there while it lives
        command = [*java_command(METEOR, "-Xmx2G"), "Meteor", "-", "-", "-stdio", "-l", "en", "-norm"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=java_environment()
        )
        assert process.stdin and process.stdout  # the pipes
        self._process, self._questions = process, process.stdin
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_drain, args=(process.stdout, self._answers), daemon=True).start()
        self._stop = weakref.finalize(self, _stop, process, process.stdin, self._errors)
        self._ask("SCORE ||| a ||| a", _START_SECONDS)

    def statistics(self, hypothesis: str, references: Sequence[str]) -> str:
        """Align one tokenised caption with its references; ``|||`` is the protocol's separator and is dropped.

        Raises
        ------
        MeteorError
            No answer in time, or the process died (memory); the next call starts a new one.
        """
        self.start()
        return self._ask(" ||| ".join(["SCORE", *map(_clean, references), _clean(hypothesis)]), self.timeout)

    def scores(self, statistics: Sequence[str]) -> tuple[list[float], float]:
        """METEOR of each item, and of all of them as one corpus (pooled counts, not the mean); each in [0, 1]."""
        if not statistics:
            raise ValueError("METEOR of no caption is undefined: give at least one")
        self.start()
        first = self._ask(" ||| ".join(["EVAL", *statistics]), _START_SECONDS)
        *items, corpus = [float(first), *(float(self._answer(_START_SECONDS)) for _ in statistics)]
        return items, corpus

    def close(self) -> None:
        """End the process. It also ends with the object, with this interpreter, or when its input closes."""
        if self._process is not None:
            self._stop()
            self._process = None

    def _ask(self, line: str, seconds: float) -> str:
        with contextlib.suppress(OSError):  # where the process is gone, the missing answer says so, and why
            self._questions.write(line.encode(errors="replace") + b"\n")
            self._questions.flush()
        return self._answer(seconds)

    def _answer(self, seconds: float) -> str:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise MeteorError(f"METEOR gave no answer within {seconds:g} s") from None
        if not answer:
            if self._process:
                self._process.wait()
            self._errors.seek(0)
            reason = self._errors.read(2000).decode(errors="replace").strip().partition("\n")[0]
            self.close()
            raise MeteorError(f"METEOR's Java process died: {reason or 'it left no message'}")
        text = answer.decode().strip()
        if text.startswith("Error"):
            raise MeteorError(f"METEOR refused the question: {text}")
        return text


def _clean(text: str) -> str:
    return " ".join(text.replace("|||", "").split())


def _drain(stream: IO[bytes], answers: queue.Queue[bytes]) -> None:
    """Queue every line, so that the process never waits for its reader; an empty line of bytes is the end."""
    with stream:
        for line in stream:
            answers.put(line)
    answers.put(b"")


def _stop(process: subprocess.Popen[bytes], questions: IO[bytes], errors: IO[bytes]) -> None:
    process.kill()
    process.wait()
    errors.close()
    with contextlib.suppress(OSError):  # what it never read
        questions.close()
