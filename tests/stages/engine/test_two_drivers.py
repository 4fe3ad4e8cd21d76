"""Two executions that want the same items at the same time: each item is computed by one of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, update

from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.leases import SECONDS, Leases
from registry.store.schema import Lease
from stages.engine.loop import execute
from stages.engine.node import Node
from stages.engine.tasks import Outcome, Task
from tests.imports import ROOT

ITEMS, BATCH = 40, 4
DRIVER = """
import sys
from tests.stages.engine.test_two_drivers import *
print("ready", flush=True)
sys.stdin.readline()
drive(sys.argv[1], float(sys.argv[2]))
"""


class Slow:
    """Writes down what it computes, and takes its time."""

    def __init__(self, journal: str, pause: float) -> None:
        self.journal, self.pause = journal, pause

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        with Path(self.journal).open("a") as file:
            file.write("".join(f"{task.sample}\n" for task in tasks))
        time.sleep(self.pause)
        return [Outcome({"caption": f"a {task.sample}"}) for task in tasks]


def drive(journal: str, pause: float) -> None:
    stage = STAGES["caption"]
    tasks = [Task("toys", f"{n:02}", dict.fromkeys(stage.axes), {"sample": n}) for n in range(ITEMS)]
    link = execute(
        Node(
            stage=stage, entry="blip", settings={}, study="toy", total=ITEMS, batch_size=BATCH,
            plan=[("part-00.parquet", tasks)], worker=Slow(journal, pause),
        )
    )  # fmt: skip
    print(link["computed"], link["recalled"], flush=True)


class Drivers:
    """Checkouts of one team: a registry and an object store for all."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        monkeypatch.setenv("PALIMPSEST_REGISTRY", url)
        monkeypatch.setenv("PALIMPSEST_OBJECTS", str(folder / "objects"))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def start(self, name: str, pause: float) -> subprocess.Popen[str]:
        checkout = self.folder / name
        checkout.mkdir(exist_ok=True)
        (checkout / "dvc.yaml").touch()
        command = [sys.executable, "-c", DRIVER, str(self.journal), str(pause)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=checkout, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert process.stdout and process.stdout.readline() == "ready\n", process.communicate()
        return process

    def output(self, name: str) -> bytes:
        return (self.folder / name / "data/caption/blip/part-00.parquet").read_bytes()

    def computed(self) -> Counter[str]:
        return Counter(self.journal.read_text().split())


@pytest.fixture
def drivers(tmp_path: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> Drivers:
    return Drivers(tmp_path, empty_url, monkeypatch)


def test_each_item_is_computed_once(drivers: Drivers) -> None:
    """Both get the whole output, byte for byte, and together they compute what one would."""
    both = [drivers.start(name, 0.4) for name in ("one", "other")]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in both]
    counts = [tuple(map(int, out.split())) for out, _ in said]
    assert [process.returncode for process in both] == [0, 0], said
    assert drivers.computed() == Counter(f"{n:02}" for n in range(ITEMS))
    assert sum(computed for computed, _ in counts) == ITEMS
    assert all(computed + recalled == ITEMS and computed for computed, recalled in counts), "both had a share"
    assert drivers.output("one") == drivers.output("other")


def test_what_a_killed_execution_was_at_is_free_at_once(drivers: Drivers) -> None:
    killed = drivers.start("one", 60)
    killed.stdin.write("\n")
    killed.stdin.flush()
    while not drivers.computed():
        time.sleep(0.05)
        assert killed.poll() is None, killed.communicate()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = time.monotonic()
    out, told = (other := drivers.start("other", 0)).communicate("\n", timeout=120)
    assert (other.returncode, out.split()) == (0, [str(ITEMS), "0"]), told
    assert time.monotonic() - before < SECONDS, "the lease has not ended yet"
    rows = pq.read_table(drivers.folder / "other/data/caption/blip").to_pylist()
    assert {row["caption"] for row in rows} == {f"a {n:02}" for n in range(ITEMS)}


def test_a_lease_of_another_machine_ends(registry_url: str) -> None:
    """It is left alone for its time, by the database's clock, and then taken; nothing of it stays."""
    engine = connect(registry_url)
    with closing(Leases(engine)) as elsewhere, closing(Leases(engine)) as here:
        elsewhere.owner = "elsewhere 1 0.00 x"
        assert elsewhere.take(["a" * 64]) == {"a" * 64}
        assert here.take(["a" * 64, "b" * 64]) == {"b" * 64}
        with engine.begin() as connection:
            connection.execute(update(Lease).values(expires=Lease.expires - SECONDS - 2))
        assert here.take(["a" * 64, "b" * 64]) == {"a" * 64, "b" * 64}
        assert elsewhere.take(["a" * 64]) == set()
    with engine.connect() as connection:
        assert connection.scalars(select(Lease.owner)).all() == []
