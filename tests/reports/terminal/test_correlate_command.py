"""``palimpsest correlate`` over a CSV file and over a study in the registry."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from palimpsest import app
from reports.asking.sources import study_table, study_values
from reports.asking.study import Study
from reports.terminal.correlate import correlate_source

runner = CliRunner()
LEAST = {"x", "y", "n", "pearson", "spearman", "kendall", "p", "sign_flips"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(size=(3, 10))
    frame = pd.DataFrame(
        {"config": list("abcdefghij"), "mse": noise[0], "lpips": noise[1], "sbert": noise[2] - noise[0]}
    )
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


@pytest.fixture
def registry(toy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", str(toy.engine.url))
    return toy


def test_a_table_gives_one_object_a_pair(table: Path) -> None:
    options = ["--x", "mse, lpips", "--y", "sbert", "--unit", "config", "--json"]
    done = runner.invoke(app, ["correlate", str(table), *options])
    found = json.loads(done.stdout)
    assert [(one["x"], one["y"], one["n"]) for one in found] == [("mse", "sbert", 10), ("lpips", "sbert", 10)]
    assert all(set(one) >= LEAST for one in found)
    frame = pd.read_csv(table)
    assert found[0]["pearson"] == pytest.approx(frame["mse"].corr(frame["sbert"]))


def test_a_table_is_readable_as_text(table: Path) -> None:
    done = runner.invoke(app, ["correlate", str(table), "--x", "mse", "--y", "sbert", "--unit", "config"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Pearson's r between 10 units (config).\n")
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_study_is_a_table_of_repainted_configurations(registry) -> None:
    with registry.engine.connect() as connection:
        study = Study(connection, registry.objects, "toy")
        frame, xs, ys = study_table(study, study_values(study, ["mse", "sbert"]))
    assert (xs, ys) == (["mse"], ["sbert"])
    assert "as-is" not in set(frame["inpainter"]), "controls are no configurations"
    telea = frame[frame["inpainter"] == "telea"]
    assert set(telea["degradation"]) == {"centre"}, "it cannot see under the mask: one configuration, not three"
    assert len(telea) == 8
    for corpus, inpainter, where in [("scenes", "diffusion", "blur"), ("photos", "telea", "centre")]:
        rows = frame[(frame["corpus"] == corpus) & (frame["inpainter"] == inpainter) & (frame["degradation"] == where)]
        assert rows["mse"].mean() == pytest.approx(registry.mean(corpus, where, inpainter, "mse", "region"))
        assert rows["sbert"].mean() == pytest.approx(registry.mean(corpus, where, inpainter, "sbert", ""))
    assert set(frame["family"]) == {"telea", "stable-diffusion", "patch"}


def test_a_study_is_correlated_by_corpus_over_all_that_was_measured(registry) -> None:
    done = runner.invoke(app, ["correlate", "toy", "--json"])
    found = {(one["x"], one["y"]): one for one in json.loads(done.stdout)}
    assert {x for x, _ in found} == {"mse", "psnr", "ssim", "lpips"}
    assert {y for _, y in found} == {"bleu_1", "bleu_4", "cider", "sbert"}
    one = found["mse", "sbert"]
    assert (one["n"], [part["group"] for part in one["groups"]]) == (7, ["photos", "scenes"])
    assert one["missing"] == 1, "one picture failed"
    assert one["pearson"] < -0.9, "captions were made to fall with the error"
    assert found["ssim", "sbert"]["note"] == "ssim is constant"


def test_two_captioners_are_two_columns(registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from reports.asking import queries

    asked = queries.values

    def doubled(*arguments):
        rows = asked(*arguments)
        captions = rows[rows["captioner"] != ""]
        return pd.concat([rows, captions.assign(captioner="other", value=-captions["value"])], ignore_index=True)

    monkeypatch.setattr(queries, "values", doubled)
    results, _ = correlate_source("toy", ["mse"], ["sbert"])
    assert [r.y for r in results] == ["sbert@blip", "sbert@other"]
    assert results[0].pearson == pytest.approx(-results[1].pearson)
    assert [r.y for r in correlate_source("toy", ["mse"], ["sbert@other"])[0]] == ["sbert@other"]


def test_what_is_called_none_is_called_so_and_averages_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    names = ["None", "NA", "null", "nan", "01"]
    path.write_text("config,mse,sbert\n" + "".join(f"{name},{n},{n * n}\n" for n, name in enumerate(names)))
    options = [str(path), "--x", "mse", "--y", "sbert", "--unit", "config", "--json"]
    assert json.loads(runner.invoke(app, ["correlate", *options]).stdout)[0]["n"] == 5
    with path.open("a") as file:
        file.write("NA,3,\nnull,,NA\n")
    refused = runner.invoke(app, ["correlate", *options])
    assert refused.exit_code == 2
    assert (
        "Rows 2 and 6 are both of unit 'NA': no other column tells them apart; correct them, or average"
        in refused.stderr
    )
    [found] = json.loads(runner.invoke(app, ["correlate", *options, "--average"]).stdout)
    assert (found["n"], found["missing"]) == (5, 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.csv", "--x", "mse", "--y", "sbert", "--unit", "config"], "There is no table at missing.csv"),
        (["scores.csv", "--x", "mse", "--y", "sbret", "--unit", "config"], "did you mean 'sbert'?"),
        (["scores.csv", "--x", "mse", "--y", "config", "--unit", "config"], "'config' holds 'a' in row 1"),
        (["scores.csv", "--x", "mse", "--y", "sbert"], "A table needs --unit; its columns are config, mse"),
        (["scores.csv", "--y", "sbert", "--unit", "config"], "A table needs --x"),
        (["empty.csv", "--x", "mse", "--y", "sbert", "--unit", "config"], "empty.csv is not a CSV file"),
        (
            ["latin.csv", "--x", "mse", "--y", "sbert", "--unit", "config"],
            "is not UTF-8: byte 0xe9 in line 2",
        ),
        (["nul.csv", "--x", "mse", "--y", "sbert", "--unit", "config"], "nul.csv is no text: it has NUL bytes"),
        (["twice.csv", "--x", "mse", "--y", "sbert", "--unit", "config"], "'captioner' tells them apart"),
        (["large.csv", "--x", "mse", "--y", "sbert", "--unit", "config"], "numbers of the size of 1e+308"),
        (["toi"], "no study 'toi'. Did you mean 'toy'?"),
        (["toy", "--y", "sbret"], "no metric 'sbret'; did you mean 'sbert'?"),
        (["toy", "--y", "nope"], "no metric 'nope'; it has "),
        (["toy", "--by", "corpsu"], "no column 'corpsu'; did you mean 'corpus'?"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    registry, table: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(table.parent)
    Path("empty.csv").touch()
    Path("latin.csv").write_bytes("config,mse,sbert\né,1,2\n".encode("latin-1"))
    Path("nul.csv").write_bytes(b"config,mse,sbert\na,1,2\0\n")
    Path("twice.csv").write_text("config,captioner,mse,sbert\na,x,1,2\na,y,1,3\nb,x,2,2\nc,x,4,1\n")
    Path("large.csv").write_text("config,mse,sbert\na,1e308,2\nb,1,3\nc,2,2\nd,4,1\n")
    done = runner.invoke(app, ["correlate", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
