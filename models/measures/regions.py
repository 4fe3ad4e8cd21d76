"""Regions of a picture, columns of a measure's values by region, and checks of a pair of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from models.measures import Metric

REGIONS = ("whole", "region", "outside")
"""The whole picture, the repainted part (mask True), and the rest."""


def column(metric: str, region: str) -> str:
    """The column of a metric in a region.

    >>> column("mse", "region")
    'mse_region'
    """
    return f"{metric}_{region}"


def split_column(name: str) -> tuple[str, str]:
    """The metric and the region of a column; a metric without regions has "".

    >>> split_column("mse_region"), split_column("bleu_4")
    (('mse', 'region'), ('bleu_4', ''))
    """
    metric, _, region = name.rpartition("_")
    return (metric, region) if region in REGIONS else (name, "")


def columns(metrics: Iterable[Metric]) -> list[str]:
    """The columns of some metrics: one each, or one a region.

    >>> columns([Metric("mse", "MSE", 101, "pictures", "mean squared error", regional=True)])
    ['mse_whole', 'mse_region', 'mse_outside']
    """
    return [
        name
        for metric in metrics
        for name in ([column(metric.name, region) for region in REGIONS] if metric.regional else [metric.name])
    ]


def flat(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Values by column.

    >>> flat({"object_recall": {"whole": 0.5, "region": None}, "parser_coverage": 1.0})
    {'object_recall_whole': 0.5, 'object_recall_region': None, 'parser_coverage': 1.0}
    """
    return {
        name: one
        for metric, value in values.items()
        for name, one in (
            ((column(metric, region), number) for region, number in value.items())
            if isinstance(value, Mapping)
            else ((metric, value),)
        )
    }


def check_pair(original: np.ndarray, result: np.ndarray, mask: np.ndarray) -> None:
    """Refuse what cannot be compared: pictures are (H, W, 3) uint8 of one size, the mask (H, W) bool.

    Raises
    ------
    ValueError
        Naming what was given and what was expected.

    >>> check_pair(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8), np.zeros((4, 5), bool))
    Traceback (most recent call last):
        ...
    ValueError: the original is 5 × 4 pixels and the result 6 × 4: compare pictures of one size
    """
    for name, picture in (("original", original), ("result", result)):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise ValueError(
                f"the {name} is {picture.dtype} of shape {picture.shape}: a picture is uint8 of shape (H, W, 3)"
            )
    if original.shape != result.shape:
        raise ValueError(
            f"the original is {_size(original)} pixels and the result {_size(result)}: compare pictures of one size"
        )
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"the mask is {mask.dtype} of shape {mask.shape}: a mask is bool of shape (H, W)")
    if mask.shape != original.shape[:2]:
        raise ValueError(f"the mask is {_size(mask)} pixels and the pictures {_size(original)}: make them of one size")


def region_means(values: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """Means of a map (H, W) over each region, accumulated in float64; None where a region is empty.

    >>> region_means(np.array([[1.0, 3.0]]), np.array([[True, False]]))
    {'whole': 2.0, 'region': 1.0, 'outside': 3.0}
    """
    parts = {"whole": values.ravel(), "region": values[mask], "outside": values[~mask]}
    return {name: float(part.mean(dtype=np.float64)) if part.size else None for name, part in parts.items()}


def lies_inside(box: Sequence[float], mask: np.ndarray) -> bool:
    """Whether a box [x, y, width, height] lies mostly in a mask (H, W): half of the pixels that it touches, or more.

    >>> mask = np.array([[True, False, False]])
    >>> lies_inside([0, 0, 2, 1], mask), lies_inside([0.5, 0, 2, 1], mask)
    (True, False)
    """
    x, y, width, height = box
    touched = mask[max(math.floor(y), 0) : math.ceil(y + height), max(math.floor(x), 0) : math.ceil(x + width)]
    return touched.size > 0 and bool(2 * touched.sum() >= touched.size)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} × {array.shape[0]}"
