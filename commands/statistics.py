"""Statistics of a study in the registry, or of a table."""

from __future__ import annotations

from typing import Annotated

import typer

from commands import one_sentence, print_json

app = typer.Typer()


@app.command()
def correlate(
    source: Annotated[str, typer.Argument(help="A table (CSV), or the name of a study in the registry.")],
    x: Annotated[str, typer.Option(help="Columns, told apart by commas; of a study default all of fidelity.")] = "",
    y: Annotated[str, typer.Option(help="Columns to correlate them with; of a study default all of captions.")] = "",
    unit: Annotated[str, typer.Option(help="The column of what was varied; of a study default `configuration`.")] = "",
    item: Annotated[str, typer.Option(help="The column of what every unit was measured on, such as an image.")] = "",
    by: Annotated[str, typer.Option(help="A column of corpora: correlated apart, then put together.")] = "",
    family: Annotated[
        str, typer.Option(help="A column of families, such as checkpoints, whose units are not independent.")
    ] = "",
    average: Annotated[bool, typer.Option("--average", help="Average rows of one unit and item.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Correlate columns of a table, or metrics of a study, over units: with intervals, p, and what drives them."""
    from reports.statistics.analysis import as_json as plain
    from reports.terminal.correlate import correlate_source
    from reports.terminal.correlation import report

    xs, ys = ([name.strip() for name in text.split(",") if name.strip()] for text in (x, y))
    with one_sentence():
        found, roles = correlate_source(source, xs, ys, unit=unit, item=item, by=by, family=family, average=average)
    if as_json:
        print_json(plain(found))
    else:
        typer.echo(report(found, roles))


@app.command()
def ablate(
    source: Annotated[str, typer.Argument(help="A table (CSV), or the name of a study in the registry.")],
    value: Annotated[str, typer.Option(help="The column, or the metric of a study, that factors act on.")],
    factor: Annotated[str, typer.Option(help="Columns, told apart by commas; of a study default all that vary.")] = "",
    item: Annotated[str, typer.Option(help="The column of what levels are compared on; of a study `sample`.")] = "",
    axes: Annotated[str, typer.Option(help="Further columns in which compared rows must agree.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what each factor does: paired differences on the same items, and which levels do more together."""
    from reports.terminal.ablate import ablate_source
    from reports.terminal.ablate import as_json as plain
    from reports.terminal.ablation import report

    factors, others = ([name.strip() for name in text.split(",") if name.strip()] for text in (factor, axes))
    with one_sentence():
        found = ablate_source(source, factors, value, item, others)
    if as_json:
        print_json(plain(found))
    else:
        typer.echo(report(found))
