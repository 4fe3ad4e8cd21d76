"""Plans come true, damage is healed, and rubbish goes but nothing else: on a checkout with the real DVC and git."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys

import pytest
from typer.testing import CliRunner

from palimpsest import app
from registry import open_registry
from stages.care import needed
from tests.conftest import SMALL, Checkout

SAMPLES, DEGRADATIONS = 6, 2
runner = CliRunner()


@pytest.fixture
def here(checkout, monkeypatch):
    """A checkout to be in, with one inpainter that sees the same under every degradation."""
    params = copy.deepcopy(SMALL)
    params["inpainters"] = {"telea": {"adapter": "telea"}}
    one = checkout(params)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", one.environment["PATH"])
    monkeypatch.chdir(one.path)
    return one


def told(*command: str, exit_code: int = 0) -> str:
    done = runner.invoke(app, command)
    assert done.exit_code == exit_code, (done.output, done.exception)
    return done.output


def planned(*arguments: str) -> dict[str, tuple[int, int, int, int]]:
    """Items, known, missing and not known yet, by stage."""
    found = json.loads(told("plan", *arguments, "--json"))
    return {f["stage"]: (f["items"], f["known"], f["missing"], f["not_known_yet"]) for f in found}


def checks() -> dict[str, list[tuple[str, str]]]:
    """What the doctor says of a subject; exit 1 exactly where there is a problem."""
    done = runner.invoke(app, ["doctor", "--json", "--full"])
    found = json.loads(done.stdout)
    assert done.exit_code == any(check["state"] == "problem" for check in found)
    assert all(bool(check["advice"]) != (check["state"] == "ok") for check in found)
    said = {check["subject"]: [] for check in found}
    for check in found:
        said[check["subject"]].append((check["state"], check["what"]))
    return said


def commit(one: Checkout, message: str) -> None:
    one.run("git", "add", "--all")
    one.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", message)


def test_a_study_is_planned_computed_damaged_healed_and_swept(here):
    captions = SAMPLES * (1 + DEGRADATIONS)
    before = planned()
    assert before["prepare@scenes"] == (SAMPLES, 0, SAMPLES, 0)
    assert before["degrade"] == (12, 0, 0, 12)
    assert before["caption@blip"] == (captions, 0, 0, captions)
    assert before["quality@lexical"] == (captions + 3, 0, 0, captions + 3)
    assert not (here.path / "data").exists()

    here.repro("degrade")
    ahead = planned()
    here.repro("inpaint@telea")
    for stage in ("prepare@scenes", "degrade"):
        assert ahead[stage] == (here.link(stage)["items"],) * 2 + (0, 0)
    link = here.link("inpaint@telea")
    assert ahead["inpaint@telea"] == (link["items"], 0, link["computed"], 0) == (12, 0, 6, 0)
    [estimate] = [f for f in json.loads(told("plan", "--json")) if f["stage"] == "inpaint@telea"]
    assert (estimate["known"], estimate["hours"], estimate["bytes"]) == (12, {}, 0)
    after = planned()
    assert after["caption@blip"] == (captions, 0, SAMPLES + SAMPLES, 0), "one picture serves both degradations"
    assert after["fidelity@pixel"][2] == SAMPLES
    assert "not known yet" in told("plan")

    refused = told("registry", "sync", exit_code=2)
    assert "data/caption/blip is not there as caption@blip made it" in refused
    with open_registry() as registry:
        assert registry.studies() == []

    # A flipped byte: the item is computed again, with a warning, and the object is whole again.
    commit(here, "telea, radius 3")
    here.run("git", "branch", "narrow")
    digests = here.digests()
    objects = sorted(path for path in (here.path / ".palimpsest/objects").rglob("*") if path.is_file())
    shard = here.path / "data/inpaint/telea/scenes/part-00.parquet"
    import pyarrow.parquet as pq

    from registry.store.keys import digest

    address = digest(pq.read_table(shard)["image"][0]["bytes"].as_py())
    [victim] = [path for path in objects if path.name == address]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert [state for state, what in checks()["objects"] if "damaged" in what] == ["problem"]
    again = here.run("python", "-m", "stages.inpaint", "telea")
    assert f"Object {address}" in again.stderr
    assert "Computing it again." in again.stderr
    assert (here.link("inpaint@telea")["computed"], here.digests()) == (1, digests)
    assert digest(victim.read_bytes()) == address
    said = checks()
    assert [state for state, _ in said["objects"]] == ["ok", "ok"]
    whole = [("ok", "the database file is whole"), ("ok", "every value is what its digest says")]
    assert said["registry"][-2:] == whole

    # Another radius: the old pictures are needed by the branch that has them, and by nothing else.
    here.edit(lambda params: params["inpainters"]["telea"].update(radius=7))
    here.repro("inpaint@telea")
    commit(here, "telea, radius 7")
    assert "without use" in told("gc", "--days", "0")
    here.run("git", "branch", "--delete", "--force", "narrow")
    here.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--amend", "-m", "only this")
    assert "repainted" in told("gc", "--days", "0")
    assert "without use" in told("gc"), "young ones stay"
    assert planned()["inpaint@telea"][1] == 12
    (here.path / ".palimpsest/objects/ab").mkdir(exist_ok=True)
    loose = here.path / ".palimpsest/objects/ab" / ("ab" * 32)
    loose.write_bytes(b"nobody's")
    removed = told("gc", "--days", "0", "--yes")
    assert "loose objects" in removed
    assert removed.splitlines()[-1].startswith("Removed: ")
    assert not loose.exists()
    assert not victim.exists()
    assert "without use" in told("gc", "--days", "0")
    assert planned()["inpaint@telea"] == (12, 12, 0, 0)
    here.run("python", "-m", "stages.inpaint", "telea")
    assert here.counts("inpaint@telea") == (12, 0)

    # Pictures that DVC's cache holds in shards are not kept twice: recall reads, and checks, them there.
    store = here.path / ".palimpsest/objects"
    kept = len(list(store.rglob("?" * 64)))
    assert "also in a shard" in told("gc", "--shards")
    assert len(list(store.rglob("?" * 64))) == kept
    told("gc", "--shards", "--yes")
    assert (kept > 0, list(store.rglob("?" * 64))) == (True, [])
    assert [state for state, _ in checks()["objects"]] == ["ok", "ok"]
    digests = here.digests()
    here.run("python", "-m", "stages.inpaint", "telea")
    assert (here.counts("inpaint@telea"), here.digests()) == ((12, 0), digests)

    shutil.rmtree(here.path / ".dvc/cache")
    here.run("python", "-m", "stages.inpaint", "telea")
    assert (here.counts("inpaint@telea"), here.digests()) == ((6, 6), digests), "what no shard holds is computed"
    assert "is not in DVC's cache" in told("gc", exit_code=2)
    assert [state for state, _ in checks()["remote"]] == ["ok"]


def test_nothing_is_removed_while_a_stage_runs(here):
    marker = here.path / ".palimpsest/running/caption@blip"
    marker.parent.mkdir(parents=True)
    marker.write_text(f"{'0' * 32} {os.getpid()}")
    assert needed.running() == ["caption@blip"]
    assert "caption@blip is running here; wait" in told("gc", "--yes", exit_code=2)
    marker.write_text(f"{'0' * 32} 4194305")  # above every process id of Linux: it was killed
    assert needed.running() == []
    marker.write_text(f"{'0' * 32} {os.getpid()}")
    os.utime(marker, (0, 0))  # before this process began, which has only inherited the number
    assert needed.running() == []
    lock = here.path / ".dvc/tmp/rwlock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"write": {"data/degrade": {"pid": os.getpid(), "cmd": "dvc repro"}}, "read": {}}))
    assert needed.running() == ["`dvc repro`"]


@pytest.mark.parametrize("url", ["{}/shared", "file://{}/shared", "file:///{}/shared", "memory://shared"])
def test_a_shared_store_keeps_what_only_this_cache_holds(here, monkeypatch, url):
    monkeypatch.setenv("PALIMPSEST_OBJECTS", url.format(here.path.parent))
    assert "outside this checkout" in told("gc", "--shards", exit_code=2)


def test_a_study_is_chosen_by_one_command_and_no_edit_is_lost(here):
    commit(here, "a study of my own")
    assert "params.yaml is now the study full" in told("use", "studies/full.yaml")
    study = (here.path / "studies/mine.yaml").resolve()
    study.write_text((here.path / "params.yaml").read_text().replace("adapter: telea", "adapter: biharmonic"))
    told("use", "studies/mine.yaml")
    assert (here.path / "params.yaml").read_text() == study.read_text()
    (here.path / "params.yaml").write_text(study.read_text() + "# an edit\n")
    refused = told("use", "studies/full.yaml", exit_code=2)
    assert "has edits that are kept nowhere else" in refused
    assert (here.path / "params.yaml").read_text().endswith("# an edit\n")
    study.write_text(study.read_text().replace("adapter: biharmonic", "adapter: biharmonik"))
    assert 'did you mean "biharmonic"' in told("use", "studies/mine.yaml", exit_code=2)
    assert "There is no study studies/my.yaml; choose one of" in told("use", "studies/my.yaml", exit_code=2)
    assert "no valid YAML" in told_of_broken(here)
    assert "There is no study studies; choose one of" in told("plan", "studies", exit_code=2)


def told_of_broken(one: Checkout) -> str:
    (one.path / "broken.yaml").write_text("study: [")
    return told("plan", "broken.yaml", exit_code=2)


def test_the_doctor_tells_no_password(here, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", "postgresql://ada:s3cret@127.0.0.1:9/team")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:s3cret@127.0.0.1:9")
    here.run("dvc", "remote", "add", "--default", "team", "http://ada:s3cret@127.0.0.1:9/store")
    done = runner.invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "s3cret" not in done.output
    assert "problem  registry" in done.output
    assert sys.version.split()[0] in done.output
