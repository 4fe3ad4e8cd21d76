"""The chapter on benchmarks, on a registry whose every number was put in: four pictures, and what a model answers about
them as it is and pretrained on nothing, on a rival's and on ScaleCap's captions, of two sizes and two seeds.

Of picture n counts are right in .5 + .02 (n − 1.5) of the questions; ScaleCap's captions add .1 and then .2, those of
the rival .1 at both sizes, and none takes .1. The second seed adds .01 to all trainings. Choices are right in half of
that. As it is the model has .4, and a blind answer .3.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from registry.indexing import Index
from registry.published import publish
from reports.asking.answered import MEAN, OURS, SHORT, Told, accuracies, lines_of, told
from reports.asking.study import Study
from reports.chapters import benchmarks
from reports.report import build
from tests.reports.conftest import Toy
from tests.reports.declared import declare

SIZES, SEEDS = (100, 400), (0, 1)
LEARNT = {
    f"{entry}/size={size},seed={seed}": {"kind": "pretrain", "captions": entry, "size": size, "seed": seed}
    for entry, size, seed in product(("rival", "scalecap"), SIZES, SEEDS)
}
PARAMS: dict[str, Any] = {
    "study": "toy",
    "corpora": {"scenes": {"adapter": "scenes"}},
    "degradations": {},
    "inpainters": {},
    "captioners": {"blip": {"adapter": "blip"}},
    "recaptioners": {"rival": {"method": "sharegpt4v"}, "scalecap": {"method": "scalecap"}},
    "training": {
        **{f"vanilla/seed={s}": {"kind": "pretrain", "captions": "blip", "further": {"epochs": 0}, "seed": s}
        for s in SEEDS}, **LEARNT
    },
    "answerers": {"lvlm": {"adapter": "llava"}},
}  # fmt: skip


def right(n: int, training: str | None) -> float:
    if training is None:
        return 0.4
    said = PARAMS["training"][training]
    gain = {"blip": -0.1, "rival": 0.1, "scalecap": 0.2 if said.get("size") == 400 else 0.1}[said["captions"]]
    return 0.5 + 0.02 * (n - 1.5) + gain + 0.01 * said["seed"]


class Answered(Toy):
    """The registry of this page."""

    def fill(self) -> None:
        self.wholes: list[tuple[dict[str, Any], dict[str, float], int]] = []
        for training in (None, *PARAMS["training"]):
            of = {"corpus": "scenes", "captioner": "lvlm"} | ({"training": training} if training else {})
            for n in range(4):
                where = {**of, "sample": f"s{n}"}
                item = self.item("answer", where, where, value={})
                for name, share in (("count", 1.0), ("choice", 0.5)):
                    self.measure(item, where, f"{name}_accuracy", "", share * right(n, training))
                    self.measure(item, where, f"{name}_blind", "", share * 0.3)
            own = {"pope_random_accuracy": 0.75, "pope_random_f1": 0.8 if training else 0.7, "pope_random_yes": 0.5}
            self.wholes.append((of, own, 4))

    def index(self) -> None:
        with self.engine.begin() as connection:
            axes = {"captioner": PARAMS["answerers"], "training": PARAMS["training"]}
            index = Index(connection, axes)
            size = {"split": "", "width": 8, "height": 8, "annotations": {}, "references": []}
            index.corpus("scenes", {}, {}, [{"sample": f"s{n}", **size} for n in range(4)])
            for kind, rows in self.rows.items():
                index.place(kind, rows)
            index.measure(self.measurements)
            for row, values, items in self.wholes:
                index.summarise(row, values, items)
            index.study("toy", PARAMS)
            declare(connection)
            publish(connection)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The CSV files, and under "" the page's text."""
    toy = Answered(tmp_path_factory.mktemp("answered"))
    toy.fill()
    toy.index()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # where MLflow keeps nothing
        page = build(toy.engine, toy.objects, "toy", tmp_path_factory.mktemp("report"))
    read = {path.stem: pd.read_csv(path) for path in (page.parent / "tables").glob("benchmarks*.csv")}
    return read | {"": page.with_name("benchmarks.html").read_text()}


