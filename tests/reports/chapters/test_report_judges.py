"""The page of judges, made from a registry whose truths and judgements are known."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from scipy import stats

from registry.indexing import Index
from reports.asking.judged import judged
from reports.asking.study import Study
from reports.chapters import judges
from tests.reports.conftest import Toy
from tests.reports.declared import declare

PARAMS = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes"}},
    "captioners": {
        "c0": {"adapter": "edited-truth", "wrong": "color", "errors": 1},
        "c1": {"adapter": "edited-truth", "left_out": 1},
        **{f"c{n}": {"adapter": "blip"} for n in range(2, 8)},
        "c8": {"adapter": "edited-truth"},
    },
    "degradations": {"blur": {"kind": "blur"}},
    "inpainters": {"telea": {"adapter": "telea"}},
}
SAMPLES = [f"s{n}" for n in range(6)]
MEASURES = {
    "quality.lexical": {"cider": (1, 0.1), "bleu_1": (0, 1)},
    "quality.one": {"sbert": (1, 0.2)},
    "quality.two": {"sbert": (1, 3)},
    "quality.amber": {"amber_chair": (-1, 0.3), "amber_cog": (0, 0)},
}
"""Measure -> metric -> how much of the truth is in it, and how much else."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Captions of originals by nine captioners, of whose objects, say, a share is right; one repainted is all wrong."""
    toy, rng = Toy(tmp_path_factory.mktemp("judged")), random.Random(0)
    for place, captioner in enumerate(PARAMS["captioners"]):
        for sample in SAMPLES:
            true = place / 9 + 0.3 * rng.random()
            where = {"corpus": "scenes", "sample": sample, "captioner": captioner}
            caption(toy, where, true, {m: {n: a * true + b * rng.random() for n, (a, b) in some.items()}
                                       for m, some in MEASURES.items()})  # fmt: skip
            repainted = {**where, "degradation": "blur", "inpainter": "telea"}
            caption(toy, repainted, 0.0, {m: dict.fromkeys(some, 9.0) for m, some in MEASURES.items()})
    with toy.engine.begin() as connection:
        index = Index(connection, {axis: PARAMS[f"{axis}s"] for axis in ("degradation", "inpainter", "captioner")})
        rows = [{"sample": s, "split": "test", "width": 4, "height": 4, "annotations": {}, "references": ["one"]}
                for s in SAMPLES]  # fmt: skip
        index.corpus("scenes", PARAMS["corpora"]["scenes"], {}, rows)
        for kind, some in toy.rows.items():
            index.place(kind, some)
        index.measure(toy.measurements)
        index.study("toy", PARAMS)
        declare(connection)
    with toy.engine.connect() as connection:
        yield Study(connection, toy.objects, "toy")


def caption(toy, where, true, said):
    toy.item("caption", where, where, value={"caption": "a star"})
    grounding = toy.item("quality.grounding", {**where, "measure": "grounding"}, where, value={})
    for metric, value in (("object_precision", true), ("object_recall", 0.5), ("object_hallucination", 0.1)):
        toy.measure(grounding, where, metric, "whole", value)
        toy.measure(grounding, where, metric, "region", 0.3)
    for kind, values in said.items():
        key = toy.item(kind, {**where, "measure": kind}, where, value={})
        for metric, value in values.items():
            toy.measure(key, where, metric, "", value)


@pytest.fixture(scope="module")
def table(study):
    return judges.tables(study)["judges"].set_index(["over", "judge", "family", "ratio"])


def test_judges_are_metrics_as_one_measure_took_them_and_the_truth_is_none(study):
    found, rows = judged(study)
    assert [one.title for one in found] == ["BLEU-1", "CIDEr", "SBERT (one)", "SBERT (two)", "AMBER CHAIR", "AMBER Cog"]
    assert len(rows) == 9 * 6, "captions of repainted pictures are left out"
    assert rows["object_f1"].tolist() == pytest.approx([stats.hmean([p, 0.5]) for p in rows["object_precision"]]), (
        "by scipy's harmonic mean"
    )


def test_agreement_over_captions_and_over_systems_is_spearmans(study, table):
    rows = judged(study).rows
    means = rows.groupby("system")[["object_precision", "quality.lexical@cider"]].mean()
    for over, some in ((judges.CAPTIONS, rows), (judges.SYSTEM, means)):
        expected = stats.spearmanr(some["object_precision"], some["quality.lexical@cider"]).statistic
        assert table.loc[(over, "CIDEr", "object", "precision"), "spearman"] == pytest.approx(expected)
    over = table.loc[(judges.SYSTEM, "CIDEr", "object", "precision")]
    assert (over["n"], over["clusters"]) == (9, 9) and over["low"] > 0


def test_less_is_better_is_turned_and_what_does_not_vary_has_no_agreement(table):
    of = table["spearman"].xs(judges.CAPTIONS, level="over").xs("precision", level="ratio")
    assert of["AMBER CHAIR"].item() > 0.9 and pd.isna(of["AMBER Cog"]).all()
    assert table["spearman"].xs("recall", level="ratio").isna().all()


def test_the_page_says_who_tells_it_best(study):
    [page] = judges.pages(study)
    [section] = page.given["sections"]
    assert (section.captions, section.pictures, section.systems, section.families) == (54, 6, 9, 9)
    [known] = section.known
    assert known.truth.name == "object_precision" and known.best[0] == "CIDEr"
    assert {"BLEU-1", "SBERT (two)"} <= set(known.beaten)
    assert "AMBER Cog" not in [line.judge.title for line in section.tables[judges.CAPTIONS].lines]
    assert "CIDEr & \\textbf{+0." in page.latex["judges-scenes.tex"]


def test_a_fault_costs_what_scipys_paired_t_test_says(study):
    [section] = judges.pages(study)[0].given["sections"]
    rows = judged(study).rows
    name, spread = "quality.lexical@cider", rows["quality.lexical@cider"].std()
    edited, whole = (rows[rows["system"] == system].set_index("sample")[name] for system in ("c0", "c8"))
    low, high = (end / spread for end in stats.ttest_rel(edited, whole).confidence_interval(0.95))
    assert section.costs.faults == ["wrong color", "a sentence left out"]
    [square] = [line.squares[0] for line in section.costs.lines if line.judge.name == name]
    assert square.text == f"{(edited - whole).mean() / spread:+.2f}".replace("-", "−") and square.beyond
    assert square.interval == f"{low:+.1f} … {high:+.1f}".replace("-", "−")


def test_a_study_without_a_known_truth_has_no_such_page(toy):
    with toy.engine.connect() as connection:
        assert judges.pages(Study(connection, toy.objects, "toy")) == []
