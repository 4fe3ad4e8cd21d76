"""The figures' geometry and numbers, from tables whose numbers are known."""

from __future__ import annotations

import random
import re
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jinja2 import Environment, FileSystemLoader
from scipy import stats

from reports.asking import drawn as drawn_from
from reports.asking import queries
from reports.asking.metrics import Metric
from reports.asking.sources import Correlated
from reports.asking.study import Study
from reports.figures.curves import contrast
from reports.figures.maps import MOST, SIDE, maps
from reports.figures.mosaic import mosaics
from reports.figures.plane import heat_map
from reports.figures.similarity import similarities, similarity
from reports.figures.sweeps import axes_of, sweep
from reports.site.pages import TEMPLATES
from reports.statistics.analysis import Correlation, correlate, estimate
from reports.statistics.cells import Roles

COLOURS = {"telea": 0, "sd": 1}
SSIM, MSE = Metric("ssim", "SSIM", True, 3, ""), Metric("mse", "MSE", False, 4, "")
LPIPS, SBERT = Metric("lpips", "LPIPS", False, 3, ""), Metric("sbert", "SBERT", True, 3, "")
ORDER = {"corpus": ["one"], "degradation": ["blur", "zero"], "inpainter": ["telea", "sd/g=1", "sd/g=2", "as-is"]}


