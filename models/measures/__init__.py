"""Everything that is measured: its name, range and direction. The measures themselves are in this package's modules.

Picture measures, and measures of captions that know where things are, give one value per *region*: ``region`` is the
repainted part (mask True), ``outside`` the rest, and ``whole`` the picture. None means that the measure is undefined
there: PSNR of equal pixels (it is infinite, and an infinity or a cap would make a mean over pictures say nothing), SSIM
of a picture smaller than its window, a share of nothing, and any measure of an empty region. Means are taken over the
values that are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What a number means: values lie in [low, high]; an unbounded side is ``math.inf``."""

    name: str
    title: str
    low: float
    high: float
    higher_is_better: bool
    unit: str = ""


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mse", "MSE", 0, 1, False, "squared intensity, intensities in [0, 1]"),
        Metric("psnr", "PSNR", 0, math.inf, True, "dB"),
        Metric("ssim", "SSIM", -1, 1, True),
        Metric("lpips", "LPIPS", 0, math.inf, False),
        Metric("clap", "CLAP cosine", -1, 1, True),
        Metric("bleu_1", "BLEU-1", 0, 1, True),
        Metric("bleu_2", "BLEU-2", 0, 1, True),
        Metric("bleu_3", "BLEU-3", 0, 1, True),
        Metric("bleu_4", "BLEU-4", 0, 1, True),
        Metric("rouge_l", "ROUGE-L", 0, 1, True),
        Metric("cider", "CIDEr", 0, 10, True),
        Metric("meteor", "METEOR 1.5", 0, 1, True),
        Metric("sbert", "SBERT cosine", -1, 1, True),
        Metric("simcse_sup", "SimCSE cosine, supervised", -1, 1, True),
        Metric("simcse_unsup", "SimCSE cosine, unsupervised", -1, 1, True),
        Metric("object_precision", "Object precision", 0, 1, True),
        Metric("object_recall", "Object recall", 0, 1, True),
        Metric("object_hallucination", "Object hallucination", 0, 1, False),
        Metric("attribute_precision", "Attribute precision", 0, 1, True),
        Metric("attribute_recall", "Attribute recall", 0, 1, True),
        Metric("attribute_hallucination", "Attribute hallucination", 0, 1, False),
        Metric("relation_precision", "Relation precision", 0, 1, True),
        Metric("relation_recall", "Relation recall", 0, 1, True),
        Metric("relation_hallucination", "Relation hallucination", 0, 1, False),
        Metric("parser_coverage", "Parser coverage", 0, 1, True),
        Metric("chair_i", "CHAIR-i", 0, 1, False),
        Metric("chair_s", "CHAIR-s", 0, 1, False),
        Metric("chair_recall", "Recall of annotated objects", 0, 1, True),
    )
}
"""By name, in the order in which tables show them.

>>> METRICS["psnr"].unit, METRICS["lpips"].higher_is_better
('dB', False)
"""
