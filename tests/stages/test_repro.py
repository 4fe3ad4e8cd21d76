"""The one loop's promises, kept by the real DVC, MLflow and SQLite in a checkout of its own."""

from __future__ import annotations

import copy
import json
import os
import signal
import sqlite3
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from registry.store.keys import canonical
from tests.conftest import SMALL, Checkout

SAMPLES, DEGRADATIONS, INPAINTERS = 6, 2, 2


def items(checkout: Checkout) -> int:
    """How many items the checkout's registry holds."""
    with sqlite3.connect(checkout.path / ".palimpsest/registry.db") as database:
        return database.execute("SELECT count(*) FROM item").fetchone()[0]


def tables(checkout: Checkout) -> dict[str, list[tuple]]:
    """Every table of the registry, row for row, with row ids replaced by what they stand for."""
    queries = {
        "item": "SELECT key, kind, status, reason, value, object, parts, run_id FROM item",
        "parent": """SELECT a.key, b.key FROM parent JOIN item a ON a.id = item_id JOIN item b ON b.id = parent_id""",
        "run": "SELECT * FROM run",
        "corpus": "SELECT name, settings, problems FROM corpus",
        "sample": "SELECT corpus.name, sample.name, split, width, height, annotations FROM sample JOIN corpus"
        " ON corpus.id = corpus_id",
        "reference": "SELECT sample.name, position, text FROM reference JOIN sample ON sample.id = sample_id",
        "model": "SELECT role, name, digest, settings FROM model",
        "configuration": "SELECT digest, degradation, inpainter, captioner, settings FROM configuration",
        "placement": """SELECT placement.kind, sample.name, configuration.digest, item.key FROM placement
            JOIN sample ON sample.id = sample_id JOIN configuration ON configuration.id = configuration_id
            JOIN item ON item.id = item_id""",
        "measurement": "SELECT item.key, metric, region, layer, measurement.value FROM measurement"
        " JOIN item ON item.id = item_id",
        "summary": "SELECT corpus.name, configuration.digest, metric, value, items FROM summary JOIN corpus"
        " ON corpus.id = corpus_id JOIN configuration ON configuration.id = configuration_id",
        "cell": "SELECT study.name, corpus.name, configuration.digest FROM cell JOIN study ON study.id = study_id"
        " JOIN corpus ON corpus.id = corpus_id JOIN configuration ON configuration.id = configuration_id",
    }
    with sqlite3.connect(checkout.path / ".palimpsest/registry.db") as database:
        found = {name: [tuple(map(parsed, row)) for row in database.execute(query)] for name, query in queries.items()}
    return {name: sorted(rows, key=canonical) for name, rows in found.items()}


def parsed(value: Any) -> Any:
    """A database value, with JSON as what it means."""
    return json.loads(value) if isinstance(value, str) and value.startswith(("[", "{")) else value


