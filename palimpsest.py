"""The front door: one command for what people do with a study. ``commands/`` says what each does."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import database, recaptioning, scores, statistics, studies, versions


def say_version(asked: bool) -> None:
    """Print the version, with the commit where there is one, and end."""
    if asked:
        from importlib.metadata import version

        from registry.store import git

        commit = git.answer("rev-parse", "--short", "HEAD").strip()
        typer.echo(f"palimpsest {version('palimpsest')}" + (f" ({commit})" if commit else ""))
        raise typer.Exit()


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An experiment database for captioning research: degrade, repaint, caption, measure, correlate.",
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Everything that people type."""


for room in (studies, recaptioning, versions, statistics, database):
    app.add_typer(room.app)
app.add_typer(scores.app, name="score")

if __name__ == "__main__":
    app()
