"""Chat models that were asked the questions of benchmarks: their accuracy, as they are and as trainings made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from registry.store.dag import STAGES
from reports.asking import queries
from reports.asking.metrics import ANSWERS, Metric
from reports.asking.study import Study
from reports.asking.trained import learnt_from

KIND = STAGES["answer"].kind
ACCURACY, BLIND = "_accuracy", "_blind"
SAMPLINGS = ("random", "popular", "adversarial")
NUMBERS = ("accuracy", "precision", "recall", "f1", "yes")
"""POPE's."""

MEAN = Metric(
    "all", "Mean of benchmarks", True, 3, "the mean of a picture's accuracies; POPE's three count as one", ANSWERS
)
VANILLA, SHORT, RIVAL, OURS = "vanilla", "short", "rival", "scalecap"


class Line(NamedTuple):
    """Trainings that differ in their seed and in how much they learn alone, with the values of one metric."""

    name: str
    """The entry of ``training``, with what else it sweeps over."""
    of: str
    """What it further pretrains on: nothing (``vanilla``), a captioner's captions (``short``), ScaleCap's, or those of
    another one that rewrites captions (``rival``). Empty where it learns in another way, of which the paper claims
    nothing."""
    sizes: list[int | None]
    """How many pictures are learnt from, rising; None where the study does not say."""
    values: np.ndarray
    """Sizes × pictures × seeds, NaN where there is none."""


class Asked(NamedTuple):
    """One metric of a model and its trainings on the pictures of one corpus."""

    corpus: str
    answerer: str
    metric: Metric
    untrained: np.ndarray
    """Pictures."""
    blind: np.ndarray
    """Pictures: what always giving the most frequent answer would have."""
    lines: list[Line]


class Told(NamedTuple):
    """What tells a training apart from those of its line."""

    line: str
    of: str
    size: int | None
    seed: int


def told(params: Mapping[str, Any]) -> dict[str, Told]:
    """The trainings of a study.

    >>> swept = {"kind": "pretrain", "captions": "blip", "size": 100, "seed": 1}
    >>> list(told({"training": {"pre/size=100,seed=1": swept, "dpo": {"kind": "dpo", "captions": "blip"}}}).values())
    [Told(line='pre', of='short', size=100, seed=1), Told(line='dpo', of='', size=None, seed=0)]
    """
    found = {}
    methods = {name.partition("/")[0]: said.get("method") for name, said in (params.get("recaptioners") or {}).items()}
    sets = params.get("captions") or {}
    for name, said in (params.get("training") or {}).items():
        entry, _, swept = name.partition("/")
        rest = ",".join(part for part in swept.split(",") if part and part.partition("=")[0] not in ("size", "seed"))
        further, learnt = said.get("further") or {}, sets.get(learnt_from(said, sets), {"kind": "captions"})
        method = methods.get(str(learnt.get("recaptioner") or said["captions"]).partition("/")[0])
        of = OURS if method == "scalecap" else RIVAL if method else SHORT
        of = of if learnt["kind"] == "captions" else ""
        of = VANILLA if further.get("epochs") == 0 else of
        of = of if said.get("kind") == "pretrain" else ""
        found[name] = Told(f"{entry}/{rest}" if rest else entry, of, said.get("size"), said.get("seed", 0))
    return found


def values(study: Study) -> pd.DataFrame:
    """Corpus, captioner, training, metric, sample and value of every picture that was asked about."""
    names = [metric.name for metric in study.metrics if metric.name.endswith((ACCURACY, BLIND))]
    rows = queries.values(study.connection, study.id, names, "")
    rows = rows[rows["kind"] == KIND]
    columns = ["corpus", "captioner", "training", "metric", "sample", "value"]
    return rows[columns].astype(dict.fromkeys(columns[:-1], object))


def asked(study: Study) -> list[Asked]:
    """Every accuracy of every model: corpus by corpus, the mean of its benchmarks first."""
    rows = study.once(values)
    trainings = told(study.params)
    found = []
    for (corpus, answerer), own in rows.groupby(["corpus", "captioner"], sort=True):
        wide = own.pivot(index="sample", columns=["metric", "training"], values="value")
        there = [metric for metric in study.metrics if metric.name.endswith(ACCURACY) and metric.name in wide]
        for metric, table, blind in accuracies(wide, there):
            lines = lines_of(table, {name: one for name, one in trainings.items() if name in table})
            untrained = table.reindex(columns=[""])[""].to_numpy(float)
            found.append(Asked(str(corpus), str(answerer), metric, untrained, blind.to_numpy(float), lines))
    return found


