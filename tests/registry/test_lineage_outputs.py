"""What is traced of stages and outputs that hold no items, against a lock file as DVC writes it; and refusals."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from palimpsest import app
from registry.lineage.ids import trace
from registry.lineage.text import formatted

LOCK = """\
schema: '2.0'
stages:
  degrade:
    cmd: python -m stages.degrade
    deps:
    - {path: models/degradations.py, hash: md5, md5: 0f0ed7cca50c017397f75cbfce2e0285, size: 2}
    params:
      params.yaml: {study: small}
    outs:
    - {path: data/degrade, hash: md5, md5: 4e285a58ef0bd1e1b9d3ff9d62d0cc6b.dir, size: 2, nfiles: 1}
    - {path: data/runs/degrade.json, hash: md5, md5: 76d9a2a1f24e0ee4e1c0f1f7e7e3f4c2, size: 2}
  index:
    cmd: python -m stages.index
    deps:
    - {path: data/degrade, hash: md5, md5: 4e285a58ef0bd1e1b9d3ff9d62d0cc6b.dir, size: 2, nfiles: 1}
    outs:
    - {path: data/index.json, hash: md5, md5: 7e25f87e74cbb81da28021d6ce6f1a4a, size: 2}
  inpaint@telea:
    cmd: python -m stages.inpaint telea
    outs:
    - {path: data/runs/inpaint@telea.json, hash: md5, md5: 86d9a2a1f24e0ee4e1c0f1f7e7e3f4c2, size: 2}
"""
LINK = {"items": 4, "recalled": 1, "computed": 3, "failed": 0, "mlflow_run_id": "4023b3", "device": "cpu"}
LINK["started_at"] = "2026-01-02T03:04:05+00:00"


def git(*command: str) -> str:
    asked = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which these stages have run, and a commit that says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/runs").mkdir(parents=True)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "data/index.json").write_text("{}")
    (tmp_path / "data/runs/degrade.json").write_text(json.dumps(LINK))
    git("init", "--quiet")
    git("add", "dvc.lock")
    git("commit", "--quiet", "-m", "a study")
    return tmp_path


@pytest.mark.parametrize("id", ["index", "data/index.json"])
def test_what_holds_no_items_is_traced_to_its_stage(lineage, here, monkeypatch, id):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", lineage.url)
    assert json.loads(CliRunner().invoke(app, ["trace", id, "--json"]).stdout) == {
        "name": id,
        "stage": "index",
        "command": "python -m stages.index",
        "dependencies": [
            {"path": "data/degrade", "md5": "4e285a58ef0bd1e1b9d3ff9d62d0cc6b.dir", "stages": ["degrade"]}
        ],
        "parameters": {},
        "outputs": {"data/index.json": "7e25f87e74cbb81da28021d6ce6f1a4a"},
        "commit": git("rev-parse", "HEAD"),
        "run": None,
    }
    lines = CliRunner().invoke(app, ["trace", id]).stdout.splitlines()
    assert "  dependency data/degrade: md5 4e285a58ef0b, by degrade" in lines
    assert "  run: none; the stage computes no items" in lines


def test_a_run_link_is_traced_to_its_run(lineage, here):
    found = trace(lineage.engine, str(here / "data/runs/degrade.json"))
    assert (found.locked.stage, found.run, found.locked.parameters) == ("degrade", LINK, {"study": "small"})
    assert "  run 4023b3 · cpu · 2026-01-02T03:04:05+00:00 · 4 items, 1 recalled, 3 computed, 0 failed" in formatted(
        found
    )
    absent = formatted(trace(lineage.engine, "data/runs/inpaint@telea.json"))
    assert "  run: data/runs/inpaint@telea.json is not here" in absent, "not pulled yet"


def test_the_commit_is_the_first_that_has_the_entry(lineage, here):
    """The history: one study, another one, and then a stage beside it; the lock at hand is the last one's."""
    (here / "dvc.lock").write_text(LOCK.replace("small", "large"))
    git("commit", "--quiet", "-am", "another")
    large = git("rev-parse", "HEAD")
    (here / "dvc.lock").write_text(LOCK.replace("small", "large").replace("stages.index", "stages.index --all"))
    git("commit", "--quiet", "-am", "a stage beside it")
    path = "data/runs/degrade.json"
    assert trace(lineage.engine, path).commit == large
    (here / "dvc.lock").write_text(LOCK.replace("small", "huge"))
    assert trace(lineage.engine, path).commit is None
    assert "  commit: none has this yet" in formatted(trace(lineage.engine, path))


def test_nothing_outside_the_outputs_is_searched(lineage, here, monkeypatch):
    searched = []
    monkeypatch.setattr(Path, "rglob", lambda path, _pattern: searched.append(path) or [])
    (here / "elsewhere").mkdir()
    for folder in ("/", "..", "elsewhere"):
        with pytest.raises(ValueError, match=r"is no output of this checkout's stages.*; give an output") as error:
            trace(lineage.engine, folder)
        assert "\n" not in str(error.value)
    assert searched == []
    with pytest.raises(ValueError, match="data/runs holds what 2 stages wrote; name one, such as data/runs/degrade"):
        trace(lineage.engine, "data/runs")


def test_tables_without_keys_are_refused_in_one_sentence(lineage, here):
    pq.write_table(pa.table({"mse": [0.5]}), here / "table.parquet")
    (here / "broken.parquet").write_bytes(b"PAR1 and no more")
    for name, sentence in (("table", "no shard with a column of keys"), ("broken", "no Parquet file that can be read")):
        with pytest.raises(ValueError, match=sentence) as error:
            trace(lineage.engine, f"{name}.parquet")
        assert "\n" not in str(error.value)


def test_what_cannot_be_read_is_refused_in_one_sentence(lineage):
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc here")
    with pytest.raises(ValueError, match="/proc/self/mem cannot be read: Input/output error"):
        trace(lineage.engine, "/proc/self/mem")
