"""Pins, read back with DVC's, GTO's, git's and MLflow's own readers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import dvc.api
import gto.api
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dvc.repo import Repo
from mlflow import MlflowClient
from typer.testing import CliRunner

from models.compositions import Told, composed
from palimpsest import app
from registry.pins import pinning
from registry.pins.content import folder_digest
from registry.pins.dvcyaml import artifacts, name_artifact
from registry.store import places
from registry.store.dag import STAGES
from stages.engine.shards import write_shard
from tests.imports import ROOT

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


def test_the_same_again_is_fine_and_other_content_is_refused(project):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    tags = project.git("for-each-ref", "refs/tags")
    assert "already captions@v1.0.0" in run("pin", "captions", "v1.0.0")[1]
    project.write(LATER, "33")
    assert "was pinned by Ada on" in refused("pin", "captions", "v1.0.0")
    assert project.git("for-each-ref", "refs/tags") == tags
    assert run("pin", "captions", "v1.1.0")[0] == 0
    assert [pinned.version for pinned in pinning.pins()[0]] == ["v1.0.0", "v1.1.0"]


def test_what_cannot_be_pinned(project):
    assert "cannot name an artifact" in refused("pin", "a/b", "v1.0.0", "data")
    assert "is not a semantic version; write it as v1.0.0" in refused("pin", "a", "1.0", "data")
    assert "dvc.yaml names no artifact captions" in refused("pin", "captions", "v1.0.0")
    assert "is outside of" in refused("pin", "captions", "v1.0.0", "/etc/passwd")
    assert "Neither git nor DVC has data/nothing" in refused("pin", "captions", "v1.0.0", "data/nothing")
    shard = Path("data/caption/blip/scenes/part-00.parquet")
    shard.unlink()
    shard.write_bytes(b"something else")
    assert "data/caption/blip is not what dvc.lock says" in refused("pin", "captions", "v1.0.0", "data/caption/blip")
    Path("notes.txt").write_text("not committed")
    assert "notes.txt is not committed" in refused("pin", "notes", "v1.0.0", "notes.txt")
    assert project.git("tag") == ""


def test_a_list_of_files_that_leads_out_of_its_folder_is_refused(project):
    """DVC's list of an output's files is content from others: JSON in a cache or a remote."""
    out = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["caption@blip"]["outs"][0]
    md5 = hashlib.md5(Path("data/caption/blip/scenes/part-00.parquet").read_bytes()).hexdigest()
    listed = json.dumps([{"md5": md5, "relpath": "../../../escaped"}]).encode()
    evil = hashlib.md5(listed).hexdigest()
    place = Path(".dvc/cache/files/md5", evil[:2], f"{evil[2:]}.dir")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(listed)
    Path("dvc.lock").write_text(Path("dvc.lock").read_text().replace(out["md5"], f"{evil}.dir"))
    shutil.rmtree("data/caption/blip")
    project.git("commit", "--quiet", "--all", "--message", "Evil")
    assert "which leads out of it" in refused("pin", "captions", "v1.0.0", "data/caption/blip")


def test_stages_and_deprecation(project):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    assert "of captions there is v1.0.0, v1.1.0" in refused("pin", "captions", "v3.0.0", "--stage", "production")
    for version in ("v1.0.0", "v1.1.0"):
        assert run("pin", "captions", version, "--stage", "production")[0] == 0
    assert run("pin", "captions", "v1.0.0", "--deprecate")[0] == 0
    assert "captions@v1.0.0 is deprecated already" in refused("pin", "captions", "v1.0.0", "--deprecate")
    assert "already in stage" in refused("pin", "captions", "v1.1.0", "--stage", "production")
    first, second = json.loads(run("pins", "--json")[1])
    assert (first["stages"], first["deprecated"]) == ([], True)
    assert (second["stages"], second["deprecated"]) == (["production"], False)
    assert [shown["version"] for shown in gto.api.show(".", "captions#production")] == ["v1.1.0"]
    assert [shown["version"] for shown in gto.api.show(".", "captions")] == ["v1.1.0"]
    header, *lines = run("pins")[1].splitlines()
    assert header.split() == ["NAME", "VERSION", "KIND", "STAGE", "DATE", "DIGEST", "WHO", "STUDY"]
    assert [line.split()[3] for line in lines] == ["deprecated", "production"]
    assert run("fetch", "captions@v1.0.0")[0] == 0, "deprecated, and still what it was"


def test_a_stage_goes_back_to_an_earlier_version(project, tmp_path, monkeypatch):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    for version in ("v1.0.0", "v1.1.0", "v1.0.0"):
        assert run("pin", "captions", version, "--stage", "production")[0] == 0
    assert "captions@v1.0.0 is already in stage production" in refused(
        "pin", "captions", "v1.0.0", "--stage", "production"
    )
    stages = {pinned.version: pinned.stages for pinned in pinning.pins()[0]}
    assert stages == {"v1.0.0": ("production",), "v1.1.0": ()}
    assert dvc.api.artifacts_show("captions", stage="production")["rev"] == project.git(
        "rev-parse", "captions@v1.0.0^{}"
    )
    project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert {pinned.version: pinned.stages for pinned in pinning.pins()[0]} == stages, "from the tags alone"


def test_within_a_second_the_counter_tells_what_was_last(project, registry_url, monkeypatch):
    """Alphabetically, and so in git's list, captions#production#10 stands before captions#production#2."""
    monkeypatch.setenv("PALIMPSEST_REGISTRY", registry_url)
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
    for counter in range(1, 11):
        version = "v1.0.0" if counter == 10 else "v1.1.0"
        project.git("tag", "--annotate", "-m", "x", f"captions#production#{counter}", f"captions@{version}^{{}}")
    assert [pinned.stages for pinned in pinning.pins()[0]] == [("production",), ()]


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


