"""Ours beside published: joined by name and by nothing else, in one unit, and never forced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from models.measures.declared import declared
from registry.published import Number, publish, shipped
from registry.published.checks import captions as caption_columns
from registry.published.checks import certain_sign, fidelity
from reports.asking.axes import TEXT, UNSAID, WHERE
from reports.asking.counterparts import CATEGORIES, beside, flat, named
from reports.asking.grids import Grid
from reports.asking.metrics import Metric
from reports.asking.sources import Correlated, correlated
from reports.chapters.gallery import gallery
from reports.chapters.links import link, points_of
from reports.chapters.published import Comparison, compare, flips, pages, signs
from reports.report import build
from reports.statistics.analysis import estimate
from reports.statistics.cells import Roles
from reports.statistics.claims.judging import SUPPORTED

ROOT = Path(__file__).resolve().parents[3]
NUMBERS = [one for one in shipped() if one.paper == "inpainting"]
VALUES = [one for one in NUMBERS if one.metric != "sign_flips"]
ORDERED = ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]
NO_LINKS = {one.corpus: [] for one in VALUES}
METRICS = {
    about: [
        Metric(one.name, one.label, one.higher_is_better, one.decimals, one.definition, about)
        for one in declared().values()
        if one.about == about
    ]
    for about in ("pictures", "captions", "grounding")
}
CAPTIONERS = ["blip", "llava-onevision", "qwen2_5-vl"]


def scaled(one: Number) -> float:
    return one.value / (255**2 if one.unit == "0-255" else 1)


def grid(rows: list[tuple]) -> Grid:
    frame = pd.DataFrame(rows, columns=["corpus", "degradation", "inpainter", "captioner", "metric", "value"])
    frame = frame.assign(**dict.fromkeys(TEXT[1:], ""))
    wide = frame.pivot_table(index=WHERE, columns="metric", values="value", aggfunc="first")
    return Grid(wide, wide.notna().astype(float) * 100)


def study(off: float, **corpora: str) -> SimpleNamespace:
    """A study that found every published number and ``off`` more; of some ``corpora`` only, under names of its own."""
    region, captions = [], []
    corpora = corpora or {one.corpus: one.corpus for one in VALUES}
    for one in (one for one in VALUES if one.corpus in corpora):
        names = corpora[one.corpus], one.degradation or "", one.inpainter or ""
        if one.region:
            region.append((*names, "", one.metric, scaled(one) + off))
        for captioner in [one.captioner] if one.captioner else CAPTIONERS:
            if not one.region:
                metrics = ORDERED if one.metric == "bleu" else [one.metric]
                captions += [(*names, captioner, metric, scaled(one) + off) for metric in metrics]
    order = {"corpus": list(corpora.values()), "captioner": CAPTIONERS}
    texts = [(name, *UNSAID[1:]) for name in CAPTIONERS]
    grids = {"region": grid(region), "": grid(captions)}
    metrics = {"fidelity": METRICS["pictures"], "quality": METRICS["captions"]}
    return SimpleNamespace(order=order, texts=texts, grids=grids, summary=grid([]), params={}, **metrics)


def test_the_papers_study_has_the_published_names() -> None:
    params = yaml.safe_load((ROOT / "studies" / "inpainting.yaml").read_text())
    for axis, section in (("corpus", "corpora"), ("degradation", "degradations"), ("inpainter", "inpainters"),
                          ("captioner", "captioners")):  # fmt: skip
        assert {getattr(one, axis) for one in NUMBERS} - {None} <= set(params[section])


def test_the_study_of_precision_and_recall_has_the_published_names() -> None:
    params = yaml.safe_load((ROOT / "studies" / "precision-recall-dci.yaml").read_text())
    numbers = [one for one in shipped() if (one.paper, one.table) == ("precision-recall", "2") and one.training]
    swept = params["training"]["lora"]["sweep"]
    cells = {f"lora/precision={p},recall={r}" for p in swept["precision"] for r in swept["recall"]}
    assert {one.training for one in numbers} == cells and list(swept) == ["precision", "recall"]
    assert {one.painter for one in numbers} == set(params["painters"])
    assert {f"t2i-compbench-{category}" for category, _ in CATEGORIES.values()} == set(params["prompts"])


def test_every_number_finds_its_counterpart_and_bleu_of_no_order_finds_none() -> None:
    rows = beside(NUMBERS, study(0.01))
    found = {row.number for row in rows if row.ours is not None}
    assert found == {one for one in VALUES if one.metric != "bleu"}
    differences = [row.difference for row in rows if row.ours is not None]
    assert differences == pytest.approx([0.01] * len(differences))


def test_columns_of_t2i_compbench_find_the_prompts_of_their_category() -> None:
    """Table 2, first row: texture .3125, spatial .0884; a metric of the same prompts stands beside no other column."""
    numbers = [one for one in shipped() if (one.paper, one.table) == ("precision-recall", "2")][:6]
    text = named(numbers[0])
    rows = [("t2i-compbench-texture", "attribute_binding", 0.4), ("t2i-compbench-spatial", "spatial_2d", 0.5)]
    frame = pd.DataFrame([dict(zip(WHERE, (corpus, "", "", *text), strict=True)) | {"metric": metric, "value": value}
                          for corpus, metric, value in rows])  # fmt: skip
    wide = frame.pivot_table(index=WHERE, columns="metric", values="value", aggfunc="first")
    ours = SimpleNamespace(texts=[text], summary=grid([]), grids={"": Grid(wide, wide.notna().astype(float) * 100)})
    found = {row.number.metric: (row.published, row.ours) for row in beside(numbers, ours)}
    assert found.pop("t2i_compbench_texture") == (0.3125, 0.4)
    assert len(found) == 5 and {one for _, one in found.values()} == {None}


def test_rocov2_is_compared_in_our_unit() -> None:
    [row] = [row for row in beside(NUMBERS, study(0.0)) if row.number.text == "2217.34"]
    assert row.published == pytest.approx(2217.34 / 65025), "table 8, SD1.5-cm: intensities in 0-255 squared"
    assert row.difference == pytest.approx(0)


def test_where_the_paper_names_no_captioner_each_of_ours_stands_beside_it() -> None:
    rows = [row for row in beside(NUMBERS, study(0.0)) if row.number.table == "7" and row.number.metric == "bleu_4"]
    assert [row.said for row in rows] == CAPTIONERS * 6
    compared = compare(NUMBERS, study(0.0), NO_LINKS)
    by_title = {table.title: table for table in compared.tables}
    assert [title for title, table in by_title.items() if table.unstated] == ["Table 5", "Table 7"]
    assert [view.said for view in by_title["Table 7"].views] == CAPTIONERS


def test_changes_are_against_the_originals_as_in_the_paper() -> None:
    """Recomputed from values that are rounded to three places, so within a few tenths of a percent."""
    rows = [row for row in beside(NUMBERS, study(0.0)) if row.number.change is not None]
    assert len(rows) == 243
    apart = [abs(row.ours_change - row.number.change) for row in rows]
    assert sum(one < 0.3 for one in apart) > 220, "the rest are the paper's own contradictions"


def test_the_corpus_value_comes_before_the_mean_over_pictures() -> None:
    found = study(0.0)
    where = ("flickr", "blur", "sd2", "blip")
    found.summary = grid([(*where, "bleu_4", 0.5)])
    [row] = [
        row for row in beside(NUMBERS, found)
        if row.number.row == "BLIP SD2-gc" and row.number.metric == "bleu_4"
    ]  # fmt: skip
    assert row.ours == 0.5


def test_other_names_are_context_without_differences() -> None:
    params = {"corpora": {"mine": {"adapter": "scenes"}, "plots": {"adapter": "series"}, "odd": {"adapter": "folder"}}}
    found = study(0.0, flickr="mine", truce="plots")
    found.order["corpus"].append("odd")
    found.params = params
    compared = compare(NUMBERS, found, dict.fromkeys(["mine", "plots", "odd"], []))
    table = flat(compared.rows)
    assert compared.tables == []
    assert table["ours"].isna().all()
    assert len(table) == len(VALUES)
    assert {(one.corpus, *one.like) for one in compared.context} == {("flickr", "mine"), ("truce", "plots")}
    lpips = next(one.cells["lpips"] for one in compared.context if one.title == "Table 2")
    assert lpips == "0.143 to 0.300", "SD3-ld and SD3-cm in the paper's table 2"
    originals = next(one for one in compared.context if one.original and one.said == "blip")
    assert originals.cells["bleu_1"] == "0.625"


def test_agreement_in_short() -> None:
    compared = compare(NUMBERS, study(0.01), NO_LINKS)
    short = {one.metric.name: one for one in compared.tables[0].views[0].short}
    assert (short["lpips"].n, short["lpips"].mean, short["lpips"].largest) == (9, "+0.010", "+0.010")
    assert short["lpips"].rank == "+1.00", "the same order"
    assert (compared.tables[0].held, compared.tables[0].total) == (36, 36)


def test_signs_of_the_papers_own_numbers_are_those_of_its_check() -> None:
    """The page's count of published signs against registry.published.checks, which works on intervals of rounding."""
    found, blip = study(0.0), ("blip", *UNSAID[1:])
    found.order |= {"degradation": ["centre-mask", "blur", "lowdim"], "inpainter": ["sd15", "sd2", "sd3"]}
    same = {(d, i): (d, i) for d in found.order["degradation"] for i in found.order["inpainter"]}
    points = points_of(found, "flickr", blip, list(same)).assign(configuration=[" ".join(names) for names in same])
    xs, ys = ([m.name for m in some if m.name in points] for some in (found.fidelity, found.quality))
    pairs = estimate(points, xs, ys, Roles("configuration"))
    found.controls = []
    found.once = {correlated: Correlated(points, points, ys, {"flickr": pairs}), gallery: None}.__getitem__
    one = link(found, "flickr", blip, same)
    said = signs(NUMBERS, "flickr", one, "flickr", {m.name: m for m in (*found.fidelity, *found.quality)})
    columns = caption_columns(NUMBERS, "flickr")["blip"]
    for sign, (name, wanted) in zip(said.signs, (("mse", -1), ("lpips", -1), ("psnr", 1)), strict=False):
        certain = [certain_sign(fidelity(NUMBERS, "flickr")[name], y) for y in columns.values()]
        agreeing = int(sign.ours.split()[0])
        assert sign.metric.name == name
        surely = [pair.low > 0 if wanted > 0 else pair.high < 0 for pair in one.pairs if pair.x == name]
        assert (sign.verdict == SUPPORTED) == all(surely), "as among the findings"
        assert sign.title.startswith(sign.verdict)
        assert certain.count(wanted) <= agreeing <= len(certain) - certain.count(-wanted)


