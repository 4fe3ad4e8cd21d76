"""A study in the registry: each question is asked when a chapter first needs its answer, and once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import pandas as pd
from sqlalchemy import Connection

from registry.store.axes import AXES
from registry.store.objects import ObjectStore
from reports.asking import provenance, queries
from reports.asking.axes import FIRST, TEXT, WHERE, Names, Text, coincident, controls, ordered, texts
from reports.asking.grids import Grid, comparable, grid
from reports.asking.metrics import (
    ANSWERS,
    ATTENTION,
    CAPTIONS,
    GROUNDING,
    PICTURES,
    REGIONS,
    SCATTERED,
    Metric,
    declared,
    undeclared,
)
from reports.asking.models import Model, models

T = TypeVar("T")


class Study:
    """Everything that chapters ask of one study, and what they make of it together (:meth:`once`).

    Raises ``ValueError`` with the nearest known name where the registry holds no such study.
    """

    def __init__(self, connection: Connection, objects: ObjectStore | None, name: str) -> None:
        self.connection, self._objects = connection, objects
        self.id, self.name, self.params, self.links = queries.find_study(connection, name)
        self._made: dict[Callable[[Study], Any], Any] = {}

    def once(self, make: Callable[[Study], T]) -> T:
        """Call ``make`` with this study, once for all chapters that need its result."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def load(self, address: str) -> bytes:
        """The bytes of a picture; raises ``FileNotFoundError`` where no object store holds it."""
        if self._objects is None:
            raise FileNotFoundError(f"Without an object store there is no picture {address}.")
        return self._objects.get(address)

    # what was measured

    @cached_property
    def everything(self) -> pd.DataFrame:
        """Means of every metric that was measured, also where several measures took the same."""
        return queries.means(self.connection, self.id)

    @cached_property
    def kinds(self) -> pd.Series:
        """The kind of items whose values of a metric are shown: the first by name of those that have it."""
        return self.everything.groupby("metric")["kind"].min()

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means of every metric, as one measure took it, over the same pictures (:func:`grids.comparable`)."""
        rows = self.everything[self.everything["kind"] == self.everything["metric"].map(self.kinds)]
        lacking = rows[(rows["n"] > 0) & (rows["n"] < rows["items"])]
        key = [*WHERE, "kind", "metric"]
        for region, some in lacking.groupby("region"):
            metrics = sorted(set(some["metric"]))
            values = comparable(queries.values(self.connection, self.id, metrics, str(region)))
            values = values.astype(dict.fromkeys(key, object)).assign(square=values["value"] ** 2)
            of = values.groupby(key).agg(mean=("value", "mean"), square=("square", "mean"), n=("value", "count"))
            there = (rows["region"] == region) & rows["metric"].isin(metrics)
            found = of.reindex(pd.MultiIndex.from_frame(rows.loc[there, key]))
            rows.loc[there, ["mean", "square", "n"]] = found.to_numpy()
        return rows

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """Means by region of the picture; under "" those of captions as wholes."""
        means = self.means
        return {r: grid(means[means["region"] == r], "mean", "n", self.metrics) for r in (*REGIONS, "")}

    @cached_property
    def summary(self) -> Grid:
        """Values over a corpus as a whole."""
        return grid(queries.summaries(self.connection, self.id), "value", "items", self.metrics)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Means of what was measured in the layers of an encoder."""
        return queries.layers(self.connection, self.id)

    # metrics

    @cached_property
    def metrics(self) -> list[Metric]:
        """Every metric: those that measures declare, and last what the registry knows only values of."""
        known = declared(self.connection)
        left = self.everything[~self.everything["metric"].isin([metric.name for metric in known])]
        return known + [
            undeclared(str(name), set(rows["region"]), bool((rows[list(TEXT)] != "").any(axis=None)))
            for name, rows in left.groupby("metric")
        ]

    def about(self, what: str) -> list[Metric]:
        """The metrics that are about something, in the order of the tables."""
        return [metric for metric in self.metrics if metric.about == what]

    @cached_property
    def fidelity(self) -> list[Metric]:
        return self.about(PICTURES)

    @cached_property
    def quality(self) -> list[Metric]:
        return self.about(CAPTIONS)

    @cached_property
    def grounding(self) -> list[Metric]:
        return self.about(GROUNDING)

    @property
    def unshown(self) -> list[str]:
        """Metrics that were measured and that no table shows."""
        shown = {m.name for m in self.metrics if m.about in (PICTURES, CAPTIONS, GROUNDING, ATTENTION, ANSWERS)}
        return sorted(set(self.everything["metric"]) - shown)

    @cached_property
    def judge(self) -> Metric | None:
        """The caption metric by which captions are judged where one number has to do; None where none has a value."""
        has = set(self.means.loc[self.means["n"] > 0, "metric"])
        return next((m for name in SCATTERED[1] for m in self.quality if m.name == name and name in has), None)

    # axes

    @cached_property
    def placed(self) -> pd.DataFrame:
        """How many items of each kind and execution stand where."""
        return queries.placed(self.connection, self.id)

    @cached_property
    def repainted(self) -> pd.DataFrame:
        """Every repainted picture."""
        return queries.repainted(self.connection, self.id)

    @cached_property
    def same(self) -> dict[str, dict[Names, Names]]:
        """For each corpus and configuration the first one with the very same pictures."""
        return {corpus: coincident(self.repainted, corpus, self.order) for corpus in self.order["corpus"]}

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Corpora and splits with their sizes."""
        return queries.corpora(self.connection, self.id)

    @cached_property
    def order(self) -> dict[str, list[str]]:
        """The names on each axis, in the order of the tables."""
        named = [self.placed[WHERE], self.samples[["corpus"]]]
        return ordered(self.params, pd.concat(named).fillna(""))

    @cached_property
    def axes(self) -> list[str]:
        """The axes that this study shows: the first ones, and those of the others that it uses."""
        return [axis for axis in AXES if axis in FIRST or self.order[axis]]

    @cached_property
    def controls(self) -> list[str]:
        """The inpainters that leave the degraded picture as it is."""
        return controls(self.params)

    @cached_property
    def texts(self) -> list[Text]:
        """Texts of the study, in the order of the tables: who says something, on the axes of ``TEXT``."""
        return texts(self.placed, self.order)

    # items and what made them

    @cached_property
    def items(self) -> pd.DataFrame:
        """How many items of each kind and execution there are, and how many of them failed."""
        return queries.items(self.connection, self.id)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """What failed, and of what."""
        return queries.failures(self.connection, self.id)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The executions that computed the items."""
        return queries.runs(self.connection, self.items)

    @cached_property
    def identities(self) -> pd.DataFrame:
        """The parts of the key of one item of each kind and configuration."""
        return queries.identities(self.connection, self.id)

    @cached_property
    def models(self) -> list[Model]:
        """The different models and measures among them."""
        return models(self.identities)

    @cached_property
    def data(self) -> list[provenance.Data]:
        """The corpora as the study read them."""
        return provenance.data(self.connection, self.id)
