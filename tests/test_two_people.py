"""Two people, one project: two git clones, a DVC remote over SSH, one PostgreSQL and one object store."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from sqlalchemy import create_engine, text

from registry.pins.content import folder_digest
from registry.store.places import database
from tests.conftest import Checkout

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
STORE = "palimpsest-store"
"""How the SSH server is called in the two people's ~/.ssh/config."""

SMALLEST = {
    "study": "shared",
    "models": {},
    "corpora": {"scenes": {"adapter": "scenes", "path": "models/worlds", "seed": 7, "count": 3}},
    "degradations": {"centre-mask": {"kind": "zero"}},
    "inpainters": {"telea": {"adapter": "telea"}},
    "captioners": {"blip": {"adapter": "blip", "checkpoint": "models/pocket/weights/blip"}},
    "recaptioners": {},
    "captions": {},
    "prompts": {},
    "training": {},
    "painters": {},
    "answerers": {},
    "encoders": {},
    "fidelity": {},
    "quality": {},
}
STAGES = ("prepare", "degrade", "inpaint", "caption", "index")
"""Those of the DAG that this study has; an empty section is no stage, and its folder no dependency."""

SAMPLES = 3


@dataclass(frozen=True)
class Person(Checkout):
    """A clone, and the settings that its owner shares with the other one."""

    name: str
    shared: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (
            ("NAME", self.name), ("EMAIL", f"{self.name.lower()}@example.org"))}  # fmt: skip
        return super().environment | self.shared | who

    def links(self) -> dict[str, dict[str, Any]]:
        return {path.stem: self.link(path.stem) for path in sorted((self.path / "data/runs").glob("*.json"))}

    def keys(self) -> set[str]:
        """The keys of all items in the stage outputs."""
        folders = [self.path / "data" / stage for stage in STAGES[:-1]]
        shards = [path for folder in folders for path in folder.rglob("*.parquet")]
        return {key for path in shards for key in pq.read_table(path, columns=["key"])["key"].to_pylist()}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real SSH server on the loopback; the environment of people whose keys it takes."""
    if SSHD is None:
        pytest.skip("no sshd here; install openssh-server")
    ssh = tmp_path / "home/.ssh"
    ssh.mkdir(parents=True, mode=0o700)
    for key in (ssh / "host", ssh / "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {(ssh / 'host.pub').read_text()}")
    (ssh / "config").write_text(f"Host {STORE}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {ssh}/id_ed25519\n")
    (ssh / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {ssh}/host\nAuthorizedKeysFile {ssh}/id_ed25519.pub\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:  # it drops its privileges into this folder
        Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([SSHD, "-D", "-E", ssh / "log", "-f", ssh / "sshd_config"]) as server:
        deadline = time.monotonic() + 20
        while not listens(port):
            assert server.poll() is None and time.monotonic() < deadline, (ssh / "log").read_text()
            time.sleep(0.05)
        yield {"HOME": str(ssh.parent)}
        server.terminate()


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def trim(path: Path) -> None:
    """Leave the stages of this study in dvc.yaml."""
    dag = yaml.safe_load((path / "dvc.yaml").read_text())
    stages = {name: dag["stages"][name] for name in STAGES}
    without = {f"data/{name}" for name in dag["stages"].keys() - set(STAGES)}
    stages["index"]["deps"] = [dep for dep in stages["index"]["deps"] if dep not in without]
    (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def rows(url: str, query: str) -> list[tuple]:
    engine = create_engine(database(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_two_people_share_one_project(
    tmp_path: Path,
    store: dict[str, str],
    checkout: Callable[..., Checkout],
    new_database: Callable[..., str],
) -> None:
    url, origin, remote = new_database("postgresql", migrated=True), tmp_path / "origin.git", tmp_path / "remote"
    shared = store | {"PALIMPSEST_REGISTRY": url, "PALIMPSEST_OBJECTS": str(tmp_path / "objects")}
    ada = Person(checkout(SMALLEST, "ada").path, "Ada", shared)
    grace = Person(tmp_path / "grace", "Grace", shared)

    trim(ada.path)
    ada.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(origin))
    ada.run("git", "checkout", "--quiet", "-b", "main")
    ada.run("git", "remote", "add", "origin", str(origin))
    ada.run("dvc", "remote", "add", "--quiet", "--default", "store", f"ssh://{STORE}{remote}")
    ada.repro()
    assert all(link["recalled"] + link["computed"] == link["items"] for link in ada.links().values())
    assert ada.link("caption@blip")["computed"] == 2 * SAMPLES
    ada.run("git", "add", "--all")
    ada.run("git", "commit", "--quiet", "--message", "The study")
    ada.run("python", "-m", "palimpsest", "pin", "captions", "v1.0.0", "data/caption/blip")
    ada.run("dvc", "push", "--quiet")
    ada.run("git", "push", "--quiet", "--follow-tags", "origin", "main")
    first = folder_digest(ada.path / "data/caption/blip")

    ada.run("git", "clone", "--quiet", str(origin), str(grace.path))
    nothing_is_computed_without_dvcs_cache(ada, grace, url)
    nothing_runs_after_a_pull(ada, grace, url)
    two_models_at_once(ada, grace, url)
    a_pin_stays(ada, grace, origin, first)


def nothing_is_computed_without_dvcs_cache(ada: Person, grace: Person, url: str) -> None:
    """DVC has nothing here; the registry and the object store have all."""
    assert not (grace.path / ".dvc/cache").exists()
    before = rows(url, "SELECT id, key, object, run_id FROM item ORDER BY id")
    grace.repro()
    assert grace.links().keys() == ada.links().keys()
    assert {(stage, link["computed"], link["failed"]) for stage, link in grace.links().items()} == {
        (stage, 0, 0) for stage in ada.links()
    }
    assert grace.digests() == ada.digests()
    assert rows(url, "SELECT id, key, object, run_id FROM item ORDER BY id") == before


def nothing_runs_after_a_pull(ada: Person, grace: Person, url: str) -> None:
    """What DVC brings over SSH is all there is to do: no stage is started."""
    shutil.rmtree(grace.path / ".dvc/cache")
    shutil.rmtree(grace.path / "data")
    grace.run("git", "checkout", "--quiet", "dvc.lock")
    runs = rows(url, "SELECT id FROM run ORDER BY id")
    grace.run("dvc", "pull", "--quiet")
    assert "Data and pipelines are up to date." in grace.repro()
    assert grace.links() == ada.links()
    assert grace.digests() == ada.digests()
    assert grace.run("git", "status", "--porcelain").stdout == ""
    assert rows(url, "SELECT id FROM run ORDER BY id") == runs


def two_models_at_once(ada: Person, grace: Person, url: str) -> None:
    """Each adds a model; every row of both is in the one registry."""
    for person, model in ((ada, "navier-stokes"), (grace, "biharmonic")):
        person.edit(lambda params, model=model: params["inpainters"].update({model: {"adapter": model}}))
    both = [person.start("dvc", "repro", "--quiet") for person in (ada, grace)]
    assert [process.wait() for process in both] == [0, 0]
    assert ada.link("inpaint@navier-stokes")["computed"] == grace.link("inpaint@biharmonic")["computed"] == SAMPLES
    keys = [key for (key,) in rows(url, "SELECT key FROM item WHERE status = 'ok'")]
    assert len(keys) == len(set(keys))
    assert set(keys) == ada.keys() | grace.keys()
    placed = rows(
        url,
        "SELECT inpainter, captioner, count(*) FROM placement JOIN configuration ON configuration.id = configuration_id"
        " WHERE inpainter IS NOT NULL GROUP BY inpainter, captioner",
    )
    models = ("telea", "navier-stokes", "biharmonic")
    assert sorted(placed, key=str) == sorted(
        ((model, captioner, SAMPLES) for model in models for captioner in (None, "blip")), key=str
    )


def a_pin_stays(ada: Person, grace: Person, origin: Path, first: str) -> None:
    """Ada has gone on, and forgotten the old captions; the version is what it was, over SSH, from git's name alone."""
    assert folder_digest(ada.path / "data/caption/blip") != first
    ada.run("git", "commit", "--quiet", "--all", "--message", "Another model")
    ada.run("dvc", "push", "--quiet")
    ada.run("git", "push", "--quiet", "origin", "main")
    shutil.rmtree(ada.path / ".dvc/cache")
    grace.run("python", "-m", "palimpsest", "fetch", "captions@v1.0.0", "first", "--repo", f"file://{origin}")
    assert folder_digest(grace.path / "first") == first
