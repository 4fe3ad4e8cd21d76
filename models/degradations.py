"""Degradations of pictures, and the regions that are degraded.

The masking strategies of "How Do Inpainting Artifacts Propagate to Language?", appendix B.2. A *region* says which
pixels are degraded: a fixed centre, an annotated box, or a segment of a plotted series. A *degradation* says what
happens to them: set to zero, blurred, or reduced to few colours, few pixels and a poor JPEG. The paper leaves its
numbers blank; the defaults here are our choice, for pictures of the size that the paper's have. Everything is
deterministic, and outside the mask not one byte changes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field, field_validator

from models.adapters.settings import Settings, unknown, validated
from models.media.images import composite


class NoRegion(ValueError):
    """A sample without the region that was asked for; the message says why."""


class Choice(Settings):
    """A region or a degradation with its parameters."""

    VERSION: ClassVar[int]
    """Raised when the same parameters give another mask or picture."""

    def identity(self) -> dict[str, Any]:
        """Parts of an item's key: every parameter and the version.

        >>> Centre().identity()
        {'kind': 'centre', 'fraction': 0.5, 'version': 1}
        """
        return {**self.model_dump(), "version": self.VERSION}


class Centre(Choice):
    """A rectangle in the middle of the picture (the paper's choice for Flickr, medical images and spectrograms)."""

    VERSION = 1
    kind: Literal["centre"] = "centre"

    fraction: float = Field(0.5, gt=0, lt=1)
    """Share of each side that it covers; the default degrades a quarter of the picture."""

    def mask(self, shape: tuple[int, int], annotations: Mapping[str, Any], seed: int) -> np.ndarray:
        mask = np.zeros(shape, bool)
        rows, columns = (_middle(side, self.fraction) for side in shape)
        mask[rows, columns] = True
        return mask


class Box(Choice):
    """Every pixel that an annotated object's box touches (the paper's choice for RefCOCOg); crowds are passed over."""

    VERSION = 1
    kind: Literal["box"] = "box"

    pick: Literal["target", "largest"] | Annotated[int, Field(ge=0)] = "target"
    """The object that the references single out, else the largest; the largest object that fits ``max_area`` (the first
    of equals); or the place of an object in the annotations, counted from 0."""

    max_area: float = Field(0.5, gt=0, lt=1)
    """Share of the picture that the largest object may cover, so that enough is left to repaint it from."""

    def mask(self, shape: tuple[int, int], annotations: Mapping[str, Any], seed: int) -> np.ndarray:
        objects = annotations.get("objects", ())
        boxes = [thing["box"] for thing in objects if not thing.get("crowd")]
        if self.pick == "target" and annotations.get("target") is not None:
            box = objects[annotations["target"]]["box"]
        elif isinstance(self.pick, str):
            boxes = [box for box in boxes if box[2] * box[3] <= self.max_area * shape[0] * shape[1]]
            if not boxes:
                raise NoRegion(
                    f"No annotated box covers at most {self.max_area:.0%} of the picture. Annotate one, raise max_area,"
                    " or take the region centre."
                )
            box = max(boxes, key=lambda box: box[2] * box[3])
        elif self.pick < len(boxes):
            box = boxes[self.pick]
        else:
            raise NoRegion(f"There is no annotated box {self.pick}: the sample has {len(boxes)}, counted from 0.")
        mask = np.zeros(shape, bool)
        x, y, width, height = box
        mask[max(0, math.floor(y)) : math.ceil(y + height), max(0, math.floor(x)) : math.ceil(x + width)] = True
        return mask


class Segment(Choice):
    """A stretch of a plotted series, as a band over the full height (the paper's choice for TRUCE).

    A stretch is as many consecutive points as ``fraction`` of the series; its band reaches half a step beyond its first
    and last point. It is as informative as the curve varies within the band: the sum of the absolute steps between its
    points, and half of the steps that lead into and out of it. Of the ``candidates`` most informative stretches, which
    may overlap, the earlier of equals first, the seed takes one.
    """

    VERSION = 1
    kind: Literal["segment"] = "segment"

    fraction: float = Field(0.25, gt=0, lt=1)
    """Share of the series that is degraded (the paper: approximately 25 %)."""

    candidates: int = Field(3, ge=1)
    """How many of the most informative stretches are chosen among."""

    def mask(self, shape: tuple[int, int], annotations: Mapping[str, Any], seed: int) -> np.ndarray:
        series = annotations.get("series")
        if series is None:
            raise NoRegion("The region segment needs a plotted series and the sample has none. Take centre or box.")
        first, last = self.stretch(series["values"], seed)
        across = [x for x, _ in series["points"]]
        half_step = (across[1] - across[0]) / 2
        middles = np.arange(shape[1]) + 0.5
        band = (middles >= across[first] - half_step) & (middles < across[last] + half_step)
        return np.broadcast_to(band, shape).copy()

    def stretch(self, values: Sequence[float], seed: int) -> tuple[int, int]:
        """The first and last point of the chosen stretch.

        >>> Segment(candidates=1).stretch([0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0], seed=0)
        (4, 6)
        """
        count = max(1, round(self.fraction * len(values)))
        steps = np.abs(np.diff(np.asarray(values, float)))
        halves = np.repeat(steps, 2) / 2
        # With a half-step of nothing at either end, point i lies between half-steps 2i and 2i + 1.
        variation = np.convolve(np.concatenate([[0], halves, [0]]), np.ones(2 * count), "valid")[::2]
        informative = np.argsort(-variation, kind="stable")[: self.candidates]
        first = int(informative[seed % len(informative)])
        return first, first + count - 1


class Zero(Choice):
    """Every value zero, black: the paper's centre mask."""

    VERSION = 1
    kind: Literal["zero"] = "zero"

    def taken(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.zeros_like(picture)


class Blur(Choice):
    """Gaussian blur. The whole picture is blurred, mirrored at its border, and the region filled from the result: what
    lies around the region flows in, nothing flows out."""

    VERSION = 1
    kind: Literal["blur"] = "blur"

    kernel: float = Field(75, gt=0)
    """Side of the kernel: above 1 a fixed number of pixels, which is odd (the paper: "a fixed kernel size", its number
    blank); up to 1 a share of the picture's shorter side, the nearest odd number of pixels, which differs from picture
    to picture. The default is what a share of 0.2 is of 375 pixels, the shorter side of most of Flickr's pictures; of a
    world's 64 pixels it is 13. The standard deviation is OpenCV's for that side, 0.3 ((side - 1) / 2 - 1) + 0.8. As the
    kernel shrinks to one pixel, the picture stays as it is."""

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: float) -> float:
        if kernel > 1 and kernel % 2 != 1:
            raise ValueError("should be an odd number of pixels, or at most 1 as a share of the shorter side")
        return kernel

    def taken(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        import cv2

        side = int(self.kernel) if self.kernel > 1 else 2 * int(self.kernel * min(mask.shape) / 2) + 1
        return cv2.GaussianBlur(picture, (side, side), 0, borderType=cv2.BORDER_REFLECT_101)


class LowDim(Choice):
    """Few colours, few pixels, a poor JPEG, in this order, applied to the smallest rectangle around the region."""

    VERSION = 1
    kind: Literal["lowdim"] = "lowdim"

    colours: int = Field(8, ge=1, le=256)
    """Colours that k-means leaves (Lloyd's iteration, begun at a median cut, so without chance). With at least as many
    as there are, none changes."""

    samples: int = Field(16, ge=1)
    """Pixels that averaging leaves of the rectangle's longer side, before linear interpolation enlarges it again. With
    at least as many as there are, none changes."""

    quality: int = Field(5, ge=1, le=100)
    """Quality of the JPEG, with its usual 4:2:0 chroma."""

    def taken(self, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        image = Image.fromarray(picture[window])
        method, plain = Image.Quantize.MEDIANCUT, Image.Dither.NONE
        few = image.quantize(self.colours, method=method, kmeans=1, dither=plain).convert("RGB")
        scale = min(1, self.samples / max(image.size))
        small = few.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.BOX)
        buffer = io.BytesIO()
        small.resize(image.size, Image.Resampling.BILINEAR).save(
            buffer, "JPEG", quality=self.quality, subsampling="4:2:0"
        )
        poor = picture.copy()
        with Image.open(buffer) as decoded:
            poor[window] = np.asarray(decoded)
        return poor


Region = Centre | Box | Segment
Degradation = Zero | Blur | LowDim

REGIONS: dict[str, type[Region]] = {"centre": Centre, "box": Box, "segment": Segment}
DEGRADATIONS: dict[str, type[Degradation]] = {"zero": Zero, "blur": Blur, "lowdim": LowDim}


def region(options: Mapping[str, Any]) -> Region:
    """The region that ``params.yaml`` describes, such as ``{kind: centre, fraction: 0.5}``.

    >>> region({"kind": "segment"}).fraction
    0.25
    >>> region({"kind": "center"})
    Traceback (most recent call last):
    ValueError: There is no region "center"; did you mean "centre"? Known: box, centre, segment.
    """
    return _chosen("region", REGIONS, options)


def degradation(options: Mapping[str, Any]) -> Degradation:
    """The degradation that ``params.yaml`` describes, such as ``{kind: blur, kernel: 13}``.

    >>> degradation({"kind": "lowdim", "colours": 4}).identity()
    {'kind': 'lowdim', 'colours': 4, 'samples': 16, 'quality': 5, 'version': 1}
    """
    return _chosen("degradation", DEGRADATIONS, options)


def region_mask(shape: tuple[int, int], annotations: Mapping[str, Any], region: Region, seed: int = 0) -> np.ndarray:
    """The mask (H, W) bool of a sample's region, True where it is degraded: some of the picture, never all of it.

    ``annotations`` are the sample's, in pixels of a picture of this shape (H, W); only ``segment`` looks at the seed, a
    non-negative integer, which one sample must keep under every degradation.

    >>> region_mask((4, 4), {}, Centre()).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]

    Raises :class:`NoRegion` for a sample without such a region, and where it would be nothing or the whole picture.
    """
    mask = region.mask(shape, annotations, seed)
    if mask.any() and not mask.all():
        return mask
    covered = "the whole" if mask.any() else "nothing of the"
    height, width = shape
    raise NoRegion(f"The region {region.kind} covers {covered} picture of {width} x {height} pixels. Take another.")


def degrade(picture: np.ndarray, mask: np.ndarray, degradation: Degradation) -> np.ndarray:
    """The picture (H, W, 3) uint8 with what is under the mask (H, W) bool degraded, and the rest equal byte for byte.

    Pure and without chance. An empty mask gives the picture back; a full one degrades all of it.

    >>> picture = np.full((2, 2, 3), 9, np.uint8)
    >>> degrade(picture, np.eye(2, dtype=bool), Zero())[..., 0].tolist()
    [[0, 9], [9, 0]]

    Raises ValueError for a mask that is not bool or not of the picture's size.
    """
    if mask.dtype != bool or mask.shape != picture.shape[:2]:
        raise ValueError(
            f"A mask of {mask.dtype}, {mask.shape}, does not fit a picture of {picture.shape}: expected bool,"
            f" {picture.shape[:2]}."
        )
    return composite(picture, degradation.taken(picture, mask), mask) if mask.any() else picture.copy()


def _middle(side: int, fraction: float) -> slice:
    covered = max(1, round(fraction * side))
    start = (side - covered) // 2
    return slice(start, start + covered)


def _chosen(what: str, known: Mapping[str, type[Any]], options: Mapping[str, Any]) -> Any:
    kind = options.get("kind")
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(unknown(what, kind, known))
    return validated(f"{what} {kind}", known[kind], options)
