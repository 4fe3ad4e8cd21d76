"""From stage outputs to tables: what stands where, and what was measured there.

Everything goes through Core inserts in bulk. Indexing the same rows again changes nothing, and what a study no longer
asks for is dropped from its cells (its items stay: they may be asked for again).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from registry.store.axes import Point
from registry.store.bulk import Row, upsert
from registry.store.database import HEAD, take_turns
from registry.store.items import ids_of
from registry.store.keys import canonical, digest
from registry.store.schema import (
    Base,
    Cell,
    Configuration,
    Corpus,
    Indexed,
    Measurement,
    Metric,
    Model,
    Parent,
    Placement,
    Reference,
    Sample,
    Study,
    Summary,
)


def configuration_digest(point: Point, settings: Mapping[str, Any]) -> str:
    """Digest of a configuration: the names on its axes, and the settings behind those that apply."""
    named = point.named()
    applying = {axis: settings[axis] for axis, name in named.items() if name is not None}
    return digest(canonical([named, applying]).encode())


class Index:
    """Writes one study's outputs, inside one transaction of the caller's.

    ``settings`` maps each axis to its entries in the study (name → settings), so that a configuration is told apart
    from another of the same names with other settings.
    """

    def __init__(self, connection: Connection, settings: Mapping[str, Mapping[str, Any]]) -> None:
        take_turns(connection, "index")  # two studies name their shared configurations in orders of their own
        self.connection = connection
        self.settings = settings
        self.corpora: dict[str, int] = {}
        self.samples: dict[tuple[str, str], int] = {}
        self.configurations: dict[Point, int] = {}
        self.cells: set[tuple[int, int]] = set()
        self.summaries: list[Row] = []

    def _bulk(self, table: type[Base], rows: Iterable[Row], unique: Sequence[str]) -> None:
        """Insert the rows, or update those whose unique columns are there already."""
        upsert(self.connection, table.__table__, rows, unique)

    def corpus(self, name: str, settings: Row, problems: Row, rows: Sequence[Row]) -> None:
        """Store a corpus with its samples and their references; samples that left the corpus are removed."""
        self._bulk(Corpus, [{"name": name, "settings": dict(settings), "problems": dict(problems)}], ["name"])
        corpus = self.connection.execute(select(Corpus.id).where(Corpus.name == name)).scalar_one()
        self.corpora[name] = corpus
        columns = ("split", "width", "height", "annotations")
        samples = [{"corpus_id": corpus, "name": row["sample"], **{c: row[c] for c in columns}} for row in rows]
        self._bulk(Sample, samples, ["corpus_id", "name"])
        ids = dict(self.connection.execute(select(Sample.name, Sample.id).where(Sample.corpus_id == corpus)).all())
        self.samples.update({(name, row["sample"]): ids[row["sample"]] for row in rows})
        gone = [{"gone": id} for sample, id in ids.items() if (name, sample) not in self.samples]
        if gone:
            self.connection.execute(delete(Sample).where(Sample.id == bindparam("gone")), gone)
            self.connection.execute(delete(Indexed).where(Indexed.corpus_id == corpus))
        last = select(Reference.sample_id, func.max(Reference.position)).join(Sample).where(Sample.corpus_id == corpus)
        known = dict(self.connection.execute(last.group_by(Reference.sample_id)).all())
        counts = {ids[row["sample"]]: len(row["references"]) for row in rows}
        fewer = [{"of": id, "from": count} for id, count in counts.items() if known.get(id, -1) >= count]
        if fewer:
            beyond = (Reference.sample_id == bindparam("of"), Reference.position >= bindparam("from"))
            self.connection.execute(delete(Reference).where(*beyond), fewer)
        references = [
            {"sample_id": ids[row["sample"]], "position": position, "text": text}
            for row in rows
            for position, text in enumerate(row["references"])
        ]
        self._bulk(Reference, references, ["sample_id", "position"])

    def model(self, role: str, name: str, identity: Row) -> None:
        """Store a model under the name that the study gives it."""
        text = canonical(identity)
        row = {"role": role, "name": name, "digest": digest(text.encode()), "settings": dict(identity)}
        self._bulk(Model, [row], ["role", "name", "digest"])

    def metrics(self, rows: Iterable[Row]) -> None:
        """Store what measures declare of their metrics."""
        self._bulk(Metric, rows, ["name"])

    def configuration(self, row: Row) -> int:
        """The id of the configuration that a row's axes name."""
        point = Point.of(row)
        if point not in self.configurations:
            settings = {axis: self.settings[axis][name] for axis, name in point.names().items() if name is not None}
            key = configuration_digest(point, settings)
            self._bulk(Configuration, [{"digest": key, **point.names(), "settings": settings}], ["digest"])
            found = self.connection.execute(select(Configuration.id).where(Configuration.digest == key))
            self.configurations[point] = found.scalar_one()
        return self.configurations[point]

    def place(self, kind: str, rows: Sequence[Row]) -> None:
        """Place items in the grid. Rows need ``corpus``, ``sample``, ``key`` and their axes.

        Those with ``parents`` become their children: an item that serves several places was computed from one.
        """
        edges = [(row["key"], parent) for row in rows for parent in row.get("parents", ())]
        items = ids_of(self.connection, [*(row["key"] for row in rows), *(parent for _, parent in edges)])
        placements = []
        for row in rows:
            configuration = self.configuration(row)
            self.cells.add((self.corpora[row["corpus"]], configuration))
            placements.append(
                {
                    "kind": kind,
                    "sample_id": self.samples[row["corpus"], row["sample"]],
                    "configuration_id": configuration,
                    "item_id": items[row["key"]],
                }
            )
        self._bulk(Placement, placements, ["configuration_id", "sample_id", "kind"])
        known = dict.fromkeys((items[child], items[parent]) for child, parent in edges if parent in items)
        lines = [{"item_id": child, "parent_id": parent} for child, parent in known]
        self._bulk(Parent, lines, ["item_id", "parent_id"])

    def measure(self, values: Iterable[tuple[str, str, str, int, float | None]]) -> None:
        """Store measurements: (item key, metric, region, layer, value)."""
        values = list(values)
        items = ids_of(self.connection, (key for key, *_ in values))
        rows = [
            {"item_id": items[key], "metric": metric, "region": region, "layer": layer, "value": value}
            for key, metric, region, layer, value in values
        ]
        self._bulk(Measurement, rows, ["item_id", "metric", "region", "layer"])

    def holds(self, path: str, content: str, points: Sequence[Row]) -> bool:
        """Whether a shard was indexed as it is, under the configurations that it names; its cells are taken down.

        ``content`` is the digest of its bytes, and ``points`` have each corpus and axes that its rows name.
        """
        placed = self._placed(points)
        same = (Indexed.path == path, Indexed.digest == content, Indexed.placed == placed)
        if self.connection.execute(select(Indexed.path).where(*same)).first() is None:
            return False
        self.cells.update((self.corpora[point["corpus"]], self.configuration(point)) for point in points)
        return True

    def hold(self, path: str, content: str, points: Sequence[Row]) -> None:
        """Take down that all rows of a shard of one corpus are in the registry, as :meth:`holds` asks."""
        corpus = self.corpora[points[0]["corpus"]]
        row = {"path": path, "corpus_id": corpus, "digest": content, "placed": self._placed(points)}
        self._bulk(Indexed, [row], ["path"])

    def _placed(self, points: Sequence[Row]) -> str:
        """A digest of configurations; a newer schema may hold more of their rows, and so gets all of them anew."""
        return digest(canonical([HEAD, sorted(map(self.configuration, points))]).encode())

    def summarise(self, row: Row, values: Mapping[str, float | None], items: int) -> None:
        """Take down corpus-level values of one cell; they are stored with the study."""
        where = {"corpus_id": self.corpora[row["corpus"]], "configuration_id": self.configuration(row)}
        self.summaries += ({**where, "metric": name, "value": value, "items": items} for name, value in values.items())

    def study(self, name: str, params: Row) -> None:
        """Store the study, with exactly the cells that were placed, and its summaries."""
        self._bulk(Summary, self.summaries, ["corpus_id", "configuration_id", "metric"])
        self._bulk(Study, [{"name": name, "params": dict(params)}], ["name"])
        study = self.connection.scalar(select(Study.id).where(Study.name == name))
        self.connection.execute(delete(Cell).where(Cell.study_id == study))
        cells = [{"study_id": study, "corpus_id": a, "configuration_id": b} for a, b in sorted(self.cells)]
        self._bulk(Cell, cells, ["study_id", "corpus_id", "configuration_id"])
