"""Pinned versions, got back by their names: fetched from here and from elsewhere, and compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from registry.pins.content import folder_digest, repository
from registry.pins.fetching import check_registry, pinned_in
from tests.registry import pinned
from tests.registry.pinned import LATER, refused, run

pytestmark = pinned.pytestmark
template, project = pinned.template, pinned.project


def test_fetch_gives_what_was_pinned_from_here_and_from_elsewhere(project, tmp_path, monkeypatch):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    before = folder_digest(Path("data/caption/blip"))
    project.write(LATER, "33")
    assert run("fetch", "captions@v1.0.0") == (0, "captions@v1.0.0 is now in captions-v1.0.0\n")
    assert folder_digest(Path("captions-v1.0.0")) == before
    assert run("fetch", "captions@v1.0.0") == (0, "captions@v1.0.0 is already in captions-v1.0.0\n")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # in no checkout at all
    assert run("fetch", "captions@v1.0.0", "copy", "--repo", str(project.path))[0] == 0
    assert folder_digest(Path("copy")) == before


def test_a_clone_fetches_from_todays_remote(project, tmp_path):
    clone = f"file://{project.path}"
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    before = folder_digest(Path("data/caption/blip"))
    assert "not even the list of its files" in refused("fetch", "captions@v1.0.0", "--repo", clone)
    project.dvc("remote", "add", "--quiet", "--default", "store", str(tmp_path / "remote"))
    project.dvc("push", "--quiet")
    project.write(LATER, "33")
    assert run("fetch", "captions@v1.0.0", "--repo", clone)[0] == 0, "the tag's commit knows no remote yet"
    assert folder_digest(Path("captions-v1.0.0")) == before


def test_a_fetch_that_fails_leaves_nothing(project):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    said = refused("fetch", "captions@v2.0.0")
    assert "has no pin captions@v2.0.0; it has captions@v1.0.0" in said
    Path("full").mkdir()
    assert "full is there already and is not captions@v1.0.0" in refused("fetch", "captions@v1.0.0", "full")
    md5 = hashlib.md5(Path("data/caption/blip/scenes/part-00.parquet").read_bytes()).hexdigest()
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    cached.chmod(0o644)
    cached.write_bytes(b"damaged")
    assert "is not what was pinned as captions@v1.0.0" in refused("fetch", "captions@v1.0.0")
    cached.unlink()
    assert "cannot be had from git, DVC's cache or its remote" in refused("fetch", "captions@v1.0.0")
    assert not [path.name for path in Path().iterdir() if "captions-v1.0.0" in path.name]


def test_no_credentials_are_shown(project, tmp_path):
    url = "https://ada:s3cret@localhost:1/x.git"
    said = refused("fetch", "captions@v1.0.0", str(tmp_path / "copy"), "--repo", url)
    assert said.startswith("palimpsest: https://localhost:1/x.git cannot be read (")
    assert "Connection refused" in said
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    with repository(".") as repo:  # as if it were a copy of what is there
        with pytest.raises(ValueError, match="^https://localhost:1/x.git has no pin captions@v2.0.0") as missing:
            pinned_in(repo, "captions@v2.0.0", url)
        changed = replace(pinned_in(repo, "captions@v1.0.0", None), digest="0" * 64)
        with pytest.raises(ValueError, match="of https://localhost:1/x.git says 000000000000,") as moved:
            check_registry(repo, changed, url)
    assert not any("s3cret" in text or "ada:" in text for text in (said, str(missing.value), str(moved.value)))


def test_a_repository_that_is_not_there(project, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    said = refused("fetch", "captions@v1.0.0", "--repo", nowhere)
    assert f"{nowhere} cannot be read (No git repository was found at {nowhere}); check the path or URL" in said


def test_a_label_without_a_version_is_told_the_versions(project):
    assert "'captions' names no version; write NAME@VERSION; `palimpsest pins` lists" in refused("fetch", "captions")
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    told = "names no version; write NAME@VERSION: captions@v1.0.0, captions@v1.1.0."
    assert f"'captions' {told}" in refused("fetch", "captions")
    assert f"'captons' {told}" in refused("fetch", "captons")
    assert f"'captions' {told}" in refused("pins", "--diff", "captions", "v1.0.0")
    assert "'1.0' is not a semantic version" in refused("fetch", "captions@1.0")


def test_a_moved_tag_is_not_believed(project):
    """Whoever may push tags could otherwise let v1.0.0 become something else."""
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    told = project.git("tag", "--list", "--format=%(contents)", "captions@v1.1.0")
    project.git("tag", "--annotate", "--force", "-m", told.replace("v1.1.0", "v1.0.0"), "captions@v1.0.0")
    assert "the tag was moved or made again" in refused("fetch", "captions@v1.0.0")
    code, said = run("pins")
    assert (code, "git and the registry disagree on captions@v1.0.0" in said) == (1, True)
    for command in (["v1.0.0"], ["v1.2.0"], ["v1.1.0", "--stage", "production"], ["v1.1.0", "--deprecate"]):
        assert "git and the registry disagree on captions@v1.0.0" in refused("pin", "captions", *command)
    project.git("tag", "--delete", "captions@v1.0.0")
    assert run("pin", "captions", "v1.1.0", "--stage", "production")[0] == 0


def test_what_two_versions_differ_in(project):
    run("pin", "captions", "v1.0.0", "data/caption/blip")
    project.write(LATER, "33")
    run("pin", "captions", "v1.1.0")
    assert run("pins", "--diff", "captions@v1.0.0", "captions@v1.0.0")[1].endswith("0 added, 0 removed, 0 changed\n")
    assert run("pins", "--diff", "captions@v1.0.0", "captions@v1.1.0")[1].splitlines() == [
        "captions@v1.0.0 -> captions@v1.1.0: 1 added, 1 removed, 1 changed",
        "added    scenes/00004 blur telea blip  '<b>a cat</b>'",
        "removed  scenes/00003 blur telea blip  'two dogs'",
        "changed  scenes/00002 blur telea blip  'a blue square' -> 'a blue \\x1b[31mbox'",
        "           model.beams: 13 -> 15",
    ]
    found = json.loads(run("pins", "--json", "--diff", "captions@v1.0.0", "captions@v1.1.0")[1])
    assert found["changed"]["examples"][0]["before"] == "a blue square"
