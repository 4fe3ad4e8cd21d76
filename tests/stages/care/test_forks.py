"""Stages that are forks of one process leave what `dvc repro` leaves."""

import sys

import yaml

from tests.conftest import Checkout

REPRO = (sys.executable, "-m", "stages.care.repro")


def locked(one: Checkout) -> dict:
    """What dvc.lock says, but for the files that hold times and run ids."""
    stages = yaml.safe_load((one.path / "dvc.lock").read_text())["stages"]
    for stage in stages.values():
        stage["outs"] = [out for out in stage["outs"] if not out["path"].startswith(("data/runs", "data/provenance"))]
    return stages


def test_forked_stages_leave_what_dvc_leaves(checkout):
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    one, other = checkout(), checkout()
    done = one.run(*REPRO, "inpaint@identity", "inpaint@telea")
    other.repro("inpaint@identity", "inpaint@telea")
    assert locked(one) == locked(other)
    assert one.digests() == other.digests()
    written = (one.path / "dvc.lock").read_text()
    assert written == dumps_yaml(parse_yaml_for_update(written, "dvc.lock")), "byte for byte as DVC writes it"
    assert "Running stage 'inpaint@telea'" in done.stdout
    assert "didn't change, skipping" in one.run(*REPRO, "inpaint@telea").stdout

    one.edit(lambda params: params["inpainters"]["telea"].update(radius=-1))
    failed = one.run(*REPRO, "inpaint@telea", check=False)
    assert failed.returncode == other.run("dvc", "repro", "nothing", check=False).returncode == 255
    assert "radius" in failed.stderr
    assert "Traceback" not in failed.stderr
