"""Better captions for a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from commands import one_sentence, print_json

app = typer.Typer()

METHODS = "rico, scalecap, self-loop, laclip, veclip, capsfusion or sharegpt4v."
POCKET = "Pocket models write these captions: they know the generated worlds alone. Name others with --models."


@app.command()
def recaption(
    folder: Annotated[Path, typer.Argument(help="Pictures at any depth, with captions or without.")],
    method: Annotated[str, typer.Option(help=METHODS)] = "rico",
    out: Annotated[
        Path, typer.Option(help="Where captions go: .jsonl (FOLDER/metadata.jsonl for Hugging Face), .parquet or .tar.")
    ] = Path("captions.jsonl"),
    models: Annotated[Path | None, typer.Option(help="YAML: `models`, and settings by the methods' names.")] = None,
    on_existing: Annotated[
        Literal["skip", "overwrite", "append", "prepend"], typer.Option(help="What becomes of a caption that is there.")
    ] = "overwrite",
    sidecars: Annotated[bool, typer.Option("--sidecars", help="Write a .txt beside each picture, too.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again models that failed where a caption was kept.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What --dry-run says, for programs.")] = False,
) -> None:
    """Write better captions of the pictures of a folder, by one of the papers' methods; what is known is kept."""
    from stages.care import captioned, rewriting

    with one_sentence():
        study = rewriting.study_of(folder, method, models)
        captioned.check_out(out, folder, [*rewriting.names(study).values()], sidecars)
        if models is None:
            typer.echo(POCKET, err=True)
        if dry_run:
            from stages.care.costing import cost

            found = cost(study, on_existing)
            if as_json:
                print_json(
                    found._asdict() | {"stage": found.stage._asdict(), "bills": [b._asdict() for b in found.bills]}
                )
            else:
                typer.echo(found.text())
            return
        with rewriting.alone(study):
            records = rewriting.rewrite(study, on_existing, retry_failed)
            said = [one for one in records if one["caption"] is not None]
            faults = [one for one in records if captioned.failed(one)]
            reasons = out.with_suffix(".failed.jsonl")
            rewriting.remember(study, said)
            captioned.write(said, out, folder)
            if sidecars:
                captioned.write_sidecars(said, folder)
            reasons.unlink(missing_ok=True)
            if faults:
                captioned.write(faults, reasons, folder)
    if faults:
        typer.echo(f"{len(faults)} pictures got no better caption; {reasons} says why.")
    flagged = sum(bool(one["flags"]) for one in said)
    typer.echo(f"{len(said)} captions in {out}" + f", {flagged} with flags: look at them first" * bool(flagged))
