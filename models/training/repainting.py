"""Quality of repainted scenes: what the probe finds in the hole again, and the error of pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects, label

from models.media.images import composite, from_float
from models.pocket.probe import CROP, crop, load, named, to_signed
from models.training.data import Examples
from models.training.probe import classes
from models.worlds.grammar import WORDS
from models.worlds.scenes import BACKGROUNDS

HOLE = np.zeros((64, 64), bool)
HOLE[16:48, 16:48] = True
STEPS, GUIDANCE = 20, 3.0
FOREIGN = 40
"""By how many levels in some channel a pixel must differ from the ground to be part of an object."""

Paint = Callable[[np.ndarray, list[str]], list[np.ndarray]]


def repaint(pipeline: Any, pictures: np.ndarray, prompts: list[str], **sampling: Any) -> list[np.ndarray]:
    """The pipeline's raw pictures for a central hole, each from a generator seeded with its place."""
    results = []
    for start in range(0, len(pictures), 32):
        batch = [Image.fromarray(picture) for picture in pictures[start : start + 32]]
        results += list(
            pipeline(
                prompt=prompts[start : start + 32],
                image=batch,
                mask_image=[Image.fromarray(HOLE)] * len(batch),
                height=64,
                width=64,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                strength=1.0,
                generator=[torch.Generator().manual_seed(start + place) for place in range(len(batch))],
                output_type="np",
                **sampling,
            ).images
        )
    return from_float(np.stack(results).transpose(0, 3, 1, 2))


def sheet(pipeline: Any, scenes: Examples, count: int = 10, **sampling: Any) -> Image.Image:
    """Scenes in columns: the original, with its hole, repainted with the prompt, and repainted without it."""
    central = [k for k, graph in enumerate(scenes.annotations) if _central(graph)][:count]
    originals, prompts = scenes.pictures[central], [scenes.captions[k][0] for k in central]
    rows = [list(originals), [np.where(HOLE[..., None], 0, one).astype(np.uint8) for one in originals]]
    for texts in (prompts, [""] * len(prompts)):
        raw = repaint(pipeline, originals, texts, **sampling)
        rows.append([composite(*pair, HOLE) for pair in zip(originals, raw, strict=True)])
    gap = 4
    picture = Image.new("RGB", (len(central) * (64 + gap) - gap, 4 * (64 + gap) - gap), "white")
    for y, row in enumerate(rows):
        for x, one in enumerate(row):
            picture.paste(Image.fromarray(one), (x * (64 + gap), y * (64 + gap)))
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def contenders(pipeline: Any, **sampling: Any) -> dict[str, Paint]:
    """The pipeline with and without its prompt, OpenCV's two methods, and the autoencoder alone: the ceiling."""
    import cv2

    def classical(method: int) -> Paint:
        return lambda pictures, _: [cv2.inpaint(p, HOLE.astype(np.uint8) * 255, 3, method) for p in pictures]

    def encoded(pictures: np.ndarray, _: list[str]) -> list[np.ndarray]:
        return from_float((pipeline.vae(to_signed(pictures)).sample.numpy() + 1) / 2)

    return {
        "prompted": lambda pictures, prompts: repaint(pipeline, pictures, prompts, **sampling),
        "unprompted": lambda pictures, prompts: repaint(pipeline, pictures, [""] * len(prompts), **sampling),
        "telea": classical(cv2.INPAINT_TELEA),
        "navier-stokes": classical(cv2.INPAINT_NS),
        "autoencoder": encoded,
    }


@torch.no_grad()
def judge(pipeline: Any, scenes: Examples, weights: Path, count: int = 160, **sampling: Any) -> dict[str, float]:
    """Figures of every contender on the first ``count`` scenes with an object's centre in the central hole.

    The prompt is the first reference. Per contender: the shares of shapes, colours, textures and sizes that the probe
    finds again in the composited picture, where :func:`painted_box` sees the object, and their mean ``attributes``;
    mean squared error in the hole, of pixels in [0, 1]; and LPIPS in the hole where the pocket trunk is there.
    """
    central = [(i, _central(graph)) for i, graph in enumerate(scenes.annotations)]
    chosen = [(i, thing) for i, thing in central if thing is not None][:count]
    originals = scenes.pictures[[i for i, _ in chosen]]
    prompts = [scenes.captions[i][0] for i, _ in chosen]
    wanted, probe = classes([thing for _, thing in chosen]), load(weights / "probe")
    trunk = weights / "squeezenet" / "model.safetensors"
    figures: dict[str, float] = {}
    for name, paint in contenders(pipeline, **sampling).items():
        painted = [
            composite(original, result, HOLE)
            for original, result in zip(originals, paint(originals, prompts), strict=True)
        ]
        boxes = [painted_box(p, scenes.annotations[i], thing) for p, (i, thing) in zip(painted, chosen, strict=True)]
        crops = np.stack([crop(p, box or (16, 16, 32, 32), CROP) for p, box in zip(painted, boxes, strict=True)])
        there = torch.tensor([box is not None for box in boxes])[:, None]
        right = ((named(probe, crops) == wanted) & there).float().mean(0).tolist()
        figures |= {f"{name} {attribute}": share for attribute, share in zip(WORDS, right, strict=True)}
        figures[f"{name} attributes"] = float(np.mean(right))
        off = (np.stack(painted)[:, HOLE].astype(float) - originals[:, HOLE]) / 255
        figures[f"{name} mse"] = float((off**2).mean())
        if trunk.exists():
            from models.measures.pictures.perceptual import Lpips

            measure = Lpips(Lpips.Settings(net="squeeze", weights=str(trunk)))
            measure.load()
            values = measure.measure(list(originals), painted, [HOLE] * len(painted))
            figures[f"{name} lpips"] = float(np.mean([value["lpips"]["region"] for value in values]))
    return figures


def painted_box(picture: np.ndarray, graph: dict[str, Any], thing: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """The box of what stands in the hole for ``thing``: no prompt says where it was, so it may have moved.

    Of the connected regions that differ from the ground, the one with most pixels in the hole, the boxes of the other
    objects left out. None where the hole shows the bare ground.
    """
    foreign = np.abs(picture.astype(int) - BACKGROUNDS[graph["background"]]).max(-1) > FOREIGN
    for other in graph["objects"]:
        if other is not thing:
            x, y, w, h = other["box"]
            foreign[y : y + h, x : x + w] = False
    regions, count = label(foreign, np.ones((3, 3)))
    sizes = np.bincount(regions[HOLE], minlength=count + 1)[1:]
    if not sizes.any():
        return None
    rows, columns = find_objects(regions)[int(sizes.argmax())]
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _central(graph: dict[str, Any]) -> dict[str, Any] | None:
    """The first object whose centre is in the hole."""
    for thing in graph["objects"]:
        x, y, w, h = thing["box"]
        if HOLE[int(y + h / 2), int(x + w / 2)]:
            return thing
    return None
