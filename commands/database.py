"""Look after what a study stands on: the registry, the object store, the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import at_root, one_sentence, print_json

app = typer.Typer()
registry = typer.Typer(no_args_is_help=True, help="Look after the experiment database.")
app.add_typer(registry, name="registry")


@app.command()
def doctor(
    full: Annotated[bool, typer.Option("--full", help="Read every value, object, output and cached file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at all that a study stands on, and say what to do where something is wrong; exit 1 on a problem."""
    from stages.care.doctor import examine, formatted

    with one_sentence():
        at_root()
        found = []
        for check in examine(full):
            found.append(check)
            if not as_json:
                typer.echo(formatted(check))
    if as_json:
        print_json([check._asdict() for check in found])
    if any(check.state == "problem" for check in found):
        raise typer.Exit(1)


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it, instead of only saying so.")] = False,
    days: Annotated[float, typer.Option(help="What is younger than so many days stays.", min=0)] = 7,
    shards: Annotated[bool, typer.Option("--shards", help="Keep no picture twice that DVC's cache holds too.")] = False,
) -> None:
    """Say which items and objects no pin, study, branch or worktree needs, and with --yes remove them."""
    from datetime import timedelta

    from stages.care.needed import collect, listing

    with one_sentence():
        at_root()
        found = collect(timedelta(days=days), yes, shards)
    typer.echo(listing(found, yes))


@registry.command()
def sync() -> None:
    """Bring the registry to this checkout's stage outputs; rebuilds a lost one."""
    from stages.index import sync

    with one_sentence():
        at_root()
        counts = sync()
    typer.echo(", ".join(f"{count} {kind}" for kind, count in counts.items()))


@registry.command()
def copy(
    url: Annotated[str, typer.Argument(help="An empty database: postgresql://USER@HOST/DATABASE or sqlite:///FILE.")],
) -> None:
    """Copy the whole registry into an empty database: to move it, or to back it up while studies run."""
    from registry.copying import copy
    from registry.store.database import connect
    from registry.store.places import registry_url

    with one_sentence():
        source, target = connect(registry_url()), connect(url)
        if target.dialect.name == "sqlite" and target.url.database in ("", ":memory:", None):
            raise ValueError(f"{url} names no file, so that nothing would be kept; write sqlite:///FILE.")
        counts = copy(source, target)
        target.dispose()  # an SQLite file is whole without its log from here on
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items() if count))


@registry.command()
def published(
    paper: Annotated[str | None, typer.Option(help="One paper, such as inpainting or rico; default all.")] = None,
    table: Annotated[str | None, typer.Option(help="A table by its number in the paper; default all.")] = None,
    metric: Annotated[str | None, typer.Option(help="One metric, such as mse or bleu_4.")] = None,
    corpus: Annotated[str | None, typer.Option(help="One corpus, such as flickr.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Say where the tables disagree.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the numbers that papers report, or hold them against each other."""
    from registry.published import listing, numbers
    from registry.published.checks import recompute, summary
    from registry.store.database import connect
    from registry.store.places import registry_url

    with one_sentence():
        wanted = {"paper": paper, "table": table, "metric": metric, "corpus": corpus}
        if check and any(wanted.values()):
            raise ValueError(
                "--check compares tables with each other; leave out --paper, --table, --metric and --corpus."
            )
        found = numbers(connect(registry_url()), **wanted)
    if check:
        checks = recompute(found)
        print_json([one._asdict() for one in checks]) if as_json else typer.echo(summary(checks))
    else:
        print_json([one.as_json() for one in found]) if as_json else typer.echo(listing(found))
