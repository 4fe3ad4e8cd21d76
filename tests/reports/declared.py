"""What measures declare of their metrics, put into a registry as the index stage does it."""

from __future__ import annotations

from sqlalchemy import Connection

from models.measures.declared import declared
from registry.indexing import Index


def declare(connection: Connection) -> None:
    """Fill the table of metrics with all that measures declare."""
    Index(connection, {}).metrics(metric.record() for metric in declared().values())
