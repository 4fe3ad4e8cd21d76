"""Which errors are a person's to mend, what they are told of them, and which may pass by themselves.

Everything that a person starts asks here: commands, stages, reports.
"""

from __future__ import annotations

import errno
import logging
import traceback

from registry.store import places

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PASSING = FULL | {
    errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENETDOWN, errno.ENETUNREACH,
    errno.EHOSTDOWN, errno.EHOSTUNREACH,
}  # fmt: skip
"""Errors of the system that have nothing to do with what was asked of it."""
NO_ROOM = ("disk is full", "disk I/O error", "No space left on device", "Disk quota exceeded")
"""What SQLite and safetensors, whose errors have no number, say of such."""

MENDABLE = (ValueError, OSError, RuntimeError, MemoryError)
DATABASES = {"sqlalchemy", "sqlite3", "psycopg", "alembic"}
STORES = {"obstore", "botocore", "aiobotocore", "s3fs", "gcsfs", "adlfs", "paramiko", "asyncssh", "fsspec"}
"""Packages whose errors are those of an object store or a DVC remote."""


class Passing(ValueError):
    """An error that need not come again, such as that of a file which somebody was writing just then."""


def sentence(error: BaseException) -> str | None:
    """What a person is told of an error that is theirs to mend, without credentials; None where it is a fault of ours.

    >>> sentence(OSError(28, "No space left on device"))
    'The disk is full, or faulty: [Errno 28] No space left on device. Make room, as by `palimpsest gc`, and run again; \
what was finished is kept.'
    >>> sentence(ValueError("no answer from postgresql://ada:s3cret@host/team")), sentence(KeyError("x"))
    ('no answer from postgresql://host/team', None)
    """
    reason = places.hidden(" ".join(str(getattr(error, "orig", None) or error).split()))
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if full(error):
        return (
            f"The disk is full, or faulty: {reason}. Make room, as by `palimpsest gc`, and run again; what was "
            "finished is kept."
        )
    if "mlflow" in packages or (packages & DATABASES and raised_in("mlflow", error)):
        return f"MLflow's store {places.hidden(places.tracking_uri())} cannot be used: {reason}. {MORE}"
    if packages & DATABASES:
        return f"The registry cannot be used: {reason}. {MORE}"
    if packages & STORES:
        return f"The object store cannot be used: {reason}. {MORE}"
    if "safetensors" in packages:
        return f"A checkpoint cannot be read: {reason}. Get its files again."
    if isinstance(error, MemoryError) or is_memory(error):
        return f"The memory is used up: {reason or type(error).__name__}. Lower `batch_size`, and run again."
    if isinstance(error, MENDABLE) and not isinstance(error, NotImplementedError | RecursionError):
        return places.hidden(str(error)) or type(error).__name__
    return None


MORE = "`palimpsest doctor` says more."


def told(error: BaseException) -> str:
    """The sentence about an error, or its traceback where it is a fault of ours; without credentials."""
    return sentence(error) or places.hidden("".join(traceback.format_exception(error))).rstrip()


def passes(error: BaseException) -> bool:
    """Whether a retry may mend an error: a server that was away, a disk that was full, memory that others had.

    >>> passes(ConnectionError("no answer")), passes(OSError(28, "No space left on device")), passes(ValueError("x"))
    (True, True, False)
    """
    if isinstance(error, ConnectionError | TimeoutError | MemoryError | Passing) or is_memory(error) or full(error):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


def full(error: BaseException) -> bool:
    """Whether a disk has no room left, or is faulty."""
    return getattr(error, "errno", None) in FULL or any(words in str(error) for words in NO_ROOM)


def is_memory(error: BaseException) -> bool:
    """Whether a GPU had no memory left, which is no ``MemoryError`` to torch."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def raised_in(package: str, error: BaseException) -> bool:
    """Whether an error was raised by a package, or by what that called."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__", "").partition(".")[0] == package for frame in frames)


class Discreet(logging.Formatter):
    """Formats log records, tracebacks included, without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return places.hidden(super().format(record))
