"""Batched adapters against the loop of the papers' code: one picture after the other through the library's own example.

    python tests/bench/bench_adapters.py [--inpainter CHECKPOINT] [--captioner CHECKPOINT] [--count 16] [--batch 16]

Same checkpoints, same settings, generated scenes. Each side runs twice in turns, and the better time counts, so that
what else runs on the machine weighs less. Prints seconds a picture and the ratio of throughputs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import diffusers
import numpy as np
import torch
from PIL import Image

from models.captioners.blip import Blip
from models.inpainters.stable_diffusion import StableDiffusion
from models.pocket import WEIGHTS
from models.pocket.worlds.scenes import scene


def compare(title: str, count: int, loop: Callable[[], object], batched: Callable[[], object]) -> None:
    best = {loop: float("inf"), batched: float("inf")}
    for side in (loop, batched) * 2:
        start = time.perf_counter()
        side()
        best[side] = min(best[side], (time.perf_counter() - start) / count)
    ratio = best[loop] / best[batched]
    print(f"{title:28} loop {best[loop]:.3f} s   batched {best[batched]:.3f} s   ratio {ratio:.2f}", flush=True)


def scenes(count: int, side: int) -> tuple[list[np.ndarray], list[str]]:
    """Pictures of ``side`` × ``side`` pixels and a reference of each."""
    made = [scene(0, index) for index in range(count)]
    pictures = [np.asarray(Image.fromarray(one.picture).resize((side, side))) for one in made]
    return pictures, [one.references[0] for one in made]


def batches(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def inpainting(checkpoint: str, prompted: bool, count: int, size: int, side: int) -> None:
    settings = StableDiffusion.Settings(checkpoint=checkpoint, steps=20, guidance=3, prompted=prompted)
    inpainter = StableDiffusion(settings)
    inpainter.load()
    pictures, prompts = scenes(count, side)
    prompts = prompts if prompted else [""] * count
    mask = np.zeros((side, side), bool)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = True

    def loop() -> None:
        for seed, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
            inpainter._pipeline(
                prompt, Image.fromarray(picture), Image.fromarray(mask), height=side, width=side,
                num_inference_steps=20, guidance_scale=3, generator=torch.Generator().manual_seed(seed),
            )  # fmt: skip

    def batched() -> None:
        for some in batches(count, size):
            inpainter.inpaint(pictures[some], [mask] * len(pictures[some]), prompts[some], range(count)[some])

    compare(f"stable-diffusion, {'prompted' if prompted else 'no prompt'}", count, loop, batched)


def captioning(checkpoint: str, count: int, size: int, side: int) -> None:
    captioner = Blip(Blip.Settings(checkpoint=checkpoint))
    captioner.load()
    pictures, _ = scenes(count, side)

    def loop() -> None:
        for picture in pictures:
            inputs = captioner._processor(Image.fromarray(picture), return_tensors="pt").to(captioner.device)
            ids = captioner._model.generate(**inputs, num_beams=6, num_return_sequences=3, max_new_tokens=40)
            captioner._processor.batch_decode(ids, skip_special_tokens=True)

    def batched() -> None:
        for some in batches(count, size):
            captioner.caption(pictures[some], [""] * len(pictures[some]), [0] * len(pictures[some]))

    compare("blip", count, loop, batched)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inpainter", default=str(WEIGHTS / "sd-inpaint"))
    parser.add_argument("--captioner", default=str(WEIGHTS / "blip"))
    parser.add_argument("--count", type=int, default=16, help="pictures")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a call")
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture's side")
    given = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()  # the loop's side warns of every prompt that is cut
    captioning(given.captioner, given.count, given.batch, given.side)
    for prompted in (True, False):
        inpainting(given.inpainter, prompted, given.count, given.batch, given.side)


if __name__ == "__main__":
    main()
