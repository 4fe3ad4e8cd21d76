"""A disk that is full at each kind of write: one sentence, nothing by half, and it goes on when there is room."""

from __future__ import annotations

import copy
import errno
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from registry.store.objects import ObjectStore
from stages.engine.tasks import Outcome, Task, attempted
from tests.conftest import SMALL, Checkout

FEW, MANY = 2, 60
SIZE = 8 * 2**20
PLACES = {
    "registry": ("PALIMPSEST_REGISTRY", "sqlite:///{}/registry.db"),
    "objects": ("PALIMPSEST_OBJECTS", "{}/objects"),
    "MLflow's database": ("MLFLOW_TRACKING_URI", "sqlite:///{}/mlflow.db"),
    "MLflow's files": ("PALIMPSEST_ARTIFACTS", "{}/artifacts"),
    "outputs": None,
}
"""What is on the small disk, and the setting that puts it there; outputs are where they always are."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Mounts a small disk on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Fill the disk of a file with it."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**12))
        except OSError:
            return


def prepare(checkout: Checkout, count: int, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    params: dict[str, Any] = copy.deepcopy(SMALL)
    params["corpora"]["scenes"]["count"] = count
    checkout.edit(lambda written: written.update(params))
    command = ["python", "-m", "stages.prepare", "scenes"]
    environment = checkout.environment | settings
    return subprocess.run(command, cwd=checkout.path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", PLACES)
def test_a_full_disk_is_said_and_the_stage_goes_on_when_there_is_room(checkout, disk, tmp_path, what):
    one = checkout()
    setting = PLACES[what]
    small = tmp_path / "small" if setting else one.path / "data"
    disk(small)
    settings = {setting[0]: setting[1].format(small)} if setting else {}
    assert prepare(one, FEW, settings).returncode == 0
    before = one.digests()

    for database in small.glob("*.db"):  # what was written ahead is written, and leaves no file to write into
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(small / "filler")
    full = prepare(one, MANY, settings)
    assert full.returncode == 1
    *warnings, said = full.stderr.strip().splitlines()
    assert said.startswith("The disk is full, or faulty: "), full.stderr
    assert said.endswith("and run again; what was finished is kept.")
    assert "Traceback" not in full.stderr
    if what != "MLflow's files":  # these come last
        assert one.digests() == before, "the output is whole or the old one"
    if what == "objects":
        assert not ObjectStore(str(small / "objects")).halves()

    (small / "filler").unlink()
    done = prepare(one, MANY, settings)
    assert done.returncode == 0, done.stderr
    link = one.link("prepare@scenes")
    assert (link["items"], link["failed"]) == (MANY, 0)


def test_a_full_disk_of_a_server_is_not_ours() -> None:
    class Broken:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def load(self) -> str:
            return "cpu"

        def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
            raise self.error

    quoted = ConnectionError("the endpoint answered 500: No space left on device")
    [outcome] = attempted(Broken(quoted), [Task("scenes", "a", {}, {})], [0])
    assert outcome.passes and outcome.reason == f"ConnectionError: {quoted}"
    with pytest.raises(OSError, match="No space left"):
        attempted(Broken(OSError(errno.ENOSPC, "No space left on device")), [Task("scenes", "a", {}, {})], [0])
