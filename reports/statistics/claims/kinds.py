"""Kinds of corpora, as the inpainting paper speaks of them (section 3, appendix B.1)."""

from __future__ import annotations

NATURAL, REFERRING, SERIES = "natural images", "referring expressions", "time series"
MEDICAL, XRAY, AUDIO = "medical figures", "chest X-rays", "spectrograms"

KINDS = {
    "scenes": NATURAL,
    "coco": NATURAL,
    "dci": NATURAL,
    "flickr30k-entities": NATURAL,
    "amber": NATURAL,
    "capeval": NATURAL,
    "capsbench": NATURAL,
    "comprecap": NATURAL,
    "detailcaps": NATURAL,
    "pope": NATURAL,
    "referring": REFERRING,
    "refcocog": REFERRING,
    "series": SERIES,
    "truce": SERIES,
    "rocov2": MEDICAL,
    "indiana": XRAY,
    "radiographs": XRAY,
    "gtzan": AUDIO,
    "spectrograms": AUDIO,
}
"""The kind of a corpus by its adapter; pictures of a folder may be anything, and the paper claims nothing of them."""

GROUNDED = (NATURAL, REFERRING, SERIES, MEDICAL)
"""What the paper calls visually grounded: its success cases (section 4, appendix E). Chest X-rays and spectrograms are
its failure cases (appendix F), where captions hardly vary."""

EVERY = (*GROUNDED, XRAY, AUDIO)
"""Claims that the paper narrows to no corpus are about all that it studies."""