def accuracies(wide: pd.DataFrame, metrics: list[Metric]) -> list[tuple[Metric, pd.DataFrame, pd.Series]]:
    """Each metric that a picture has with its values, pictures × trainings, and what a blind answer has, by picture;
    their mean first, where several benchmarks ask about the same pictures."""
    each = [(metric, of_metric(wide, metric.name), of_metric(wide, blind_of(metric))) for metric in metrics]
    benchmarks: dict[str, list[tuple[pd.DataFrame, pd.DataFrame]]] = {}
    for metric, table, blind in each:
        benchmarks.setdefault(metric.name.partition("_")[0], []).append((table, blind))
    if len(benchmarks) > 1:  # the blind answer too is that of the pictures which all of them ask about
        own = [[mean(list(side)) for side in zip(*some, strict=True)] for some in benchmarks.values()]
        table, blind = (mean(list(side)) for side in zip(*own, strict=True))
        each.insert(0, (MEAN, table, blind))
    known = [one for one in each if one[1].notna().any(axis=None)]
    return [(metric, table, blind.mean(axis=1)) for metric, table, blind in known]  # whoever is asked, it is the same


def blind_of(metric: Metric) -> str:
    return metric.name.removesuffix(ACCURACY) + BLIND


def of_metric(wide: pd.DataFrame, name: str) -> pd.DataFrame:
    """The columns of one metric, one for each training, whether or not it has a value."""
    found = wide.loc[:, [name]].droplevel("metric", axis=1)
    return found.reindex(columns=wide.columns.unique("training"))


def mean(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of tables of the same pictures and trainings; NaN where one has none."""
    return pd.DataFrame(
        np.mean([table.to_numpy(float) for table in tables], axis=0), tables[0].index, tables[0].columns
    )


def lines_of(table: pd.DataFrame, trainings: Mapping[str, Told]) -> list[Line]:
    """The values (pictures × trainings) by line."""
    found = []
    for name in dict.fromkeys(one.line for one in trainings.values()):
        own = {training: one for training, one in trainings.items() if one.line == name}
        sizes = sorted({one.size for one in own.values()}, key=lambda size: size or 0)
        seeds = sorted({one.seed for one in trainings.values()})
        held = np.full((len(sizes), len(table), len(seeds)), np.nan)
        for training, one in own.items():
            held[sizes.index(one.size), :, seeds.index(one.seed)] = table[training]
        found.append(Line(name, next(iter(own.values())).of, sizes, held))
    return found


class Pope(NamedTuple):
    """POPE's numbers of one model or line of trainings, over a corpus as a whole; means over seeds."""

    corpus: str
    answerer: str
    line: str
    """Empty for the model as it is."""
    size: int | None
    numbers: dict[str, dict[str, float]]
    """By way of choosing objects, and number."""


def pope(study: Study) -> list[Pope]:
    """POPE's table: the model as it is, and each line of trainings at its largest size."""
    rows = queries.summaries(study.connection, study.id)
    rows = rows[rows["metric"].str.startswith("pope_")]
    trainings = told(study.params)
    largest = {
        one.line: max(o.size or 0 for o in trainings.values() if o.line == one.line) for one in trainings.values()
    }
    at = {name: one.line for name, one in trainings.items() if (one.size or 0) == largest[one.line]}
    rows = rows[rows["training"].isin(["", *at])].assign(line=rows["training"].map(at).fillna(""))
    found, order = [], {line: place for place, line in enumerate(["", *largest])}
    means = rows.groupby(["corpus", "captioner", "line", "metric"])["value"].mean()
    keys = {key[:3] for key in means.index}
    for corpus, answerer, line in sorted(keys, key=lambda key: (*key[:2], order[key[2]])):
        own = means.loc[corpus, answerer, line]
        numbers = {
            sampling: {number: float(own[name]) for number in NUMBERS if (name := f"pope_{sampling}_{number}") in own}
            for sampling in SAMPLINGS
        }
        shown = {sampling: some for sampling, some in numbers.items() if some}
        found.append(Pope(corpus, answerer, line, largest.get(line) or None, shown))
    return found
