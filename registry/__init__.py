"""The experiment database: schema, items, lineage, pins, tracking.

The only room that talks SQL or MLflow. Stages write to it, reports read from it, and it knows neither. From a notebook
or a script it is read through :func:`open_registry`, or through the SQL views of :mod:`registry.views`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.opened import Registry


def open_registry(url: str | None = None) -> Registry:
    """The registry at an SQLAlchemy URL, by default where this checkout's settings say; a new one is made when missing.

    >>> with open_registry("sqlite://") as registry:
    ...     registry.studies()
    []
    """
    from registry.opened import Registry
    from registry.store.places import registry_url

    return Registry(url or registry_url())
