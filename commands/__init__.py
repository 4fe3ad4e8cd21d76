"""What people type: thin functions that parse, call one function of a room, and print.

Every import of weight happens inside a command, so that ``palimpsest --help`` answers at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from registry.store import places
from registry.store.faults import sentence, told


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error that is a person's to mend into one sentence on stderr and exit code 2; another shows where it was.

    Neither shows credentials.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if said := sentence(error):
            typer.echo(f"palimpsest: {said}", err=True)
            raise typer.Exit(2) from None
        typer.echo(told(error), err=True)
        raise typer.Exit(1) from None


def at_root() -> None:
    """Change to the root of the checkout, unless a study is here; raises ``FileNotFoundError`` outside of checkouts."""
    if not Path("params.yaml").is_file():
        os.chdir(places.root())


def from_root(path: Path) -> Path:
    """Change to the root of the checkout, and return a path as it is seen from there."""
    there = path.absolute()
    at_root()
    return path if path.is_absolute() else Path(os.path.relpath(there))


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
