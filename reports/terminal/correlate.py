"""Correlations of a CSV file, or of a study in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.asking.sources import STUDY, asked_and_usual, is_table, opened_study, study_table, study_values
from reports.statistics.analysis import Correlation, correlate
from reports.statistics.cells import Roles
from reports.terminal.tables import read_table


def correlate_source(
    source: str, xs: Sequence[str], ys: Sequence[str], **roles: str | bool | None
) -> tuple[list[Correlation], Roles]:
    """Correlate columns of a CSV file, or metrics of a study, and say which columns meant what.

    A source is a file where it ends in .csv or is one; else it names a study, whose roles are ``STUDY`` and whose x and
    y are every fidelity and every caption metric where none are given. Raises ``ValueError`` and ``FileNotFoundError``.
    """
    given: dict[str, Any] = {name: column for name, column in roles.items() if column}
    if is_table(source):
        frame = read_table(Path(source))
        for option, value in (("--x", xs), ("--y", ys), ("--unit", given.get("unit"))):
            if not value:
                raise ValueError(f"A table needs {option}; its columns are {', '.join(map(str, frame.columns))}.")
        meant = Roles(**given)
    else:
        with opened_study(source) as study:
            rows = study_values(study, *asked_and_usual(study, xs, ys))
            frame, xs, ys = study_table(study, rows, xs, ys)
        several = frame["corpus"].nunique() > 1
        columns: dict[str, Any] = {"by": "corpus" if several else None} | given
        meant = replace(STUDY, **columns)
    return correlate(frame, xs, ys, meant), meant
