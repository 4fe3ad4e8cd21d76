"""The views and the Python door, held against what was put in, and against what their documentation says."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pytest
from datasette.app import Datasette
from PIL import Image
from sqlalchemy import text

from registry import open_registry
from registry.indexing import Index
from registry.views import VIEWS
from tests.registry.conftest import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registry(lineage):
    with open_registry(lineage.url) as registry:
        yield registry


@pytest.mark.parametrize("view", VIEWS)
def test_columns_are_as_documented(lineage, view):
    with lineage.engine.connect() as connection:
        assert list(connection.execute(text(f"SELECT * FROM {view}")).keys()) == list(VIEWS[view])


def test_measurements_stand_at_every_place(registry, lineage):
    frame = registry.measurements("toy")
    pixel, lexical = 2 * 2 * 2, 2 * (1 + 2 * 2)
    assert len(frame) == pixel * (2 + 2) + lexical
    mse = frame[(frame.metric == "mse") & (frame.region == "region")]
    assert mse.groupby("inpainter").value.mean().to_dict() == {"as-is": 0.5, "telea": 0.25}
    assert set(mse.item) == {key for where, key in lineage.keys.items() if where[0] == "fidelity.pixel"}
    cider = registry.measurements("toy", metric="cider")
    assert cider[cider.inpainter.isna()].value.tolist() == [0.5, 0.5]
    assert cider.region.isna().all()
    assert cider.layer.isna().all()
    assert sorted(registry.measurements("toy", metric="tvd", region="whole").layer.unique()) == [0, 1]
    assert registry.measurements("toy", metric="cider", region="whole").empty


def test_captions_are_what_was_said(registry):
    frame = registry.captions("toy", captioner="blip")
    assert sorted(frame[frame.inpainter.isna()].caption) == ["a cat in s0", "a cat in s1"]
    assert set(frame[frame.inpainter.notna()].caption) == {"a dog in s0", "a dog in s1"}
    assert set(frame.prompt) == {"What is it?"}
    assert frame.model.str.contains('"adapter":\\s?"blip"').all()
    assert set(frame.stage) == {"caption@blip"}


def test_rewritten_captions_are_captions(lineage_again):
    made, models = lineage_again, {"reviser": {"model": {"adapter": "qwen2.5-vl"}}}
    first, place = made.keys["caption", "s0", "", "", "blip"], ("s0", "", "", "blip")
    method = {"adapter": "rico", "rounds": 2, "players": models}
    parts = {"picture": "0f", "caption": "a cat in s0", "method": method}
    made.item("recaption", "recaption@rico", place, parts, first, value={"caption": "a red cat in s0"})
    with made.engine.begin() as connection:
        index = Index(connection, {**SETTINGS, "recaptioner": {"rico": {"method": "rico"}}})
        of = {"split": "test", "width": 8, "height": 8, "annotations": {}, "references": []}
        index.corpus("scenes", {"adapter": "scenes"}, {}, [{"sample": "s0", **of}])
        index.place("recaption", [row | {"recaptioner": "rico"} for row in made.rows["recaption"]])
        index.study("rewritten", {})
    with open_registry(made.url) as registry:
        [one] = registry.captions("rewritten").to_dict("records")
    assert (one["caption"], one["recaptioner"], one["captioner"]) == ("a red cat in s0", "rico", "blip")
    assert json.loads(one["model"]) == method and one["stage"] == "recaption@rico"


def test_images_are_found_in_the_object_store(registry, lineage):
    frame = registry.images("toy")
    assert frame.kind.value_counts().to_dict() == {"original": 2, "degraded": 4, "repainted": 8}
    [one] = frame[(frame.inpainter == "telea") & (frame.degradation == "blur") & (frame["sample"] == "s1")].itertuples()
    assert lineage.store.objects.get(one.object) == b"s1 telea"
    assert registry.images("toy", kind="original").model.isna().all()


@pytest.fixture
def registry_file(lineage):
    if not lineage.url.startswith("sqlite"):
        pytest.skip("this one is about a registry that is a file")
    return Path(lineage.url.removeprefix("sqlite:///"))


def test_sqlite_alone_reads_the_views(registry_file):
    with sqlite3.connect(registry_file) as database:
        query = "SELECT avg(value) FROM v_measurements WHERE study = 'toy' AND metric = 'mse' AND region = 'whole'"
        assert database.execute(query).fetchone() == (0.1875,)


MEANS = "SELECT inpainter, avg(value) FROM {} WHERE metric = 'mse' AND region = 'whole' GROUP BY 1 ORDER BY 1"
FOUND = [("as-is", 0.25), ("telea", 0.125)]


def test_duckdb_reads_the_views(lineage):
    """With its own extensions, as packages: `INSTALL` would ask a server for them."""
    kind = "sqlite" if lineage.url.startswith("sqlite") else "postgres"
    [extension] = resources.files(f"duckdb_extension_{kind}_scanner").glob("extensions/*/*.duckdb_extension")
    with duckdb.connect() as reader:
        reader.load_extension(str(extension))
        where = lineage.url.removeprefix("sqlite:///")
        reader.execute(f"ATTACH '{where}' AS registry (TYPE {kind}, READ_ONLY)")
        assert reader.execute(MEANS.format("registry.v_measurements")).fetchall() == FOUND
        captions = "SELECT DISTINCT caption FROM registry.v_captions WHERE degradation IS NULL ORDER BY 1"
        assert reader.execute(captions).fetchall() == [("a cat in s0",), ("a cat in s1",)]


def test_datasette_serves_the_views(registry_file):
    async def served(query: str) -> dict[str, Any]:
        return (await Datasette([str(registry_file)]).client.get(f"/{registry_file.stem}{query}")).json()

    assert {view["name"] for view in asyncio.run(served(".json"))["views"]} == set(VIEWS)
    rows = asyncio.run(served(".json?" + urlencode({"sql": MEANS.format("v_measurements")})))["rows"]
    assert [tuple(row) for row in rows] == FOUND
    page = asyncio.run(served("/v_captions.json?captioner=blip&degradation__isnull=1"))
    assert {row[page["columns"].index("caption")] for row in page["rows"]} == {"a cat in s0", "a cat in s1"}


def test_wrong_names_are_met_with_the_nearest(registry):
    with pytest.raises(ValueError, match="no study 'toi'; did you mean 'toy'"):
        registry.captions("toi")
    with pytest.raises(ValueError, match="no metric 'mze'; did you mean 'mse'"):
        registry.measurements("toy", metric="mze")
    with pytest.raises(ValueError, match="no region 'regio'; did you mean 'region'"):
        registry.measurements("toy", metric="mse", region="regio")
    with pytest.raises(ValueError, match="no captioner 'blop'; did you mean 'blip'"):
        registry.captions("toy", captioner="blop")
    with pytest.raises(ValueError, match="no kind 'repaint'; did you mean 'repainted'"):
        registry.images("toy", kind="repaint")
    with pytest.raises(ValueError, match="did you mean 'inpaint@telea'"):
        registry.trace("inpaint@tela")


def test_what_papers_report_is_a_table_too(registry):
    """Table 2 of the inpainting paper: nine configurations; LPIPS of SD3-ld is 0.143."""
    frame = registry.published(table="2", metric="lpips")
    assert len(frame) == 9
    assert frame[frame.row == "SD3-ld"].value.tolist() == [0.143]


def test_the_example_of_the_readme_runs(lineage, monkeypatch, capsys, tmp_path):
    section = (ROOT / "README.md").read_text().partition("## Use from code and SQL")[2].partition("\n## ")[0]
    monkeypatch.setenv("PALIMPSEST_REGISTRY", lineage.url)
    monkeypatch.setenv("PALIMPSEST_OBJECTS", str(lineage.store.objects.base))
    monkeypatch.setattr("PIL.Image.open", lambda file: Image.new("RGB", (1, 1)))  # the pictures here are words
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", section, re.S)
    exec(code.replace('"default"', '"toy"').replace("lpips", "mse"))
    assert "as-is    0.50\n" in capsys.readouterr().out
    [query] = re.findall(r"```sql\n(.*?)```", section, re.S)
    with lineage.engine.connect() as connection:
        rows = connection.execute(text(query.replace("'default'", "'toy'").replace("sbert", "cider"))).all()
    assert rows == [("as-is", "blip", 0.25), ("telea", "blip", 0.25)]


def test_importing_the_registry_is_light():
    code = "from registry import open_registry; import sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"sqlalchemy", "pandas", "numpy", "alembic", "pyarrow", "dvc", "mlflow"} & set(loaded.split())
