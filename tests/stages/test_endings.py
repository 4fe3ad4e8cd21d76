"""A signal at each level, from the command down to the stage: everything ends, is closed, and goes on where it was."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.conftest import SMALL, Checkout
from tests.stages.test_repro import items

SAMPLES = 90


@pytest.fixture
def slow(checkout: Callable[..., Checkout]) -> Checkout:
    """A checkout whose stage takes a while, in batches of two."""
    params = copy.deepcopy(SMALL)
    params["corpora"]["scenes"]["count"] = SAMPLES
    params["degradations"] = {"centre-mask": {"kind": "zero"}}
    params["inpainters"] = {"biharmonic": {"adapter": "biharmonic", "batch_size": 2}}
    one = checkout(params)
    one.repro("degrade")
    return one


def of_checkout(checkout: Checkout) -> list[psutil.Process]:
    """The processes that run in the checkout."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(checkout.path) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def level(checkout: Checkout, module: str) -> psutil.Process:
    return next(process for process in of_checkout(checkout) if module in process.cmdline())


@pytest.mark.parametrize(
    ("module", "number", "code"),
    [
        ("palimpsest", signal.SIGTERM, 128 + signal.SIGTERM),
        ("palimpsest", signal.SIGHUP, 128 + signal.SIGHUP),
        ("dvc", signal.SIGTERM, 256 - signal.SIGTERM),
        ("stages.inpaint", signal.SIGTERM, 255),
        ("stages.inpaint", signal.SIGINT, 255),
    ],
)
def test_a_signal_ends_all_and_the_next_repro_goes_on(slow, module, number, code):
    from mlflow import MlflowClient

    known = items(slow)
    started = slow.start("python", "-m", "palimpsest", "repro", "inpaint@biharmonic")
    deadline = time.monotonic() + 120
    while items(slow) < known + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    level(slow, module).send_signal(number)
    ended = started.wait(60)
    psutil.wait_procs(of_checkout(slow), 30)
    assert of_checkout(slow) == []
    assert ended == code
    remembered = items(slow) - known
    assert 2 <= remembered < SAMPLES, "it was not ended in the middle"
    client = MlflowClient(f"sqlite:///{slow.path}/.palimpsest/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    assert client.search_runs(experiments, "attributes.status = 'RUNNING'") == []
    killed = client.search_runs(experiments, "attributes.status = 'KILLED'")
    assert [run.data.tags["dvc.stage"] for run in killed] == ["inpaint@biharmonic"]

    slow.run("python", "-m", "palimpsest", "repro", "inpaint@biharmonic")
    link = slow.link("inpaint@biharmonic")
    assert (link["computed"], link["failed"]) == (SAMPLES - remembered, 0)
    assert client.get_run(link["mlflow_run_id"]).data.tags["palimpsest.resumes"] == killed[0].info.run_id
