"""Choose a study, see what it would take, run it, and look at what it left."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from commands import at_root, from_root, one_sentence, print_json
from models.training import RECIPES

app = typer.Typer()


@app.command()
def use(study: Annotated[Path, typer.Argument(help="A study, such as studies/truce.yaml.")]) -> None:
    """Make a study file the study at hand: check it and copy it to params.yaml, unless that has edits to lose."""
    from stages.care.use import choose

    with one_sentence():
        chosen = choose(from_root(study))
    typer.echo(f"params.yaml is now the study {chosen.study}; `palimpsest plan` says what it would compute.")


@app.command()
def plan(
    study: Annotated[Path | None, typer.Argument(help="A study file; default params.yaml.")] = None,
    rates: Annotated[Path | None, typer.Option(help="A YAML file of items a second by stage.")] = None,
    devices: Annotated[int, typer.Option(help="Over how many devices stages are spread.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check a study and say what it would compute, how much of that is known, and about how long the rest takes."""
    from stages.care.plan import forecast, listing
    from stages.care.rates import appendix, at_rates, read_rates, requests
    from stages.engine.study import PARAMS, read_study

    with one_sentence():
        given = read_rates(rates) if rates else {}
        if study:
            study = from_root(study)
        else:
            at_root()
        asked = read_study(study or PARAMS)
        found = at_rates(forecast(asked), given)
        counts = requests(asked, found)
    if as_json:
        print_json([stage._asdict() | {"requests": counts.get(stage.stage, {})} for stage in found])
    else:
        typer.echo("\n".join(filter(None, [listing(found), appendix(found, counts, devices)])))


@app.command()
def convert(
    checkpoint: Annotated[str, typer.Argument(help="A hub id, or a folder.")],
    folder: Annotated[Path, typer.Argument(help="Where to write it, such as checkpoints/simcse-sup.")],
    revision: Annotated[str | None, typer.Option(help="The commit of a hub id.")] = None,
) -> None:
    """Write a checkpoint of pickled weights, such as SimCSE's, as safetensors, the only ones that are read."""
    from stages.care.convert import convert

    with one_sentence():
        typer.echo(f"{convert(checkpoint, revision, folder)} can be named as a checkpoint now.")


@app.command()
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="Stages, as dvc.yaml names them; default all.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if any item failed or any input was faulty.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try every failed item again, not only what a retry may mend.")
    ] = False,
) -> None:
    """Check params.yaml, then run `dvc repro`, and say where the results are.

    What failed of a server that was away, a full disk or little memory is tried again; and a stage whose checkpoint or
    adapter was replaced under the same name, which `dvc repro` does not see, runs again.
    """
    from registry.store.ending import run
    from stages.care.check import check, fill_in
    from stages.care.ground import check_ground
    from stages.care.retry import due, links, replaced
    from stages.engine.study import read_study

    with one_sentence():
        at_root()
        study = read_study()
        check(study)
        check_ground()
        if lacking := fill_in(study):
            typer.echo(f"params.yaml now has the sections {', '.join(lacking)}, empty: DVC wants them there.")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "LC_ALL": "C.UTF-8"}
    if strict:
        environment["PALIMPSEST_STRICT"] = "1"

    def dvc(*what: str) -> None:
        if code := run([sys.executable, "-m", "stages.care.repro", *what], environment):
            raise typer.Exit(code)

    began = datetime.now(UTC)
    dvc(*(targets or []))
    if again := replaced(study, targets or []):
        typer.echo(f"Running {', '.join(again)} again: other files of a model lie under the name that they know.")
        dvc("--force", "--single-item", *again)
        dvc(*(targets or []))
    if again := due(study, targets or [], began, retry_failed):
        typer.echo(f"Trying again what failed in {', '.join(again)}.")
        dvc("--force", "--single-item", *again)
        dvc(*(targets or []))
    faults = [link for link in links(study) if link["failed"] or link["problems"]]
    for link in faults:
        typer.echo(
            f"{link['stage']}: {link['failed']} failed items, {sum(link['problems'].values())} faults in its input"
        )
    if any(link["failed"] for link in faults):
        typer.echo("`palimpsest repro --retry-failed` tries failed items again.")
    if not targets or "report" in targets:
        typer.echo("\nThe report:   data/report/index.html")
    typer.echo("The runs:     palimpsest ui   (then open the address that it prints)")
    if strict and faults:
        raise typer.Exit(1)


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000) -> None:
    """Serve the MLflow UI over this checkout's runs; where a server tracks them, say where it is."""
    from registry.store.ending import run
    from registry.store.places import hidden, tracking_uri

    with one_sentence():
        uri = tracking_uri()
    if uri.startswith(("http:", "https:")):
        typer.echo(hidden(uri))
        return
    from registry.tracking.landing import addresses

    with one_sentence():
        pages = addresses(f"http://127.0.0.1:{port}")
    for study, address in pages.items():
        typer.echo(f"The cells of {study}: {address}")
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port)]
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri}  # not an argument, which every user could read
    raise typer.Exit(run(command, environment))


