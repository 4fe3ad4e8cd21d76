"""The front door: one command for what people do with a study.

Every import of weight happens inside a command, so that ``palimpsest --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An experiment database for captioning research: degrade, repaint, caption, measure, correlate.",
)
score = typer.Typer(no_args_is_help=True, help="Score captions or pictures of your own, as JSON.")
registry = typer.Typer(no_args_is_help=True, help="Look after the experiment database.")
app.add_typer(score, name="score")
app.add_typer(registry, name="registry")


@contextmanager
def one_sentence() -> Iterator[None]:
    """Bad input ends in one sentence on stderr and exit code 2, not in a traceback."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"palimpsest: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="Stages, as dvc.yaml names them; default all.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 if any item failed or any input was faulty.")] = False,
) -> None:
    """Check params.yaml, then run `dvc repro`, and say where the results are."""
    from stages.check import check
    from stages.study import read_study

    with one_sentence():
        check(read_study())
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if strict:
        environment["PALIMPSEST_STRICT"] = "1"
    done = subprocess.run([sys.executable, "-m", "dvc", "repro", *(targets or [])], env=environment, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
    faults = [link for link in run_links() if link["failed"] or link["problems"]]
    for link in faults:
        typer.echo(
            f"{link['stage']}: {link['failed']} failed items, {sum(link['problems'].values())} faults in its input"
        )
    typer.echo("\nThe report:   data/report/index.html")
    typer.echo("The runs:     palimpsest ui   (then open the address that it prints)")
    if strict and faults:
        raise typer.Exit(1)


def run_links() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(Path("data/runs").glob("*.json"))]


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000) -> None:
    """Serve the MLflow UI over this checkout's runs."""
    from registry.places import tracking_uri

    with one_sentence():
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri(), "--port", str(port)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def explain(a: str, b: str) -> None:
    """Name the parts in which the keys of two items differ. A and B are item keys or unique beginnings of them."""
    from registry.items import parts_of
    from registry.keys import differing_parts
    from registry.places import registry_url
    from registry.schema import connect

    with one_sentence():
        engine = connect(registry_url())
        one, other = parts_of(engine, a), parts_of(engine, b)
        differences = differing_parts(one, other)
    for name, left, right in differences:
        typer.echo(f"{name}: {json.dumps(left)} -> {json.dumps(right)}")
    if not differences:
        typer.echo("The two keys are equal in every part.")


@app.command()
def export(
    stage: Annotated[Path, typer.Argument(help="A stage output, such as data/inpaint/telea.")],
    folder: Annotated[Path, typer.Argument(help="Where the files go; made when missing.")],
) -> None:
    """Write a stage's output as plain PNG files and one JSONL line an item."""
    from stages.export import export_rows

    with one_sentence():
        count = export_rows(stage, folder)
    typer.echo(f"{count} items in {folder}")


