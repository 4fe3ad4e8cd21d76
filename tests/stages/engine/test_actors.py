"""Ray's actors on a cluster of this machine: what they write is what is written here, whoever dies."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from models.adapters import catalogue
from registry.store.dag import STAGES
from stages.engine.actors import KILLER, Actors, engine
from stages.engine.loop import execute
from stages.engine.shards import DISK
from tests.conftest import ROOT
from tests.stages import test_train
from tests.stages.engine import hosted, toys
from tests.stages.engine.hosted import BATCH, SAMPLES, Inverter

ray = pytest.importorskip("ray", reason="needs the extra `ray`")


PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def node() -> dict[str, int]:
    """A node with a GPU, as Ray believes. For ports that are told it does not wait: on a busy machine it gives up."""
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.create_server(("", 0))) for _ in PORTS]
        return {"num_gpus": 1} | {name: one.getsockname()[1] for name, one in zip(PORTS, bound, strict=True)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of one node, to which this process is connected."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # from where actors import
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **node()})
        ray.init(made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two, of which each has a registry of its own."""
    made = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for folder in made:
        (folder / "dvc.yaml").touch()
    return made


@pytest.fixture(autouse=True)
def here(checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first checkout; nobody has written anything down."""
    monkeypatch.chdir(checkouts[0])
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI", "PALIMPSEST_STRICT"):
        monkeypatch.delenv(name, raising=False)
    hosted.JOURNAL.write_text("")
    return checkouts[0]


@pytest.fixture
def two(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages compute on two actors."""
    monkeypatch.setenv("PALIMPSEST_ENGINE", "ray")
    monkeypatch.setenv("PALIMPSEST_ACTORS", "2")
    monkeypatch.setenv("PALIMPSEST_GPUS", "0")


def run(entry: str, **options: Any) -> dict[str, Any]:
    return execute(hosted.node(Inverter(**options), entry))


def rows(entry: str) -> dict[str, dict[str, Any]]:
    return {row["sample"]: row for row in DISK.read(Path(f"data/inpaint/{entry}/toys/part-00.parquet"))}


def journal() -> list[str]:
    return hosted.JOURNAL.read_text().splitlines()


def remembered() -> int:
    with sqlite3.connect(".palimpsest/registry.db") as database:
        return database.execute("SELECT count(*) FROM item WHERE status = 'ok'").fetchone()[0]


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def wrote(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*.parquet"))}


@pytest.fixture
def alone(checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Goes on in the other checkout, on this machine alone."""

    def go_on() -> None:
        monkeypatch.chdir(checkouts[1])
        monkeypatch.setenv("PALIMPSEST_ENGINE", "local")

    return go_on


@pytest.mark.usefixtures("two")
def test_a_plain_stage_writes_the_same_bytes_though_an_actor_dies(alone):
    link = run("toy", killer="s05", once=True)
    assert Counter(journal())["dies"] == 1
    assert (link["engine"], link["actors"], link["computed"], link["failed"]) == ("ray", 2, SAMPLES, 1)
    assert rows("toy")["s03"]["reason"] == "ValueError: a bad picture"
    found = wrote("data/inpaint")
    alone()
    assert run("toy")["engine"] == "local"
    assert wrote("data/inpaint") == found and len(found) == 1


@pytest.mark.usefixtures("two")
def test_a_method_of_waves_writes_the_same_bytes(alone, here, monkeypatch):
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    monkeypatch.setitem(STAGES, "recaption", STAGES["recaption"])
    toys.register()
    link = execute(toys.node(here / "journal"))
    found = wrote("data/recaption")
    alone()
    assert execute(toys.node(here / "journal"))["requests"] == link["requests"]
    assert wrote("data/recaption") == found and len(found) == 2


@pytest.mark.usefixtures("two")
def test_an_item_that_kills_fails_alone():
    link = run("kills", killer="s05")
    assert {name: row["reason"] for name, row in rows("kills").items() if row["status"] != "ok"} == {
        "s03": "ValueError: a bad picture", "s05": KILLER,
    }  # fmt: skip
    assert link["failed"] == 2
    assert Counter(journal())["dies"] == 3, "twice with its batch of two, and alone"


@pytest.mark.usefixtures("two")
def test_an_item_that_kills_while_it_is_prepared_takes_no_batch_with_it_that_is_on_the_device():
    link = run("kills ahead", killer="s05", pause=0.5, prepares=True)
    failed = {name: row["reason"] for name, row in rows("kills ahead").items() if row["status"] != "ok"}
    assert failed == {"s03": "ValueError: a bad picture", "s05": KILLER} and link["failed"] == 2
    assert Counter(journal())["dies"] in (3, 4), "with another batch, if it was beside one; twice with its own; alone"


@pytest.mark.usefixtures("two")
def test_a_node_is_lost(cluster, monkeypatch):
    """Each of two nodes has a GPU, as Ray believes, and so an actor; of the one that is lost no other can be made."""
    for name in ("PALIMPSEST_ACTORS", "PALIMPSEST_GPUS"):
        monkeypatch.delenv(name)
    lost = cluster.add_node(num_cpus=1, env_vars={"PALIMPSEST_TEST_NODE": "lost"}, **node())

    def lose() -> None:
        until(lambda: "lost begins" in journal())
        cluster.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    link = run("lost", pause=1.0)
    losing.join()
    assert (link["actors"], link["computed"], link["failed"]) == (2, SAMPLES, 1)
    begun = Counter(journal())
    assert begun["lost begins"] == 1 and begun["head begins"] >= SAMPLES // BATCH, begun


@pytest.mark.usefixtures("two")
def test_who_plans_is_killed_and_goes_on(cluster):
    before, environment = remembered(), os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": cluster.address}
    process = subprocess.Popen([sys.executable, "-m", "tests.stages.engine.hosted", "killed"], env=environment)
    until(lambda: remembered() > before)
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = remembered() - before
    assert 0 < known < SAMPLES - 1
    link = run("killed")
    assert (link["recalled"], link["computed"], link["failed"]) == (known, SAMPLES - known, 1)


@pytest.mark.usefixtures("two")
def test_files_and_curves_of_trainings_arrive(tmp_path, monkeypatch):
    prepared = test_train.here.__wrapped__(tmp_path, monkeypatch)
    next(prepared)
    test_train.test_cells_are_trained_from_pieces_that_are_encoded_once()


def test_what_is_set_wrongly_is_named(monkeypatch, cluster):
    monkeypatch.setenv("PALIMPSEST_ENGINE", "rya")
    with pytest.raises(ValueError, match='no engine .PALIMPSEST_ENGINE. "rya"; did you mean "ray"'):
        engine()
    monkeypatch.setenv("PALIMPSEST_ACTORS", "many")
    with pytest.raises(ValueError, match="PALIMPSEST_ACTORS is 'many'; give it a number"):
        Actors()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="install the extra"):
        Actors()
