"""Score captions or pictures of one's own, without a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from commands import one_sentence, print_json

if TYPE_CHECKING:
    from models.measures.captions.ptb import Tokenizer

app = typer.Typer(no_args_is_help=True, help="Score captions or pictures of your own, as JSON.")


@app.command(context_settings={"allow_extra_args": True})
def captions(
    context: typer.Context,
    hypotheses: Annotated[Path, typer.Argument(help='JSON: {"id": ["caption"]}, as coco-caption\'s res.')],
    references: Annotated[Path, typer.Argument(help='JSON: {"id": ["caption", ...]}, as coco-caption\'s gts.')],
    metrics: Annotated[
        list[str] | None, typer.Option(help="bleu, meteor, rouge_l, rouge_l_recall, cider, sbert; default all.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="ptb (Java) or none (split at spaces).")] = "ptb",
    embedder: Annotated[str, typer.Option(help="The checkpoint behind sbert; default our small one.")] = "",
    revision: Annotated[str | None, typer.Option(help="The commit of an embedder on the hub.")] = None,
) -> None:
    """Score captions against references. Several metrics are told apart by commas or spaces."""
    from models.measures.captions.semantic import Semantic
    from models.measures.scoring import CAPTION_METRICS, score_captions
    from models.pocket import WEIGHTS

    names = [name for text in (*(metrics or ()), *context.args) for name in text.replace(",", " ").split()]
    with one_sentence():
        semantic = Semantic(Semantic.Settings(checkpoint=embedder or str(WEIGHTS / "sbert"), revision=revision))
        given = read_json(hypotheses), read_json(references)
        print_json(score_captions(*given, names or CAPTION_METRICS, cast("Tokenizer", tokenizer), semantic))


@app.command()
def images(
    original: Annotated[Path, typer.Argument(help="The picture as it was.")],
    reconstructed: Annotated[Path, typer.Argument(help="The picture as it was repainted.")],
    mask: Annotated[Path | None, typer.Option(help="A picture that is white where it was repainted.")] = None,
) -> None:
    """Compare two pictures: MSE, PSNR, SSIM and LPIPS, over the whole and on both sides of a mask."""
    from models.measures.pictures.perceptual import Lpips
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
