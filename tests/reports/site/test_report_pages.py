"""The pages: what stands on them, where they lead, and that equal registries give equal bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from sqlalchemy import update

from registry.indexing import Index
from registry.published.papers import INPAINTING
from registry.store.database import connect, migrate_when_behind
from registry.store.objects import ObjectStore
from registry.store.schema import Reference
from reports.asking import queries
from reports.asking.provenance import Data, data
from reports.chapters.corpora import drawings
from reports.report import build
from tests.reports.site.conftest import PAGES

ROOT = Path(__file__).resolve().parents[3]


def test_honest_notes(text: str) -> None:
    for note in (
        "1 of 610 items failed",
        "out of memory &lt;b&gt;",
        "METEOR has no value in this study (it needs Java)",
        "sha256:0f0f0f0f0f0f…",
        "weights/small",
        "PSNR is undefined for 12 measurements",
        "At the floor already for the originals: blip on scenes (BLEU-4 0.000)",
        "Do not conclude from these numbers",
        "as-is is a control",
        "2 × missing image",
        "5 test · 1 val",
    ):
        assert note in re.sub(r"\s+", " ", text), note


def test_captions_are_text(texts: dict[str, str], gallery: str, toy: Any) -> None:
    assert "&lt;script&gt;document.title" in gallery
    for text in texts.values():
        assert toy.script not in text
        assert text.count("<script>") == 1, "the page's own"


def test_nothing_is_fetched(texts: dict[str, str], page: Path) -> None:
    for text in texts.values():
        assert "default-src 'none'" in text
        assert not re.search(r"url\(|@import", text)
        assert not re.search(r"src=[\"'](?!data:)", text)


def test_every_link_leads_somewhere(texts: dict[str, str], page: Path) -> None:
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in texts.items()}
    for name, text in texts.items():
        assert len(re.findall(r'\bid="', text)) == len(ids[name]), "an id is given once"
        for link in re.findall(r'href="(?!data:)([^"]+)"', text):
            if link == INPAINTING.link:
                continue
            file, _, target = link.partition("#")
            assert (page.parent / (file or name)).is_file(), link
            assert not target or "=" in target or target == "all" or target in ids[file or name], link


def test_methods_state_data_code_seeds_failures_and_tests(text: str, toy: Any) -> None:
    said = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", text.partition('id="methods"')[2]))
    for sentence in (
        "corpora.scenes.seed 3.",
        "Code: commit abc123+.",
        "Failures: 1 of 610 items.",
        "Tests on these pages: 18 Pearson correlations with a 95 % interval",
    ):
        assert sentence in said, sentence
    digests = re.findall(r'title="([0-9a-f]{64})"', text)
    assert len(set(digests)) == 2, "one for each corpus"


def test_the_digest_of_a_corpus_is_that_of_its_contents(toy: Any, toy_again: Any) -> None:
    def read(which: Any) -> list[Data]:
        with which.engine.connect() as connection:
            return data(connection, queries.find_study(connection, "toy").id)

    assert read(toy) == read(toy_again)
    photos, scenes = read(toy)
    assert photos[:4] == ("photos", 2, 4, "400 × 300") and scenes[:4] == ("scenes", 6, 12, "32 × 32")
    with toy_again.engine.begin() as connection:
        connection.execute(update(Reference).values(text="other"))
    assert {one.digest for one in read(toy)}.isdisjoint(one.digest for one in read(toy_again))


def test_every_page_knows_where_it_is(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        links = re.findall(r'<a href="([^"#]+)"( aria-current="page")?>', text.partition("</nav>")[0])
        assert [file for file, _ in links] == PAGES
        assert [file for file, current in links if current] == [name]


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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_lost_pictures_are_named_and_stop_nothing(toy: Any, tmp_path: Path) -> None:
    empty = ObjectStore(str(tmp_path / "objects"))
    page = build(toy.engine, empty, "toy", tmp_path / "report")
    assert "not in the object store" in (page.parent / "gallery.html").read_text()


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


def plain(html: str) -> str:
    """What a page says, without its marks, its scripts and its parameters."""
    html = re.sub(r"<(style|script|pre)\b.*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def test_no_json_stands_among_sentences(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert not re.search(r'\{\s*(&#34;|")', plain(text)), name


def test_the_paper_is_cited(text: str, texts: dict[str, str]) -> None:
    for page_ in (text, texts["where-we-differ.html"]):
        for part in INPAINTING:
            assert part in page_


def test_dvc_plots_shows_pictures_and_fetches_nothing(page: Path, tmp_path: Path) -> None:
    """DVC's own renderer is the witness: of pictures alone it makes a page without a script."""
    from dvc_render.html import render_html
    from dvc_render.image import ImageRenderer

    plots = sorted((page.parent / "plots").iterdir())
    assert [one.name for one in plots] == ["photos-blip.svg", "scenes-blip.svg"]
    for one in plots:
        root = ElementTree.fromstring(one.read_text(encoding="utf-8"))
        marks = [mark for mark in root.iter("{http://www.w3.org/2000/svg}a") if "mark" in mark.get("class", "")]
        assert len(marks) == 7 and root.get("width") == "600"
    datapoints = [{"src": str(one), "rev": "workspace", "filename": one.name} for one in plots]
    shown = Path(render_html([ImageRenderer([one], one["filename"]) for one in datapoints], tmp_path / "plots.html"))
    text = shown.read_text()
    assert text.count("<img") == 2 and "<script" not in text
    assert yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] == ["data/report/plots"]
    assert "/dvc_plots/" in (ROOT / ".gitignore").read_text().splitlines()


def test_a_study_without_captions_has_a_plot_that_says_so() -> None:
    shown = drawings(SimpleNamespace(once=lambda make: []))
    assert list(shown) == ["nothing.svg"] and "no captions" in shown["nothing.svg"]
