"""What the report says of each metric: how it is called, which way is better, and what it means in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` is the registry's; ``decimals`` is how many a table shows."""

    name: str
    title: str
    higher_is_better: bool
    decimals: int
    definition: str

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"

    @property
    def direction(self) -> str:
        return f"{'higher' if self.higher_is_better else 'lower'} is better"


FIDELITY = (
    Metric("mse", "MSE", False, 4, "mean squared difference of intensities in [0, 1], over pixels and channels"),
    Metric("psnr", "PSNR", True, 2, "10 · log₁₀(1 / MSE) in dB, per picture; undefined where the pixels are equal"),
    Metric("ssim", "SSIM", True, 3, "structural similarity (Wang et al. 2004), Gaussian window, mean over RGB"),
    Metric("lpips", "LPIPS", False, 3, "perceptual distance of deep features (Zhang et al. 2018)"),
    Metric("cls_cosine", "CLS cosine", True, 3, "cosine of a vision encoder's CLS embeddings"),
    Metric("clap", "CLAP", True, 3, "cosine of the sounds of two spectrograms, as CLAP hears them (Wu et al. 2023)"),
)
"""How far a repainted picture is from its original, in the order of the tables."""

QUALITY = (
    Metric("bleu_1", "BLEU-1", True, 3, "clipped precision of words, with brevity penalty (Papineni et al. 2002)"),
    Metric("bleu_2", "BLEU-2", True, 3, "as BLEU-1, geometric mean over words and pairs"),
    Metric("bleu_3", "BLEU-3", True, 3, "as BLEU-1, up to triples"),
    Metric("bleu_4", "BLEU-4", True, 3, "as BLEU-1, up to four words in a row"),
    Metric("rouge_l", "ROUGE-L", True, 3, "F-measure of the longest common subsequence, β = 1.2 (Lin 2004)"),
    Metric("cider", "CIDEr", True, 3, "TF-IDF weighted n-gram cosine, 0 to 10, COCO's CIDEr-D (Vedantam et al. 2015)"),
    Metric("meteor", "METEOR", True, 3, "aligned words with stems, synonyms and paraphrases, version 1.5"),
    Metric("sbert", "SBERT", True, 3, "cosine of sentence embeddings, the nearest reference (Reimers & Gurevych 2019)"),
    Metric(
        "simcse_sup", "SimCSE sup.", True, 3, "as SBERT, by supervised SimCSE, through the pooler (Gao et al. 2021)"
    ),
    Metric("simcse_unsup", "SimCSE unsup.", True, 3, "as SBERT, by unsupervised SimCSE, CLS without the pooler"),
)
"""How good a caption is against the references of its sample, in the order of the tables."""


class View(NamedTuple):
    """Curves over layers: of what, where, how the view is called, and what its axis says."""

    metric: str
    region: str
    title: str
    axis: str


EVEN, SHARED = "tvd_even", "Σ |p − q|, if all patches moved as these do"
"""Drift that can be compared between regions of different sizes, and what its axis says."""

LAYERED = (
    View(EVEN, "region", "inside the mask", SHARED),
    View("tvd_sum", "whole", "whole picture", "Σ |p − q| over all patches"),
    View("entropy_change", "whole", "entropy", "change of entropy in nats"),
)
"""What the curves over layers show of attention, beside the comparison of regions."""

GROUNDING = (
    Metric("object_recall", "objects ✓", True, 3, "share of the objects shown that the caption names"),
    Metric("object_hallucination", "objects ✗", False, 3, "share of the objects named that are nowhere in the picture"),
    Metric("attribute_recall", "attributes ✓", True, 3, "share of the attributes shown that the caption says"),
    Metric("attribute_hallucination", "attributes ✗", False, 3, "share of the attributes said that nothing has"),
    Metric("relation_recall", "relations ✓", True, 3, "share of the neighbours whose relation the caption says"),
    Metric("relation_hallucination", "relations ✗", False, 3, "share of the relations said that hold nowhere"),
    Metric("chair_i", "CHAIR-i", False, 3, "share of the objects named that are not there (Rohrbach et al. 2018)"),
    Metric("chair_s", "CHAIR-s", False, 3, "share of captions that name such an object"),
)
"""What captions say against what the pictures show, where that is known."""

REGIONS = {"region": "inside the mask", "outside": "outside the mask", "whole": "whole picture"}
"""Where fidelity is measured. Tables start with the first, and correlations use it."""

INSIDE, OUTSIDE, *_ = REGIONS

CONTROL = "identity"
"""The adapter of an inpainter that leaves the degraded picture as it is."""
