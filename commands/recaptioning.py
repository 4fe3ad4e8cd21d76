"""Better captions for a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands import one_sentence

app = typer.Typer()


@app.command()
def recaption(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth, with captions or without.")],
    method: Annotated[str, typer.Option(help="rico, scalecap, laclip, veclip, capsfusion or sharegpt4v.")] = "rico",
    out: Annotated[Path, typer.Option(help="Where records go: .jsonl, .parquet or .tar.")] = Path("captions.jsonl"),
    models: Annotated[Path | None, typer.Option(help="YAML: `models`, and settings by the methods' names.")] = None,
    on_existing: Annotated[str, typer.Option(help="skip, overwrite, append or prepend to a first caption.")] = "overwrite",
    sidecars: Annotated[bool, typer.Option("--sidecars", help="Write a .txt beside each picture, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and do nothing.")] = False,
) -> None:
    """Write better captions of the pictures of a folder, by one of the papers' methods."""
    from stages.care import rewriting

    with one_sentence():
        study = rewriting.study_of(folder, method, models)
        if dry_run:
            typer.echo(rewriting.forecast(study))
            return
        rewriting.check_formats(out, on_existing)
        if models is None:
            typer.echo("These are pocket models, which know generated worlds and nothing else; name others with --models.")
        records = rewriting.rewrite(study)
        rewriting.deliver(records, out, folder, on_existing, sidecars)
