"""A small project whose outputs can be pinned, and the commands that pin them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from palimpsest import app
from stages.engine.shards import write_shard

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC 3.67 on pygtrie 2.5

DVC_YAML = """\
# What makes what.
stages:
  prepare:   # the corpus
    cmd: "false"
    outs:
      - data/prepare/scenes
      - data/provenance/prepare.parquet
  caption:
    foreach: [blip]
    do:
      cmd: "false"
      deps: [data/prepare/scenes]
      outs:
        - data/caption/${item}
        - data/provenance/caption@${item}.parquet
"""

CAPTIONS = {"00001": "a red circle", "00002": "a blue square", "00003": "two dogs"}

LATER = {"00001": "a red circle", "00002": "a blue \x1b[31mbox", "00004": "<b>a cat</b>"}


@dataclass(frozen=True)
class Project:
    """A git and DVC repository whose outputs are written by hand, as small as a study can be."""

    path: Path

    @classmethod
    def new(cls, path: Path) -> Project:
        (path / "dvc.yaml").write_text(DVC_YAML)
        (path / "params.yaml").write_text("study: tiny\n")
        (path / ".gitignore").write_text("/data/\n/.palimpsest/\n")
        made = cls(path)
        made.git("init", "--quiet", "--initial-branch", "main")
        made.git("config", "user.name", "Ada")
        made.git("config", "user.email", "ada@example.org")
        made.dvc("init", "--quiet")
        return made

    def git(self, *command: str) -> str:
        done = subprocess.run(["git", *command], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def dvc(self, *command: str) -> None:
        from dvc.cli import main

        assert main([*command]) == 0

    def write(self, captions: dict[str, str], run: str) -> None:
        """The outputs of both stages, as the stages would leave them, committed."""
        rows = [
            {
                "corpus": "scenes",
                "sample": sample,
                "key": f"{sample}-{text}",
                "parents": [],
                "parts": json.dumps({"model": {"beams": len(text)}}),
                "value": json.dumps({"caption": text}),
                "status": "ok",
                "reason": None,
                "degradation": "blur",
                "inpainter": "telea",
                "captioner": "blip",
            }
            for sample, text in captions.items()
        ]
        axes = [(axis, pa.string()) for axis in ("degradation", "inpainter", "captioner")]
        write_shard(self.path / "data/prepare/scenes/part-00.parquet", rows[:1], axes)
        write_shard(self.path / "data/caption/blip/scenes/part-00.parquet", rows, axes)
        for stage, made in {"prepare": "11", "caption@blip": run}.items():
            table = pa.Table.from_pylist([{"key": "k", "id": made}])
            place = self.path / "data/provenance" / f"{stage}.parquet"
            place.parent.mkdir(exist_ok=True)
            pq.write_table(table, place)
        link = self.path / "data/runs/caption@blip.json"
        link.parent.mkdir(exist_ok=True)
        link.write_text(json.dumps({"mlflow_run_id": f"{run}-link"}))
        self.dvc("commit", "--force", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Captions by {run}")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with one version of its captions, made once."""
    path = tmp_path_factory.mktemp("template") / "project"
    path.mkdir()
    with contextlib.chdir(path):
        Project.new(path).write(CAPTIONS, "22")
    return path


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "project"
    shutil.copytree(template, path)
    monkeypatch.chdir(path)
    return Project(path)


def run(*command: str) -> tuple[int, str]:
    """A command of the front door: its exit code, and what it says where it fails or works."""
    done = CliRunner().invoke(app, command)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr if done.exit_code else done.stdout


def refused(*command: str) -> str:
    """The one sentence with which a command refuses."""
    code, said = run(*command)
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    return said
