"""Two people, one project: two git clones, one PostgreSQL, a DVC remote and objects; over SSH and on S3."""

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
from tests.buckets import Buckets
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
PICTURES = ("prepare", "degrade", "inpaint", "index")

SAMPLES = 3


@dataclass(frozen=True)
class Person(Checkout):
    """A clone, and the settings that its owner shares with the other one."""

    name: str
    shared: dict[str, str]
    driver: tuple[str, ...] = ("dvc", "repro")

    @property
    def environment(self) -> dict[str, str]:
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (
            ("NAME", self.name), ("EMAIL", f"{self.name.lower()}@example.org"))}  # fmt: skip
        return super().environment | self.shared | who

    def repro(self, *options: str) -> str:
        return self.run(*self.driver, *options).stdout

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


def trim(path: Path, names: tuple[str, ...]) -> None:
    """Leave these stages in dvc.yaml."""
    dag = yaml.safe_load((path / "dvc.yaml").read_text())
    stages = {name: dag["stages"][name] for name in names}
    without = {f"data/{name}" for name in dag["stages"].keys() - set(names)}
    stages["index"]["deps"] = [dep for dep in stages["index"]["deps"] if dep not in without]
    (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def rows(url: str, query: str) -> list[tuple]:
    engine = create_engine(database(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def cloned(ada: Person, grace: Person, origin: Path, remote: str, stages: tuple[str, ...], pinned: str) -> None:
    """Ada has run the study, pinned an output and pushed everything; Grace has cloned it."""
    trim(ada.path, stages)
    ada.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(origin))
    ada.run("git", "checkout", "--quiet", "-b", "main")
    ada.run("git", "remote", "add", "origin", str(origin))
    ada.run("dvc", "remote", "add", "--quiet", "--default", "store", remote)
    ada.repro()
    assert all(link["recalled"] + link["computed"] == link["items"] for link in ada.links().values())
    ada.run("git", "add", "--all")
    ada.run("git", "commit", "--quiet", "--message", "The study")
    ada.run("python", "-m", "palimpsest", "pin", "captions", "v1.0.0", pinned)
    ada.run("dvc", "push", "--quiet")
    ada.run("git", "push", "--quiet", "--follow-tags", "origin", "main")
    ada.run("git", "clone", "--quiet", str(origin), str(grace.path))


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

    cloned(ada, grace, origin, f"ssh://{STORE}{remote}", STAGES, "data/caption/blip")
    assert ada.link("caption@blip")["computed"] == 2 * SAMPLES
    first = folder_digest(ada.path / "data/caption/blip")

    nothing_is_computed_without_dvcs_cache(ada, grace, url)
    nothing_runs_after_a_pull(ada, grace, url)
    two_models_at_once(ada, grace, url)
    a_pin_stays(ada, grace, origin, first)


def test_two_people_share_one_bucket(
    tmp_path: Path,
    buckets: Buckets,
    checkout: Callable[..., Checkout],
    new_database: Callable[..., str],
) -> None:
    """Objects and the DVC remote are on S3; pictures are all that there is to share, and no model takes its time."""
    url, origin, bucket = new_database("postgresql", migrated=True), tmp_path / "origin.git", buckets.new("seaweedfs")
    shared = bucket | {"PALIMPSEST_REGISTRY": url}
    driver = ("python", "-m", "stages.care.repro")  # whose stages are forks
    ada = Person(checkout(SMALLEST | {"captioners": {}}, "ada").path, "Ada", shared, driver)
    grace = Person(tmp_path / "grace", "Grace", shared, driver)
    objects = bucket["PALIMPSEST_OBJECTS"]

    cloned(ada, grace, origin, objects.replace("objects", "dvc"), PICTURES, "data/inpaint/telea")
    assert ada.link("inpaint@telea")["computed"] == SAMPLES

    nothing_is_computed_without_dvcs_cache(ada, grace, url)
    pulled(grace)
    assert (grace.links(), grace.digests()) == (ada.links(), ada.digests())
    shutil.rmtree(ada.path / ".dvc/cache")
    grace.run("python", "-m", "palimpsest", "fetch", "captions@v1.0.0", "first", "--repo", f"file://{origin}")
    assert folder_digest(grace.path / "first") == folder_digest(ada.path / "data/inpaint/telea")
    assert not [person for person in (ada, grace) if (person.path / ".palimpsest/objects").exists()]
    nobody_writes_the_key_down(bucket["AWS_SECRET_ACCESS_KEY"], ada, grace, url)


def nobody_writes_the_key_down(secret: str, ada: Person, grace: Person, url: str) -> None:
    """Neither a file of theirs, MLflow's databases among them, nor the registry holds it."""
    files = [path for person in (ada, grace) for path in person.path.rglob("*") if path.is_file()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    tables = [table for (table,) in rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert "item" in tables
    assert [name for name in tables if rows(url, f"SELECT 1 FROM {name} one WHERE one::text LIKE '%{secret}%'")] == []


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


def pulled(grace: Person) -> None:
    """Grace has what DVC brings, and nothing else."""
    shutil.rmtree(grace.path / ".dvc/cache")
    shutil.rmtree(grace.path / "data")
    grace.run("git", "checkout", "--quiet", "dvc.lock")
    grace.run("dvc", "pull", "--quiet")


def nothing_runs_after_a_pull(ada: Person, grace: Person, url: str) -> None:
    """What DVC brings over SSH is all there is to do: no stage is started."""
    runs = rows(url, "SELECT id FROM run ORDER BY id")
    pulled(grace)
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
