"""The real architectures at their true size, with random weights: what fits, and how fast it is, where no hub is.

    python -m tests.bench.bench_true_size [NAME ...] [--batch 8] [--steps 50] [--dtype bfloat16] [--folder FOLDER]
    python -m tests.bench.bench_true_size --tiny      the same script with toy models, for a CPU

One model at a time is built on the device, written to a temporary folder, read from there by the adapter that a study
would use, run twice on one full micro-batch, and deleted. Shapes are those of the published ``config.json`` files
(``parameters`` of each is held against the published figure by tests/test_benches.py). Tokenizers cannot be had either:
toys stand for them, and the networks keep the vocabularies that the published ones have. Random captioners never say
that they are done, so every caption is as long as it may be: the slowest case.

Prints, for each: parameters; seconds to digest its files (every checkpoint in a folder is named by their content), to
load it, and of the second run; the most memory that torch held in that run; and pictures a second. The largest needs
35 GB of device memory to be built and 17 GB of disk.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.adapters.catalogue import build
from tests.bench.architectures import ARCHITECTURES, PROMPT, Architecture, networks, parameters


def write(name: str, folder: Path, device: str, dtype: str, tiny: bool) -> int:
    """Build one on the device, write it in ``dtype``, let it go; returns its number of parameters."""
    import torch

    with torch.device(device):
        made = ARCHITECTURES[name].make(tiny)
    count = parameters(made)
    for network in networks(made):
        network.to(getattr(torch, dtype))
    for part in made if isinstance(made, tuple) else (made,):
        part.save_pretrained(folder)
    return count


def asked(architecture: Architecture, adapter: Any, count: int, side: int) -> Callable[[], Any]:
    """One call of the adapter with ``count`` noisy pictures."""
    pictures = list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    mask = np.zeros((side, side), bool)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = True
    if architecture.role == "inpainters":
        return lambda: adapter.inpaint(pictures, [mask] * count, [PROMPT] * count, range(count))
    if architecture.role == "captioners":
        return lambda: adapter.caption(pictures, [PROMPT] * count, range(count))
    return lambda: adapter.encode(pictures)


def timed(work: Callable[[], Any]) -> float:
    """Seconds until the work is done, on the device too."""
    import torch

    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def report(name: str, given: argparse.Namespace) -> str:
    """Build, write, read, run; one line about it."""
    import torch

    architecture, cuda = ARCHITECTURES[name], torch.cuda.is_available()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        count = write(name, Path(folder), "cuda" if cuda else "cpu", given.dtype, given.tiny)
        gc.collect()
        settings = {"adapter": architecture.adapter, "checkpoint": folder, "dtype": given.dtype,
                    "micro_batch": given.batch} | architecture.settings  # fmt: skip
        if architecture.steps:
            settings["steps"] = given.steps
        if given.tiny:
            settings |= {"resolution": 32} if architecture.steps else {}
            settings |= {"max_tokens": 4} if architecture.role == "captioners" else {}
        adapter = build(architecture.role, name, settings)
        digesting = timed(adapter.identity)
        loading = timed(adapter.load)
    work = asked(architecture, adapter, given.batch, 32 if given.tiny else architecture.side)
    work()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(work)
    memory = f"{torch.cuda.max_memory_allocated() / 1e9:6.1f} GB" if cuda else "   - GB"
    return (
        f"{name:16} {count / 1e6:8.1f} M parameters   digest {digesting:5.1f} s   load {loading:5.1f} s   "
        f"most memory {memory}   batch of {given.batch} {seconds:6.2f} s   {given.batch / seconds:7.2f} pictures/s"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default all of {', '.join(ARCHITECTURES)}")
    parser.add_argument("--tiny", action="store_true", help="toys of the same layouts")
    parser.add_argument("--batch", type=int, default=8, help="pictures in a forward")
    parser.add_argument("--steps", type=int, default=50, help="of the inpainters")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--folder", help="where checkpoints are written for a while; default the system's")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in ARCHITECTURES]:
        parser.error(f"there is no {unknown[0]!r}; known: {', '.join(ARCHITECTURES)}")
    import diffusers
    import torch
    import transformers

    if not torch.cuda.is_available() and not given.tiny:
        print("No GPU here, and these models are no work for a CPU: run with --tiny to check the script.")
        return
    diffusers.utils.logging.set_verbosity_error()  # it would tell of every part that is cast, or left out
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    print(f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'}, {given.dtype}", flush=True)
    for name in given.names or ARCHITECTURES:
        print(report(name, given), flush=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
