"""The tables.

corpus · sample · reference      what was looked at
model · configuration            what was done to it, with which models
run · item · parent              what was computed, by which execution, from what
placement · measurement · summary  where an item stands in the grid, and what was measured there
metric                           what the measures say of their numbers: name, direction, range, unit, source
study · cell                     which corpora × configurations a study asks for now
indexed                          which shards are in here as they are
lease                            who computes which items now
published · pin                  what papers report; what a team agreed to keep
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column

from registry.store.axes import AXES

PER_ITEM = -1
"""The layer of a measurement that belongs to no layer."""

FAILED_ONES = text("status = 'failed'")
"""Of which items there is an index, because they are few; a query must write the word out to be answered by it."""

Id = Annotated[int, mapped_column(primary_key=True)]
Digest = Annotated[str, mapped_column(String(64))]
Name = Annotated[str, mapped_column(String(255))]


def to(column: str) -> Any:
    """A foreign key that is also indexed."""
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), index=True)


class Moment(TypeDecorator[datetime]):
    """A time in UTC: SQLite keeps no zone, and PostgreSQL answers in the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Base(DeclarativeBase):
    """Base of all tables; its constraints have names, so that migrations can drop them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, datetime: Moment}
    if TYPE_CHECKING:
        __table__: ClassVar[Table]


class Corpus(Base):
    """A named collection of samples, with the settings that made it."""

    __tablename__ = "corpus"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    settings: Mapped[dict[str, Any]]
    problems: Mapped[dict[str, Any]]
    """How often each kind of problem was met in its files."""


class Sample(Base):
    """One picture with its references, before anything was done to it."""

    __tablename__ = "sample"
    __table_args__ = (UniqueConstraint("corpus_id", "name"),)
    id: Mapped[Id]
    corpus_id: Mapped[int] = to("corpus.id")
    name: Mapped[Name]
    split: Mapped[str] = mapped_column(String(32))
    width: Mapped[int]
    height: Mapped[int]
    annotations: Mapped[dict[str, Any]]


class Reference(Base):
    """One human (or generated) caption of a sample."""

    __tablename__ = "reference"
    __table_args__ = (UniqueConstraint("sample_id", "position"),)
    id: Mapped[Id]
    sample_id: Mapped[int] = to("sample.id")
    position: Mapped[int]
    text: Mapped[str] = mapped_column(Text)


class Model(Base):
    """A model as a study names it, with everything its results depend on."""

    __tablename__ = "model"
    __table_args__ = (UniqueConstraint("role", "name", "digest"),)
    id: Mapped[Id]
    role: Mapped[str] = mapped_column(String(32))
    name: Mapped[Name]
    digest: Mapped[Digest]
    settings: Mapped[dict[str, Any]]


class Configuration(Base):
    """One point of the grid. An axis is null where it does not apply: the originals have no degradation."""

    __tablename__ = "configuration"
    id: Mapped[Id]
    digest: Mapped[Digest] = mapped_column(unique=True)
    settings: Mapped[dict[str, Any]]


class Metric(Base):
    """Declaration of a metric by its measure."""

    __tablename__ = "metric"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int]
    """Its place in tables, among all."""
    about: Mapped[str] = mapped_column(String(32))
    """What is compared: pictures, captions, grounding, or attention."""
    label: Mapped[str] = mapped_column(String(64))
    higher_is_better: Mapped[bool | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    """The range of its values; null on a side that has no end."""
    unit: Mapped[str] = mapped_column(String(64))
    definition: Mapped[str] = mapped_column(Text)
    """What it is in one line, with its source."""
    decimals: Mapped[int]
    """How many a table shows."""
    checkpoint: Mapped[bool]
    """Whether its values hang on a model's weights, so that its name alone does not say what was measured."""


class Run(Base):
    """One execution of a stage; its id is the id of its MLflow run."""

    __tablename__ = "run"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    stage: Mapped[Name]
    git_commit: Mapped[str] = mapped_column(String(64))
    device: Mapped[Name]
    engine: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime]


class Item(Base):
    """One image, caption or score: the value of one computation, under the key of all that it depends on."""

    __tablename__ = "item"
    __table_args__ = (Index("ix_item_failed", "id", postgresql_where=FAILED_ONES, sqlite_where=FAILED_ONES),)
    id: Mapped[Id]
    key: Mapped[Digest] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(Text)
    value: Mapped[dict[str, Any] | None]
    digest: Mapped[str | None] = mapped_column(String(64))
    """The sha256 of the value's canonical JSON, which it is held against whenever it is recalled."""
    object: Mapped[str | None] = mapped_column(String(64), index=True)
    parts: Mapped[dict[str, Any]]
    run_id: Mapped[str] = to("run.id")


class Parent(Base):
    """An edge of the lineage: ``item`` was computed from ``parent``."""

    __tablename__ = "parent"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, index=True)


