"""What tests share: throw-away checkouts of this project, driven by the real DVC, and databases of both kinds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.pool import Pool

from tests.buckets import Buckets
from tests.databases import KINDS, Databases

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Checkout:
    """A copy of this project with a study of its own."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """This process' environment with this Python first in the path and no other registry in sight."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        foreign = ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "PALIMPSEST_STRICT", "MLFLOW_TRACKING_URI")
        return {name: value for name, value in os.environ.items() if name not in foreign} | {"PATH": path}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout to its end."""
        done = subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in the checkout, in a process group of its own."""
        return subprocess.Popen(command, cwd=self.path, env=self.environment, start_new_session=True)

    def repro(self, *options: str) -> str:
        return self.run("dvc", "repro", *options).stdout

    def link(self, stage: str) -> dict[str, Any]:
        return json.loads((self.path / "data/runs" / f"{stage}.json").read_text())

    def counts(self, stage: str) -> tuple[int, int]:
        """How many items a stage's last execution recalled and computed."""
        link = self.link(stage)
        return link["recalled"], link["computed"]

    def digests(self) -> dict[str, str]:
        """Every shard's path and content digest."""
        from registry.store.keys import digest

        data = self.path / "data"
        found = sorted(path for path in data.rglob("*.parquet") if "provenance" not in path.parts)
        return {str(path.relative_to(data)): digest(path.read_bytes()) for path in found}

    def edit(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change params.yaml by a function of its content."""
        params = yaml.safe_load((self.path / "params.yaml").read_text())
        change(params)
        (self.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(autouse=True)
def back_where_we_were() -> Iterator[None]:
    """Commands work from the root of their checkout, and a test's end is no business of theirs."""
    here = Path.cwd()
    yield
    os.chdir(here)


SMALL = {
    "study": "small",
    "models": {},
    "corpora": {"scenes": {"adapter": "scenes", "path": "models/worlds", "seed": 7, "count": 6}},
    "degradations": {"centre-mask": {"kind": "zero"}, "blur": {"kind": "blur"}},
    "inpainters": {"identity": {"adapter": "identity"}, "telea": {"adapter": "telea"}},
    "captioners": {"blip": {"adapter": "blip", "checkpoint": "models/pocket/weights/blip"}},
    "recaptioners": {},
    "captions": {},
    "prompts": {},
    "training": {},
    "painters": {},
    "answerers": {},
    "encoders": {"vit": {"adapter": "vit", "checkpoint": "models/pocket/weights/vit"}},
    "fidelity": {"pixel": {"adapter": "pixel"}},
    "quality": {"lexical": {"adapter": "lexical", "metrics": ["bleu", "rouge_l", "cider"], "tokenizer": "none"}},
}
"""Every stage, and no more than a few seconds of computing."""


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., Checkout]:
    """Makes checkouts: ``checkout(params, name)``; the files are this working tree's."""

    def make(params: dict[str, Any] = SMALL, name: str = "checkout") -> Checkout:
        path = tmp_path / name
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for file in filter(None, listed.stdout.split("\0")):
            if file.startswith("tests/") or not (ROOT / file).is_file():
                continue
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, path / file)
        (path / "dvc.lock").unlink(missing_ok=True)
        (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        made = Checkout(path)
        made.run("git", "init", "--quiet")
        return made

    return make


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with Databases() as databases:
        yield databases


@pytest.fixture(scope="session")
def buckets() -> Iterator[Buckets]:
    with Buckets() as buckets:
        yield buckets


@pytest.fixture
def new_database(databases: Databases) -> Iterator[Callable[..., str]]:
    """Makes databases: ``new_database("postgresql", migrated=True)`` is the URL of one; all are removed afterwards."""
    made: list[str] = []
    connections: list[Any] = []

    def new(kind: str, migrated: bool = False) -> str:
        if kind == "postgresql":
            pytest.importorskip("psycopg", reason="PostgreSQL needs the extra `postgres`")
        made.append(databases.new(kind, migrated))
        return made[-1]

    def opened(connection: Any, _record: Any) -> None:
        connections.append(connection)

    event.listen(Pool, "connect", opened)
    yield new
    event.remove(Pool, "connect", opened)
    for connection in connections:
        if type(connection).__module__.startswith("psycopg"):  # what a command leaves open would warn later
            connection.close()
    for url in made:
        if url.startswith("postgresql"):
            databases.drop(url)


@pytest.fixture(params=KINDS)
def registry_url(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> str:
    """The URL of a registry without rows, on either kind of database."""
    return new_database(request.param, migrated=True)


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> str:
    """The URL of a database without tables, of either kind."""
    return new_database(request.param)