def test_accuracies_are_means_over_pictures_and_seeds(tables: dict[str, Any]) -> None:
    cells = tables["benchmarks"].set_index(["metric", "training", "size"])
    one = cells.loc[("count_accuracy", "scalecap", 400)]
    assert [one["n"], one["value"], one["blind"], one["gain"]] == pytest.approx([4, 0.705, 0.3, 0.405])
    assert one["low"] < 0.705 < one["high"]
    mean = tables["benchmarks"].query("metric == 'all' and training == 'as it is'").iloc[0]
    assert [mean["value"], mean["blind"]] == pytest.approx([0.3, 0.225]), "of counts and of choices"


def test_effects_are_paired(tables: dict[str, Any]) -> None:
    """All pictures and seeds move alike, so that intervals have no width; where sizes differ the common one counts."""
    effects = tables["benchmarks_effects"].query("metric == 'count_accuracy'").set_index("contrast")
    one = effects.loc["rival → scalecap, 400 pictures"]
    assert one[["before", "after", "effect", "low", "high"]].tolist() == pytest.approx([0.605, 0.705, 0.1, 0.1, 0.1])
    assert effects.loc["vanilla → rival", "effect"] == pytest.approx(0.2)
    assert effects.loc["scalecap: 100 → 400 pictures", "effect"] == pytest.approx(0.1)
    assert effects.loc["rival: 100 → 400 pictures", "effect"] == 0


def test_a_training_that_answered_one_benchmark_alone_is_no_other_training() -> None:
    """Choices were asked of b alone, and of picture 1 nobody was asked to count."""
    shares = {"count": {("", 0): 0.5, ("a", 0): 0.6, ("b", 0): 0.7}, "choice": {("b", 0): 0.9, ("b", 1): 0.1}}
    wide = pd.DataFrame(
        [
            {"metric": f"{name}_{what}", "training": training, "sample": sample, "value": value}
            for name, some in shares.items()
            for (training, sample), share in some.items()
            for what, value in (("accuracy", share), ("blind", 0.2 if name == "count" else 0.4 + 0.4 * sample))
        ]
    ).pivot(index="sample", columns=["metric", "training"], values="value")
    metrics = [replace(MEAN, name=f"{name}_accuracy") for name in shares]
    (_, mean, blind), (_, counts, _), (_, choices, _) = accuracies(wide, metrics)
    assert blind.tolist() == pytest.approx([0.3, float("nan")], nan_ok=True), "of the picture of which the mean is"
    assert mean["b"].tolist() == pytest.approx([0.8, float("nan")], nan_ok=True)
    learnt = {name: Told(name, SHORT, None, 0) for name in "ab"}
    for table in (mean, counts, choices):
        assert learnt.keys() <= set(table) and [line.name for line in lines_of(table, learnt)] == ["a", "b"]


def test_of_benchmarks_that_no_picture_has_in_common_there_is_no_mean() -> None:
    """One counts on picture 0 and chooses on picture 1; of POPE all failed."""
    known = {("count", 0): 0.5, ("count", 1): None, ("choice", 0): None, ("choice", 1): 0.7, ("pope", 0): None}
    wide = pd.DataFrame(
        [{"metric": f"{name}_{what}", "training": "", "sample": sample, "value": value}
         for (name, sample), value in known.items() for what in ("accuracy", "blind")]
    ).astype({"value": float}).pivot(index="sample", columns=["metric", "training"], values="value")  # fmt: skip
    found = accuracies(wide, [replace(MEAN, name=f"{name}_accuracy") for name in ("count", "choice", "pope")])
    assert [(metric.name, blind.max()) for metric, _, blind in found] == [
        ("count_accuracy", 0.5),
        ("choice_accuracy", 0.7),
    ]


