"""The chapter on training, on a registry whose every number was put in: four prompts, painted by a painter as it is and
by trainings of two precisions, two recalls and two seeds.

Attributes of prompt n: .5 at precision 0 and recall 0, .05 more at recall 3; precision 100 adds .2 + .02 (n − 1.5), and
takes .1 from what recall does. The second seed adds .01 to all. As it is the painter has .6.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from registry.indexing import Index
from registry.published import publish
from reports.asking.study import Study
from reports.asking.trained import cells
from reports.chapters import training
from reports.figures.painted import gallery
from reports.report import build
from reports.site.pages import render
from reports.statistics.surfaces import Contrast
from tests.reports.conftest import Toy, png
from tests.reports.declared import declare

GRID = list(product((0, 100), (0, 3)))
PARAMS: dict[str, Any] = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes"}},
    "degradations": {},
    "inpainters": {},
    "captioners": {},
    "captions": {f"grid/precision={p},recall={r}": {"kind": "edits", "precision": p, "recall": r} for p, r in GRID},
    "prompts": {"unseen": {"adapter": "scenes"}},
    "training": {
        f"lora/precision={p},recall={r},seed={seed}": {
            "kind": "lora", "captions": "grid", "precision": p, "recall": r, "seed": seed
        }
        for (p, r), seed in product(GRID, (0, 1))
    },
    "painters": {"pocket": {"adapter": "stable-diffusion-3"}},
    "quality": {"truth": {"adapter": "scenes"}, "lengths": {"adapter": "lengths"}},
}  # fmt: skip


def attributes(n: int, precision: int, recall: int, seed: int) -> float:
    more = 0.05 if recall == 3 else 0.0
    return 0.5 + 0.01 * seed + (0.2 + 0.02 * (n - 1.5) - more if precision == 100 else more)


class Trained(Toy):
    """The registry of this page."""

    def fill(self) -> None:
        made = {
            name: self.item("trained", {"training": name}, {}, value={"loss": 0.5, "truncated": 0.25, "steps": 8})
            for name in PARAMS["training"]
        }
        for name, said in PARAMS["captions"].items():
            where = {"corpus": "scenes", "sample": "s0", "captioner": name}
            told = {"precision": said["precision"] / 100, "recall": (1 + said["recall"]) / 4}
            self.item("caption", {"of": name}, where, value={"caption": "a star", **told})
            cut = self.item("quality.lengths", {"of": name}, where, value={})
            self.measure(cut, where, "cut_77", "", 0.25 * (said["recall"] == 3))
        for n in range(4):
            where = {"corpus": "unseen", "sample": f"p{n}", "painter": "pocket"}
            self.paint({**where}, 0.6, n, ())
            for name, said in PARAMS["training"].items():
                value = attributes(n, said["precision"], said["recall"], said["seed"])
                self.paint({**where, "training": name}, value, n, (made[name],))

    def paint(self, where: dict[str, Any], value: float, n: int, parents: tuple[str, ...]) -> None:
        picture = png((8, 8), "RGB", ([0, 0, 8, 8], (n, len(self.rows["painted"]), 0)))
        self.item("painted", where, where, data=picture, parents=parents)
        truth = self.item("quality.truth", where, where, value={})
        self.measure(truth, where, "painted_attributes", "", value)
        self.measure(truth, where, "painted_relations", "", None)

    def index(self) -> None:
        with self.engine.begin() as connection:
            sections = {"captioner": "captions", "painter": "painters", "training": "training"}
            index = Index(connection, {axis: PARAMS[section] for axis, section in sections.items()})
            size = {"split": "", "width": 8, "height": 8, "annotations": {}}
            index.corpus("scenes", {}, {}, [{"sample": "s0", **size, "references": []}])
            prompts = [{"sample": f"p{n}", **size, "references": [f"{n} stars <b>"]} for n in range(4)]
            index.corpus("unseen", {}, {}, prompts)
            for kind, rows in self.rows.items():
                if kind != "trained":
                    index.place(kind, rows)
            index.measure(self.measurements)
            index.study("toy", PARAMS)
            declare(connection)
            publish(connection)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    toy = Trained(tmp_path_factory.mktemp("trained"))
    toy.fill()
    toy.index()
    return toy


@pytest.fixture(scope="module")
def tables(made: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The CSV files, and under "" the page's text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # where MLflow keeps nothing
        page = build(made.engine, made.objects, "toy", tmp_path_factory.mktemp("report"))
    read = {path.stem: pd.read_csv(path) for path in (page.parent / "tables").glob("training*.csv")}
    return read | {"": page.with_name("training.html").read_text(), "first": page.read_text()}


def test_cells_are_means_over_prompts_and_seeds(tables: dict[str, Any]) -> None:
    """Of (100, 0) that is .5 + .2 + .005, and .105 over the painter as it is."""
    cells = tables["training"].set_index(["metric", "precision", "recall"])
    assert set(tables["training"]["metric"]) == {"painted_attributes"}, "relations have no value"
    one = cells.loc["painted_attributes", 100, 0]
    assert [one["n"], one["value"], one["gain"]] == pytest.approx([4, 0.705, 0.105])
    assert cells["value"].tolist() == pytest.approx([0.505, 0.555, 0.705, 0.655])


def test_what_the_page_shows_is_not_said_to_be_shown_nowhere(tables: dict[str, Any]) -> None:
    said = re.search(r"Also measured, but not shown here: ([\w, ]+)\.", tables["first"])
    assert said, "painted_relations has no value at all"
    assert {"painted_relations", "painted_attributes"} & {*said[1].split(", ")} == {"painted_relations"}


def test_effects_are_paired_over_prompts_and_seeds(tables: dict[str, Any]) -> None:
    """The second seed moves all cells alike, so that no effect has it, and the interval is that of a t test."""
    effects = tables["training_effects"].set_index("contrast")
    precision = effects.loc["precision 0 → 100, over all recalls"]
    interval = stats.ttest_1samp([0.12, 0.14, 0.16, 0.18], 0).confidence_interval()
    assert [precision["effect"], precision["low"], precision["high"]] == pytest.approx([0.15, *interval], rel=1e-4)
    assert effects.loc["recall 0 → 3, over all precisions", ["effect", "low", "high"]].tolist() == [0, 0, 0]
    assert effects.loc["… at precision 0", "effect"] == pytest.approx(0.05)
    interaction = effects.loc["effect of recall, precision 0 → 100"]
    assert [interaction["before"], interaction["after"], interaction["effect"]] == pytest.approx([0.05, -0.05, -0.1])


def test_the_paper_is_asked_and_answered(tables: dict[str, Any]) -> None:
    found = tables["training_findings"].set_index("claim")
    assert found["verdict"].to_dict() == {
        "More precise captions train better painters": "supported",
        "Captions that say more train better painters": "undecidable",
        "Precision matters more than recall": "supported",
        "Recall helps less the more precise captions are": "supported",
        "Long false captions are worse than short true ones": "supported",
        "High precision and high recall together are best": "not supported",
    }
    page = tables[""]
    assert "Do more precise captions help? Yes (precision 0 → 100" in page
    assert "Do captions that say more help? Open (recall 0 → 3" in page
    assert "0.2377" in page, "the average of table 2 at 0 % and no submask"


def test_sets_say_what_was_learnt_from(tables: dict[str, Any]) -> None:
    sets = tables["training_sets"].set_index("captions")
    one = sets.loc["grid/precision=100,recall=3"]
    assert one[["n", "precision", "recall", "cut_77", "truncated", "loss"]].tolist() == [1, 1, 1, 0.25, 0.25, 0.5]
    assert sets.loc["grid/precision=0,recall=0", ["precision", "recall", "cut_77"]].tolist() == [0, 0.25, 0]


def test_a_training_learns_the_variant_of_a_set_that_it_names_by_all_that_the_set_sweeps_over() -> None:
    swept = {"precision": [0, 100], "recall": [0, 3], "negatives": ["color", "shape"]}
    learnt = [dict(zip(swept, values, strict=True)) for values in product(*swept.values())]
    names = [",".join(f"{key}={value}" for key, value in one.items()) for one in learnt]
    params = {
        "captions": {f"grid/{name}": {"kind": "edits", **one} for name, one in zip(names, learnt, strict=True)},
        "training": {f"lora/{name}": {"captions": "grid", **one} for name, one in zip(names, learnt, strict=True)},
    }
    found = cells(params)
    assert [one.captions for one in found.values()] == [f"grid/{name}" for name in names]
    assert {one.line for one in found.values()} == {"lora/negatives=color", "lora/negatives=shape"}
    few = {"captions": {f"grid/recall={n}": {"kind": "edits", "precision": 50, "recall": n} for n in (0, 3)},
           "training": {f"lora/recall={n}": {"captions": "grid", "recall": n} for n in (0, 3)}}  # fmt: skip
    assert [one[1:3] for one in cells(few).values()] == [(50, 0), (50, 3)], "where recall alone varies"
    said = {"captions": {"set": {"kind": "captions", "captioner": "blip"}}, "training": {"lora": {"captions": "set"}}}
    assert cells(said) == {}


def test_what_stands_on_both_sides_of_an_effect_is_of_the_prompts_that_it_is_of() -> None:
    """One prompt was judged with one seed of two alone, and lies far from the others."""
    before = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.9, np.nan]])
    found = training.effect(Contrast("", before, before + 0.05))
    assert found and found[:4] == pytest.approx((0.2, 0.25, 3, 0.05))


def test_where_recall_alone_varies_it_alone_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {f"grid/recall={n}": {"kind": "edits", "precision": 100, "recall": n} for n in (0, 3)}
    swept = {f"lora/recall={n},seed={seed}": {"captions": "grid", "recall": n, "seed": seed, "precision": 100}
             for n, seed in product((0, 3), (0, 1))}  # fmt: skip
    monkeypatch.setitem(PARAMS, "captions", sets)
    monkeypatch.setitem(PARAMS, "training", swept)
    toy = Trained(tmp_path)
    toy.fill()
    for one in swept.values():
        del one["precision"]  # which the set says
    toy.index()
    monkeypatch.chdir(tmp_path)
    with toy.engine.connect() as connection:
        [page] = training.pages(Study(connection, toy.objects, "toy"))
    [section] = page.given["sections"]
    assert [title for title, _ in section.heats[0].effects] == ["recall 0 → 3"] and not page.given["interactions"]
    assert section.heats[0].effects[0][1].effect == pytest.approx(-0.05)
    assert [name for name, *_ in page.given["claims"]] == ["Captions that say more train better painters"]


def test_paintings_stand_by_cell(made: Trained, tables: dict[str, Any]) -> None:
    with made.engine.connect() as connection:
        samples, pictures = gallery(Study(connection, made.objects, "toy"))
    assert [one.prompt for one in samples] == [f"{n} stars <b>" for n in range(4)]
    shown = [samples[0].untrained, *(one for _, row in samples[0].rows for one in row)]
    assert len(set(shown)) == 5 and set(shown) <= set(pictures), "five different pictures: as it is, and four cells"
    placed = {row.get("training", ""): row["key"] for row in made.rows["painted"] if row["sample"] == "p0"}
    recalled = made.store.recall([placed["lora/precision=100,recall=0,seed=0"]])
    assert samples[0].rows[1][1][0] == next(iter(recalled.values())).object
    assert "0 stars &lt;b&gt;" in tables[""] and "stars <b>" not in tables[""]


def test_lost_pictures_and_a_failed_training_leave_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed = ("lora/precision=100,recall=3,seed=0", "lora/precision=100,recall=3,seed=1")
    monkeypatch.setitem(PARAMS, "training", {n: one for n, one in PARAMS["training"].items() if n not in failed})
    toy = Trained(tmp_path)
    toy.fill()
    toy.index()
    with toy.engine.connect() as connection:
        study = Study(connection, None, "toy")
        [page] = training.pages(study)
        text = render("toy", [page])["training.html"]
        effects = training.tables(study)["training_effects"]
    assert "not in the object store" in text and page.given["pictures"] == {}
    assert effects["contrast"].tolist() == ["… at recall 0", "… at precision 0"], "the others need the cell that failed"
    found = {one.text for one in page.given["claims"]}
    assert found == {"Long false captions are worse than short true ones"}, "nor can the paper's other claims be asked"


def test_where_nothing_was_trained_there_is_no_page(toy: Toy) -> None:
    with toy.engine.connect() as connection:
        study = Study(connection, toy.objects, "toy")
        assert training.pages(study) == [] and training.tables(study) == {}
