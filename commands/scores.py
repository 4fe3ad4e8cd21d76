"""Score captions or pictures of one's own, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from commands import one_sentence, print_json
from registry.store.tables import read_json

if TYPE_CHECKING:
    from models.measures.captions.ptb import Tokenizer

GIVE = 'Give a file like {"id": ["caption"]}.'

app = typer.Typer(no_args_is_help=True, help="Score captions or pictures of your own, as JSON.")


@app.command(context_settings={"allow_extra_args": True})
def captions(
    context: typer.Context,
    hypotheses: Annotated[Path, typer.Argument(help='JSON: {"id": "caption"} or COCO\'s list of results.')],
    references: Annotated[Path, typer.Argument(help='JSON: {"id": ["caption", ...]} or COCO\'s annotations.')],
    metrics: Annotated[
        list[str] | None, typer.Option(help="bleu, meteor, rouge_l, rouge_l_recall, cider, sbert; default all.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="ptb (Java) or none (split at spaces).")] = "ptb",
    embedder: Annotated[str, typer.Option(help="The checkpoint behind sbert: a folder, or an id on the hub.")] = "",
    revision: Annotated[str | None, typer.Option(help="The commit of an embedder on the hub.")] = None,
) -> None:
    """Score captions against references. Several metrics are told apart by commas or spaces."""
    from models.measures.captions.semantic import Semantic
    from models.measures.scoring import CAPTION_METRICS, by_id, score_captions

    names = [name for text in (*(metrics or ()), *context.args) for name in text.replace(",", " ").split()]
    with one_sentence():
        semantic = Semantic(Semantic.Settings(checkpoint=embedder, revision=revision)) if embedder else None
        res, gts = (by_id(read_json(path, "file of captions", advice=GIVE)) for path in (hypotheses, references))
        print_json(score_captions(res, gts, names or CAPTION_METRICS, cast("Tokenizer", tokenizer), semantic))


@app.command()
def images(
    original: Annotated[Path, typer.Argument(help="The picture as it was.")],
    reconstructed: Annotated[Path, typer.Argument(help="The picture as it was repainted.")],
    mask: Annotated[Path | None, typer.Option(help="Black and white; white where it was repainted.")] = None,
    weights: Annotated[str, typer.Option(help="The trunk's weights behind lpips, a file or a folder of it.")] = "",
    net: Annotated[str, typer.Option(help="Which trunk that is: alex, vgg or squeeze.")] = "squeeze",
) -> None:
    """Compare two pictures: MSE, PSNR, SSIM and, with --weights, LPIPS, over the whole and on both sides of a mask."""
    from models.adapters.settings import validated
    from models.measures.pictures.perceptual import Lpips
    from models.measures.scoring import score_images
    from stages.corpora.pictures import read_mask, read_picture

    with one_sentence():
        pictures = read_picture(original), read_picture(reconstructed)
        where = None if mask is None else read_mask(mask)
        lpips = Lpips(validated("lpips", Lpips.Settings, {"net": net, "weights": weights})) if weights else None
        print_json(score_images(*pictures, where, lpips=lpips))
