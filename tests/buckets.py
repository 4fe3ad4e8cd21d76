"""New buckets for tests and benches: on SeaweedFS, a server of its own, and on moto, which imitates AWS in a thread."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

KINDS = ("seaweedfs", "moto")
KEY = {
    "AWS_ACCESS_KEY_ID": "palimpsest",
    "AWS_SECRET_ACCESS_KEY": "never-to-be-seen",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PARTS = ("master", "volume", "filer", "s3", "admin")
"""The servers that SeaweedFS consists of; each wants two ports."""


class Buckets:
    """Makes buckets; a server starts with the first that needs it. Use it as a context."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="palimpsest-"))
        self.numbers = itertools.count()
        self.ending = ExitStack()

    def __enter__(self) -> Buckets:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def seaweedfs(self) -> str:
        """The address of the server."""
        ports = free(2 * len(PARTS))
        command = [str(Path(sys.executable).with_name("weed")), "mini", f"-dir={self.folder}", "-ip=127.0.0.1"]
        command += [f"-{part}.port={ports[2 * i]}" for i, part in enumerate(PARTS)]
        command += [f"-{part}.port.grpc={ports[2 * i + 1]}" for i, part in enumerate(PARTS)]
        command += ["-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
        command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
        log = self.ending.enter_context((self.folder / "log").open("w"))
        server = self.ending.enter_context(subprocess.Popen(command, env=KEY, stdout=log, stderr=log))
        self.ending.callback(server.kill)  # at once: nothing of it is kept
        deadline = time.monotonic() + 30
        while "S3           ready" not in (self.folder / "log").read_text():
            assert server.poll() is None and time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)
        return f"http://127.0.0.1:{ports[2 * PARTS.index('s3')]}"

    @cached_property
    def moto(self) -> str:
        """The address of the server."""
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        self.ending.callback(server.stop)
        return "http://{}:{}".format(*server.get_host_and_port())

    def new(self, kind: str) -> dict[str, str]:
        """The environment of people who share a new bucket."""
        address = getattr(self, kind)
        name = f"team-{next(self.numbers)}"
        client(KEY | {"AWS_ENDPOINT_URL": address}).create_bucket(Bucket=name)
        return KEY | {"AWS_ENDPOINT_URL": address, "PALIMPSEST_OBJECTS": f"s3://{name}/objects"}


def client(environment: dict[str, str]) -> Any:
    """AWS's own client, as an outside witness."""
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def free(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
