"""``palimpsest ablate`` over a CSV file and over a study, against pingouin and against what the toy study was given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from palimpsest import app
from reports.asking.factors import Ablations, ablations, entering, study_rows
from reports.asking.sources import study_values
from reports.asking.study import Study
from reports.chapters.ablations import effects_table, interactions_table
from reports.figures.forest import parts
from reports.statistics.effects import paired_effects, together

runner = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        (f"p{image}", inpainter, degradation, rng.normal() + i - 0.5 * d + (i == d == 2))
        for image in range(8)
        for i, inpainter in enumerate(["sd2", "sd3", "telea"])
        for d, degradation in enumerate(["blur", "zero"])
    ]
    pd.DataFrame(rows, columns=["image", "inpainter", "degradation", "sbert"]).to_csv(tmp_path / "s.csv", index=False)
    return tmp_path / "s.csv"


@pytest.fixture
def registry(toy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", str(toy.engine.url))
    return toy


def ablated(*arguments: str) -> dict:
    done = runner.invoke(app, ["ablate", *arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_one_factor_of_a_table_is_pingouins_pairwise_tests(table: Path) -> None:
    found = ablated(str(table), "--factor", "inpainter", "--value", "sbert", "--item", "image")
    theirs = pingouin.pairwise_tests(
        pd.read_csv(table), dv="sbert", within="inpainter", subject="image", padjust="holm"
    )
    assert [(one["level"], one["other"]) for one in found["effects"]] == list(
        zip(theirs["A"], theirs["B"], strict=True)
    )
    p = "p_unc" if "p_unc" in theirs else "p-unc"
    assert [one["p"] for one in found["effects"]] == pytest.approx(list(theirs[p]))
    assert [one["p_holm"] for one in found["effects"]] == pytest.approx(list(theirs[p.replace("unc", "corr")]))
    assert [one["d"] for one in found["effects"]] == pytest.approx(list(theirs["T"] / np.sqrt(8)))
    assert found["interactions"] == []
    assert found["tests"] == 3


def test_several_factors_are_corrected_together(table: Path) -> None:
    found = ablated(str(table), "--factor", "inpainter,degradation", "--value", "sbert", "--item", "image")
    tests = [*found["effects"], *found["interactions"]]
    assert found["tests"] == len(tests) == 3 + 1 + 6
    holm = multipletests([one["p"] for one in tests], method="holm")[1]
    assert [one["p_holm"] for one in tests] == pytest.approx(list(holm))
    assert found["interactions"][0]["levels"] == {"inpainter": "sd2", "degradation": "blur"}


def test_rows_are_compared_at_equal_axes(table: Path) -> None:
    """A level that was measured where it is easy does not win by that."""
    frame = pd.read_csv(table)
    frame[~((frame["inpainter"] == "telea") & (frame["degradation"] == "zero"))].to_csv(table, index=False)
    options = ["--factor", "inpainter", "--value", "sbert", "--item", "image"]
    found = {
        (one["level"], one["other"]): one for one in ablated(str(table), *options, "--axes", "degradation")["effects"]
    }
    wide = frame[frame["degradation"] == "blur"].pivot(index="image", columns="inpainter", values="sbert")
    assert found["sd2", "telea"]["effect"] == pytest.approx((wide["sd2"] - wide["telea"]).mean())
    assert (found["sd2", "telea"]["settings"], found["sd2", "sd3"]["settings"]) == (1, 2)


def test_text_is_a_table_of_effects_and_one_of_interactions(table: Path) -> None:
    done = runner.invoke(
        app, ["ablate", str(table), "--factor", "inpainter,degradation", "--value", "sbert", "--item", "image"]
    )
    lines = done.stdout.splitlines()
    [header] = [line for line in lines if line.startswith("factor")]
    assert header.split() == ["factor", "level", "than", "n", "difference", "interval", "d", "p", "p-holm", "settings",
                              "that", "agree"]  # fmt: skip
    effects = [line.split()[:3] for line in lines[lines.index(header) + 1 :][:4]]
    assert effects == [["inpainter", "sd2", "sd3"], ["inpainter", "sd2", "telea"], ["inpainter", "sd3", "telea"],
                       ["degradation", "blur", "zero"]]  # fmt: skip
    assert "Interactions, over the 8 × image that have all 6 combinations" in lines
    assert max(map(len, lines)) <= 130


def test_a_study_is_compared_picture_by_picture(registry) -> None:
    found = {
        (one["level"], one["other"]): one
        for one in ablated("toy", "--factor", "inpainter", "--value", "sbert")["effects"]
    }
    assert {name for pair in found for name in pair} == {"as-is", "diffusion", "patch", "telea"}, "the control, too"
    differences = []
    for corpus, samples in (("scenes", 6), ("photos", 2)):
        of = [
            registry.numbers[corpus, d, i, "sbert", ""]
            for i in ("diffusion", "telea")
            for d in ("centre", "blur", "lowdim")
        ]
        values = np.array(of).reshape(2, 3, samples)
        differences += list((values[0] - values[1]).mean(axis=0))
    theirs = stats.ttest_1samp(differences, 0)
    one = found["diffusion", "telea"]
    assert (one["n"], one["settings"]) == (8, 3)
    assert one["effect"] == pytest.approx(np.mean(differences))
    assert one["p"] == pytest.approx(theirs.pvalue)


def test_what_cannot_see_a_degradation_says_nothing_of_it(registry) -> None:
    found = ablated("toy", "--factor", "degradation", "--value", "lpips")
    assert found["left_out"] == ["telea"]
    assert {one["settings"] for one in found["effects"]} == {2}, "diffusion and patch; neither telea nor the control"
    with registry.engine.connect() as connection:
        study = Study(connection, registry.objects, "toy")
        rows = study_rows(study, study_values(study, ["lpips"]), ["lpips"])
    assert set(rows.loc[rows["blind"], "inpainter"]) == {"telea"}
    assert set(entering(rows, "inpainter")["inpainter"]) == {"as-is", "diffusion", "patch", "telea"}
    assert set(entering(rows, "inpainter", "captioner")["inpainter"]) == {"diffusion", "patch", "telea"}
    assert set(entering(rows, "degradation", "inpainter")["inpainter"]) == {"diffusion", "patch"}


def test_by_default_a_study_is_asked_for_all_that_varies(registry) -> None:
    found = ablated("toy", "--value", "sbert")
    assert {one["factor"] for one in found["effects"]} == {"degradation", "inpainter"}, "there is one captioner"
    assert len(found["interactions"]) == 6


def test_a_factor_that_no_inpainter_sees_is_left_out_with_its_reason(registry, monkeypatch) -> None:
    """As in a study of photographs with classical inpainters alone."""

    def classical(*asked) -> pd.DataFrame:
        rows = study_rows(*asked)
        return rows[rows["inpainter"].isin(["as-is", "telea"])]

    monkeypatch.setattr("reports.terminal.ablate.study_rows", classical)
    found = ablated("toy", "--value", "sbert")
    assert {one["factor"] for one in found["effects"]} == {"inpainter"}
    assert found["not_compared"].keys() == {"degradation"}
    assert "telea paints the same pictures" in found["not_compared"]["degradation"]
    said = runner.invoke(app, ["ablate", "toy", "--value", "sbert"]).stdout
    assert "degradation is no factor here" in said
    asked = runner.invoke(app, ["ablate", "toy", "--value", "sbert", "--factor", "degradation"])
    assert asked.exit_code == 2 and "degradation is no factor here" in asked.stderr


def of_the_toy(registry, *names: str) -> Ablations:
    with registry.engine.connect() as connection:
        study = Study(connection, registry.objects, "toy")
        metrics = {metric.name: metric for metric in study.metrics}
        return ablations(study, study_values(study, ["sbert", "lpips"]), [metrics[name] for name in names])


def test_the_page_shows_corpora_and_all_of_them_and_corrects_over_everything(registry) -> None:
    found = of_the_toy(registry, "sbert", "lpips")
    assert [(scope.corpus, scope.metric.name) for scope in found.scopes] == [
        (corpus, metric) for corpus in ("", "scenes", "photos") for metric in ("sbert", "lpips")
    ]
    effects, joint = effects_table(found), interactions_table(found)
    assert found.tests == len(effects) + len(joint)
    holm = multipletests([*effects["p"], *joint["p"]], method="holm")[1]
    assert [*effects["p_holm"], *joint["p_holm"]] == pytest.approx(list(holm))
    inpainter = effects[effects["factor"] == "inpainter"]
    assert set(inpainter["other"]) == {"as-is"}, "each against the control"
    assert set(inpainter["level"]) == {"diffusion", "patch", "telea"}
    assert set(effects.loc[effects["factor"] == "degradation", "other"]) == {"centre"}, "the first that is listed"
    assert set(joint.loc[joint["corpus"] == "scenes", "n"]) == {5}, "one picture of patch failed"


def test_forest_plots_are_sorted_and_share_their_plane(registry) -> None:
    found = of_the_toy(registry, "sbert")
    whole = parts(found, ["as-is"])[0]
    assert whole.left_out == ["telea"]
    [figure] = whole.figures
    for plot, factor in zip(figure.forests, found.scopes[0].factors, strict=True):
        assert [line.at for line in plot.lines] == sorted((line.at for line in plot.lines), reverse=True)
        assert all(line.low <= line.at <= line.high for line in plot.lines)
        by_level = {one.level: one for one in factor.effects}
        for line in plot.lines:
            assert (line.at > figure.zero) == (by_level[line.level].effect > 0)
            assert line.certain == (by_level[line.level].p_holm < 0.05)
    ends = [end for plot in figure.forests for line in plot.lines for end in (line.low, line.high, figure.zero)]
    assert (min(ends), max(ends)) == (8, 172), "the plane is used from end to end"
    [heat] = figure.maps
    assert (heat.row, [heading.inner for heading in heat.headings]) == ("inpainter", [["centre", "blur", "lowdim"]])
    assert max(square.strength for _, squares in heat.rows for square in squares) == 100


def test_metrics_that_were_not_measured_are_left_out(registry) -> None:
    assert of_the_toy(registry, "simcse_sup").scopes == []


def test_against_one_level_is_a_part_of_all_pairs(table: Path) -> None:
    frame = pd.read_csv(table)
    every = {(e.level, e.other): e for e in paired_effects(frame, "inpainter", "sbert", "image", ["degradation"])}
    some = paired_effects(frame, "inpainter", "sbert", "image", ["degradation"], against="sd2")
    assert [(e.level, e.other) for e in some] == [("sd3", "sd2"), ("telea", "sd2")]
    for one in some:
        mirrored = every[one.other, one.level]
        assert (one.effect, one.low, one.p) == pytest.approx((-mirrored.effect, -mirrored.high, mirrored.p))


def test_holm_over_several_tables_is_holm_over_one(table: Path) -> None:
    frame = pd.read_csv(table)
    tables = [
        paired_effects(frame, f, "sbert", "image", ["inpainter", "degradation"]) for f in ("inpainter", "degradation")
    ]
    joined = [one.p_holm for some in together(tables, [])[0] for one in some]
    assert joined == pytest.approx(list(multipletests([e.p for some in tables for e in some], method="holm")[1]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.csv", "--value", "sbert"], "There is no table at missing.csv"),
        (["s.csv", "--value", "sbert", "--item", "image"], "A table needs --factor; its columns are image, inpainter"),
        (["s.csv", "--value", "sbert", "--factor", "inpainter"], "A table needs --item"),
        (["s.csv", "--value", "sbret", "--factor", "inpainter", "--item", "image"], "did you mean 'sbert'?"),
        (["toi", "--value", "sbert"], "no study 'toi'. Did you mean 'toy'?"),
        (["toy", "--value", "sbret"], "no metric 'sbret'; did you mean 'sbert'?"),
        (["toy", "--value", "sbert", "--factor", "inpaintre"], "no column 'inpaintre'; did you mean 'inpainter'?"),
        (["toy", "--value", "sbert", "--factor", "captioner"], "No two levels of 'captioner' share 2 of 'sample'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    registry, table: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(table.parent)
    done = runner.invoke(app, ["ablate", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
