"""Scores of a file's worth of captions, or of one pair of pictures, as JSON-able dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.adapters.settings import unknown
from models.measures.captions.candidates import Candidate, Corpus, candidates
from models.measures.captions.lexical import Lexical, Scores
from models.measures.captions.meteor import MeteorError
from models.measures.captions.ptb import TOKENIZERS, Tokenizer
from models.measures.captions.references import check_references
from models.measures.captions.semantic import Semantic
from models.measures.pictures.perceptual import Lpips
from models.measures.pictures.pixel import SSIM_WINDOW, Pixel
from models.measures.regions import REGIONS
from models.pocket import WEIGHTS

POCKET = "pocket_"
"""What the name of a metric begins with where one of our own small checkpoints stands behind it."""

CAPTION_METRICS = (*Lexical.Settings().metrics, "sbert")
"""What can be asked for; ``bleu`` gives ``bleu_1`` to ``bleu_4``."""

IMAGE_METRICS = tuple(metric.name for metric in (*Pixel.METRICS, *Lpips.METRICS))


def score_captions(
    hypotheses: Mapping[str, Sequence[str]],
    references: Mapping[str, Sequence[str]],
    metrics: Sequence[str] = CAPTION_METRICS,
    tokenizer: Tokenizer = "ptb",
    semantic: Semantic | None = None,
) -> dict[str, Any]:
    """Coco-caption's ``res`` against its ``gts``: one caption and one or more references for each id.

    Gives ``{"corpus": {metric: value}, "items": {id: {metric: value}}}``, as defined by
    :class:`~models.measures.captions.lexical.Lexical` and :class:`~models.measures.captions.semantic.Semantic`. A
    metric that cannot be had (METEOR without Java, ``sbert`` without ``semantic``, which is passed unloaded) is missing
    there and named with the reason under ``"unavailable"``, a key which is there only then. So is METEOR's corpus
    value, where METEOR cannot align some captions: only their items lack it. By a pocket checkpoint it is
    ``pocket_sbert``, since no paper's numbers are meant by that.

    Raises
    ------
    ValueError
        An unknown metric or tokenizer, ids that do not match (naming the nearest), an id with no or several captions.
    JavaMissing
        Tokenizer ``ptb`` without Java.

    >>> gts, res = {"1": ["a cat on a mat", "the cat sits"]}, {"1": ["a cat on a mat"]}
    >>> scores = score_captions(res, gts, metrics=["rouge_l"], tokenizer="none")
    >>> scores["corpus"], scores["items"]
    ({'rouge_l': 1.0}, {'1': {'rouge_l': 1.0}})
    """
    _check_names("metric", metrics, CAPTION_METRICS)
    _check_names("tokenizer", [tokenizer], TOKENIZERS)
    records = _records(hypotheses, references)
    unavailable: dict[str, str] = {}
    corpus: dict[str, float] = {}
    items: list[dict[str, float]] = [{} for _ in records]
    if lexical := tuple(name for name in CAPTION_METRICS if name in metrics and name != "sbert"):
        whole = Corpus(references, texts=[record.text for record in records])
        scores = _lexical(records, whole, lexical, tokenizer, unavailable)
        corpus, items = scores.corpus, scores.items
    if "sbert" in metrics and not semantic:
        unavailable["sbert"] = (
            "no sentence embedder was given: name a sentence-transformers checkpoint (--embedder, or `semantic` in "
            "Python)"
        )
    elif "sbert" in metrics and semantic:
        semantic.load()
        semantic.fit(Corpus(references))
        name = called("sbert", semantic.settings.checkpoint)
        corpus |= {name: semantic.corpus(records)["sbert"]}
        items = [item | {name: values["sbert"]} for item, values in zip(items, semantic.score(records), strict=True)]
    named = {record.sample: item for record, item in zip(records, items, strict=True)}
    return {"corpus": corpus, "items": named} | ({"unavailable": unavailable} if unavailable else {})


def by_id(read: Any) -> Any:
    """Captions as id → list of texts: of COCO's result lists and annotations, and of plain texts.

    What is none of these is left as it is, for :func:`score_captions` to refuse. Raises ``ValueError`` for an entry of
    a list that lacks its id or its caption.

    >>> by_id([{"image_id": 1, "caption": "a cat"}, {"image_id": 1, "caption": "the cat"}])
    {'1': ['a cat', 'the cat']}
    >>> by_id({"annotations": [{"image_id": 1, "id": 7, "caption": "a cat"}]}), by_id({"1": "a cat"})
    ({'1': ['a cat']}, {'1': ['a cat']})
    """
    if isinstance(read, Mapping) and isinstance(read.get("annotations"), list):
        read = read["annotations"]
    if isinstance(read, list):
        found: dict[str, list[Any]] = {}
        for number, one in enumerate(read, 1):
            if not isinstance(one, Mapping) or not {"image_id", "caption"} <= set(one):
                raise ValueError(
                    f'entry {number} of a list of captions is {one!r:.60}: expected {{"image_id": …, "caption": "…"}}, '
                    "as COCO has them"
                )
            found.setdefault(str(one["image_id"]), []).append(one["caption"])
        return found
    if isinstance(read, Mapping):
        return {key: [texts] if isinstance(texts, str) else texts for key, texts in read.items()}
    return read


def score_images(
    original: np.ndarray,
    reconstructed: np.ndarray,
    mask: np.ndarray | None = None,
    metrics: Sequence[str] = IMAGE_METRICS,
    lpips: Lpips | None = None,
) -> dict[str, Any]:
    """Metric → region → value for two pictures (H, W, 3) uint8; without a mask (H, W) bool only the ``whole``.

    A metric that cannot be had (LPIPS without ``lpips``, which is passed unloaded; pictures too small) is missing and
    named with the reason under ``"unavailable"``, a key which is there only then. PSNR of equal pixels is None. LPIPS
    by a pocket trunk is ``pocket_lpips``.

    Raises
    ------
    ValueError
        An unknown metric, or pictures and mask of different sizes (naming both).

    >>> black, grey = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 51, np.uint8)
    >>> score_images(black, grey, metrics=["mse"])
    {'mse': {'whole': 0.04}}
    """
    _check_names("metric", metrics, IMAGE_METRICS)
    pair = [original], [reconstructed], [np.zeros(original.shape[:2], bool) if mask is None else mask]
    values = Pixel().measure(*pair)[0]
    unavailable: dict[str, str] = {}
    if min(original.shape[:2]) < SSIM_WINDOW:
        unavailable["ssim"] = f"SSIM's window is {SSIM_WINDOW} pixels wide, and the pictures are smaller"
    if "lpips" in metrics and not lpips:
        unavailable["lpips"] = "no LPIPS weights were given: name a trunk's weights (--weights, or `lpips` in Python)"
    elif "lpips" in metrics and lpips:
        lpips.load()
        try:
            values |= lpips.measure(*pair)[0]
        except ValueError as error:  # too small: what else could be wrong, the pixel measures have checked
            unavailable["lpips"] = str(error)
    regions = ("whole",) if mask is None else REGIONS
    unavailable = {name: reason for name, reason in unavailable.items() if name in metrics}
    chosen = [name for name in IMAGE_METRICS if name in metrics and name not in unavailable]
    labels = {"lpips": called("lpips", lpips.settings.weights)} if lpips and "lpips" in chosen else {}
    scores: dict[str, Any] = {
        labels.get(name, name): {region: values[name][region] for region in regions} for name in chosen
    }
    return scores | ({"unavailable": unavailable} if unavailable else {})


def called(metric: str, checkpoint: str) -> str:
    """A metric's name by the checkpoint behind it.

    >>> called("sbert", str(WEIGHTS / "sbert")), called("sbert", "sentence-transformers/all-mpnet-base-v2")
    ('pocket_sbert', 'sbert')
    """
    return POCKET + metric if Path(checkpoint).resolve().is_relative_to(WEIGHTS.resolve()) else metric


def _lexical(
    records: Sequence[Candidate],
    corpus: Corpus,
    metrics: tuple[str, ...],
    tokenizer: Tokenizer,
    unavailable: dict[str, str],
) -> Scores:
    measure = Lexical(Lexical.Settings(metrics=metrics, tokenizer=tokenizer))
    unavailable |= measure.unavailable
    try:
        measure.fit(corpus)
        measure.load()
        if measure.broken:
            raise measure.broken
        scores = measure.evaluate(records)
    except MeteorError as error:  # not about one caption: the program does not run here
        unavailable["meteor"] = str(error)
        others = tuple(name for name in metrics if name != "meteor")
        return _lexical(records, corpus, others, tokenizer, unavailable)
    finally:
        measure.close()
    for key, reason in scores.failed.items():
        count = f"{len(scores.failed)} of {len(records)} captions"
        unavailable.setdefault("meteor", f"no corpus value: {count} could not be aligned, first {key!r}: {reason}")
    return scores


def _records(hypotheses: Mapping[str, Sequence[str]], references: Mapping[str, Sequence[str]]) -> list[Candidate]:
    for name, given in (("captions", hypotheses), ("references", references)):
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"the {name} are {given!r:.80}: expected id → list of texts, with at least one id")
    for key, texts in hypotheses.items():
        if not isinstance(texts, (list, tuple)) or len(texts) != 1:
            raise ValueError(
                f"the captions of {key!r} are {texts!r:.80}: expected a list of one caption, the one to score"
            )
    captions = {key: texts[0] for key, texts in hypotheses.items()}
    check_references(references)
    records = candidates(captions, references)
    if missing := [key for key in references if key not in captions]:
        raise ValueError(
            f"{len(missing)} of {len(references)} ids have references but no caption, first {missing[0]!r}: "
            "a corpus is scored whole, so caption them or leave their references out"
        )
    return records


def _check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(unknown(kind, name, known))
