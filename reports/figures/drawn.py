"""The figures of a study that stand for themselves, by corpus where they are about one."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from registry.store.objects import ObjectStore
from reports.asking.queries import StudyRow
from reports.chapters.corpora import Found
from reports.figures.maps import Map, maps, places
from reports.figures.mosaic import Mosaic, mosaics
from reports.figures.similarity import Similarity, similarities
from reports.figures.sweeps import Sweep, sweeps


class Drawn(NamedTuple):
    similarities: list[Similarity]
    maps: dict[str, list[Map]]
    sweeps: dict[str, list[Sweep]]
    mosaics: dict[str, Mosaic]


def drawn(connection: Connection, objects: ObjectStore, study: StudyRow, found: Found, quality: str) -> Drawn:
    """Ask the registry what the figures need; ``quality`` is the caption metric that sweeps show."""
    order, controls = found.order, found.controls
    placed = places(connection, study.id)
    return Drawn(
        similarities(connection, study.id, order, controls),
        {corpus: maps(placed, corpus, order, controls) for corpus in order["corpus"]},
        sweeps(connection, study.id, study.params, order, controls, quality),
        mosaics(connection, objects, study.id, found.repainted, order, controls),
    )
