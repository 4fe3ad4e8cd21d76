"""The numbers of the pages, made from a registry whose numbers are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.store.schema import PER_ITEM
from reports.asking.sources import STUDY, asked_and_usual, study_table, study_values
from reports.asking.study import Study
from reports.chapters.inpainting import of_study
from reports.report import build
from reports.site.latex import latex
from reports.statistics.analysis import correlate
from tests.reports.conftest import SAMPLES, Toy
from tests.reports.site.conftest import read

AXES = ["corpus", "degradation", "inpainter"]


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


def test_the_page_shows_values_and_relative_changes(scenes: str, toy: Any) -> None:
    value = toy.mean("scenes", "blur", "diffusion", "sbert", "")
    change = 100 * (value - 0.8) / 0.8
    assert f"{value:.3f}<small>−{-change:.1f}%</small>" in scenes
    psnr = toy.mean("scenes", "blur", "diffusion", "psnr", "region")
    assert f"{psnr:.2f}<small>n 5</small>" in scenes, "PSNR of one picture is undefined"


def test_coincident_configurations_count_once_and_the_control_not_at_all(page: Path, scenes: str, toy: Any) -> None:
    correlations = read(page, "correlations").set_index(["corpus", "x", "y"])
    assert set(correlations["n"]) == {7}, "telea once, diffusion and patch three times each"
    names = [("centre", "telea"), *((d, i) for d in toy.params["degradations"] for i in ("diffusion", "patch"))]
    for x, y in (("mse", "cider"), ("lpips", "sbert"), ("psnr", "bleu_1")):
        a, b = toy.effects("scenes", names, x, "region"), toy.effects("scenes", names, y, "")
        assert correlations.loc[("scenes", x, y), "pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-4)
    assert "telea (any)" in scenes and "That leaves 7 of 12 configurations." in scenes
    assert set(correlations["families"]) == {3} and set(correlations["decided"]) == {False}
    assert all(7 / (19 / 7) - 1e-6 <= n <= 7 for n in correlations["effective_n"])
    why = "3 families are too few to say anything of new ones; 4 or more are needed"
    assert set(correlations["caveat"]) == {why} and f"No interval: {why}." in " ".join(scenes.split())
    assert "Left out, because constant: SSIM, BLEU-4." in scenes


def test_undefined_values_are_compared_on_the_same_pictures(tmp_path: Path) -> None:
    """A configuration that is perfect in a picture, whose PSNR is undefined then, is not the worse for it."""
    toy = Toy(tmp_path)
    for sample in SAMPLES["scenes"]:
        toy.sample({"corpus": "scenes", "sample": sample}, "a red circle")
    perfect = {"corpus": "scenes", "degradation": "blur", "inpainter": "diffusion", "sample": "s1"}
    [item] = [row["key"] for row in toy.rows["fidelity.pixel"] if row.items() >= perfect.items()]
    known = {row[:4]: row[4] for row in toy.measurements}
    assert known[item, "psnr", "region", PER_ITEM] is not None
    toy.measurements = [(*row, None if row[:2] == (item, "psnr") else value) for row, value in known.items()]
    toy.index()
    folder = build(toy.engine, toy.objects, "toy", tmp_path / "report").parent
    rows = pd.read_csv(folder / "tables" / "fidelity.csv", keep_default_na=False, na_values=[""])
    rows = rows[rows["region"] == "region"].set_index(["degradation", "inpainter"])
    assert rows["n_psnr"].value_counts().to_dict() == {4: 11, 3: 1}, "one picture failed"
    assert (rows["n_mse"] == rows["n"]).all()
    for names in configurations(toy):
        values = toy.values["scenes", *names, "psnr", "region"]
        both = [values[sample] for sample in ("s2", "s3", "s4", "s5") if sample in values]
        assert rows.loc[names, "psnr"] == pytest.approx(np.mean(both), rel=1e-5)
    points = pd.read_csv(folder / "tables" / "points.csv").set_index(["degradation", "inpainter"])
    assert points["psnr"].to_dict() == pytest.approx(rows.loc[points.index, "psnr"].to_dict())


def test_tables_are_there_as_latex_with_the_best_in_bold(page: Path, scenes: str, toy: Any) -> None:
    file = re.search(r'href="tables/(fidelity-scenes-inside[^"]+)"', scenes)[1]
    lines = (page.parent / "tables" / file).read_text().splitlines()
    head, *rows = [line.removesuffix(r" \\").split(" & ") for line in lines if " & " in line]
    assert head[:3] == ["inpainter", "degradation", r"MSE $\downarrow$"]
    assert {len(row) for row in rows} == {len(head)} and len(rows) == 10, "telea's three are one"
    assert lines[0] == rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}"
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\bottomrule"]
    best = min(toy.mean("scenes", d, i, "mse", "region") for d, i in configurations(toy))
    assert [row[2] for row in rows if "textbf" in row[2]][0] == rf"\textbf{{{best:.4f}}}"
    assert [row[0] for row in rows[:4]] == ["telea", "diffusion", "", ""], "a name stands once"


def configurations(toy: Any) -> list[tuple[str, str]]:
    return [(d, i) for d in toy.params["degradations"] for i in toy.params["inpainters"]]


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_any_name_is_text_in_latex(name: str) -> None:
    """No special character of TeX is left that it did not have a backslash before or a command around."""
    text = latex(pd.DataFrame({"a": ["1"]}, index=pd.Index([name], name="name")))
    row = next(line for line in text.splitlines() if line.endswith(r" & 1 \\"))
    shown = re.sub(
        r"\\text\w+(\\space)?|\$\\?[\w-]+\$|\\[&%$#_{}]|\\(dots|checkmark)\{\}", "", row.removesuffix(r" & 1 \\")
    )
    assert not re.search(r"[&%$#_~^\\]", shown)


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
    assert "0.12" not in (page.parent / "gallery.html").read_text().partition("<body>")[2].partition("<script>")[0]


def test_attention_is_drawn_by_layer(page: Path, scenes: str, toy: Any) -> None:
    """The toy's drift is its MSE inside the mask times the layer's number, a fifth of that outside."""
    drift = read(page, "attention").set_index(["corpus", "degradation", "inpainter", "metric", "region", "layer"])[
        "mean"
    ]
    mse = toy.mean("scenes", "blur", "diffusion", "mse", "region")
    assert drift["scenes", "blur", "diffusion", "tvd_even", "region", 2] == pytest.approx(2 * mse, rel=1e-5)
    assert drift["scenes", "blur", "diffusion", "tvd_even", "outside", 1] == pytest.approx(0.2 * mse, rel=1e-5)
    assert scenes.count("Where does tiny look?") == 1
    mean = np.mean([2 * toy.mean("scenes", name, "patch", "mse", "region") for name in toy.params["degradations"]])
    assert f"<title>patch: 0 in layer 1, {mean:.3g} in layer 3</title>" in scenes
    assert 'aria-label="Attention of tiny on scenes, inside the mask"' in scenes
    assert "Attention of tiny on scenes, whole picture" not in scenes, "not measured"


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
    for point in points.itertuples():
        mean = toy.mean("scenes", point.degradation, point.inpainter, "mse", "region")
        assert point.mse == pytest.approx(mean, rel=1e-5)
    names = list(zip(points["degradation"], points["inpainter"], strict=True))
    a, b = toy.effects("scenes", names, "mse", "region"), toy.effects("scenes", names, "cider", "")
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(found["pearson"]["mse~cider"], rel=1e-4)
    assert list(read(page, "drift").columns) == ["layer", "outside", "region"]


def test_the_papers_claims_are_asked_of_the_study(page: Path, text: str, toy: Any) -> None:
    """In the toy captions fall with the level of the repainting, which MSE follows; SSIM is constant."""
    findings = read(page, "findings").set_index(["claim", "corpus"])
    for claim in ("Lower MSE goes with better captions", "Lower LPIPS goes with better captions"):
        found = findings.loc[(claim, "scenes")]
        assert (found["verdict"], found["n"], int(found["families"])) == ("undecidable", 7, 3)
        assert claim in text
    assert re.search(r"Lower LPIPS goes with better captions[^:.]*: 3 families are too few to say anything", text)
    assert findings.loc[("Attention drift grows with depth", "scenes"), "verdict"] == "undecidable", "not measured"
    inside = findings.loc[("Attention drift sits inside the mask", "scenes")]
    assert inside["verdict"] == "undecidable" and "more inside in 2 of 3 layers" in inside["of"], "none in the first"
    assert findings.loc[("Lower MSE goes with better captions", "scenes"), "kind"] == "natural images"
    assert "Claims of which this study has nothing to say" in text and "Guidance stops helping at 7 to 7.5" in text
    assert findings.loc[("Poor captions break the link", ""), "verdict"] == "undecidable", "two corpora"
    assert ("SSIM is unstable", "scenes") not in findings.index or findings.loc[
        ("SSIM is unstable", "scenes"), "verdict"
    ] == "undecidable"


def test_the_answer_in_numbers_is_what_correlate_says(text: str, toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one corpus that is its own correlation; where there are several, ``correlate STUDY`` has their mean first."""
    with toy.engine.connect() as connection:
        study = Study(connection, toy.objects, "toy")
        rows = study_values(study, *asked_and_usual(study))
        frame, xs, ys = study_table(study, rows, [], ["sbert"])
        found = {one.x: one for one in correlate(frame, xs, ys, STUDY)}
    shown = re.search(r"LPIPS <span[^>]*>↓</span></th>\s*<td>(.*?)</td>", text)[1]
    assert f"{found['lpips'].pearson:+.2f}".replace("-", "−") in shown
    over = [
        one for one in study_findings(toy) if one.claim == "Lower LPIPS goes with better captions" and not one.corpus
    ]
    assert [one.estimate.value for one in over] == [pytest.approx(found["lpips"].pearson)]


def study_findings(toy: Any) -> list[Any]:
    with toy.engine.connect() as connection:
        return of_study(Study(connection, toy.objects, "toy"))


def test_a_claim_that_something_fails_is_answered_in_words(text: str) -> None:
    """A cross beside r = +.83 under "SSIM is unstable" would read as if something were wrong with .83."""
    judged = re.findall(r'<span class="(supported|refuted|open)" title="[^"]*">(\w+) ', text)
    assert judged and set(judged) <= {("supported", "yes"), ("refuted", "no"), ("open", "open")}
