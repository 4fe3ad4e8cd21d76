"""The lineage page: every number's items on the way back to the originals, and the executions that computed them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import update

from registry.store import schema
from registry.store.items import Execution
from registry.store.schema import Item
from reports.asking.study import Study
from reports.chapters.lineage import Line, Pictures, lineage
from reports.report import build

LINK = "http://127.0.0.1:5000/#/compare-runs?runs=%5B%22a%22%5D&experiments=%5B%221%22%5D"
AXES = ("degradations", "inpainters")


def cells_of(toy) -> dict[str, Pictures]:
    with toy.engine.connect() as connection:
        found = lineage(Study(connection, toy.objects, "toy"))
    return {cell.name: cell for cells in found.values() for cell in cells}


def kinds(lines: list[Line]) -> list[tuple[str, int]]:
    return [(line.kind, line.items) for line in lines]


def test_a_cell_goes_from_its_scores_back_to_the_originals(toy):
    cells = cells_of(toy)
    repainted = {"/".join(names) for names in product(("scenes", "photos"), *map(toy.params.get, AXES))}
    assert cells.keys() == repainted | {"scenes/none/none", "photos/none/none"}
    cell = cells["scenes/blur/patch"]
    (said,) = cell.said
    assert said.name == "scenes/blur/patch/blip" and cell.whole == "scenes/blur/patch/none"
    assert kinds(said.lines) == [("quality.lexical", 5), ("quality.semantic", 5), ("caption", 5)], "one picture failed"
    assert kinds(cell.lines) == [
        ("fidelity.lpips", 5), ("fidelity.pixel", 5), ("represent.tiny", 5),
        ("repainted", 6), ("degraded", 6), ("original", 6),
    ]  # fmt: skip
    assert kinds(cells["photos/none/none"].lines) == [("original", 2)]
    assert {run.run for line in (*said.lines, *cell.lines) for run in line.runs} == {"run1"}


def test_a_kind_of_two_executions_names_both(toy_again):
    began = datetime(2024, 1, 2, tzinfo=UTC)
    toy_again.store.open_run(Execution("run2", "again", "def456", "cuda", "local", began))
    keys = [row["key"] for row in toy_again.rows["degraded"] if row["degradation"] == "blur"][:1]
    with toy_again.engine.begin() as connection:
        connection.execute(update(Item).where(Item.key.in_(keys)).values(run_id="run2"))
    cells = cells_of(toy_again)
    line = cells["scenes/blur/telea"].lines[-2]
    assert (line.kind, line.items) == ("degraded", 6)
    assert [(run.stage, run.run) for run in line.runs] == [("again", "run2"), ("everything", "run1")]
    assert [run.run for run in cells["scenes/centre/telea"].lines[-2].runs] == ["run1"]


def test_every_link_to_the_lineage_and_from_it_lands(page: Path):
    ids = {file.name: set(re.findall(r' id="([^"]*)"', file.read_text())) for file in page.parent.glob("*.html")}
    text = page.with_name("lineage.html").read_text()
    assert len(re.findall(r' id="([^"]*)"', text)) == len(ids["lineage.html"]), "an id names one thing"
    linked = 0
    for file in page.parent.glob("*.html"):
        links = re.findall(r'href="((?:lineage|index)\.html)#([^"]*)"', file.read_text())
        linked += len(links)
        assert all(unquote(name) in ids[to] for to, name in links), file.name
    assert linked > 100


def test_a_saved_link_is_shown_where_it_belongs(toy_again, tmp_path):
    links = {"": LINK, "scenes": f"{LINK}#scenes", "photos": "javascript:alert(1)"}
    with toy_again.engine.begin() as connection:
        connection.execute(update(schema.Study).values(links=links))
    page = build(toy_again.engine, toy_again.objects, "toy", tmp_path / "out")
    index, scenes, photos = (
        page.with_name(name).read_text() for name in ("index.html", "corpus-scenes.html", "corpus-photos.html")
    )
    shown = re.compile(r'<a href="([^"]*)">Compare these cells in MLflow</a> while <code>palimpsest ui</code> runs')
    assert shown.search(index)[1].replace("&amp;", "&") == LINK
    assert shown.search(scenes)[1].endswith("#scenes")
    assert "MLflow</a>" not in photos and "javascript:" not in photos
