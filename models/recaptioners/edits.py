"""Human edits: the captions that an annotator wrote, from a file (paper *RICO*, table 2 and table 7)."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Conversation
from models.recaptioners import FIRST_PROMPT, Case

NAMES = ("sample", "file_name")
"""What the column may be called that says which sample a caption is of."""


class Edits:
    """Takes captions from a file, and asks nobody.

    The file, ``.jsonl`` or ``.csv``, has a ``caption`` in each row, and as ``sample`` or ``file_name`` the sample that
    it is of. What it says of samples counts for every caption of theirs that is rewritten: name the ``captioners``
    and ``corpora`` whose captions the annotator was shown. A sample without a caption is a failed item.
    """

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {}
    asks: ClassVar[frozenset[str]] = frozenset()
    first_prompt: ClassVar[str] = FIRST_PROMPT
    describes: ClassVar[bool] = False

    class Settings(roles.Settings):
        path: Path

    def __init__(self, settings: Settings) -> None:
        self.path = settings.path

    def identity(self) -> dict[str, Any]:
        """The digest of the file; raises as :meth:`captions` does."""
        _ = self.captions
        return {"file": f"sha256:{hashlib.sha256(self.path.read_bytes()).hexdigest()}"}

    @property
    def samples(self) -> Collection[str]:
        """Those that the file names; raises as :meth:`captions` does."""
        return self.captions.keys()

    def most(self, caption: str) -> dict[str, int | None]:
        return {}

    @cached_property
    def captions(self) -> dict[str, str]:
        """The captions by sample.

        Raises ``FileNotFoundError`` or ``ValueError``, in one sentence, where there is no such file, or a row of it
        cannot be read.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {self.path} of captions; correct the path.")
        found: dict[str, str] = {}
        for where, row in rows(self.path):
            sample = next((row[name] for name in NAMES if row.get(name)), None)
            if sample is None or not isinstance(caption := row.get("caption"), str):
                raise ValueError(f"{where} needs a `sample` or `file_name`, and a `caption`.")
            if found.setdefault(str(sample), caption) != caption:
                raise ValueError(f"{where} is a second caption of {sample}; make a file, and an entry, for each.")
        return found

    def recaption(self, case: Case) -> Conversation:
        yield from ()
        caption = " ".join(self.captions.get(case.sample, "").split())
        if not caption:
            raise ValueError(f"{self.path} has no caption of {case.sample}")
        return {"caption": caption, "steps": {}}


def rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a file, each with what it is called in a message."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        for number, row in enumerate(csv.DictReader(text.splitlines(keepends=True)), 1):
            yield f"Row {number} of {path}", row
    elif path.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"Line {number} of {path} is no JSON: {error}.") from None
            yield f"Line {number} of {path}", row if isinstance(row, dict) else {}
    else:
        raise ValueError(f"{path} ends in neither .jsonl nor .csv, the formats of captions that we read.")
