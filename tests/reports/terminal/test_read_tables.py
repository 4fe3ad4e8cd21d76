"""Tables as people save them give one correlation, or are refused; none gives another number."""

from __future__ import annotations

import numpy as np
import pytest

from reports.statistics.analysis import correlate
from reports.statistics.cells import Roles
from reports.terminal.tables import read_table

UNITS = ("None", "NA", "null", "nan", "1e3", "010")
ROWS = [(unit, f"im{item}", str(x + 0.1 * item), str(1 - x)) for x, unit in enumerate(UNITS) for item in range(4)]
TABLE = "\n".join(",".join(row) for row in [("config", "image", "mse", "sbert"), *ROWS]) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        TABLE.replace("\n", ",\n").replace("sbert,", "sbert", 1),
        TABLE.replace(",", ", "),
        TABLE.replace(",", ";"),
    ],
    ids=["plain", "a delimiter behind every row", "blanks", "semicolons"],
)
def test_r_is_minus_one_over_the_six_units(tmp_path, content):
    """The witness is numpy, over means that can be said in advance. pandas took the first column for an index where
    rows end in a delimiter (r = +0.75), names for absences, and ``010`` for 10."""
    (tmp_path / "t.csv").write_text(content)
    frame = read_table(tmp_path / "t.csv")
    assert list(dict.fromkeys(frame["config"])) == list(UNITS)
    expected = np.corrcoef(np.arange(6), -np.arange(6))[0, 1]
    [found] = correlate(frame, ["mse"], ["sbert"], Roles("config", "image"))
    assert found.pearson == pytest.approx(expected) and (found.n, found.items) == (6, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TABLE.replace("sbert", "mse", 1), "names a column 'mse' in the places 3, 4"),
        (TABLE.replace("im2,", "im2,0.5,", 1), "line 4 has 5 columns where the header has 4"),
        (TABLE.replace("im2,", 'im2,"', 1), "quote that opens in line 4"),
    ],
)
def test_a_table_that_could_mean_two_things_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv")


def test_decimal_commas_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("config;mse;sbert\na;0,5;1\nb;0,6;2\nc;1,5;3\n")
    with pytest.raises(ValueError, match="holds '0,5' in row 1.*write decimal points"):
        correlate(read_table(tmp_path / "t.csv"), ["mse"], ["sbert"], Roles("config"))
