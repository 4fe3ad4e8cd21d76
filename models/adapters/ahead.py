"""Preparation that runs ahead of the device: while one batch is computed, the next is decoded, resized and tokenised.

An adapter prepares what it is given by :func:`prepared` and computes by :func:`on_device`; whoever has several batches
begins them by :func:`ahead`. All that is not ``on_device`` then runs in threads, and what is runs where the results are
asked for, one batch after the other in their order: so results are those of doing one thing after the other. Called
without ``ahead``, an adapter does just that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

S = TypeVar("S")
T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)
"""How many items are prepared at the same time; more would keep Python from asking the device for work."""


POLL = 0.5
"""After how many seconds work that waits for the device sees whether anyone still asks for its result."""


class AbandonedError(Exception):
    """Nobody asks for the results of this work any more."""


class UnderWayError(Exception):
    """What was asked for is under way, and nobody waits for it yet."""


class _Current(threading.local):
    begun: Begun | None = None
    only_begins = False


_current = _Current()


def prepared(prepare: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """What ``prepare`` makes of each item, in order; several at the same time.

    >>> prepared(str.upper, ["a", "b"])
    ['A', 'B']
    """
    waiting = list(items)
    if len(waiting) < 2 or THREADS < 2:
        return [prepare(item) for item in waiting]
    with ThreadPoolExecutor(min(THREADS, len(waiting))) as threads:
        return list(threads.map(prepare, waiting))


def on_device(work: Callable[[], T]) -> T:
    """Do what needs the model, where the result of the whole is asked for."""
    return _current.begun.hand_over(work) if _current.begun else work()


def begin(work: Callable[[], object]) -> None:
    """Let whoever is asked by files, and answers within a day, begin with what ``work`` asks for, and wait for nothing.

    It has to be done once more for its result, which is there sooner then.
    """
    _current.only_begins = True
    try:
        work()
    except UnderWayError:
        pass
    finally:
        _current.only_begins = False


def only_begins() -> bool:
    """Whether what is asked for now is only to be begun; who has begun it raises ``UnderWayError``."""
    return _current.only_begins


def moved(batch: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A batch on the model's device; a GPU takes it from pinned memory while it works on what came before."""
    batch = batch.to(dtype)
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)


class Begun(Generic[T]):
    """Work begun in a thread; the parts of it that need the device are done by whoever asks for the result."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._parts: SimpleQueue[tuple[Callable[[], object], Future] | None] = SimpleQueue()
        self._result: Future[T] = Future()
        self._abandoned = False
        self._asking = threading.current_thread()
        threading.Thread(target=self._run, args=(work,)).start()

    def _run(self, work: Callable[[], T]) -> None:
        _current.begun = self
        try:
            self._result.set_result(work())
        except BaseException as error:
            self._result.set_exception(error)
        self._parts.put(None)

    def hand_over(self, work: Callable[[], S]) -> S:
        """Let a part be done for the thread of this work, which waits for it."""
        done: Future[S] = Future()
        self._parts.put((work, done))
        while not wait([done], POLL).done:
            if self._abandoned or not self._asking.is_alive():
                raise AbandonedError
        return done.result()

    def result(self, meanwhile: Callable[[], object]) -> T:
        """Do the parts for the device, and return the result or raise what the work raises; ``meanwhile`` is called
        before each part."""
        for work, done in iter(self._parts.get, None):
            meanwhile()
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)
            except BaseException:  # this process is told to end
                self.abandon()
                raise
        return self._result.result()

    def abandon(self) -> None:
        """Let the thread end where it asks for the device."""
        self._abandoned = True


def ahead(works: Iterable[Callable[[], T]]) -> Generator[Callable[[], T], None, None]:
    """Each work, to be called for its result; the next one begins when this one comes to the device.

    What ``works`` raises is raised behind the last work that it gave.

    >>> [result() for result in ahead([lambda: 1, lambda: on_device(lambda: 2)])]
    [1, 2]
    """
    rest = iter(works)
    begun: list[Begun[T]] = []
    failed: list[Exception] = []

    def begin() -> None:
        try:
            if len(begun) < 2 and (work := next(rest, None)):
                begun.append(Begun(work))
        except Exception as error:  # in the middle of the work before, which is no part of it
            failed.append(error)

    begin()
    try:
        while begun:
            yield lambda: begun[0].result(begin)
            begun.pop(0).abandon()
            if not begun:  # it never came to the device
                begin()
        if failed:
            raise failed[0]
    finally:
        for one in begun:
            one.abandon()
