"""What a study stands on: git, what DVC keeps, the registry and the disks; and where commands may be typed."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from palimpsest import app
from registry import open_registry
from registry.health import disks
from registry.store import places
from registry.store.objects import ObjectStore
from tests.conftest import ROOT, SMALL

runner = CliRunner()
COMPLETE = b"stages:\n  degrade:\n    cmd: python -m stages.degrade\n    outs:\n    - path: data/degrade\n"


@pytest.fixture(params=["checkout"])
def here(request, checkout, monkeypatch):
    """A checkout to be in, with a study of one inpainter and no models."""
    params = copy.deepcopy(SMALL)
    params |= dict.fromkeys(("captioners", "encoders", "fidelity", "quality"), {})
    params["inpainters"] = {"identity": {"adapter": "identity"}}
    one = checkout(params, request.param)
    for name in places.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", one.environment["PATH"])
    monkeypatch.chdir(one.path)
    return one


def told(*command: str, exit_code: int = 0) -> str:
    done = runner.invoke(app, command)
    assert done.exit_code == exit_code, (done.output, done.exception)
    return done.output


def checks(subject: str, *options: str) -> list[tuple[str, str, str]]:
    """What the doctor says of a subject: state, what, advice."""
    found = json.loads(runner.invoke(app, ["doctor", "--json", *options]).stdout)
    return [(one["state"], one["what"], one["advice"]) for one in found if one["subject"] == subject]


def test_from_any_folder_of_a_checkout_and_after_the_registry_was_lost(here, monkeypatch):
    monkeypatch.chdir(here.path / "models/media")
    assert json.loads(told("plan", "--json"))
    monkeypatch.chdir(here.path / "models/media")
    assert "is now the study" in told("use", "../../params.yaml")
    monkeypatch.chdir(here.path / "models/media")
    assert "palimpsest ui" in told("repro", "index")
    assert sorted(path.name for path in (here.path / "models/media").iterdir() if path.suffix != ".py") in (
        [],
        ["__pycache__"],
    )
    monkeypatch.chdir(here.path / "models/media")
    assert [state for state, *_ in checks("results")] == ["ok"]

    os.chdir(here.path)
    for file in Path(".palimpsest").glob("registry.db*"):
        file.unlink()
    Path(".palimpsest/registry.db").touch()
    [(state, what, advice)] = checks("registry")
    assert (state, "no tables yet" in what, "`palimpsest registry sync`" in advice) == ("warning", True, True)
    with open_registry() as registry:
        assert registry.studies() == []
    [(state, what, advice)] = checks("results")
    assert (state, "`palimpsest registry sync`" in advice) == ("problem", True), what
    told("registry", "sync")
    assert [state for state, *_ in checks("results", "--full")] == ["ok"]


def test_the_code_of_another_checkout_is_noticed(here):
    """As where ``.venv`` came along with a copy: this test's own environment is that of the working tree."""
    [(state, what, _)] = checks("code")
    assert (state, what) == ("warning", f"commands run the code in {ROOT}, not that of this checkout")
    own = here.run("python", "-m", "palimpsest", "doctor", check=False)
    assert "commands run the code of this checkout" in own.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but what readers of databases leave."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("here", ["50% done? a%20b"], indirect=True)
def test_a_study_runs_at_any_path_and_its_copy_leaves_it_alone(here, monkeypatch):
    told("repro", "index")
    assert [path.name for path in here.path.parent.iterdir()] == [here.path.name], "nothing is written outside"
    before = contents(here.path)
    second = here.path.with_name("it's a copy")
    shutil.copytree(here.path, second, symlinks=True)
    monkeypatch.chdir(second)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("count: 6", "count: 5"))
    told("repro", "index")
    assert contents(here.path) == before
    assert {path.name for path in here.path.parent.iterdir()} == {here.path.name, second.name}
    assert len(list(Path(".palimpsest/artifacts").iterdir())) > len(
        list((here.path / ".palimpsest/artifacts").iterdir())
    ), "and writes to its own"


def test_outside_of_a_checkout_it_is_said_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["repro"], ["plan"], ["why", "degrade"], ["gc"], ["registry", "sync"], ["doctor"]):
        assert "change to a Palimpsest checkout" in told(*command, exit_code=2)


def test_a_checkout_that_is_no_git_repository_becomes_one(here):
    shutil.rmtree(".git")
    said = told("repro", "prepare@scenes", exit_code=2)
    assert said.startswith(f"palimpsest: {here.path} is no git repository (git rev-parse: fatal:")
    assert "run `git init` there" in said
    here.run("git", "init", "--quiet")
    told("repro", "prepare@scenes")


@pytest.mark.parametrize("torn", [COMPLETE[:-30], b"\0" * 100], ids=["cut off", "zeros"])
def test_a_torn_lock_file_is_told_with_the_way_out(here, torn):
    Path("dvc.lock").write_bytes(torn)
    for command in (["repro"], ["trace", "data/report"]):
        said = told(*command, exit_code=2)
        assert said.startswith("palimpsest: dvc.lock is no lock file any more")
        assert "`git checkout dvc.lock`, and run `palimpsest repro`" in said
    for options in ([], ["--full"]):
        [(state, what, advice), _] = checks("dvc", *options)
        assert (state, what.startswith("dvc.lock is no lock file any more")) == ("problem", True)
        assert "run `palimpsest repro`: what is known is recalled, not computed." in advice
    Path("dvc.lock").unlink()
    assert [state for state, *_ in checks("dvc")] == ["ok", "ok"]


@pytest.mark.parametrize("torn", ["", '{"write": {"data/degr', "[]", '{"read": {"data": [7]}}'])
def test_a_torn_list_of_who_is_running_can_go(here, torn):
    file = Path(".dvc/tmp/rwlock")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(torn)
    for command in (["repro"], ["gc", "--yes"]):
        said = told(*command, exit_code=2)
        assert "DVC's list of who is running, is damaged; if no DVC runs here, delete it" in said
    [_, (state, _, advice)] = checks("dvc")
    assert (state, advice) == ("problem", "If no DVC runs here, delete it: nothing else is in it.")


def test_every_disk_that_something_is_kept_on_is_looked_at(here, monkeypatch):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == here.path.stat().st_dev:
        pytest.skip("there is one disk here")
    assert len(list(disks(ObjectStore(places.objects_url())))) == 1
    monkeypatch.setenv("PALIMPSEST_OBJECTS", "/dev/shm/a team's")
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 2**20 if path == elsewhere else 2**40)
    )
    own, shared = disks(ObjectStore(places.objects_url()))
    assert (own.state, shared.state) == ("ok", "problem")
    assert shared.what == "1.0 MB are free on the disk of /dev/shm"
