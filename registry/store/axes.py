"""The axes of the grid, in their order: what distinguishes the cells of a study.

The fields of :class:`Point` are the one list of axes. Schema, indexing, MLflow's parameters, reports and exports follow
from it, by name: a new axis is a line here, and a migration that adds its column and makes the views again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

NONE = "none"
"""Name on an axis that does not apply: the originals have no degradation."""

ALWAYS = 3
"""Number of axes that are always named. Later ones are named only where they apply, so that what they do not concern
keeps its name and its digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A point of the grid: the name on each axis, None where the axis does not apply.

    Records of what stands at a point inherit from it.

    >>> Point(captioner="blip").named()
    {'degradation': None, 'inpainter': None, 'captioner': 'blip'}
    >>> Point(captioner="blip", recaptioner="rico").path()
    'none/none/blip/rico'
    """

    degradation: str | None = None
    inpainter: str | None = None
    captioner: str | None = None
    recaptioner: str | None = None
    painter: str | None = None
    training: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any] | RowMapping) -> Self:
        """The record that a row names, field by field; an axis that the row lacks does not apply."""
        return cls(**{field.name: row.get(field.name) for field in fields(cls)})

    def names(self) -> dict[str, str | None]:
        """The name on every axis."""
        return {axis: getattr(self, axis) for axis in AXES}

    def named(self) -> dict[str, str | None]:
        """The names that tell this point from others: of the first axes all, of later ones those that apply."""
        return {axis: name for n, (axis, name) in enumerate(self.names().items()) if n < ALWAYS or name is not None}

    def path(self) -> str:
        """The names up to the last axis that applies, at least the first axes, joined by slashes."""
        names = [name or NONE for name in self.names().values()]
        while len(names) > ALWAYS and names[-1] == NONE:
            names.pop()
        return "/".join(names)

    def way(self) -> list[Point]:
        """The points on the way to this one, from the originals' on: axis after axis is applied.

        >>> [point.path() for point in Point(degradation="blur", captioner="blip").way()]
        ['none/none/none', 'blur/none/none', 'blur/none/blip']
        """
        names = self.names()
        found = [Point(**dict(list(names.items())[:length])) for length in range(len(names) + 1)]
        return list(dict.fromkeys(found))


AXES = tuple(field.name for field in fields(Point))
"""The names of the axes, in their order."""
