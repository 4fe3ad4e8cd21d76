"""The object store: bytes under the name of their own sha256, anywhere fsspec reaches."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from registry.store.bucket import SCHEME, Bucket
from registry.store.keys import digest
from registry.store.shelved import Shelved

ADDRESS = re.compile(r"[0-9a-f]{64}")
HALF = re.compile(r"\.[0-9a-f]{32}")
AT_ONCE = 32
"""Requests to a bucket that are on their way together."""
AHEAD = 4 * AT_ONCE
"""Objects that are in memory together, of many."""
LISTED = 10_000
"""More than so many are looked for in a listing, which names a thousand a request, and not by a request each."""

One = TypeVar("One")
Result = TypeVar("Result")


class ObjectStore:
    """Content-addressed bytes below an fsspec URL (a folder, ``s3://…``, ``ssh://…``, ``memory://…``).

    >>> store = ObjectStore("memory://doctest")
    >>> address = store.put(b"a page")
    >>> store.get(address)
    b'a page'
    """

    def __init__(self, url: str) -> None:
        self.base: str
        self.filesystem: Any
        if url.startswith(SCHEME):
            self.filesystem, self.base = Bucket(url), url.rstrip("/")
        else:
            here = Path(url).is_absolute()  # and may hold what means something in a URL
            self.filesystem, self.base = (LocalFileSystem(), url) if here else fsspec.url_to_fs(url)
        self.local = isinstance(self.filesystem, LocalFileSystem)
        self.bucket = isinstance(self.filesystem, Bucket)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE)

    @cached_property
    def shelved(self) -> Shelved:
        """Objects that shards of DVC's cache hold in place of a store on this disk."""
        return Shelved(Path(self.base))

    def path(self, address: str) -> str:
        return f"{self.base}/{address[:2]}/{address}"

    def put(self, data: bytes) -> str:
        """Store the bytes and return their address. Storing them again changes nothing, and moves none.

        The bytes are written under another name and then moved, so that a killed writer leaves no half object behind;
        where they find no room, what was written of them goes again. A bucket takes an object whole or not at all, and
        of two writers the first.
        """
        address = digest(data)
        path = self.path(address)
        if self.filesystem.exists(path):
            return address
        if self.bucket:
            self.filesystem.pipe_file(path, data)
            return address
        folder = path.rpartition("/")[0]
        self.filesystem.makedirs(folder, exist_ok=True)
        half = f"{folder}/.{uuid.uuid4().hex}"
        try:
            self.filesystem.pipe_file(half, data)
            self.filesystem.mv(half, path)
        except OSError:
            with suppress(OSError):
                self.filesystem.rm_file(half)
            raise
        return address

    def put_many(self, contents: Iterable[bytes]) -> list[str]:
        """Store many, together; the addresses are in their order."""
        return list(self.each(self.put, contents))

    def each(self, do: Callable[[One], Result], some: Iterable[One]) -> Iterator[Result]:
        """Do something with each, and return the results in their order; where each is a request to a bucket, many
        are on their way together. What one raises is raised."""
        if not self.bucket:
            yield from map(do, some)
            return
        left = iter(some)
        while batch := list(islice(left, AHEAD)):
            yield from self.threads.map(do, batch)

    def get(self, address: str) -> bytes:
        """The bytes of an address, checked against it.

        Raises ``FileNotFoundError`` where the store does not hold them, ``ValueError`` where what it holds is damaged.
        """
        try:
            data = self.filesystem.cat_file(self.path(address))
        except FileNotFoundError:
            if not self.local:
                raise
            data = self.shelved.get(address)
        if digest(data) != address:
            raise ValueError(
                f"Object {address} in {self.base} is damaged; delete that file and run again to remake it."
            )
        return data

    def get_many(self, addresses: Iterable[str]) -> Iterator[tuple[str, bytes | FileNotFoundError | ValueError]]:
        """Each distinct address with its bytes, or with what :meth:`get` raises where these are missing or damaged."""

        def tried(address: str) -> tuple[str, bytes | FileNotFoundError | ValueError]:
            try:
                return address, self.get(address)
            except (FileNotFoundError, ValueError) as error:
                return address, error

        return self.each(tried, dict.fromkeys(addresses))

    def held(self, addresses: Iterable[str]) -> set[str]:
        """Those of the addresses whose bytes can be had, as far as that is seen without reading them."""
        wanted = list(dict.fromkeys(addresses))
        if self.bucket and len(wanted) > LISTED:
            return self.sizes().keys() & wanted
        seen = zip(wanted, self.each(lambda address: self.filesystem.exists(self.path(address)), wanted), strict=True)
        there = {address for address, exists in seen if exists}
        if self.local and len(there) < len(wanted):
            there |= self.shelved.sizes().keys() & wanted
        return there

    def holds(self, address: str) -> bool:
        return bool(self.held([address]))

    def size(self, address: str) -> int | None:
        """The bytes of an object; None where the store does not hold it."""
        path = self.path(address)
        return self.filesystem.size(path) if self.filesystem.exists(path) else None

    def remove(self, *addresses: str) -> None:
        """Forget objects; one that is not there is no error."""
        if self.bucket:
            self.filesystem.rm_file(*map(self.path, addresses))
            return
        for address in addresses:
            with suppress(FileNotFoundError):
                self.filesystem.rm_file(self.path(address))

    def sizes(self) -> dict[str, int]:
        """Every address in the store, with the bytes that it takes: none where a shard of DVC's cache holds them."""
        shelved = self.shelved.sizes() if self.local else {}
        return shelved | {name: size for _, name, size in self._files() if ADDRESS.fullmatch(name)}

    def halves(self) -> dict[str, int]:
        """What killed writers left of objects: paths, with their bytes."""
        return {path: size for path, name, size in self._files() if HALF.fullmatch(name)}

    def _files(self) -> Iterator[tuple[str, str, int]]:
        """Path, name and bytes of every file."""
        self.filesystem.invalidate_cache()
        found = self.filesystem.find(self.base, detail=True)
        yield from ((path, path.rpartition("/")[2], info["size"]) for path, info in found.items())
