"""The object store: bytes under the name of their own sha256, anywhere fsspec reaches."""

from __future__ import annotations

import uuid

import fsspec

from registry.keys import digest


class ObjectStore:
    """Content-addressed bytes below an fsspec URL (a folder, ``s3://…``, ``ssh://…``, ``memory://…``).

    >>> store = ObjectStore("memory://doctest")
    >>> address = store.put(b"a page")
    >>> store.get(address)
    b'a page'
    """

    def __init__(self, url: str) -> None:
        self.filesystem, self.base = fsspec.url_to_fs(url)

    def path(self, address: str) -> str:
        return f"{self.base}/{address[:2]}/{address}"

    def put(self, data: bytes) -> str:
        """Store the bytes and return their address. Storing them again changes nothing.

        The bytes are written under another name and then moved, so that a killed writer leaves no half object behind.
        """
        address = digest(data)
        path = self.path(address)
        if not self.filesystem.exists(path):
            folder = path.rpartition("/")[0]
            self.filesystem.makedirs(folder, exist_ok=True)
            half = f"{folder}/.{uuid.uuid4().hex}"
            self.filesystem.pipe_file(half, data)
            self.filesystem.mv(half, path)
        return address

    def get(self, address: str) -> bytes:
        """The bytes of an address, checked against it.

        Raises ``FileNotFoundError`` where the store does not hold them, ``ValueError`` where what it holds is damaged.
        """
        data = self.filesystem.cat_file(self.path(address))
        if digest(data) != address:
            raise ValueError(
                f"Object {address} in {self.base} is damaged; delete that file and run again to remake it."
            )
        return data
