"""The object store: bytes under the name of their own sha256, anywhere fsspec reaches."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from registry.store.keys import digest
from registry.store.shelved import Shelved

ADDRESS = re.compile(r"[0-9a-f]{64}")
HALF = re.compile(r"\.[0-9a-f]{32}")


class ObjectStore:
    """Content-addressed bytes below an fsspec URL (a folder, ``s3://…``, ``ssh://…``, ``memory://…``).

    >>> store = ObjectStore("memory://doctest")
    >>> address = store.put(b"a page")
    >>> store.get(address)
    b'a page'
    """

    def __init__(self, url: str) -> None:
        self.base: str
        here = Path(url).is_absolute()  # and may hold what means something in a URL
        self.filesystem, self.base = (LocalFileSystem(), url) if here else fsspec.url_to_fs(url)
        self.local = isinstance(self.filesystem, LocalFileSystem)

    @cached_property
    def shelved(self) -> Shelved:
        """Objects that shards of DVC's cache hold in place of a store on this disk."""
        return Shelved(Path(self.base))

    def path(self, address: str) -> str:
        return f"{self.base}/{address[:2]}/{address}"

    def put(self, data: bytes) -> str:
        """Store the bytes and return their address. Storing them again changes nothing.

        The bytes are written under another name and then moved, so that a killed writer leaves no half object behind;
        where they find no room, what was written of them goes again.
        """
        address = digest(data)
        path = self.path(address)
        if not self.filesystem.exists(path):
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

    def holds(self, address: str) -> bool:
        """Whether the bytes of an address can be had, as far as that is seen without reading them."""
        there = self.filesystem.exists(self.path(address))
        return there or (self.local and address in self.shelved.sizes())

    def size(self, address: str) -> int | None:
        """The bytes of an object; None where the store does not hold it."""
        path = self.path(address)
        return self.filesystem.size(path) if self.filesystem.exists(path) else None

    def remove(self, address: str) -> None:
        """Forget an object; one that is not there is no error."""
        path = self.path(address)
        if self.filesystem.exists(path):
            self.filesystem.rm_file(path)

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
        if self.filesystem.exists(self.base):
            found = self.filesystem.find(self.base, detail=True)
            yield from ((path, path.rpartition("/")[2], info["size"]) for path, info in found.items())