@app.command()
def train(
    name: Annotated[
        str, typer.Argument(help="A pocket model; `palimpsest train --help` lists none, a wrong name does.")
    ],
    corpus: Annotated[
        list[Path] | None, typer.Option(help="A prepared corpus to learn from besides the world.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps instead of the recipe's own.")] = None,
) -> None:
    """Train a pocket model by its recipe, logging to MLflow; an interrupted training goes on where it stopped."""
    from stages.train import train_pocket

    with one_sentence():
        print_json(train_pocket(name, corpus or [], steps))


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
    """What is known of one corpus, as aligned lines."""
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
def correlate(
    source: Annotated[str, typer.Argument(help="A table (CSV), or the name of a study in the registry.")],
    x: Annotated[str, typer.Option(help="Columns, told apart by commas; of a study default all of fidelity.")] = "",
    y: Annotated[str, typer.Option(help="Columns to correlate them with; of a study default all of captions.")] = "",
    unit: Annotated[str, typer.Option(help="The column of what was varied; of a study default `configuration`.")] = "",
    item: Annotated[str, typer.Option(help="The column of what every unit was measured on, such as an image.")] = "",
    by: Annotated[str, typer.Option(help="A column of corpora: correlated apart, then put together.")] = "",
    family: Annotated[str, typer.Option(help="A column of model families, to leave out one at a time.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Correlate columns of a table, or metrics of a study, over units: with intervals, p, and what drives them."""
    from reports.correlation.analysis import as_json as plain
    from reports.correlation.sources import correlate_source
    from reports.correlation.text import report

    xs, ys = ([name.strip() for name in text.split(",") if name.strip()] for text in (x, y))
    with one_sentence():
        found, roles = correlate_source(source, xs, ys, unit=unit, item=item, by=by, family=family)
    if as_json:
        print_json(plain(found))
    else:
        typer.echo(report(found, roles))


@registry.command()
def sync() -> None:
    """Bring the registry to this checkout's stage outputs; rebuilds a lost one."""
    from stages.index import sync

    with one_sentence():
        counts = sync()
    typer.echo(", ".join(f"{count} {kind}" for kind, count in counts.items()))


@registry.command()
def published(
    table: Annotated[str | None, typer.Option(help="A table by its number in the paper; default all.")] = None,
    metric: Annotated[str | None, typer.Option(help="One metric, such as mse or bleu_4.")] = None,
    corpus: Annotated[str | None, typer.Option(help="One corpus, such as flickr.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Say where the tables disagree.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the numbers that papers report, or hold them against each other."""
    from registry.places import registry_url
    from registry.published import listing, numbers
    from registry.published.checks import recompute, summary
    from registry.schema import connect

    with one_sentence():
        wanted = {"table": table, "metric": metric, "corpus": corpus}
        if check and any(wanted.values()):
            raise ValueError("--check compares tables with each other; leave out --table, --metric and --corpus.")
        found = numbers(connect(registry_url()), **wanted)
    if check:
        found = recompute(found)
    if as_json:
        print_json([each._asdict() for each in found])
    else:
        typer.echo(summary(found) if check else listing(found))


@score.command(context_settings={"allow_extra_args": True})
def captions(
    context: typer.Context,
    hypotheses: Annotated[Path, typer.Argument(help='JSON: {"id": ["caption"]}, as coco-caption\'s res.')],
    references: Annotated[Path, typer.Argument(help='JSON: {"id": ["caption", ...]}, as coco-caption\'s gts.')],
    metrics: Annotated[list[str] | None, typer.Option(help="bleu, meteor, rouge_l, cider, sbert; default all.")] = None,
    tokenizer: Annotated[str, typer.Option(help="ptb (Java) or none (split at spaces).")] = "ptb",
    embedder: Annotated[str, typer.Option(help="The checkpoint behind sbert; default our small one.")] = "",
    revision: Annotated[str | None, typer.Option(help="The commit of an embedder on the hub.")] = None,
) -> None:
    """Score captions against references. Several metrics are told apart by commas or spaces."""
    from models.measures.scoring import CAPTION_METRICS, score_captions
    from models.measures.semantic import Semantic
    from models.pocket import WEIGHTS

    names = [name for text in (*(metrics or ()), *context.args) for name in text.replace(",", " ").split()]
    with one_sentence():
        semantic = Semantic(Semantic.Settings(checkpoint=embedder or str(WEIGHTS / "sbert"), revision=revision))
        given = read_json(hypotheses), read_json(references)
        print_json(score_captions(*given, names or CAPTION_METRICS, tokenizer, semantic))


@score.command()
def images(
    original: Annotated[Path, typer.Argument(help="The picture as it was.")],
    reconstructed: Annotated[Path, typer.Argument(help="The picture as it was repainted.")],
    mask: Annotated[Path | None, typer.Option(help="A picture that is white where it was repainted.")] = None,
) -> None:
    """Compare two pictures: MSE, PSNR, SSIM and LPIPS, over the whole and on both sides of a mask."""
    from models.measures.perceptual import Lpips
    from models.measures.scoring import score_images
    from models.pocket import WEIGHTS
    from stages.corpora.pictures import read_picture

    with one_sentence():
        pictures = read_picture(original), read_picture(reconstructed)
        where = None if mask is None else read_picture(mask).mean(axis=2) > 127
        lpips = Lpips(Lpips.Settings(net="squeeze", weights=str(WEIGHTS / "squeezenet")))
        print_json(score_images(*pictures, where, lpips=lpips))


def read_json(path: Path) -> Any:
    """The JSON in a file; raises ``ValueError`` where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f'{path} is not JSON: {error}. Give a file like {{"id": ["caption"]}}.') from None


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    app()
