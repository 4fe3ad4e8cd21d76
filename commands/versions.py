"""Where a number came from, what two differ in, and versions that stay what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands import one_sentence, print_json

app = typer.Typer()


@app.command()
def trace(
    id: Annotated[
        str,
        typer.Argument(
            help="An item's key or its beginning, KEY:METRIC or KEY:METRIC@REGION, a picture's digest, a file, a stage "
            "or its output (what holds no items is looked up in dvc.lock), or CORPUS/DEGRADATION/INPAINTER/CAPTIONER, "
            "perhaps with /METRIC behind it; `none` is an axis that does not apply."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print where something came from, all the way back: models, prompts, runs, commits."""
    from registry import open_registry
    from registry.lineage.text import formatted

    with one_sentence(), open_registry() as opened:
        found = opened.trace(id)
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(formatted(found))


@app.command()
def explain(a: str, b: str, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Name what two items, or two runs, differ in. A and B are keys of items, ids of runs, or unique beginnings."""
    from registry import open_registry
    from registry.lineage.changes import explain

    with one_sentence(), open_registry() as opened:
        found = explain(opened.engine, a, b)
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(found.text())


@app.command()
def pin(
    name: Annotated[str, typer.Argument(help="What the team calls it, such as flickr-captions.")],
    version: Annotated[str, typer.Argument(help="A semantic version, such as v1.0.0.")],
    path: Annotated[Path | None, typer.Argument(help="The output, folder or file; default that of the name.")] = None,
    stage: Annotated[str, typer.Option(help="Give the pinned version this stage, such as production.")] = "",
    deprecate: Annotated[bool, typer.Option("--deprecate", help="Say that it should not be used any more.")] = False,
) -> None:
    """Keep what the current commit holds there as a version that stays what it is; or give a version a stage."""
    from registry.pins import pinning

    with one_sentence():
        if (path is not None) + bool(stage) + deprecate > 1:
            raise ValueError("Pin a path first; then give the version a stage, or deprecate it, in a call of its own.")
        if stage:
            pinning.assign(name, version, stage)
            said = f"{name}@{version} is in stage {stage}."
        elif deprecate:
            pinning.deprecate(name, version)
            said = f"{name}@{version} is deprecated; it stays fetchable."
        else:
            pinned, new, named = pinning.pin(name, version, path)
            said = f"{pinned.path} is {'now' if new else 'already'} {pinned.label}, {pinned.digest[:12]}."
            if named:
                said += f"\nMade commit {pinned.git_commit[:12]} on this branch: dvc.yaml names the artifact {name}."
    typer.echo(f"{said}\nShare it: dvc push, git push --follow-tags")


@app.command()
def pins(
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME@A NAME@B", help="Compare two versions, item by item.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what is pinned: versions, stages, who, when, from which study; or what two versions differ in."""
    from registry.pins import pinning
    from registry.pins.differences import difference

    with one_sentence():
        if diff:
            found = difference(*diff)
            print_json(found.as_json()) if as_json else typer.echo(found.text())
            return
        known, wrong = pinning.pins()
    if as_json:
        print_json([pinned.as_json() for pinned in known])
    else:
        typer.echo(pinning.listing(known))
    if lost := [pinned.label for pinned in known if not pinned.tagged]:
        typer.echo(f"palimpsest: git has no tag here of {', '.join(lost)}; run `git fetch --tags`.", err=True)
    if wrong:
        typer.echo(
            f"palimpsest: git and the registry disagree on {', '.join(wrong)}; do not trust these tags.", err=True
        )
        raise typer.Exit(1)


@app.command()
def fetch(
    label: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A pinned version.")],
    folder: Annotated[Path | None, typer.Argument(help="Where it goes; default ./NAME-VERSION.")] = None,
    repo: Annotated[str | None, typer.Option(help="Another repository: a path or a git URL; default this one.")] = None,
) -> None:
    """Get a pinned version by its name, and refuse it where it is not what was pinned."""
    from registry.pins import fetching

    with one_sentence():
        pinned, target, new = fetching.fetch(label, folder, repo)
    if pinned.deprecated:
        typer.echo(f"palimpsest: {label} is deprecated.", err=True)
    typer.echo(f"{label} is {'now' if new else 'already'} in {target}")