def compare_in_mlflow(checkout: Checkout) -> None:
    """What a person finds in the UI: a run a cell and nothing else, axes to compare by, a sheet to look at."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{checkout.path}/.palimpsest/mlflow.db")
    experiments = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    assert experiments.keys() == {"small", "small/stages"}
    cells = client.search_runs(experiments["small"])
    assert not any("mlflow.parentRunId" in run.data.tags for run in cells)
    grid = {(run.data.params["degradation"], run.data.params["inpainter"]) for run in cells}
    assert grid == {("none", "none"), *((d, i) for d in ("centre-mask", "blur") for i in ("identity", "telea"))}
    assert len(cells) == 1 + DEGRADATIONS * INPAINTERS
    for run in cells:
        assert {"bleu_4", "cider", "corpus_bleu_4"} <= run.data.metrics.keys()
        assert ("mse_region" in run.data.metrics) == (run.data.params["degradation"] != "none")
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["sheet.png"]
    report = (checkout.path / "data/report/index.html").read_text()
    link = report.partition(">Compare these cells in MLflow</a>")[0].rpartition("<a ")[2]
    assert all(run.info.run_id in link for run in cells)
    stages = client.search_runs(experiments["small/stages"])
    parents = {run.data.tags["dvc.stage"] for run in stages if "mlflow.parentRunId" not in run.data.tags}
    assert parents >= {"prepare@scenes", "degrade", "inpaint@telea", "caption@blip", "quality@lexical"}
    assert {run.info.status for run in (*cells, *stages)} == {"FINISHED"}


def one_at_a_time() -> dict[str, Any]:
    """The small study in batches of one item."""
    params = copy.deepcopy(SMALL)
    for section in ("inpainters", "captioners", "encoders", "fidelity"):
        for entry in params[section].values():
            entry["batch_size"] = 1
    return params


def test_the_whole_study_and_again(checkout):
    """From an image to a report; then nothing twice, a lost registry comes back row for row, and another checkout makes
    the same bytes, whatever the size of its batches."""
    one = checkout()
    one.repro()
    captions = SAMPLES * (1 + DEGRADATIONS * INPAINTERS)
    assert one.counts("prepare@scenes") == (0, SAMPLES)
    assert one.counts("degrade") == (0, SAMPLES * DEGRADATIONS)
    assert one.counts("inpaint@identity") == (0, SAMPLES * DEGRADATIONS)
    # Telea cannot see under the mask: both degradations of a sample are one item, computed once.
    telea = one.link("inpaint@telea")
    assert (telea["items"], telea["computed"]) == (SAMPLES * DEGRADATIONS, SAMPLES)
    assert one.link("caption@blip")["items"] == captions
    assert one.link("quality@lexical")["items"] == captions + 1 + DEGRADATIONS * INPAINTERS
    assert (one.path / "data/report/index.html").stat().st_size > 1000

    compare_in_mlflow(one)

    before, links = one.digests(), {stage: one.link(stage) for stage in ("inpaint@telea", "caption@blip")}
    assert "up to date" in one.repro()
    assert {stage: one.link(stage) for stage in links} == links

    one.repro("--force", "--no-run-cache")
    for path in (one.path / "data/runs").glob("*.json"):
        link = one.link(path.stem)
        assert (link["recalled"], link["computed"]) == (link["items"], 0), path.stem
    assert one.digests() == before

    known = tables(one)
    assert all(known[name] for name in known), "every table should hold something"
    for file in (one.path / ".palimpsest").glob("registry.db*"):
        file.unlink()
    one.run("palimpsest", "registry", "sync")
    assert tables(one) == known

    two = checkout(one_at_a_time(), name="again")
    two.repro()
    assert two.digests() == before


def test_a_parameter_there_and_back(checkout):
    one = checkout()
    one.repro("inpaint@telea")
    before = one.digests()
    one.edit(lambda params: params["inpainters"]["telea"].update(radius=7))
    one.repro("inpaint@telea")
    assert one.link("inpaint@telea")["computed"] == SAMPLES
    assert one.digests() != before
    one.edit(lambda params: params["inpainters"]["telea"].pop("radius"))
    assert "is cached - skipping run, checking out outputs" in one.repro("inpaint@telea")
    assert one.digests() == before
    one.repro("inpaint@telea", "--force", "--no-run-cache")
    assert one.counts("inpaint@telea") == (SAMPLES * DEGRADATIONS, 0)


@pytest.fixture
def photographs(tmp_path):
    """A folder of five small pictures with captions, as a user would bring it."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = ["file,caption"]
    for number in range(5):
        Image.fromarray(generator.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,picture number {number}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_one_changed_picture_recomputes_what_depends_on_it(checkout, photographs):
    params = copy.deepcopy(SMALL)
    params["corpora"] = {"mine": {"adapter": "folder", "path": str(photographs)}}
    one = checkout(params)
    one.repro("fidelity")
    Image.new("RGB", (32, 32), "red").save(photographs / "3.png")
    one.repro("fidelity")
    assert one.counts("prepare@mine") == (4, 1)
    assert one.counts("degrade") == (4 * DEGRADATIONS, DEGRADATIONS)
    assert one.counts("inpaint@identity") == (4 * DEGRADATIONS, DEGRADATIONS)
    assert one.link("inpaint@telea")["computed"] == 1


def test_a_killed_stage_resumes_and_loses_at_most_one_batch(checkout):
    params = copy.deepcopy(SMALL)
    params["corpora"]["scenes"]["count"] = 60
    params["inpainters"] = {"biharmonic": {"adapter": "biharmonic", "batch_size": 4}}
    one = checkout(params)
    one.repro("degrade")
    known = items(one)
    process = one.start("dvc", "repro", "inpaint@biharmonic")
    deadline = time.monotonic() + 120
    while items(one) < known + 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    remembered = items(one) - known
    assert 12 <= remembered < 60, "the stage was not killed in the middle"
    assert not (one.path / "data/inpaint/biharmonic").exists(), "nothing partial is taken for complete"
    one.repro("inpaint@biharmonic")
    link = one.link("inpaint@biharmonic")
    assert (link["computed"], link["failed"]) == (60 - remembered, 0)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{one.path}/.palimpsest/mlflow.db")
    run = client.get_run(link["mlflow_run_id"])
    assert client.get_run(run.data.tags["palimpsest.resumes"]).info.status == "KILLED"


def test_a_bad_picture_fails_alone(checkout, photographs):
    data = (photographs / "2.png").read_bytes()
    (photographs / "2.png").write_bytes(data[: len(data) // 2])
    params = copy.deepcopy(SMALL)
    params["corpora"] = {"mine": {"adapter": "folder", "path": str(photographs)}}
    one = checkout(params)
    one.repro("inpaint@telea")
    link = one.link("prepare@mine")
    assert link["failed"] + sum(link["problems"].values()) == 1
    assert one.link("inpaint@telea")["computed"] == 4
    strict = one.run("palimpsest", "repro", "--strict", "inpaint@telea", check=False)
    assert strict.returncode == 1


def test_a_second_repro_at_the_same_time_is_turned_away(checkout):
    one = checkout()
    first = one.start("dvc", "repro", "degrade")
    lock = one.path / ".dvc/tmp/rwlock"
    while not (lock.exists() and "prepare" in lock.read_text()) and first.poll() is None:
        time.sleep(0.05)
    second = one.run("dvc", "repro", "degrade", check=False)
    assert second.returncode != 0
    assert "lock" in second.stderr
    assert first.wait() == 0
    assert one.link("degrade")["failed"] == 0


def test_no_name_reaches_the_shell(checkout):
    """`palimpsest repro` refuses such a name; DVC alone does not, and runs the stage."""
    params = copy.deepcopy(SMALL)
    params["corpora"] = {"a'; touch taken; '$(touch too)": params["corpora"]["scenes"]}
    one = checkout(params)
    done = one.run("dvc", "repro", f"prepare@{next(iter(params['corpora']))}", check=False)
    assert done.returncode != 0
    assert "should match pattern" in done.stderr
    assert not {"taken", "too"} & {path.name for path in one.path.iterdir()}


def test_sections_without_entries_work_through_to_the_report(checkout):
    """Later stages depend on the folders of earlier ones, which nobody makes where nothing is asked for."""
    params = copy.deepcopy(SMALL) | {"encoders": {}, "quality": {}, "captioners": {}}
    params["corpora"]["scenes"]["count"] = 2
    params["inpainters"] = {"telea": {"adapter": "telea"}}
    one = checkout(params)
    one.run("palimpsest", "repro")
    assert (one.path / "data/report/index.html").stat().st_size > 1000