class Lease(Base):
    """A promise that an item is being computed (:mod:`registry.store.leases`)."""

    __tablename__ = "lease"
    key: Mapped[Digest] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    expires: Mapped[float]
    """Seconds of the database's clock since 1970."""


class Placement(Base):
    """Place of an item in the grid: it is the ``kind`` of this sample under this configuration."""

    __tablename__ = "placement"
    __table_args__ = (
        UniqueConstraint("configuration_id", "sample_id", "kind"),
        Index("ix_placement_item_id", "item_id"),
    )
    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(32))
    sample_id: Mapped[int] = to("sample.id")
    configuration_id: Mapped[int] = mapped_column(ForeignKey("configuration.id", ondelete="CASCADE"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))


class Measurement(Base):
    """One number about one item: a metric, in a region of the picture, at a layer, where these apply."""

    __tablename__ = "measurement"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    metric: Mapped[str] = mapped_column(String(32), primary_key=True)
    region: Mapped[str] = mapped_column(String(16), primary_key=True, default="")
    layer: Mapped[int] = mapped_column(primary_key=True, default=PER_ITEM)
    value: Mapped[float | None]


class Summary(Base):
    """A corpus-level value that is not a mean of item values, such as corpus BLEU."""

    __tablename__ = "summary"
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpus.id", ondelete="CASCADE"), primary_key=True)
    configuration_id: Mapped[int] = mapped_column(ForeignKey("configuration.id", ondelete="CASCADE"), primary_key=True)
    metric: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[float | None]
    items: Mapped[int]


class Study(Base):
    """A params.yaml, as it was when its results were last indexed."""

    __tablename__ = "study"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    params: Mapped[dict[str, Any]]
    links: Mapped[dict[str, Any] | None]
    """Where MLflow compares the cells of each corpus, and under "" all of them."""


class Cell(Base):
    """A corpus × configuration that a study holds."""

    __tablename__ = "cell"
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), primary_key=True)
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpus.id", ondelete="CASCADE"), primary_key=True)
    configuration_id: Mapped[int] = mapped_column(ForeignKey("configuration.id", ondelete="CASCADE"), primary_key=True)


class Indexed(Base):
    """A shard as it was last indexed, by any study: while it is that, its items are known, placed and measured."""

    __tablename__ = "indexed"
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    """In its checkout."""
    corpus_id: Mapped[int] = to("corpus.id")
    digest: Mapped[Digest]
    """The sha256 of its bytes."""
    placed: Mapped[Digest]
    """The configurations that its rows name, as they were then."""


class Published(Base):
    """A number that a paper reports. What it was measured on has the names that the paper's study gives."""

    __tablename__ = "published"
    __table_args__ = (UniqueConstraint("paper", "table", "row", "metric"),)
    id: Mapped[Id]
    paper: Mapped[Name]
    table: Mapped[str] = mapped_column(String(32))
    row: Mapped[Name]
    """The paper's own label."""
    corpus: Mapped[Name]
    region: Mapped[str] = mapped_column(String(16), default="")
    metric: Mapped[str] = mapped_column(String(32))
    value: Mapped[float]
    decimals: Mapped[int]
    """How many the paper prints."""
    change: Mapped[float | None]
    """The percentage printed beside the value, against the original pictures."""
    unit: Mapped[str] = mapped_column(String(64))


class Pin(Base):
    """A version that a team agreed to keep. Rows are events: appended, never edited."""

    __tablename__ = "pin"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[Id]
    name: Mapped[Name]
    version: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    """What was pinned: a corpus, images, captions, a model, a report."""
    path: Mapped[str] = mapped_column(Text)
    digest: Mapped[Digest]
    """The sha256 over the names and contents of its files."""
    md5: Mapped[str | None] = mapped_column(String(64))
    """DVC's name for the same content: where its caches and remotes hold it."""
    git_commit: Mapped[str] = mapped_column(String(64))
    study: Mapped[str | None] = mapped_column(String(255))
    runs: Mapped[list[Any]]
    """The executions behind it."""
    author: Mapped[Name]
    pinned_at: Mapped[datetime]


class PinEvent(Base):
    """An event after pinning: a stage was assigned, or the version deprecated. Appended, never edited."""

    __tablename__ = "pin_event"
    id: Mapped[Id]
    pin_id: Mapped[int] = to("pin.id")
    tag: Mapped[Name] = mapped_column(unique=True)
    """The git tag that says so."""
    stage: Mapped[str | None] = mapped_column(String(255))
    """The stage; null where the version was deprecated."""
    author: Mapped[Name]
    happened_at: Mapped[datetime]


def axes_of(table: type[Configuration] | type[Published]) -> list[InstrumentedAttribute[str | None]]:
    """The columns of the axes, in their order."""
    return [getattr(table, axis) for axis in AXES]


for _table in (Configuration, Published):
    for _axis in AXES:
        setattr(_table, _axis, mapped_column(_axis, String(255)))
