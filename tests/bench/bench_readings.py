"""What each reading of the inpainting paper's blank strength gives: MSE inside the hole, by degradation and seed.

``python -m tests.bench.bench_readings [PICTURES]``: the pocket checkpoint in the layout of SD 2's inpainting, prompted,
on generated scenes. At strength 1 the three degradations are one picture, so only another seed moves the value; the
paper's values (table 2) stand below.
"""

from __future__ import annotations

import sys
from statistics import fmean

import numpy as np

from models.adapters.catalogue import build
from models.degradations import Blur, Centre, LowDim, Zero, degrade, region_mask
from models.measures.pictures.pixel import squared_error
from models.media.images import composite
from models.pocket import WEIGHTS
from models.worlds.scenes import scene
from registry.published import shipped

DEGRADATIONS = {"centre-mask": Zero(), "blur": Blur(kernel=13), "lowdim": LowDim()}
SEEDS = (0, 1, 2)


def error(strength: float, degradation: str, seed: int, count: int) -> float:
    """Mean MSE inside the hole over so many scenes."""
    settings = {"checkpoint": str(WEIGHTS / "sd2-inpaint"), "steps": 20, "guidance": 3.0, "strength": strength}
    inpainter = build("inpainters", "sd2", {"adapter": "stable-diffusion", **settings})
    inpainter.load()
    scenes = [scene(0, index) for index in range(count)]
    mask = region_mask((64, 64), {}, Centre())
    holed = [degrade(one.picture, mask, DEGRADATIONS[degradation]) for one in scenes]
    seeds = [1000 * seed + index for index in range(count)]
    painted = inpainter.inpaint(holed, [mask] * count, [one.references[0] for one in scenes], seeds)
    results = [composite(before, after, mask) for before, after in zip(holed, painted, strict=True)]
    errors = [squared_error(one.picture, after, mask)["region"] for one, after in zip(scenes, results, strict=True)]
    return fmean(value for value in errors if value is not None)


def main(count: int) -> None:
    print(f"{'strength':10}{'degradation':14}" + "".join(f"{'seed ' + str(seed):>10}" for seed in SEEDS))
    for strength in (1.0, 0.9, 0.6):
        for name in DEGRADATIONS:
            values = [error(strength, name, seed, count) for seed in SEEDS]
            print(f"{strength:<10}{name:14}" + "".join(f"{value:10.4f}" for value in values), flush=True)
    for model in ("sd15", "sd2", "sd3"):
        held = [n.value for n in shipped() if (n.table, n.inpainter, n.metric) == ("2", model, "mse")]
        spread = np.ptp(held) / min(held)
        print(f"the paper's {model}: " + ", ".join(f"{value:g}" for value in held) + f" (apart by {spread:.0%})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
