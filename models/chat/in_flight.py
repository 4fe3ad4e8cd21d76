"""Requests that are in flight at the same time, by threads for which nobody waits who is told to end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_flight(works: Mapping[str, Callable[[], T]], most: int) -> dict[str, Future[T]]:
    """What became of each work, under its name, when all are done; ``most`` at a time, begun in their order.

    Where this thread is told to end meanwhile it does so at once: what has not begun never does, and no thread keeps
    the process, which may sleep before it asks again, or wait for a server, for minutes. That is why this is no
    ``ThreadPoolExecutor``, whose threads an interpreter waits for.

    >>> {name: future.result() for name, future in in_flight({"a": lambda: 1, "b": lambda: 2}, 8).items()}
    {'a': 1, 'b': 2}
    """
    futures: dict[str, Future[T]] = {name: Future() for name in works}
    left = deque(zip(works.values(), futures.values(), strict=True))

    def work() -> None:
        while left:
            try:
                do, future = left.popleft()
            except IndexError:  # another thread took the last
                return
            try:
                future.set_result(do())
            except BaseException as error:
                future.set_exception(error)

    try:
        for _ in range(min(most, len(works))):
            Thread(target=work, daemon=True).start()
        wait(futures.values())
    finally:
        left.clear()
    return futures
