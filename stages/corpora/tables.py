"""JSON, JSONL and CSV files that people bring, read with errors that say what to mend."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Numbered = tuple[int, dict[str, Any] | str]
"""A line's number with its fields, or with the reason why it has none."""

DELIMITERS = ",;\t"


def read_text(path: Path, what: str) -> str:
    """The UTF-8 text of ``path``, with or without a byte order mark.

    Raises FileNotFoundError naming ``what`` was looked for, and ValueError for another encoding.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no {what} at {path}. Correct the path in params.yaml.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} in line {line}. Save it again as UTF-8."
        ) from error


def read_json(path: Path, what: str, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value in a JSON file, its objects made by ``hook`` from their pairs where one is given.

    Raises FileNotFoundError and ValueError as :func:`read_text` does, and ValueError for broken JSON.
    """
    text = read_text(path, what)
    try:
        return json.loads(text, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Mend it or download it again.") from error


def json_lines(path: Path, what: str) -> Iterator[Numbered]:
    """Each line of a JSONL file as an object; blank lines are passed over.

    A line that is no JSON object comes as the reason why.
    """
    for number, line in enumerate(read_text(path, what).split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"is not valid JSON ({error}); write one object a line"
            continue
        yield number, fields if isinstance(fields, dict) else "is not a JSON object; write one object a line"


def csv_rows(path: Path, what: str) -> list[Numbered]:
    """Each row of a CSV file as a dict of its header's names, lower case; the delimiter is comma, semicolon or tab.

    The delimiter is the one that the header holds most of. A row with more or fewer columns than the header comes as
    the reason why. Raises ValueError for a file without a header and for quotes that do not close.
    """
    text = read_text(path, what)
    first = text.partition("\n")[0].strip()
    if not first:
        raise ValueError(f"{path} has no header. Its first line names the columns, such as: file,caption.")
    delimiter = max(DELIMITERS, key=first.count)
    # The default of 131,072 characters is less than a caption of ten thousand long words.
    limit = csv.field_size_limit(len(text))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader)]
        return [(reader.line_num, _fields(names, cells, delimiter)) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise ValueError(
            f"{path} is not valid CSV near line {reader.line_num} ({error}). Inside a quoted text, double every quote."
        ) from error
    finally:
        csv.field_size_limit(limit)


def _fields(names: list[str], cells: list[str], delimiter: str) -> dict[str, Any] | str:
    if len(cells) == len(names):
        return dict(zip(names, cells, strict=True))
    return (
        f"has {len(cells)} columns where the header has {len(names)};"
        f' put a text that contains "{delimiter}" in double quotes'
    )