def test_flips_are_pandas_correlations_with_one_row_left_out() -> None:
    points = pd.DataFrame({"mse": [0.0, 1, 2, 3, 9], "a": [3.0, 2, 1, 0, 9], "b": [1.0, 3, 2, 5, 4]})
    expected = sum(
        points.drop(index=out)["mse"].corr(points.drop(index=out)[y]) * points["mse"].corr(points[y]) < 0
        for y in "ab"
        for out in range(5)
    )
    pairs = estimate(points.assign(unit=list("vwxyz")), ["mse"], ["a", "b"], Roles("unit"))
    assert flips(pairs) == (expected, 10)


def test_the_report_of_another_study_says_so_and_shows_context(toy_again, tmp_path: Path) -> None:
    with toy_again.engine.begin() as connection:
        publish(connection)
    build(toy_again.engine, toy_again.objects, "toy", tmp_path / "report")
    page = (tmp_path / "report" / "published.html").read_text()
    assert "No number of the inpainting paper has a counterpart in this study" in page
    assert "For context only" in page
    assert "0.143 to 0.300" in page
    table = pd.read_csv(tmp_path / "report" / "tables" / "published.csv")
    assert len(table) == len(VALUES)
    assert table["ours"].isna().all()
    factors = (tmp_path / "report" / "ablations.html").read_text()
    assert "against as-is, the control" in factors
    assert "telea paints the same" in " ".join(factors.split())


def test_a_page_with_nothing_on_it_is_not_made():
    """Own pictures have no counterpart, nothing like them is published, and no sign is."""
    nothing = Comparison(**dict.fromkeys(Comparison._fields, []))
    assert pages(SimpleNamespace(once=lambda make: nothing)) == []
    assert len(pages(SimpleNamespace(once=lambda make: nothing._replace(signs=["one"])))) == 1
