"""Pins: what is one, what is refused, which version is which, and in what two differ."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import dvc.api
import gto.api
import pyarrow as pa
import yaml

from models.compositions import Told, composed
from registry.pins import pinning
from registry.store.dag import STAGES
from stages.engine.shards import write_shard
from tests.registry import pinned
from tests.registry.pinned import DVC_YAML, LATER, refused, run

pytestmark = pinned.pytestmark
template, project = pinned.template, pinned.project


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