def test_whose_captions_are_learnt_is_asked_of_caption_sets_too() -> None:
    """A set may hold what a method made of a captioner's captions, or composed ones, of which no claim is made."""
    sets = {"ours": {"kind": "captions", "captioner": "blip", "recaptioner": "scalecap/budget=2"},
            "first": {"kind": "captions", "captioner": "blip"}, "made": {"kind": "edits", "precision": 50}}  # fmt: skip
    training = {name: {"kind": "pretrain", "captions": name} for name in sets}
    params = {"recaptioners": {"scalecap/budget=2": {"method": "scalecap"}}, "captions": sets, "training": training}
    assert {name: one.of for name, one in told(params).items()} == {"ours": OURS, "first": SHORT, "made": ""}


def test_an_interval_is_for_new_pictures_and_new_seeds() -> None:
    """Of one seed it is that of a t test over pictures."""
    values = pd.Series([0.47, 0.49, 0.51, 0.53]).to_numpy()
    found = benchmarks.cell(values[:, None], np.full(4, 0.3))
    assert found and found.beyond
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    assert [found.low, found.high] == pytest.approx([*interval])
    some = np.stack([values, [np.nan, *values[1:]], np.full(4, np.nan)], axis=1)
    one = benchmarks.cell(some, np.full(4, 0.3))
    assert one and (one.mean, one.n) == (pytest.approx(0.51), 3), "of pictures that were asked about with each seed"


def test_a_blind_answer_is_held_against_the_same_pictures() -> None:
    """It hangs on the pictures as answers do. Means and intervals of the answers alone are those of both columns alike,
    and of the difference a t test over pictures says which of them is more than chance."""
    answers = np.array([0.2, 0.9, 0.4, 0.7, 0.3, 0.8])
    together, apart = answers - np.array([0.1, 0.12, 0.1, 0.08, 0.1, 0.1]), answers[::-1] - 0.1
    paired, unpaired = (benchmarks.cell(answers[:, None], blind) for blind in (together, apart))
    assert paired and unpaired and paired[:4] == unpaired[:4] and paired.low is not None
    assert paired.low < together.mean() and paired.beyond, "question by question it is always more"
    assert not unpaired.beyond
    for found, blind in ((paired, together), (unpaired, apart)):
        one = stats.ttest_rel(answers, blind)
        assert [*found.over] == pytest.approx([(answers - blind).mean(), *one.confidence_interval(), one.pvalue])


def test_the_paper_is_asked_and_answered(tables: dict[str, Any]) -> None:
    found = tables["benchmarks_findings"]
    counts = found[found["judge"] == "Counts accuracy"].set_index("claim")
    assert counts["verdict"].to_dict() == {
        "Pretraining on ScaleCap’s captions is best": "supported",
        "Further pretraining on captions helps at all": "supported",
        "Of as many captions, ScaleCap’s are worth more than a rival’s": "supported",
        "The more captions, the larger is ScaleCap’s advantage": "supported",
        "More of ScaleCap’s captions would be better still": "supported",
    }
    assert counts.loc["Of as many captions, ScaleCap’s are worth more than a rival’s", "value"] == pytest.approx(0.05)
    page = tables[""]
    assert "best of its trainings is scalecap (400 pictures) with 0.529" in page
    assert "most frequent answer has 0.225" in page
    assert 'title="n = 4 pictures; 0.405 [' in page
    assert "ScaleCap, table 1" in page and ">64.7<" in page, "the average after its captions"


def test_popes_table_is_of_corpora_as_wholes_at_the_largest_size(tables: dict[str, Any]) -> None:
    pope = tables["benchmarks_pope"].set_index("training")
    assert pope["f1"].to_dict() == {"as it is": 0.7, "vanilla": 0.8, "rival": 0.8, "scalecap": 0.8}
    assert pope.loc["scalecap", "size"] == 400


def test_where_nobody_was_asked_there_is_no_page(toy: Toy) -> None:
    with toy.engine.connect() as connection:
        study = Study(connection, toy.objects, "toy")
        assert benchmarks.pages(study) == [] and benchmarks.tables(study) == {}