@app.command()
def why(
    stage: Annotated[str, typer.Argument(help="A stage, as dvc.yaml names it, such as inpaint@telea.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what made a stage run again, and how many items each cause cost."""
    from stages.care.why import why

    with one_sentence():
        at_root()
        found = why(stage)
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(found.text())


@app.command()
def export(
    stage: Annotated[Path, typer.Argument(help="A stage output, such as data/inpaint/telea.")],
    folder: Annotated[
        Path,
        typer.Argument(help="Where the files go; made when missing. Of a caption set also a .parquet or .tar file."),
    ],
    pairs: Annotated[
        str, typer.Option(help="Of rewritten captions, the preference pairs for a program: trl or llama-factory.")
    ] = "",
    confirmed_by: Annotated[
        str, typer.Option(help="Only pairs of which a metric says that they are right, as in clipscore:clipscore.")
    ] = "",
) -> None:
    """Write a stage's output as plain PNG files and one JSONL line an item; or its preference pairs.

    Of a caption set (data/compose/…) pictures with their captions as .txt, one Parquet file, or a WebDataset.
    """
    from stages.care.export import export
    from stages.care.preferences import export_pairs

    with one_sentence():
        if not pairs:
            if confirmed_by:
                raise ValueError("`--confirmed-by` is about preference pairs: name their program with `--pairs`")
            typer.echo(f"{export(stage, folder)} items in {folder}")
            return
        count, reasons = export_pairs(stage, folder, pairs, confirmed_by)
    others = "".join(f"; no pair of {number}: {reason}" for reason, number in sorted(reasons.items()))
    typer.echo(f"{count} pairs in {folder}{others}")


@app.command()
def corpora(
    names: Annotated[list[str] | None, typer.Argument(help="Corpora of the catalogue; default all.")] = None,
    path: Annotated[Path | None, typer.Option(help="A folder to look into instead of where studies look.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say of each corpus what it is, where to get it, under which licence, and what of it is missing here."""
    from stages.corpora.sources import survey

    with one_sentence():
        found = survey(names or [], path)
    if as_json:
        print_json(found)
    else:
        typer.echo("\n\n".join(map(listing, found)))


def listing(corpus: dict[str, Any]) -> str:
    """Format what is known of one corpus, as aligned lines."""
    lines = [("from", corpus["where"]), ("licence", corpus["licence"])]
    if corpus["needs"]:
        lines.append(("needs", ", ".join(corpus["needs"])))
        if not corpus["uses"]:
            lines.append(("here", "no study says where it is; look into a folder with --path"))
    for use in corpus["uses"]:
        place = f"{use['entry']} of {use['study']}" if use["study"] else use["path"]
        lacks = f"missing: {', '.join(use['missing'])}" if use["missing"] else "complete"
        lines.append(("here", f"{place}: {use['error'] or lacks}"))
    return "\n".join([corpus["corpus"], f"  {corpus['about']}", *(f"  {label:<9}{text}" for label, text in lines)])


@app.command()
def train(
    name: Annotated[str, typer.Argument(help=f"A pocket model: {', '.join(RECIPES)}.")],
    corpus: Annotated[
        list[Path] | None, typer.Option(help="A prepared corpus to learn from besides the world.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps instead of the recipe's own.")] = None,
) -> None:
    """Train a pocket model by its recipe, logging to MLflow; an interrupted training goes on where it stopped."""
    from stages.care.train import train_pocket

    with one_sentence():
        print_json(train_pocket(name, corpus or [], steps))
