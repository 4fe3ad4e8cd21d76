"""What measures declare of their metrics, as rows of the registry's table."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from registry.store.schema import Metric

PICTURES = (
    ("mse", "MSE", False, 4, "mean squared difference of intensities in [0, 1], over pixels and channels"),
    ("psnr", "PSNR", True, 2, "10 · log₁₀(1 / MSE) in dB, per picture; undefined where the pixels are equal"),
    ("ssim", "SSIM", True, 3, "structural similarity (Wang et al. 2004), Gaussian window, mean over RGB"),
    ("lpips", "LPIPS", False, 3, "perceptual distance of deep features (Zhang et al. 2018)"),
    ("cls_cosine", "CLS cosine", True, 3, "cosine of a vision encoder's CLS embeddings"),
    ("clap", "CLAP", True, 3, "cosine of the sounds of two spectrograms, as CLAP hears them (Wu et al. 2023)"),
)
CAPTIONS = (
    ("bleu_1", "BLEU-1", True, 3, "clipped precision of words, with brevity penalty (Papineni et al. 2002)"),
    ("bleu_2", "BLEU-2", True, 3, "as BLEU-1, geometric mean over words and pairs"),
    ("bleu_3", "BLEU-3", True, 3, "as BLEU-1, up to triples"),
    ("bleu_4", "BLEU-4", True, 3, "as BLEU-1, up to four words in a row"),
    ("rouge_l", "ROUGE-L", True, 3, "F-measure of the longest common subsequence, β = 1.2 (Lin 2004)"),
    ("cider", "CIDEr", True, 3, "TF-IDF weighted n-gram cosine, 0 to 10, COCO's CIDEr-D (Vedantam et al. 2015)"),
    ("meteor", "METEOR", True, 3, "aligned words with stems, synonyms and paraphrases, version 1.5"),
    ("sbert", "SBERT", True, 3, "cosine of sentence embeddings, the nearest reference (Reimers & Gurevych 2019)"),
    ("simcse_sup", "SimCSE sup.", True, 3, "as SBERT, by supervised SimCSE, through the pooler (Gao et al. 2021)"),
    ("simcse_unsup", "SimCSE unsup.", True, 3, "as SBERT, by unsupervised SimCSE, CLS without the pooler"),
)
GROUNDING = (
    ("object_recall", "objects ✓", True, 3, "share of the objects shown that the caption names"),
    ("object_hallucination", "objects ✗", False, 3, "share of the objects named that are nowhere in the picture"),
    ("attribute_recall", "attributes ✓", True, 3, "share of the attributes shown that the caption says"),
    ("attribute_hallucination", "attributes ✗", False, 3, "share of the attributes said that nothing has"),
    ("relation_recall", "relations ✓", True, 3, "share of the neighbours whose relation the caption says"),
    ("relation_hallucination", "relations ✗", False, 3, "share of the relations said that hold nowhere"),
    ("chair_i", "CHAIR-i", False, 3, "share of the objects named that are not there (Rohrbach et al. 2018)"),
    ("chair_s", "CHAIR-s", False, 3, "share of captions that name such an object"),
)
UNSHOWN = tuple(
    (name, name, True, 3, "no table shows it")
    for name in ("object_precision", "attribute_precision", "relation_precision", "parser_coverage")
)
MODELLED = ("lpips", "clap", "sbert", "simcse_sup", "simcse_unsup")
ABOUT = {"pictures": PICTURES, "captions": CAPTIONS, "grounding": GROUNDING, "detail": UNSHOWN}


def declare(connection: Connection) -> None:
    """The metrics that measures declare, in the order of the tables."""
    columns = ("name", "label", "higher_is_better", "decimals", "definition")
    every = [dict(zip(columns, row, strict=True)) | {"about": about} for about, rows in ABOUT.items() for row in rows]
    more = [{"position": n, "unit": "", "checkpoint": row["name"] in MODELLED} for n, row in enumerate(every)]
    connection.execute(delete(Metric))
    connection.execute(insert(Metric), [row | some for row, some in zip(every, more, strict=True)])
