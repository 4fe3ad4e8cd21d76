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
    except (ValueError, FileNotFoundError, ConnectionError) as error:
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
def plan(
    study: Annotated[Path, typer.Argument(help="A study, such as studies/truce.yaml.")] = Path("params.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check a study and say what it would compute, how much of that is known, and about how long the rest takes."""
    from stages.planning import forecast, listing
    from stages.study import read_study

    with one_sentence():
        found = forecast(read_study(study))
    if as_json:
        print_json([stage._asdict() for stage in found])
    else:
        typer.echo(listing(found))


@app.command()
def use(study: Annotated[Path, typer.Argument(help="A study, such as studies/truce.yaml.")]) -> None:
    """Make a study file the study at hand: check it and copy it to params.yaml, unless that has edits to lose."""
    from stages.choosing import choose

    with one_sentence():
        chosen = choose(study)
    typer.echo(f"params.yaml is now the study {chosen.study}; `palimpsest plan` says what it would compute.")


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it, instead of only saying so.")] = False,
    days: Annotated[float, typer.Option(help="What is younger than so many days stays.", min=0)] = 7,
    shards: Annotated[bool, typer.Option("--shards", help="Keep no picture twice that DVC's cache holds too.")] = False,
) -> None:
    """Say which items and objects no pin, study, branch or worktree needs, and with --yes remove them."""
    from datetime import timedelta

    from stages.needed import collect, listing

    with one_sentence():
        found = collect(timedelta(days=days), yes, shards)
    typer.echo(listing(found, yes))


@app.command()
def doctor(
    full: Annotated[bool, typer.Option("--full", help="Read every object, not a sample.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at all that a study stands on, and say what to do where something is wrong; exit 1 on a problem."""
    from stages.doctor import examine, told

    with one_sentence():
        found = []
        for check in examine(full):
            found.append(check)
            if not as_json:
                typer.echo(told(check))
    if as_json:
        print_json([check._asdict() for check in found])
    if any(check.state == "problem" for check in found):
        raise typer.Exit(1)


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000) -> None:
    """Serve the MLflow UI over this checkout's runs; where a server tracks them, say where it is."""
    from registry.places import hidden, tracking_uri

    with one_sentence():
        uri = tracking_uri()
    if uri.startswith(("http:", "https:")):
        typer.echo(hidden(uri))
        return
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port)]
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri}  # not an argument, which every user could read
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)


@app.command()
def trace(
    id: Annotated[
        str,
        typer.Argument(
            help="An item's key or its beginning, KEY:METRIC or KEY:METRIC@REGION, a picture's digest, a file, a "
            "stage or its output, or CORPUS/DEGRADATION/INPAINTER/CAPTIONER, perhaps with /METRIC behind it; `none` is "
            "an axis that does not apply."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print where something came from, all the way back: models, prompts, runs, commits."""
    from registry import open_registry
    from registry.lineage.text import told

    with one_sentence(), open_registry() as opened:
        found = opened.trace(id)
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(told(found))


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
def why(
    stage: Annotated[str, typer.Argument(help="A stage, as dvc.yaml names it, such as inpaint@telea.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what made a stage run again, and how many items each cause cost."""
    from stages.why import why

    with one_sentence():
        found = why(stage)
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
            pinned, new = pinning.pin(name, version, path)
            said = f"{pinned.path} is {'now' if new else 'already'} {pinned.label}, {pinned.digest[:12]}."
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
        else:
            known, wrong = pinning.pins()
    if diff:
        print_json(found.as_json()) if as_json else typer.echo(found.text())
    elif as_json:
        print_json([pinned.as_json() for pinned in known])
    else:
        typer.echo(pinning.listing(known))
    if not diff and wrong:
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
    from reports.ablations.sources import ablate_source
    from reports.ablations.sources import as_json as plain
    from reports.ablations.text import report

    factors, others = ([name.strip() for name in text.split(",") if name.strip()] for text in (factor, axes))
    with one_sentence():
        found = ablate_source(source, factors, value, item, others)
    if as_json:
        print_json(plain(found))
    else:
        typer.echo(report(found))


@registry.command()
def sync() -> None:
    """Bring the registry to this checkout's stage outputs; rebuilds a lost one."""
    from stages.index import sync

    with one_sentence():
        counts = sync()
    typer.echo(", ".join(f"{count} {kind}" for kind, count in counts.items()))


@registry.command()
def copy(
    url: Annotated[str, typer.Argument(help="An empty database: postgresql://USER@HOST/DATABASE or sqlite:///FILE.")],
) -> None:
    """Copy the whole registry into an empty database: to move it, or to back it up while studies run."""
    from registry.copying import copy
    from registry.places import registry_url
    from registry.schema import connect

    with one_sentence():
        source, target = connect(registry_url()), connect(url)
        counts = copy(source, target)
        target.dispose()  # an SQLite file is whole without its log from here on
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items() if count))


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
