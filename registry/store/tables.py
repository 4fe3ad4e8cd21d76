"""CSV and JSON files that people bring: read strictly, as text, with errors that say what to mend and in which line.

Every reader of such files is this one. Nothing is guessed from values: a name such as ``NA`` or ``1e3`` stays what it
is called.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

Numbered = tuple[int, dict[str, Any] | str]
"""A line's number with its fields, or with the reason why it has none."""

DELIMITERS = ",;\t|"
IN_STUDY = "Correct the path in the study."
Hook = Callable[[list[tuple[str, Any]]], Any] | None
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, what: str, advice: str = IN_STUDY) -> str:
    """The text of ``path``: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises FileNotFoundError naming ``what`` was looked for, with advice, and ValueError for another encoding.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no {what} at {path}. {advice}") from error
    try:
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}. Save it again as UTF-8."
        ) from error
    return text


def read_json(path: Path, what: str, hook: Hook = None, advice: str = IN_STUDY) -> Any:
    """The value in a JSON file, its objects made by ``hook`` from their pairs where one is given.

    Raises FileNotFoundError and ValueError as :func:`read_text` does, and ValueError for broken JSON: for NaN and
    Infinity, too, and, without a hook, for a name that an object has twice.
    """
    text = read_text(path, what, advice)
    try:
        return json.loads(text, object_pairs_hook=hook or unique, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Mend it or download it again.") from error


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some pairs; raises ValueError for a name that comes twice.

    >>> unique([("a", 1), ("a", 2)])
    Traceback (most recent call last):
    ValueError: an object has "a" twice
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f'an object has "{twice}" twice')
    return made


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")


def json_lines(path: Path, what: str) -> Iterator[Numbered]:
    """Each line of a JSONL file as an object; blank lines are passed over.

    A line that is no JSON object comes as the reason why.
    """
    for number, line in enumerate(read_text(path, what).split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, object_pairs_hook=unique, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            yield number, f"is not valid JSON ({error}); write one object a line"
            continue
        yield number, fields if isinstance(fields, dict) else "is not a JSON object; write one object a line"


class Table(NamedTuple):
    """A CSV file: the names of its columns, and each row's last line with its cells, or with why it has none."""

    names: list[str]
    rows: list[tuple[int, list[str] | str]]


def read_csv(path: Path, what: str, advice: str = IN_STUDY, lower: bool = False) -> Table:
    """The table in a CSV file. Blanks around names of columns are no part of them, nor, with ``lower``, are capitals;
    cells are left as they are.

    The delimiter is the one that the header holds most of: comma, semicolon, tab or bar; or what a first line
    ``sep=;`` says, as Excel writes it. Where every name stands behind a blank, so do the cells. Delimiters at the end
    of a line are passed over where nothing is between them.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_text`; and ValueError for a file without a header, one that names a column twice, and a quote
        that does not end.
    """
    text = read_text(path, what, advice)
    first, _, rest = text.partition("\n")
    told = first[4:5] if first.lower().startswith("sep=") else ""
    header = rest.partition("\n")[0] if told else first
    if not header.strip():
        raise ValueError(
            f"{path} is not a CSV file: it has no header. Its first line names the columns, such as: file,caption."
        )
    delimiter = told or max(DELIMITERS, key=header.count)
    behind = header.split(delimiter)[1:]
    # The default of 131,072 characters is less than a caption of ten thousand long words.
    limit = csv.field_size_limit(len(text))
    begins = 1 + bool(told)
    try:
        reader = csv.reader(
            io.StringIO(rest if told else text, newline=""),
            delimiter=delimiter,
            skipinitialspace=bool(behind) and all(name.startswith(" ") for name in behind),
            strict=True,
        )
        rows = []
        for cells in reader:
            rows.append((reader.line_num + bool(told), cells))
            begins = reader.line_num + bool(told) + 1
    except csv.Error as error:
        raise ValueError(
            f"{path} is not valid CSV ({error}): look at the quote that opens in line {begins}. Inside a quoted text, "
            "double every quote."
        ) from error
    finally:
        csv.field_size_limit(limit)
    (_, names), *rows = rows
    return _checked(path, [name.strip().lower() if lower else name.strip() for name in names], rows, delimiter)


def _checked(path: Path, names: list[str], rows: Sequence[tuple[int, list[str]]], delimiter: str) -> Table:
    while len(names) > 1 and not names[-1]:
        names.pop()
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        where = ", ".join(str(place) for place, name in enumerate(names, 1) if name == twice[0])
        raise ValueError(
            f"{path} names {f'a column {twice[0]!r}' if twice[0] else 'no column'} in the places {where} of its header."
            " Give every column a name of its own, or write one row for each."
        )
    checked: list[tuple[int, list[str] | str]] = []
    for line, cells in rows:
        if not any(map(str.strip, cells)):
            continue
        while len(cells) > len(names) and not cells[-1].strip():
            cells.pop()
        reason = (
            f"has {len(cells)} columns where the header has {len(names)};"
            f' put a text that contains "{delimiter}" in double quotes'
        )
        checked.append((line, cells if len(cells) == len(names) else reason))
    return Table(names, checked)


def csv_rows(path: Path, what: str) -> list[Numbered]:
    """Each row of a CSV file as a dict of its header's names, lower case; see :func:`read_csv`.

    A row with more or fewer columns than the header comes as the reason why.
    """
    names, rows = read_csv(path, what, lower=True)
    return [(line, cells if isinstance(cells, str) else dict(zip(names, cells, strict=True))) for line, cells in rows]
