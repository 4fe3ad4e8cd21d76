"""What made a stage run again and what that cost, in a checkout of its own with the real DVC and git."""

from __future__ import annotations

import shutil

from typer.testing import CliRunner

from palimpsest import app
from stages.why import why
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
    assert why(STAGE).causes == {"nothing earlier to compare with": SAMPLES}

    commit(one)
    one.edit(lambda params: params["inpainters"]["telea"].update(radius=7))
    one.edit(lambda params: params["corpora"]["scenes"].update(count=SAMPLES + 2))
    assert why(STAGE).pending == ("parameter inpainters.telea: modified",)
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
