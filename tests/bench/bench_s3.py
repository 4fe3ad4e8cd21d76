"""Objects in a bucket against objects on disk, one at a time against many together, and obstore against s3fs.

    python -m tests.bench.bench_s3 [objects] [--bytes SIZE] [--away MILLISECONDS] [--bucket URL]

The bucket is on a server of its own (SeaweedFS), some milliseconds away each way, as one in the same region is;
``--bucket`` names another, to which ``AWS_ENDPOINT_URL`` and the like lead. Objects are random bytes. Prints seconds,
of the clock and of this process's processor time, and ratios: of a bucket to a disk, one at a time; of one at a time to
many together; and of s3fs to obstore, many together.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import fsspec
from fsspec.asyn import _run_coros_in_chunks, sync

from registry.store.objects import AT_ONCE, ObjectStore
from tests.buckets import Buckets, free

ASKED = ("put", "put again", "look", "get")


class Took(NamedTuple):
    """Seconds of the clock, and of the processor in this process."""

    clock: float
    processor: float


def took(do: Callable[[], None]) -> Took:
    before = time.perf_counter(), time.process_time()
    do()
    return Took(time.perf_counter() - before[0], time.process_time() - before[1])


def alone(store: ObjectStore, contents: list[bytes]) -> list[Took]:
    """Every object by itself."""
    addresses: list[str] = []
    store.sizes()  # the bucket is open

    def put() -> None:
        addresses[:] = [store.put(data) for data in contents]

    def look() -> None:
        assert [store.holds(address) for address in addresses] == [True] * len(contents)

    def get() -> None:
        assert [store.get(address) for address in addresses] == contents

    return list(map(took, (put, put, look, get)))


def together(store: ObjectStore, contents: list[bytes]) -> list[Took]:
    """Many at a time, as the loop does."""
    addresses: list[str] = []
    store.sizes()  # the bucket is open

    def put() -> None:
        addresses[:] = store.put_many(contents)

    def look() -> None:
        assert store.held(addresses) == set(addresses)

    def get() -> None:
        assert list(dict(store.get_many(addresses)).values()) == contents

    return list(map(took, (put, put, look, get)))


def s3fs(base: str, contents: list[bytes]) -> list[Took]:
    """Many at a time, by s3fs: what is there is looked for before what is not is written."""
    files = fsspec.filesystem("s3", max_concurrency=1, skip_instance_cache=True)
    held = {f"{base}/s3fs/{number}": data for number, data in enumerate(contents)}
    files.exists(base)

    async def looks() -> list[bool]:
        return await _run_coros_in_chunks([files._exists(path) for path in held], batch_size=AT_ONCE)

    def put() -> None:
        there = sync(files.loop, looks)
        new = [path for path, so in zip(held, there, strict=True) if not so]
        files.pipe({path: held[path] for path in new}, batch_size=AT_ONCE)

    def look() -> None:
        assert all(sync(files.loop, looks))

    def get() -> None:
        assert sorted(files.cat(list(held), batch_size=AT_ONCE).values()) == sorted(contents)

    return list(map(took, (put, put, look, get)))


def away(ending: ExitStack, address: str, delay: float) -> str:
    """The address of the same server, from a distance."""
    [port] = free(1)
    command = [sys.executable, "-m", "tests.bench.distant", str(port), address.rpartition(":")[2], str(delay)]
    distant = ending.enter_context(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
    ending.callback(distant.kill)
    with socket.socket() as caller:
        while caller.connect_ex(("127.0.0.1", port)) and distant.poll() is None:
            time.sleep(0.02)
    return f"http://127.0.0.1:{port}"


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Print the figures and return the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", nargs="?", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=100_000)
    parser.add_argument("--away", type=float, default=10, help="milliseconds to the server, each way")
    parser.add_argument("--bucket", help="s3://BUCKET/FOLDER; default one on a server of its own")
    given = parser.parse_args(arguments)
    with ExitStack() as ending:
        ending.enter_context(patch.dict(os.environ))
        folder = ending.enter_context(tempfile.TemporaryDirectory())
        if not given.bucket:
            os.environ |= ending.enter_context(Buckets()).new("seaweedfs")
            os.environ["AWS_ENDPOINT_URL"] = away(ending, os.environ["AWS_ENDPOINT_URL"], given.away)
        base = given.bucket or os.environ["PALIMPSEST_OBJECTS"]
        ways: dict[str, Callable[[list[bytes]], list[Took]]] = {
            "disk": partial(alone, ObjectStore(folder)),
            "alone": partial(alone, ObjectStore(base)),
            "together": partial(together, ObjectStore(base)),
            "s3fs": partial(s3fs, base),
        }
        found = {name: way([os.urandom(given.bytes) for _ in range(given.objects)]) for name, way in ways.items()}
    print(f"{given.objects} objects of {given.bytes:,} bytes: seconds (of the processor)")
    ratios = {}
    for asked, *each in zip(ASKED, *found.values(), strict=True):
        disk, one, many, other = each
        ratios[asked] = [one.clock / disk.clock, one.clock / many.clock, other.clock / many.clock]
        ratios[asked].append(other.processor / many.processor)
        cells = "  ".join(f"{name} {t.clock:6.2f} ({t.processor:5.2f})" for name, t in zip(found, each, strict=True))
        print(f"{asked:10} {cells}")
        said = "alone/disk {:.1f}  alone/together {:.1f}  s3fs/together {:.1f} ({:.1f})".format(*ratios[asked])
        print(f"{'':10} {said}")
    return ratios


if __name__ == "__main__":
    main()
