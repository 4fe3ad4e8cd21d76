"""An axis that came later, and a metric that nobody declared, are found in tables and on pages without another edit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from palimpsest import app
from registry.indexing import Index
from registry.store.schema import Metric
from reports.report import build
from tests.reports.declared import declare

GAIN = 0.05
FILES = ("captions", "captions_corpus", "correlations", "points", "interactions", "published")


@pytest.fixture
def rewritten(toy_again: Any) -> Any:
    """The toy study, every caption of which was also rewritten; what was rewritten scores a little more."""
    made: dict[str, str] = {}
    for kind in ("caption", "quality.lexical", "quality.semantic"):
        for row in list(toy_again.rows[kind]):
            place = {name: value for name, value in row.items() if name != "key"} | {"recaptioner": "rico"}
            value = {"caption": "a rewritten caption"} if kind == "caption" else {}
            made[row["key"]] = toy_again.item(kind, {"rewrites": row["key"]}, place, value=value)
    toy_again.measurements += [
        (made[key], metric, region, layer, value if value is None else value + GAIN)
        for key, metric, region, layer, value in toy_again.measurements
        if key in made
    ]
    axes = ("degradation", "inpainter", "captioner")
    params = toy_again.params | {"recaptioners": {"rico": {"adapter": "rico", "rounds": 2}}}
    with toy_again.engine.begin() as connection:
        settings = {axis: params[f"{axis}s"] for axis in (*axes, "recaptioner")}
        fill(Index(connection, settings), toy_again, params)
        declare(connection)
    return toy_again


def fill(index: Index, toy: Any, params: dict[str, Any]) -> None:
    """Everything that the toy made, under other parameters."""
    size = {"split": "test", "width": 32, "height": 32, "annotations": {}, "references": ["one reference"]}
    for corpus in params["corpora"]:
        names = sorted({row["sample"] for row in toy.rows["original"] if row["corpus"] == corpus})
        index.corpus(corpus, params["corpora"][corpus], {}, [{"sample": name, **size} for name in names])
    for kind, rows in toy.rows.items():
        index.place(kind, rows)
    index.measure(toy.measurements)
    cells = {tuple(sorted((k, v) for k, v in r.items() if k not in ("sample", "key"))): r for r in toy.rows["caption"]}
    for row in cells.values():
        index.summarise(row, {"bleu_4": 0.125}, 6)
    index.study("toy", params)


def read(page: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(page.parent / "tables" / f"{name}.csv", keep_default_na=False, na_values=["NaN"])


def test_a_study_that_uses_no_later_axis_shows_none(page: Path) -> None:
    for file in FILES:
        assert not {"recaptioner", "painter", "training"} & set(read(page, file)), file


def test_a_later_axis_stands_in_tables_and_on_pages(rewritten: Any, tmp_path: Path) -> None:
    page = build(rewritten.engine, rewritten.objects, "toy", tmp_path / "report")
    for file in FILES[:4]:
        table = read(page, file)
        assert set(table["recaptioner"]) == {"", "rico"}, file
        assert list(table).index("recaptioner") == list(table).index("captioner") + 1
        assert "painter" not in table and "training" not in table
    assert "recaptioner" not in read(page, "fidelity"), "pictures have none"
    captions = read(page, "captions").set_index(["corpus", "degradation", "inpainter", "recaptioner"])
    plain, more = (captions.loc[("scenes", "blur", "diffusion", name), "sbert"] for name in ("", "rico"))
    assert plain == pytest.approx(rewritten.mean("scenes", "blur", "diffusion", "sbert", ""), rel=1e-5)
    assert more == pytest.approx(plain + GAIN, rel=1e-5)
    effects = read(page, "ablations").query("factor == 'recaptioner' and metric == 'sbert' and corpus == 'scenes'")
    assert effects[["level", "other"]].to_numpy().tolist() == [["rico", "none"]]
    assert effects["effect"].item() == pytest.approx(GAIN)

    texts = {file.name: file.read_text() for file in page.parent.glob("*.html")}
    assert "recaptioners" in texts["index.html"] and "<b>rico</b>" in texts["index.html"]
    assert "<span>blip/rico</span></th>" in texts["corpus-scenes.html"]
    assert "blip/rico <small>n = 7 distinct configurations" in texts["corpus-scenes.html"]
    assert 'id="scenes/blur/diffusion/blip/rico"' in texts["lineage.html"]
    assert '<select name="recaptioner">' in texts["gallery.html"] and 'data-recaptioner="rico"' in texts["gallery.html"]
    assert "recaptioner <small>against none" in texts["ablations.html"]
    ids = {name: set(re.findall(r' id="([^"]*)"', text)) for name, text in texts.items()}
    opens = re.findall(r'href="lineage.html#([^"]+)"', texts["corpus-scenes.html"])
    assert "scenes/blur/diffusion/blip/rico" in opens and set(opens) <= ids["lineage.html"]


def test_commands_know_a_later_axis(rewritten: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIMPSEST_REGISTRY", str(rewritten.engine.url))
    done = CliRunner().invoke(app, ["correlate", "toy", "--x", "mse", "--y", "sbert", "--json"])
    assert [one["y"] for one in json.loads(done.stdout)] == ["sbert@blip", "sbert@blip/rico"]
    done = CliRunner().invoke(app, ["ablate", "toy", "--value", "sbert", "--factor", "recaptioner", "--json"])
    [effect] = json.loads(done.stdout)["effects"]
    assert {effect["level"], effect["other"]} == {"none", "rico"} and abs(effect["effect"]) == pytest.approx(GAIN)


def test_an_undeclared_metric_has_its_own_name_and_a_note(toy_again: Any, tmp_path: Path) -> None:
    """An older registry does not say what its metrics are."""
    with toy_again.engine.begin() as connection:
        connection.execute(delete(Metric).where(Metric.name.in_(["cider", "lpips"])))
    page = build(toy_again.engine, toy_again.objects, "toy", tmp_path / "report")
    said = re.sub(r"\s+", " ", page.read_text())
    assert "because no measure declares what they are: cider, lpips." in said
    scenes = page.with_name("corpus-scenes.html").read_text()
    assert 'title="cider: no direction"' in scenes and 'title="lpips: no direction"' in scenes
    assert read(page, "captions").loc[0, "cider"] > 0 and read(page, "fidelity").loc[0, "lpips"] > 0


def test_a_registry_that_declares_nothing_still_has_all_tables(toy_again: Any, page: Path, tmp_path: Path) -> None:
    with toy_again.engine.begin() as connection:
        connection.execute(delete(Metric))
    bare = build(toy_again.engine, toy_again.objects, "toy", tmp_path / "report")
    for name in ("captions", "fidelity", "correlations"):
        ours, theirs = read(bare, name), read(page, name)
        assert set(ours) == set(theirs) - {"meteor"} | ({"meteor"} & set(ours)) and len(ours) == len(theirs)
