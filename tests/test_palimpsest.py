"""The front door: light, documented, and plain about what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from models.media.images import encode_png
from models.pocket import WEIGHTS
from palimpsest import app
from tests.imports import ROOT

runner = CliRunner()


def test_help_imports_nothing_heavy():
    code = "import palimpsest, sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "diffusers", "mlflow", "sqlalchemy", "pandas", "numpy"} & set(loaded)


def commands(group: Any, *name: str) -> list[list[str]]:
    found = []
    for each in group.commands.values():
        found += commands(each, *name, each.name) if hasattr(each, "commands") else [[*name, each.name]]
    return found


@pytest.mark.parametrize("command", commands(get_command(app)), ids=" ".join)
def test_every_command_has_help_and_is_in_the_readme(command):
    shown = runner.invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"palimpsest {' '.join(command)}" in (ROOT / "README.md").read_text()


@pytest.fixture
def files(tmp_path):
    """Two captions with references, and two pictures that differ in one corner."""
    (tmp_path / "res.json").write_text(json.dumps({"1": ["a cat on a mat"], "2": ["two dogs run"]}))
    (tmp_path / "gts.json").write_text(json.dumps({"1": ["a cat on a mat", "a cat"], "2": ["two dogs", "dogs run"]}))
    picture = np.full((32, 32, 3), 128, np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(picture))
    picture[:8, :8] = 255
    (tmp_path / "b.png").write_bytes(encode_png(picture))
    mask = np.zeros((32, 32), bool)
    mask[:8, :8] = True
    (tmp_path / "mask.png").write_bytes(encode_png(mask))
    return tmp_path


@pytest.mark.parametrize("metrics", ["bleu,cider", "bleu --metrics cider", "bleu cider"])
def test_captions_are_scored_as_pycocoevalcap_does(files, metrics):
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider

    options = ["--tokenizer", "none", "--metrics", *metrics.split()]
    done = runner.invoke(app, ["score", "captions", str(files / "res.json"), str(files / "gts.json"), *options])
    scores = json.loads(done.stdout)
    res, gts = (json.loads((files / name).read_text()) for name in ("res.json", "gts.json"))
    bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
    cider, ciders = Cider().compute_score(gts, res)
    assert [scores["corpus"][f"bleu_{n}"] for n in (1, 2, 3, 4)] == pytest.approx(bleu, abs=1e-9)
    assert scores["corpus"]["cider"] == pytest.approx(cider, abs=1e-9)
    assert [scores["items"][key]["cider"] for key in gts] == pytest.approx(list(ciders), abs=1e-9)


def test_pictures_are_compared_on_both_sides_of_a_mask(files):
    pictures = [str(files / name) for name in ("a.png", "b.png")]
    options = ["--mask", str(files / "mask.png"), "--weights", str(WEIGHTS / "squeezenet")]
    scores = json.loads(runner.invoke(app, ["score", "images", *pictures, *options]).stdout)
    assert scores["mse"] == pytest.approx({"region": (127 / 255) ** 2, "outside": 0, "whole": (127 / 255) ** 2 / 16})
    assert "lpips" not in scores, "no published numbers are meant by our own trunk"
    assert scores["pocket_lpips"]["region"] > scores["pocket_lpips"]["outside"] >= 0


def test_no_model_scores_that_was_not_named(files):
    captions = ["score", "captions", str(files / "res.json"), str(files / "gts.json"), "--tokenizer", "none"]
    scores = json.loads(runner.invoke(app, [*captions, "--metrics", "rouge_l,sbert"]).stdout)
    assert scores["corpus"].keys() == {"rouge_l"} and "--embedder" in scores["unavailable"]["sbert"]
    named = json.loads(
        runner.invoke(app, [*captions, "--metrics", "sbert", "--embedder", str(WEIGHTS / "sbert")]).stdout
    )
    assert named["corpus"].keys() == named["items"]["1"].keys() == {"pocket_sbert"}
    images = ["score", "images", str(files / "a.png"), str(files / "b.png")]
    compared = json.loads(runner.invoke(app, images).stdout)
    assert compared.keys() == {"mse", "psnr", "ssim", "unavailable"} and "--weights" in compared["unavailable"]["lpips"]


def test_captions_of_one_id_twice_are_refused(files):
    (files / "res.json").write_text('{"1": ["a cat"], "2": ["two dogs run"], "1": ["a dog"]}')
    done = runner.invoke(app, ["score", "captions", str(files / "res.json"), str(files / "gts.json")])
    assert done.exit_code == 2 and 'an object has "1" twice' in done.stderr


def test_corpora_are_listed_with_what_is_missing_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    done = runner.invoke(app, ["corpora", "scenes", "dci", "--path", "."])
    assert done.exit_code == 0
    scenes, dci = done.stdout.split("\n\n")
    assert scenes.splitlines()[0] == "scenes"
    assert dci.splitlines()[0] == "dci"
    assert "  licence  annotations CC BY-NC 4.0;" in dci
    assert dci.splitlines()[-2:] == ["  needs    annotations, photos", "  here     .: missing: annotations"]
    listed = json.loads(runner.invoke(app, ["corpora", "--json"]).stdout)
    assert {"corpus", "about", "where", "licence", "needs", "uses"} == set(listed[0])


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["score", "captions", "res.json", "gts.json", "--metrics", "blue"], 'no metric "blue"; did you mean "bleu"'),
        (["score", "captions", "a.png", "gts.json"], "a.png is not UTF-8"),
        (["score", "images", "a.png", "res.json"], "res.json is no picture"),
        (["score", "images", "a.png", "missing.png"], "missing.png"),
        (["train", "blib"], 'no recipe "blib"; did you mean "blip"'),
        (["corpora", "refcoco"], 'no corpus "refcoco"; did you mean "refcocog"'),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(files, monkeypatch, command, sentence):
    monkeypatch.chdir(files)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{files}/mlflow.db")
    (files / "dvc.yaml").touch()
    done = runner.invoke(app, command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_study_stops_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    params = (ROOT / "params.yaml").read_text()
    for right, wrong, sentence in [
        ("inpainters:", "inpainter:", 'no setting of params.yaml "inpainter"; did you mean "inpainters"'),
        ("adapter: telea", "adapter: telae", 'did you mean "telea"'),
        ("kind: blur", "kind: blurr", 'did you mean "blur"'),
        ("count: 8", "count: -1", '"count" of'),
        ("adapter: scenes", "adapter: scene", 'did you mean "scenes"'),
    ]:
        (tmp_path / "params.yaml").write_text(params.replace(right, wrong))
        done = runner.invoke(app, ["repro"])
        assert done.exit_code == 2, wrong
        assert sentence in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "params.yaml"]


def test_the_version_is_said(monkeypatch):
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0 and done.stdout.startswith("palimpsest 0.1.0")


def test_the_help_of_train_names_what_can_be_trained():
    from models.training import RECIPES

    shown = " ".join(runner.invoke(app, ["train", "--help"], env={"COLUMNS": "400"}).stdout.split())
    assert ", ".join(RECIPES) in shown


def test_captions_come_as_coco_has_them_or_as_plain_texts(files):
    res, gts = (json.loads((files / name).read_text()) for name in ("res.json", "gts.json"))
    listed = [{"image_id": int(key), "caption": texts[0]} for key, texts in res.items()]
    said = [{"id": 7, "image_id": int(key), "caption": text} for key, texts in gts.items() for text in texts]
    forms = {
        "as it was": (res, gts),
        "COCO": (listed, {"images": [], "annotations": said}),
        "plain": ({key: texts[0] for key, texts in res.items()}, gts),
    }
    scores = []
    for one, other in forms.values():
        (files / "one.json").write_text(json.dumps(one))
        (files / "other.json").write_text(json.dumps(other))
        options = ["--tokenizer", "none", "--metrics", "rouge_l"]
        captions = ["score", "captions", str(files / "one.json"), str(files / "other.json"), *options]
        scores.append(json.loads(runner.invoke(app, captions).stdout))
    assert scores[0] == scores[1] == scores[2]
    (files / "one.json").write_text('[{"caption": "a cat"}]')
    done = runner.invoke(app, ["score", "captions", str(files / "one.json"), str(files / "gts.json")])
    assert done.exit_code == 2 and "entry 1 of a list of captions" in done.stderr
