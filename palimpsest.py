"""The front door: one command for what people do with a study. ``commands/`` says what each does."""

from __future__ import annotations

import typer

from commands import database, recaptioning, scores, statistics, studies, versions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An experiment database for captioning research: degrade, repaint, caption, measure, correlate.",
)
for room in (studies, recaptioning, versions, statistics, database):
    app.add_typer(room.app)
app.add_typer(scores.app, name="score")

if __name__ == "__main__":
    app()
