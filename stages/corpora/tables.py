"""JSON, JSONL and CSV files that people bring, read with errors that say what to mend."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[int, dict[str, Any] | str]
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


def read_json(path: Path, what: str) -> Any:
    """The value in a JSON file; raises FileNotFoundError and ValueError as :func:`read_text` does, and for broken JSON."""
    text = read_text(path, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Mend it or download it again.") from error


def json_lines(path: Path, what: str) -> Iterator[Row]:
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


def csv_rows(path: Path, what: str) -> Iterator[Row]:
    """Each row of a CSV file as a dict of its header's names, lower case; the delimiter is comma, semicolon or tab.

    The delimiter is the one that splits the header into most names. A row with more or fewer columns than the header
    comes as the reason why. Raises ValueError for a file without a header or with quotes that never close.
    """
    text = read_text(path, what)
    first = text.partition("\n")[0].rstrip("\r")
    if not first.strip():
        raise ValueError(f"{path} is empty. Its first line names the columns, such as: file,caption.")
    delimiter = max(DELIMITERS, key=first.count)
    # The default of 131,072 characters is less than a caption of ten thousand long words.
    limit = csv.field_size_limit(max(len(text), 1))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in next(reader)]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) == len(names):
                yield reader.line_num, dict(zip(names, cells, strict=True))
            else:
                yield reader.line_num, (
                    f"has {len(cells)} columns where the header has {len(names)};"
                    f' put a text that contains "{delimiter}" in double quotes'
                )
    except csv.Error as error:
        raise ValueError(f"{path} is not valid CSV near line {reader.line_num} ({error}). Check its quotes.") from error
    finally:
        csv.field_size_limit(limit)
