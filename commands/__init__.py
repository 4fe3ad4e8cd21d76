"""What people type: thin functions that parse, call one function of a room, and print.

Every import of weight happens inside a command, so that ``palimpsest --help`` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error about bad input into one sentence on stderr and exit code 2, in place of a traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        sentence = str(error)
    except Exception as error:
        if not isinstance(reason := getattr(error, "orig", None), Exception):  # what SQLAlchemy wraps
            raise
        sentence = f"The registry cannot be used: {reason}. `palimpsest doctor` says more."
    else:
        return
    typer.echo(f"palimpsest: {sentence}", err=True)
    raise typer.Exit(2)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