def test_a_commit_is_one_version_of_a_name(project):
    """What GTO holds to: a stage is a tag on a commit, and belongs to the version there."""
    run("pin", "captions", "v1.1.0", "data/caption/blip")
    commit = project.git("rev-parse", "HEAD")
    said = refused("pin", "captions", "v1.0.1")
    assert f"Commit {commit[:12]} is captions@v1.1.0 already" in said
    assert "`git commit --allow-empty`), then pin v1.0.1" in said
    project.git("commit", "--quiet", "--allow-empty", "--message", "The same again")
    assert run("pin", "captions", "v1.0.1")[0] == 0


def test_a_pin_says_that_it_made_a_commit(project):
    before = project.git("rev-parse", "HEAD")
    told = run("pin", "captions", "v1.0.0", "data/caption/blip")[1]
    made = project.git("rev-parse", "HEAD")
    assert project.git("rev-parse", "HEAD^") == before
    assert f"Made commit {made[:12]} on this branch: dvc.yaml names the artifact captions." in told
    project.write(LATER, "33")
    for _ in range(2):
        assert "Made commit" not in run("pin", "captions", "v1.1.0")[1]


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


def test_a_caption_set_is_pinned_and_compared_sentence_by_sentence(project):
    """Sentences that are known to be false are marked; what the keys differ in says which of them became true."""
    stanza = '  compose:\n    cmd: "false"\n    outs:\n      - data/compose/grid\n'
    (project.path / "dvc.yaml").write_text(DVC_YAML + stanza)
    for version, false in (("v1.0.0", [False, True]), ("v1.1.0", [False, False])):
        told = [Told("A ring.", "A star.", "shape"), Told("It is red.", "It is blue.", "color")]
        value = composed(told, false, of=3)
        row = {"corpus": "scenes", "sample": "00001", "key": version, "parents": [], "status": "ok", "reason": None}
        row |= {"parts": json.dumps({"false": false}), "value": json.dumps(value), "captioner": "grid", **value}
        fields = [("captioner", pa.string()), *STAGES["compose"].fields]
        write_shard(project.path / "data/compose/grid/scenes/part-00.parquet", [row], fields)
        project.dvc("commit", "--force", "--quiet")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", version)
        assert run("pin", "captions-set", version, "data/compose/grid")[0] == 0
    assert {pinned.kind for pinned in pinning.pins()[0]} == {"caption set"}
    assert run("pins", "--diff", "captions-set@v1.0.0", "captions-set@v1.1.0")[1].splitlines() == [
        "captions-set@v1.0.0 -> captions-set@v1.1.0: 0 added, 0 removed, 1 changed",
        "changed  scenes/00001 grid  'A ring. ✗ It is blue.' -> 'A ring. It is red.'",
        "           false: [false, true] -> [false, false]",
    ]
