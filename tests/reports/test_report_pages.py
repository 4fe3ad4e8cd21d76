"""The whole page, made from a registry whose numbers are known."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from registry.indexing import Index
from registry.objects import ObjectStore
from registry.schema import PER_ITEM, connect, migrate_when_behind
from reports.pages import build

ROOT = Path(__file__).resolve().parents[2]
AXES = ["corpus", "degradation", "inpainter"]


@pytest.fixture(scope="module")
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def read(page: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(page.parent / "tables" / f"{name}.csv", keep_default_na=False, na_values=["NaN"])


def test_tables_hold_the_means_of_what_was_measured(page: Path, toy: Any) -> None:
    fidelity, captions = read(page, "fidelity"), read(page, "captions")
    assert len(fidelity) == 2 * 12 * 3 and len(captions) == 2 * 13
    for row in fidelity.to_dict("records"):
        where = [row[axis] for axis in AXES]
        for metric in ("mse", "ssim", "lpips"):
            assert row[metric] == pytest.approx(toy.mean(*where, metric, row["region"]), rel=1e-5)
    for row in captions.to_dict("records"):
        for metric in ("bleu_1", "bleu_4", "cider", "sbert"):
            assert row[metric] == pytest.approx(toy.mean(*(row[axis] for axis in AXES), metric, ""), rel=1e-5)
        assert row["n"] == len(toy.numbers[*(row[axis] for axis in AXES), "sbert", ""])


def test_the_page_shows_values_and_relative_changes(text: str, toy: Any) -> None:
    value = toy.mean("scenes", "blur", "diffusion", "sbert", "")
    change = 100 * (value - 0.8) / 0.8
    assert f"{value:.3f}<small>−{-change:.1f}%</small>" in text
    psnr = toy.mean("scenes", "blur", "diffusion", "psnr", "region")
    assert f"{psnr:.2f}<small>n 5</small>" in text, "PSNR of one picture is undefined"


def test_coincident_configurations_count_once_and_the_control_not_at_all(page: Path, text: str, toy: Any) -> None:
    correlations = read(page, "correlations").set_index(["corpus", "x", "y"])
    assert set(correlations["n"]) == {7}, "telea once, diffusion and patch three times each"
    names = [("centre", "telea"), *((d, i) for d in toy.params["degradations"] for i in ("diffusion", "patch"))]
    for x, y in (("mse", "cider"), ("lpips", "sbert"), ("psnr", "bleu_1")):
        a = [toy.mean("scenes", *n, x, "region") for n in names]
        b = [toy.mean("scenes", *n, y, "") for n in names]
        assert correlations.loc[("scenes", x, y), "pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-4)
    assert "telea (any)" in text and "That leaves 7 of 12 configurations." in text
    assert "must reach |r| = 0.754" in text, "df = 5: .754 in print"
    assert "Left out, because constant: SSIM, BLEU-4." in text


def test_honest_notes(text: str) -> None:
    for note in (
        "1 of 610 items failed",
        "out of memory &lt;b&gt;",
        "METEOR has no value in this study (it needs Java)",
        "sha256:0f0f0f0f0f0f…",
        "weights/small",
        "PSNR is undefined for 12 measurements",
        "as-is is a control",
        "2 × missing image",
        "5 test · 1 val",
    ):
        assert note in re.sub(r"\s+", " ", text), note


def test_captions_are_text(text: str, toy: Any) -> None:
    assert toy.script not in text
    assert "&lt;script&gt;document.title" in text
    assert text.count("<script>") == 1, "the page's own"


def test_nothing_is_fetched(text: str) -> None:
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:|tables/)", text)
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import", text)


def test_equal_registries_give_equal_bytes_whatever_the_hash_seed(toy: Any, page: Path, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"study": "toy"}))
    places = {"PALIMPSEST_REGISTRY": str(toy.engine.url), "PALIMPSEST_OBJECTS": str(toy.folder / "objects")}
    environment = {**os.environ, **places, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-m", "reports"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    again = Path(done.stdout.strip())
    assert again == tmp_path / "data" / "report" / "index.html"
    assert contents(again.parent) == contents(page.parent)


def test_a_registry_made_again_gives_equal_bytes(page: Path, toy_again: Any, tmp_path: Path) -> None:
    again = build(toy_again.engine, toy_again.objects, "toy", tmp_path / "report")
    assert contents(again.parent) == contents(page.parent)


def test_a_metric_measured_twice_is_shown_once_and_named(toy_again: Any, tmp_path: Path) -> None:
    """A second embedder measures ``sbert`` too: its values must not be mixed with those of the first."""
    for row in list(toy_again.rows["quality.semantic"]):
        key = toy_again.item("quality.zz", {"of": row["key"]}, {k: v for k, v in row.items() if k != "key"}, value={})
        toy_again.measurements.append((key, "sbert", "", PER_ITEM, 0.123))
    toy_again.index()
    page = build(toy_again.engine, toy_again.objects, "toy", tmp_path / "report")
    assert "sbert was measured in several ways: shown is quality.semantic, not quality.zz." in page.read_text()
    captions = read(page, "captions").set_index([*AXES])
    assert captions.loc[("photos", "", ""), "sbert"] == pytest.approx(0.8)
    assert "0.12" not in page.read_text().partition('id="gallery"')[2].partition('id="methods"')[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_lost_pictures_are_named_and_stop_nothing(toy: Any, tmp_path: Path) -> None:
    empty = ObjectStore(str(tmp_path / "objects"))
    assert "not in the object store" in build(toy.engine, empty, "toy", tmp_path / "report").read_text()


def test_an_unknown_study_comes_with_the_nearest_name(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no study 'toys'. Did you mean 'toy'"):
        build(toy.engine, toy.objects, "toys", tmp_path)


def test_a_study_without_results_still_makes_a_page(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'registry.db'}")
    migrate_when_behind(engine)
    with engine.begin() as connection:
        Index(connection, {}).study("bare", {"study": "bare"})
    page = build(engine, ObjectStore(str(tmp_path / "objects")), "bare", tmp_path / "report")
    assert "0 pictures of 0 corpora" in re.sub(r"\s+", " ", page.read_text())


def test_attention_is_drawn_by_layer(page: Path, text: str, toy: Any) -> None:
    """The toy's drift is its MSE inside the mask times the layer's number, a fifth of that outside."""
    drift = read(page, "attention").set_index(["corpus", "degradation", "inpainter", "metric", "region", "layer"])[
        "mean"
    ]
    mse = toy.mean("scenes", "blur", "diffusion", "mse", "region")
    assert drift["scenes", "blur", "diffusion", "tvd_even", "region", 2] == pytest.approx(2 * mse, rel=1e-5)
    assert drift["scenes", "blur", "diffusion", "tvd_even", "outside", 1] == pytest.approx(0.2 * mse, rel=1e-5)
    assert text.count("Where does tiny look?") == 2
    mean = np.mean([2 * toy.mean("scenes", name, "patch", "mse", "region") for name in toy.params["degradations"]])
    assert f"<title>patch: 0 in layer 1, {mean:.3g} in layer 3</title>" in text
    assert 'aria-label="Attention of tiny on scenes, inside the mask"' in text
    assert "Attention of tiny on scenes, whole picture" not in text, "not measured"


def test_main_numbers_and_curves_are_there_for_dvc(page: Path, toy: Any) -> None:
    numbers = json.loads((page.parent / "metrics.json").read_text())
    assert numbers["items"] == 610 and numbers["failed"] == 1
    found = numbers["scenes"]["blip"]
    assert found["originals"]["sbert"] == pytest.approx(toy.mean("scenes", "", "", "sbert", ""))
    correlations = read(page, "correlations").set_index(["corpus", "x", "y"])
    assert found["pearson"]["mse~cider"] == pytest.approx(
        correlations.loc[("scenes", "mse", "cider"), "pearson"], rel=1e-5
    )
    points = read(page, "points").query("corpus == 'scenes'")
    assert len(points) == 7
    assert np.corrcoef(points["mse"], points["cider"])[0, 1] == pytest.approx(found["pearson"]["mse~cider"], rel=1e-4)
    assert list(read(page, "drift").columns) == ["layer", "outside", "region"]


def test_the_papers_claims_are_asked_of_the_study(page: Path, text: str, toy: Any) -> None:
    """In the toy captions fall with the level of the repainting, which MSE follows; SSIM is constant."""
    findings = read(page, "findings").set_index(["claim", "corpus"])
    for claim in ("Lower MSE goes with better captions", "Lower LPIPS goes with better captions"):
        assert findings.loc[(claim, "scenes"), "verdict"] == "supported" and findings.loc[(claim, "scenes"), "n"] == 7
        assert claim in text
    assert findings.loc[("Attention drift grows with depth", "scenes"), "verdict"] == "undecidable", "not measured"
    assert findings.loc[("Attention drift sits inside the mask", "scenes"), "verdict"] == "supported"
    assert findings.loc[("Poor captions break the link", ""), "verdict"] == "undecidable", "two corpora"
    assert ("SSIM is unstable", "scenes") not in findings.index or findings.loc[
        ("SSIM is unstable", "scenes"), "verdict"
    ] == "undecidable"
