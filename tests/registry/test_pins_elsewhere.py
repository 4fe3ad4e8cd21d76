"""Pins, where others keep them too: git and GTO, DVC, the registry, MLflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dvc.api
import gto.api
import pytest
import yaml
from dvc.repo import Repo
from mlflow import MlflowClient
from typer.testing import CliRunner

from palimpsest import app
from registry.pins import pinning
from registry.pins.content import folder_digest
from registry.pins.dvcyaml import artifacts, name_artifact
from registry.store import places
from tests.imports import ROOT
from tests.registry import pinned
from tests.registry.pinned import LATER, Project, refused, run

pytestmark = pinned.pytestmark
template, project = pinned.template, pinned.project


def test_a_pin_is_what_dvc_gto_and_git_understand(project):
    assert run("pin", "captions", "v1.0.0", "data/caption/blip")[0] == 0
    assert project.git("cat-file", "-t", "captions@v1.0.0") == "tag"
    assert project.git("status", "--porcelain") == ""
    (shown,) = gto.api.show(".", "captions")
    assert (shown["version"], shown["commit_hexsha"]) == ("v1.0.0", project.git("rev-parse", "HEAD"))
    assert dvc.api.artifacts_show("captions", version="v1.0.0")["path"] == "data/caption/blip"
    with Repo() as repo:
        repo.artifacts.download("captions", version="v1.0.0", out="by-dvc")
        (out,) = repo.find_outs_by_path("data/caption/blip")
    (pinned,), wrong = pinning.pins()
    assert not wrong
    assert pinned.digest == folder_digest(Path("by-dvc")) == folder_digest(Path("data/caption/blip"))
    assert pinned.md5 == out.hash_info.value
    assert (pinned.kind, pinned.study, pinned.author) == ("captions", "tiny", "Ada")
    assert pinned.runs == ["11", "22", "22-link"], "of the stage and of those before it, from provenance and run links"


def test_a_tag_that_git_lacks_here_is_told_of(project, tmp_path):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.git("clone", "--quiet", "--bare", ".", str(tmp_path / "origin"))
    project.git("tag", "--delete", "captions@v1.0.0")
    for command in ([], ["--stage", "dev"], ["--deprecate"]):
        said = refused("pin", "captions", "v1.0.0", *command)
        assert "was pinned by Ada on" in said
        assert "git has no tag of it here; run `git fetch --tags`" in said
    done = CliRunner().invoke(app, ["pins"])
    assert done.exit_code == 0
    assert "  no tag here  " in done.stdout.splitlines()[1]
    assert done.stderr == "palimpsest: git has no tag here of captions@v1.0.0; run `git fetch --tags`.\n"
    project.git("fetch", "--quiet", "--tags", str(tmp_path / "origin"))
    assert "already captions@v1.0.0" in run("pin", "captions", "v1.0.0")[1]
    (pinned,) = json.loads(run("pins", "--json")[1])
    assert pinned["tagged"]


def test_a_lost_registry_gets_its_pins_back_from_git(project, registry_url, monkeypatch, new_database):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", registry_url)
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    run("pin", "captions", "v1.0.0", "--stage", "production")
    known = pinning.pins()
    assert known[0][0].stages == ("production",)
    monkeypatch.setenv("PALIMPSEST_REGISTRY", new_database("sqlite"))
    assert pinning.pins() == known


def test_the_registry_decides_between_two_who_take_the_same_version(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", places.registry_url())
    other = Project(tmp_path / "other")
    shutil.copytree(project.path, other.path)
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    monkeypatch.chdir(other.path)
    assert "git has no tag of it here; run `git fetch --tags`" in refused("pin", "captions", "v1.0.0", "--stage", "x")
    other.write(LATER, "33")
    assert "was pinned by Ada on" in refused("pin", "captions", "v1.0.0", "data/caption/blip")
    monkeypatch.setattr(pinning, "find", lambda *_: None)  # as if the other had pinned in this very moment
    assert "Somebody else has made captions@v1.0.0 meanwhile" in refused(
        "pin", "captions", "v1.0.0", "data/caption/blip"
    )
    assert other.git("tag") == ""


def test_a_checkpoint_is_in_mlflow_too(project):
    weights = Path("models/tiny")
    weights.mkdir(parents=True)
    (weights / "model.safetensors").write_bytes(b"weights")
    (weights / "config.json").write_text("{}")
    (weights / "optimizer.pt").write_bytes(b"a pickle")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Weights")
    assert "models/tiny holds the pickle optimizer.pt" in refused("pin", "tiny", "v0.1.0", "models/tiny")
    project.git("rm", "--quiet", "models/tiny/optimizer.pt")
    project.git("commit", "--quiet", "--message", "No pickle")
    for _ in range(2):
        assert run("pin", "tiny", "v0.1.0", "models/tiny")[0] == 0
    client = MlflowClient(places.tracking_uri())
    (model,) = client.search_model_versions("name = 'tiny'")
    (pinned,), _ = pinning.pins()
    assert (pinned.kind, pinned.md5, pinned.study, pinned.runs) == ("model", None, None, [])
    assert (model.tags["palimpsest.version"], model.tags["palimpsest.digest"]) == ("v0.1.0", pinned.digest)
    assert client.get_model_version_by_alias("tiny", "v0-1-0").version == model.version
    files = {file.path for file in client.list_artifacts(model.run_id, "model")}
    assert files == {"model/config.json", "model/model.safetensors"}, "plain files: nothing that MLflow would unpickle"


HAND_WRITTEN = """\
# ours
artifacts:
  # what we keep
  weights:   # why
    path: data/a
    labels:
      - small
    desc: "quoted: yes"

# The stages

stages:
  x: {cmd: "a   b"} # c
"""


@pytest.mark.parametrize(
    "text", [(ROOT / "dvc.yaml").read_text(), HAND_WRITTEN, "stages:\r\n  x: 1\r\n", "artifacts: {}\n"]
)
def test_dvc_yaml_keeps_every_byte_around_its_artifacts(tmp_path, text):
    file = tmp_path / "dvc.yaml"
    file.write_bytes(text.encode())
    before = yaml.safe_load(text)
    assert name_artifact(file, "captions", "data/caption/blip", "captions")
    assert not name_artifact(file, "captions", "data/caption/blip", "captions")
    added = {"captions": {"path": "data/caption/blip", "type": "captions"}}
    written = file.read_bytes().decode()
    kept = [line for line in written.splitlines(keepends=True) if line.strip()]
    ours = ["artifacts:\n", "  captions:\n", "    path: data/caption/blip\n", "    type: captions\n"]
    if "{}" not in text:
        assert [line for line in kept if line not in ours] == [
            line for line in text.splitlines(keepends=True) if line.strip() and line not in ours
        ]
    assert yaml.safe_load(written) == before | {"artifacts": (before.get("artifacts") or {}) | added}
    assert artifacts(file)["captions"] == added["captions"]
