"""A signal at each level, from the command down to the stage: everything ends, is closed, and goes on where it was."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from tests.conftest import ROOT, SMALL, Checkout
from tests.stages.test_repro import items

SAMPLES = 120
COMMAND, DVC, STAGE = 0, 1, -1


@pytest.fixture
def slow(checkout: Callable[..., Checkout]) -> Checkout:
    """A checkout whose stage takes a while, one by one."""
    params = copy.deepcopy(SMALL)
    params["corpora"]["scenes"]["count"] = SAMPLES
    params["degradations"] = {"centre-mask": {"kind": "zero"}}
    params["inpainters"] = {"biharmonic": {"adapter": "biharmonic", "batch_size": 1}}
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


def commanded(process: psutil.Process) -> str:
    """The command line of a process; empty where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def levels(command: int) -> list[psutil.Process]:
    """A command, DVC that it runs, what that runs, and so on to the stage."""
    found = [psutil.Process(command)]
    while below := found[-1].children():
        found += below[:1]
    return found


@pytest.mark.parametrize(
    ("level", "number", "code"),
    [
        (COMMAND, signal.SIGTERM, 128 + signal.SIGTERM),
        (COMMAND, signal.SIGHUP, 128 + signal.SIGHUP),
        (DVC, signal.SIGTERM, 256 - signal.SIGTERM),
        (STAGE, signal.SIGTERM, 255),
        (STAGE, signal.SIGINT, 255),
    ],
)
def test_a_signal_ends_all_and_the_next_repro_goes_on(slow, level, number, code):
    from mlflow import MlflowClient

    known = items(slow)
    started = slow.start("python", "-m", "palimpsest", "repro", "inpaint@biharmonic")
    deadline = time.monotonic() + 120
    while items(slow) < known + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    levels(started.pid)[level].send_signal(number)
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


def test_the_page_of_runs_ends_with_its_command(checkout):
    one = checkout()
    started = one.start("python", "-m", "palimpsest", "ui", "--port", "0")
    deadline = time.monotonic() + 120
    while not any("mlflow" in commanded(process) for process in of_checkout(one)) and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGTERM)
    assert started.wait(60) == 128 + signal.SIGTERM
    psutil.wait_procs(of_checkout(one), 30)
    assert of_checkout(one) == []


ENDING = """
import os, signal, threading, time
from stages.engine.loop import command

def main():
    threading.Thread(target=time.sleep, args=(300,)).start()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except SystemExit:
        raise SystemExit(1) from None

command(main)
"""


def test_a_stage_that_is_told_to_end_waits_for_no_thread_and_says_by_what(tmp_path):
    """Threads may be at a bucket that does not answer; Ray raises another ``SystemExit`` in place of ours."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", ENDING], cwd=tmp_path, env=environment, timeout=120, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