def drawn(template: str, macro: str, *given: Any) -> str:
    """What a macro makes of a figure."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    return str(getattr(environment.get_template(template).module, macro)(*given))


def rows(metric: str, **values: Any) -> pd.DataFrame:
    """Four pictures under every configuration of ``ORDER``."""
    rng = np.random.default_rng(0)
    made = [
        {"corpus": "one", "degradation": d, "inpainter": i, "captioner": "", "kind": "represent.vit", "metric": metric,
         "sample": f"s{n}", "value": 0.8 + 0.1 * rng.random()}
        for d, i, n in product(ORDER["degradation"], ORDER["inpainter"], range(4))
    ]  # fmt: skip
    return pd.DataFrame(made).assign(**values)


class TestMaps:
    @pytest.fixture
    def found(self) -> pd.DataFrame:
        """Places on a line, of another scale than the panel's; one sample's name is HTML."""
        frame = rows("umap_x", kind="project.vit").drop(columns=["metric", "captioner"])
        originals = frame.drop_duplicates("sample").assign(degradation="", inpainter="")
        frame = pd.concat([originals, frame], ignore_index=True).replace({"sample": {"s1": "<b>"}})
        return frame.assign(umap_x=100 + 3 * frame["value"], umap_y=frame["value"])

    def test_each_panel_has_all_originals_and_its_own_repaintings(self, found: pd.DataFrame) -> None:
        [shown] = maps(found, "one", ORDER, ["as-is"])
        assert [panel.degradation for panel in shown.panels] == ["blur", "zero"]
        assert len(shown.originals) == 4 and (shown.drawn, shown.pictures) == (4, 4)
        for panel in shown.panels:
            assert {cloud.name: len(cloud.dots) for cloud in panel.clouds} == {"telea": 4, "sd": 8}
        assert shown.names == [("telea", 0), ("sd", 1)]
        assert maps(found, "another", ORDER, []) == []

    def test_one_scale_for_both_axes_and_nothing_beyond_the_frame(self, found: pd.DataFrame) -> None:
        [shown] = maps(found, "one", ORDER, [])
        dots = [dot for panel in shown.panels for cloud in panel.clouds for dot in cloud.dots]
        x, y = np.array([(dot.x, dot.y) for dot in dots]).T
        assert x.min() > 0 and x.max() < SIDE and y.min() > 0 and y.max() < SIDE
        assert np.allclose(np.polyfit(x, y, 1)[0], -1 / 3, atol=0.01), "up is more, and shapes stay"

    def test_titles_name_configuration_and_sample_as_text(self, found: pd.DataFrame) -> None:
        [shown] = maps(found, "one", ORDER, [])
        svg = drawn("maps.html.j2", "plane", shown, "Embeddings")
        assert "<title>sd/g=1 (blur), s0</title>" in svg and "<title>original, &lt;b&gt;</title>" in svg
        assert "mean little" in svg and "Drawn are" not in svg

    def test_of_many_pictures_some_are_drawn(self, found: pd.DataFrame) -> None:
        many = pd.concat([found.assign(sample=found["sample"] + str(n)) for n in range(100)])
        [shown] = maps(many, "one", ORDER, [])
        assert shown.pictures == 400 and 0 < shown.drawn < 400
        assert sum(len(cloud.dots) for cloud in shown.panels[0].clouds) <= MOST


class TestSweeps:
    PARAMS = {
        "degradations": {f"hole/fraction={f}": {"kind": "zero", "fraction": f} for f in (0.25, 0.5)},
        "inpainters": {
            "telea": {"adapter": "telea"},
            **{
                f"sd/guidance={g},seed={s},prompted={p}": {"guidance": g, "seed": s, "prompted": p, "steps": 5}
                for g, s, p in product((1, 3.5, 8), (0, 1), (True, False))
            },
        },
    }

    def test_numbers_are_swept_over_seeds_are_replicates_and_the_rest_are_lines(self) -> None:
        hole, sd = axes_of(self.PARAMS, [])
        assert (hole.entry, hole.setting, set(hole.values.values())) == ("hole", "fraction", {0.25, 0.5})
        assert (sd.entry, sd.setting, set(sd.values.values())) == ("sd", "guidance", {1, 3.5, 8})
        assert set(sd.lines.values()) == {"prompted true", "prompted false"}
        assert axes_of({"degradations": {}, "inpainters": {"telea": {}, "sd": {}}}, []) == []
        seeds = {f"sd/seed={s}": {"seed": s} for s in (0, 1)}
        assert axes_of({"degradations": {}, "inpainters": seeds}, []) == [], "replicates alone are no curve"

    def test_means_and_intervals_are_those_over_pictures(self) -> None:
        rng = np.random.default_rng(0)
        made = pd.DataFrame(
            {"corpus": "one", "degradation": d, "inpainter": i, "captioner": "", "metric": metric, "sample": f"s{n}",
             "value": rng.random()}
            for d, i, n, metric in product(self.PARAMS["degradations"], self.PARAMS["inpainters"], range(6),
                                           ("lpips", "ssim"))
        )  # fmt: skip
        hole, sd = axes_of(self.PARAMS, [])
        metrics = [SSIM, LPIPS]
        found = sweep(made, sd, metrics, COLOURS)
        assert [plane.metric.name for plane in found.planes] == ["ssim", "lpips"]
        assert [name for name, _ in found.names] == ["prompted true", "prompted false"]
        assert "6 pictures" in found.over
        mine = made[made["inpainter"].str.contains("guidance=3.5.*True") & (made["metric"] == "lpips")]
        values = mine.groupby("sample")["value"].mean()
        ends = stats.ttest_1samp(values, 0).confidence_interval()
        title = found.planes[1].curves[0].spots[1].title
        assert title == (
            f"prompted true, guidance 3.5: LPIPS {values.mean():.3f} [{ends.low:.3f}, {ends.high:.3f}], n = 6"
        )
        assert [curve.name for curve in sweep(made, hole, metrics, COLOURS).planes[0].curves] == ["telea", "sd"]
        assert sweep(made[made["inpainter"] == "telea"], sd, metrics, COLOURS) is None
        svg = drawn("sweeps.html.j2", "swept", found, "one")
        assert svg.count("<svg viewBox") == 2 and title in svg and "sd: guidance" in svg

    def test_a_registry_of_sweeps(self, toy_again: Any) -> None:
        """The toy's inpainters read as variants that differ in a number."""
        names = ("diffusion", "patch")
        with toy_again.engine.connect() as connection:
            study = queries.find_study(connection, "toy")
            found = drawn_from.swept(connection, study.id, {"inpainter": names}, ["lpips", "sbert"])
        assert set(found["inpainter"]) == set(names) and set(found["kind"]) == {"fidelity.lpips", "quality.semantic"}
        mine = found.query("corpus == 'scenes' and degradation == 'blur' and inpainter == 'diffusion'")
        means = mine.groupby("metric")["value"].mean()
        assert means["lpips"] == pytest.approx(toy_again.mean("scenes", "blur", "diffusion", "lpips", "region"))
        assert means["sbert"] == pytest.approx(toy_again.mean("scenes", "blur", "diffusion", "sbert", ""))


