"""The chapter on recaptioning, on a registry whose every number was put in: captions of five pictures, of originals and
of repainted ones, rewritten in one round and in two.

Object recall of picture n: .5 at first, .1 n more after a round, .05 more after another. Repainting takes .2 of the
first captions', and a round gives .1 back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from registry.indexing import Index
from registry.store.axes import AXES
from reports.asking.study import Study
from reports.chapters import recaptioning
from reports.chapters.gains import ALL
from reports.figures.trajectories import Words, gallery
from reports.report import build
from reports.site.pages import render
from tests.reports.conftest import Toy, png
from tests.reports.declared import declare

FIRST, REVISED = "a blue star", "a red star <b>"
ROUNDS = {"rico/rounds=1": 1, "rico/rounds=2": 2}
PARAMS: dict[str, Any] = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes"}},
    "degradations": {"blur": {"kind": "blur"}},
    "inpainters": {"telea": {"adapter": "telea"}},
    "captioners": {"blip": {"adapter": "blip"}},
    "recaptioners": {name: {"method": "rico", "rounds": n} for name, n in ROUNDS.items()}
    | {"scalecap": {"method": "scalecap", "threshold": 0.5}},
    "quality": {"grounding": {"adapter": "grounding"}, "words": {"adapter": "words"}},
}
ASKED = {
    "sentences": [{"text": "a blue", "rating": 0.9}, {"text": "star", "rating": 0.1}],
    "questions": [{"question": "What star?", "answer": "a red star"}, {"question": "Where?", "answer": None}],
    "summaries": {"objects": "The star is red.", "positions": ""},
}


class Rewritten(Toy):
    """The registry of this page."""

    metric = "object_recall"

    def one(self, n: int) -> None:
        where = {"corpus": "scenes", "sample": f"s{n}"}
        self.item("original", {**where}, where, data=png((8, 8), "RGB", ([0, 0, 8, 8], (n, 0, 0))))
        painting = self.objects.put(png((8, 8), "RGB", ([0, 0, 8, 8], (0, 0, n))))
        self.caption({**where, "captioner": "blip"}, FIRST, 0.5, wrong=[1])
        keys = [
            self.item(kind, {"of": n, "round": r, **parts}, where, value=value)
            for r in range(2)
            for kind, parts, value in (
                ("paint", {"text": FIRST}, {}),
                ("ask", {"turns": [{"text": "Revise the caption."}]}, {"text": REVISED}),
            )
        ]
        steps = [
            {"caption": FIRST, "painting": painting, "analysis": "It is red."},
            {"caption": REVISED, "painting": painting, "analysis": ""},
            {"caption": REVISED},
        ]
        for name, r in ROUNDS.items():
            value = {"caption": REVISED, "first": FIRST, "steps": steps[: r + 1]}
            place = {**where, "captioner": "blip", "recaptioner": name}
            self.caption(place, REVISED, 0.5 + 0.1 * n + 0.05 * (r - 1), right=[1], parents=keys[: 2 * r], value=value)
        place = {**where, "captioner": "blip", "recaptioner": "scalecap"}
        self.caption(place, REVISED, 0.5, right=[1], value={"caption": REVISED, "first": FIRST, "steps": ASKED})
        painted = {**where, "degradation": "blur", "inpainter": "telea"}
        self.item("repainted", painted, painted, data=png((8, 8), "RGB"))
        self.caption({**painted, "captioner": "blip"}, FIRST, 0.3)
        place = {**painted, "captioner": "blip", "recaptioner": "rico/rounds=1"}
        self.caption(place, REVISED, 0.4, value={"caption": REVISED, "first": FIRST, "steps": steps[:2]})

    def caption(self, where: dict[str, Any], text: str, recall: float, parents: Any = (), **found: Any) -> None:
        """A caption with its object recall and, as far as they are given, its right and wrong words."""
        kind = "recaption" if "recaptioner" in where else "caption"
        value = found.pop("value", {"caption": text})
        self.item(kind, {**where, "text": text}, where, value=value, parents=tuple(parents))
        measured = self.item("quality.grounding", {"of": where}, where, value={})
        self.measure(measured, where, self.metric, "whole", recall)
        marked = self.item("quality.words", {"of": where}, where, value={"right": [], "wrong": [], **found})
        self.measure(marked, where, "words_right", "", None)

    def index(self) -> None:
        with self.engine.begin() as connection:
            index = Index(connection, {axis: PARAMS.get(f"{axis}s", {}) for axis in AXES})
            size = {"split": "test", "width": 8, "height": 8, "annotations": {}, "references": ["a red star"]}
            index.corpus("scenes", {}, {}, [{"sample": f"s{n}", **size} for n in range(5)])
            for kind, rows in self.rows.items():
                if kind not in ("paint", "ask"):
                    index.place(kind, rows)
            index.measure(self.measurements)
            index.study("toy", PARAMS)
            declare(connection)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    toy = Rewritten(tmp_path_factory.mktemp("rewritten"))
    for n in range(5):
        toy.one(n)
    toy.index()
    return toy


@pytest.fixture(scope="module")
def tables(made: Rewritten, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The CSV files, and under "" the page's text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # where MLflow keeps nothing
        page = build(made.engine, made.objects, "toy", tmp_path_factory.mktemp("report"))
    read = {path.stem: pd.read_csv(path) for path in (page.parent / "tables").glob("recaptioning*.csv")}
    return read | {"": page.with_name("recaptioning.html").read_text()}  # type: ignore[dict-item]


def test_differences_are_paired_over_pictures(tables: dict[str, Any]) -> None:
    rows = tables["recaptioning"].query("captioner == 'blip' and metric == 'object_recall'").set_index("recaptioner")
    assert set(tables["recaptioning"]["captioner"]) == {"blip"}, f"of one captioner there is no column {ALL!r}"
    after = [0.5, 0.6, 0.7, 0.8, 0.9]
    interval = stats.ttest_rel(after, [0.5] * 5).confidence_interval()
    one = rows.loc["rico/rounds=1"]
    assert [one["before"], one["after"], one["n"], one["effect"]] == pytest.approx([0.5, 0.7, 5, 0.2])
    assert [one["low"], one["high"]] == pytest.approx([interval.low, interval.high], rel=1e-5)
    assert rows.loc["rico/rounds=2", "effect"] == pytest.approx(0.25)
    assert rows.loc["scalecap", "effect"] == 0


def test_claims_are_judged_by_their_intervals(tables: dict[str, Any]) -> None:
    """A round gains .2 ± .196 and the next .05: each improves. ScaleCap gains nothing."""
    found = tables["recaptioning_findings"].set_index("claim")
    each = found.loc["Each round of RICO improves captions"]
    assert (each["verdict"], each["value"]) == ("supported", pytest.approx(0.05))
    assert each["low"] == pytest.approx(0.2 - stats.t.ppf(0.975, 4) * 0.025**0.5 / 5**0.5, rel=1e-4)
    assert found.loc["RICO improves captions in all metrics, whoever wrote them", "verdict"] == "supported"
    assert found.loc["ScaleCap’s captions say more of what is there", "verdict"] == "undecidable"
    assert "RICO makes captions invent less" not in found.index, "which was not measured"
    assert "nothing to say: RICO makes captions invent less; A round" in tables[""]


def test_a_round_more_costs_one_round(tables: dict[str, Any]) -> None:
    costs = tables["recaptioning_costs"].set_index("recaptioner")
    assert costs[["captions", "distinct", "more"]].to_numpy().tolist() == [[5, 10, 10], [5, 20, 10]]
    assert costs.loc["rico/rounds=2", ["paint_requests", "ask_requests"]].tolist() == [2, 2]
    assert costs["read"].tolist() == [6, 12], "three words to be painted, and three in the prompt"
    assert costs["written"].tolist() == [4, 8] and costs["seconds"].isna().all()


def test_trajectories_show_what_changed_and_whether_it_is_right(made: Rewritten, tables: dict[str, Any]) -> None:
    with made.engine.connect() as connection:
        study = Study(connection, made.objects, "toy")
        found = gallery(study, recaptioning.latest(study), {})
    assert {one.at.recaptioner for one in found.entries} == {"rico/rounds=2", "scalecap"}, "the last of a sweep"
    rico = next(one for one in found.entries if one.at.recaptioner == "rico/rounds=2")
    first, once, twice = rico.steps
    assert first.words == [Words("a", False, ""), Words("blue", False, "wrong"), Words("star", False, "")]
    assert once.words[1:3] == [Words("red", True, "right"), Words("star", False, "")]
    assert once.painting in found.pictures and once.analysis == "It is red."
    assert not any(one.changed for one in twice.words), "the second round changed nothing"
    asked = next(one for one in found.entries if one.at.recaptioner == "scalecap")
    assert [(part.golden, part.rating) for part in asked.sentences] == [(True, 0.9), (False, 0.1)], "by its threshold"
    assert asked.sentences[0].words[1] == Words("blue", False, "wrong")
    assert asked.questions == [("What star?", "a red star"), ("Where?", None)]
    page = re.sub(r"\s+", " ", tables[""])
    assert '<ins class="right">red</ins>' in page and "&lt;b&gt;" in page and "star <b>" not in page
    assert "rated +0.90, kept" in page and "rated +0.10, dropped" in page and '<dd dir="auto">no answer</dd>' in page


def test_what_repainting_took_is_set_against_what_came_back(made: Rewritten, tables: dict[str, Any]) -> None:
    with made.engine.connect() as connection:
        study = Study(connection, made.objects, "toy")
        whole, one = recaptioning.undone(study, study.once(recaptioning.changes))
    assert (one.metric.name, one.recaptioner) == ("object_recall", "rico/rounds=1")
    assert (whole.lost, whole.back) == (one.lost, one.back), "there is no other metric"
    assert [one.lost.before, one.lost.effect, one.back.effect] == pytest.approx([0.5, -0.2, 0.1])
    assert tables["recaptioning_undone"]["effect"].tolist() == pytest.approx([-0.2, 0.1] * 2)
    assert "Does rewriting undo what repainting did?" in tables[""]


def test_where_no_truth_is_known_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy = Rewritten(tmp_path)
    toy.metric = "clipscore"
    toy.one(0)
    toy.index()
    with toy.engine.connect() as connection:
        study = Study(connection, toy.objects, "toy")
        [page] = recaptioning.pages(study)
        assert page.given["claims"] == [] and page.given["answers"] == [] and page.given["gallery"].entries
        render("toy", [page])
        assert recaptioning.tables(study)["recaptioning"]["metric"].tolist() == ["clipscore"] * 3


def test_where_nothing_was_rewritten_there_is_no_page(page: Path) -> None:
    assert not page.with_name("recaptioning.html").exists()
    assert not (page.parent / "tables" / "recaptioning.csv").exists()
