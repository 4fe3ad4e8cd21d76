"""Better captions for a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from commands import one_sentence

app = typer.Typer()


@app.command()
def recaption(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth, with captions or without.")],
    method: Annotated[str, typer.Option(help="rico, scalecap, laclip, veclip, capsfusion or sharegpt4v.")] = "rico",
    out: Annotated[Path, typer.Option(help="Where records go: .jsonl, .parquet or .tar.")] = Path("captions.jsonl"),
    models: Annotated[Path | None, typer.Option(help="YAML: `models`, and settings by the methods' names.")] = None,
    on_existing: Annotated[
        Literal["skip", "overwrite", "append", "prepend"], typer.Option(help="What becomes of a caption that is there.")
    ] = "overwrite",
    sidecars: Annotated[bool, typer.Option("--sidecars", help="Write a .txt beside each picture, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and do nothing.")] = False,
) -> None:
    """Write better captions of the pictures of a folder, by one of the papers' methods."""
    from stages.care import rewriting

    with one_sentence():
        study = rewriting.study_of(folder, method, models)
        if dry_run:
            typer.echo(rewriting.cost(study))
            return
        if models is None:
            typer.echo("Pocket models write these, and know the generated worlds alone; name others by --models.")
        records = rewriting.rewrite(study, on_existing)
        rewriting.write(records, out, folder)
        if sidecars:
            rewriting.write_sidecars(records, folder)
    failed = [one for one in records if one["caption"] is None]
    if failed:
        reasons = out.with_suffix(".failed.jsonl")
        rewriting.write(failed, reasons, folder)
        typer.echo(f"{len(failed)} pictures got no caption; {reasons} says why.")
    typer.echo(f"{len(records) - len(failed)} captions in {out}")