class TestSimilarity:
    def test_means_intervals_and_where_they_are_drawn(self) -> None:
        frame = rows("cls_cosine")
        frame.loc[frame["inpainter"] == "telea", "value"] = [0.5, 0.6, 0.7, 0.8] * 2
        plot = similarity("vit", frame, ORDER)
        dot = plot.panels[0].dots[0]
        ends = stats.ttest_1samp([0.5, 0.6, 0.7, 0.8], 0).confidence_interval()
        assert dot.title == f"telea (blur), one: 0.650 [{ends.low:.3f}, {ends.high:.3f}], n = 4"
        assert dot.low < dot.x < dot.high and dot.x - dot.low == pytest.approx(dot.high - dot.x, abs=0.2)
        assert [dot.title.split()[0] for dot in plot.panels[0].dots] == ["telea", "sd", "as-is"]
        assert "n = 4" in plot.panels[0].dots[1].title, "variants are averaged for each picture first"
        svg = drawn("similarity.html.j2", "similarity", plot)
        assert "telea (blur), one: 0.650" in svg and svg.count("<circle") == 2 * 3 + 3

    def test_no_cosine_is_more_than_one(self) -> None:
        frame = rows("cls_cosine", value=[1.0, 1.0, 1.0, 0.7] * 8)
        for dot in similarity("vit", frame, ORDER).panels[0].dots:
            assert "1.000]" in dot.title
        equal = similarity("vit", rows("cls_cosine", value=1.0), ORDER).panels[0].dots[0]
        assert equal.low == equal.x == equal.high

    def test_the_toys(self, toy: Any) -> None:
        with toy.engine.connect() as connection:
            [plot] = similarities(Study(connection, toy.objects, "toy"))
        assert plot.encoder == "tiny" and [band.name for band in plot.bands] == ["scenes", "photos"]
        titles = [dot.title for panel in plot.panels for dot in panel.dots]
        mean = toy.mean("photos", "blur", "diffusion", "cls_cosine", "whole")
        assert any(title.startswith(f"diffusion (blur), photos: {mean:.3f}") for title in titles)
        assert not any("as-is" in title for title in titles)


