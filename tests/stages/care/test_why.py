"""What made a stage run again and what that cost, in a checkout of its own with the real DVC and git."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from palimpsest import app
from stages.care.why import why
from tests.conftest import SMALL, Checkout

SAMPLES = SMALL["corpora"]["scenes"]["count"]
STAGE = "inpaint@telea"


def commit(checkout: Checkout) -> None:
    checkout.run("git", "add", "dvc.lock", "dvc.yaml", "params.yaml", ".dvc/config")
    checkout.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "a study")


def test_causes_are_counted_by_item(checkout, monkeypatch):
    one = checkout()
    monkeypatch.chdir(one.path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert why(STAGE).text().startswith("inpaint@telea has not run in this checkout.\nDVC would run it now")
    one.repro(STAGE)
    first = why(STAGE)
    assert first.causes == {"nothing earlier to compare with": SAMPLES}
    assert "Compared with" not in first.text()

    commit(one)
    one.edit(lambda params: params["inpainters"]["telea"].update(radius=7))
    one.edit(lambda params: params["corpora"]["scenes"].update(count=SAMPLES + 2))
    assert why(STAGE).pending == ("parameter inpainters.telea: changed",)
    one.repro(STAGE)
    found = why(STAGE)
    assert "parameter inpainters.telea.radius: null -> 7" in found.changes
    assert {"dependency data/prepare: changed", "dependency data/degrade: changed"} <= set(found.changes)
    assert found.pending == ()
    assert found.causes == {"model.radius": SAMPLES, "new sample": 2}
    assert CliRunner().invoke(app, ["why", STAGE]).stdout == f"{found.text()}\n"
    assert "  model.radius: 6 items\n  new sample: 2 items\n" in found.text()
    assert found.text().endswith("DVC would not run it now.")

    # without the earlier output: the nearest item in the registry, and what that cannot know is said
    shutil.rmtree(one.path / ".dvc/cache/files")
    lost = why(STAGE)
    assert lost.causes == {"model.radius": SAMPLES, "nothing earlier to compare with": 2}
    assert "a new configuration looks like a changed one" in lost.text()

    wrong = CliRunner().invoke(app, ["why", "inpaint@tela"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert 'no stage of dvc.yaml "inpaint@tela"; did you mean "inpaint@telea"' in wrong.stderr


PIPELINE = """\
stages:
  index: {cmd: cp %s data/index.json, deps: [shards], params: [study], outs: [data/index.json]}
  draw: {cmd: mkdir -p data/runs && cp shards data/runs/draw.json, deps: [shards], metrics: [data/runs/draw.json]}
"""


@pytest.fixture
def without_items(tmp_path, monkeypatch) -> Checkout:
    """A stage that leaves no run link, and one that does; both have run."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"dvc.yaml": PIPELINE % "shards", "params.yaml": "study: a", "shards": "{}"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data").mkdir()
    one = Checkout(tmp_path)
    one.run("git", "init", "--quiet")
    one.run("dvc", "init", "--quiet")
    one.repro()
    commit(one)
    return one


def test_a_stage_without_items_still_says_what_changed(without_items):
    assert why("index").text() == (
        "index has run, and keeps no record of items, for it computes none.\n"
        "No commit holds another lock of it, so what changed in its inputs cannot be known.\n"
        "Nothing has changed after that: DVC would not run it now."
    )
    (without_items.path / "data/runs/draw.json").unlink()
    assert "draw has run, but data/runs/draw.json is not here; `dvc pull` gets it.\n" in why("draw").text()
    (without_items.path / "dvc.yaml").write_text(PIPELINE % "./shards")
    (without_items.path / "shards").write_text("[]")
    without_items.edit(lambda params: params.update(study="b"))
    assert set(why("index").pending) == {"command: changed", "dependency shards: changed", "parameter study: changed"}
    without_items.repro("index")
    found = why("index")
    assert found.changes == (
        'command: "cp shards data/index.json" -> "cp ./shards data/index.json"',
        "dependency shards: changed",
        'parameter study: "a" -> "b"',
    )
    assert "Since commit " in found.text()