class TestHeatMaps:
    @pytest.fixture
    def frame(self) -> pd.DataFrame:
        """12 configurations × 10 pictures: captions follow LPIPS, MSE is noise."""
        draw = random.Random(0)
        made = []
        for unit in range(12):
            level, noise = draw.random(), draw.random()
            for item in range(10):
                some = {"lpips": level + 0.1 * draw.random(), "mse": noise, "sbert@blip": draw.random() - 3 * level}
                where = {"corpus": "one", "configuration": f"c{unit}", "sample": f"s{item}"}
                made.append(where | some | {"sbert@qwen": draw.random()})
        return pd.DataFrame(made)

    def test_intervals_are_those_of_correlate(self, frame: pd.DataFrame) -> None:
        xs, ys = ["lpips", "mse"], ["sbert@blip", "sbert@qwen"]
        roles = Roles("configuration", "sample")
        wanted = {(one.x, one.y): (one.low, one.high) for one in correlate(frame, xs, ys, roles)}
        estimated = estimate(frame, xs, ys, roles)
        found = {(one.x, one.y): (one.low, one.high) for one in estimated}
        assert found.keys() == wanted.keys()
        assert all(found[pair] == pytest.approx(wanted[pair]) for pair in wanted)
        shared = Correlated(frame, frame, ys, {"one": estimated})
        [mine] = (one for one in shared.of("one", "blip") if one.x == "lpips")
        assert (mine.y, mine.low, mine.high) == ("sbert", *found["lpips", "sbert@blip"])
        assert {(one.x, one.y) for one in shared.of("one", "qwen")} == {("lpips", "sbert"), ("mse", "sbert")}

    def test_bold_is_an_interval_without_zero(self) -> None:
        def pair(x: str, pearson: float, spearman: float, *ends: float | None) -> Correlation:
            low, high = ends or (None, None)
            return Correlation(x, "sbert", "", 9, None, 9, 0, "", pearson, spearman, None, low, high)

        pairs = [pair("mse", -0.7, -0.6, -0.95, 0.02), pair("lpips", -0.9, -0.9, -0.98, -0.5)]
        found = heat_map(pairs, "pearson", [MSE, LPIPS], [SBERT])
        by_name = {line.metric.name: line.squares[0] for line in found.lines}
        assert by_name["lpips"].beyond and not by_name["mse"].beyond
        assert by_name["mse"].title == "MSE and SBERT: Pearson −0.70 [−0.95, +0.02], n = 9"
        none = heat_map([pair("mse", -0.7, -0.6)], "pearson", [MSE, LPIPS], [SBERT]).lines[0].squares[0]
        assert not none.beyond and "[−1.00, +1.00]" in none.title


def test_inside_and_outside_stand_in_one_plane() -> None:
    rng = np.random.default_rng(0)
    inside = {name: pd.DataFrame(rng.random((4, 3)) + 1) for name in ("telea", "sd")}
    outside = {name: table / 4 for name, table in inside.items()}
    plot = contrast(inside, outside, "TVD")
    bold = {curve.name: curve for curve in plot.curves if "bold" in curve.style}
    assert list(bold) == ["inside", "outside"] and bold["outside"].style == "bold dashed"
    everything = pd.concat(inside.values(), axis=1)
    assert bold["inside"].title == (
        f"inside: {everything.loc[0].mean():.3g} in layer 1, {everything.loc[3].mean():.3g} in layer 4"
    )
    ends = stats.ttest_1samp(everything.loc[0], 0).confidence_interval()
    heights = [float(y) for y in re.findall(r" ([\d.]+)", bold["inside"].band)]
    unit = plot.y_ticks[1].at - plot.y_ticks[0].at, float(plot.y_ticks[1].text) - float(plot.y_ticks[0].text)
    assert (heights[-1] - heights[0]) / -unit[0] * unit[1] == pytest.approx(ends.high - ends.low, abs=0.02)
    faint = [curve for curve in plot.curves if "faint" in curve.style]
    assert [curve.title.partition(":")[0] for curve in faint] == [
        "telea, inside", "sd, inside", "telea, outside", "sd, outside"
    ]  # fmt: skip
    assert all(not curve.name and not curve.band for curve in faint)


def test_one_picture_goes_through_everything(toy: Any) -> None:
    with toy.engine.connect() as connection:
        found = mosaics(Study(connection, toy.objects, "toy"))
    shown = found["scenes"]
    assert (shown.sample, shown.captioner, shown.columns) == ("s0", "blip", ["telea", "diffusion", "patch"])
    assert [row.degradation for row in shown.rows] == list(toy.params["degradations"])
    assert all(row.outline for row in shown.rows)
    assert all(tile.picture and tile.caption for row in shown.rows for tile in row.repainted)
    assert ("green", True) in shown.rows[0].repainted[1].caption
    assert not any(changed for _, changed in shown.original.caption)
    html = drawn("mosaic.html.j2", "mosaic", shown)
    assert html.count("<image") == 1 + 3 + (1 + 6), "telea's three are one"
    assert html.count('rowspan="3"') == 1 and "<ins>green</ins>" in html
    assert 'aria-label="repainted by diffusion (blur)"' in html
