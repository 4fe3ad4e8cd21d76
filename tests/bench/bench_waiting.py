"""How long the device waits for what is prepared, and how many rows it computes for one that is kept: before and now.

    python -m tests.bench.bench_waiting [NAME ...] [--count 50] [--batch 16] [--micro-batch 8]
    python -m tests.bench.bench_waiting --true [NAME ...] [--dtype bfloat16] [--folder FOLDER]      on a GPU
    python -m tests.bench.bench_waiting --true --tiny      the same script with toys, for a CPU

*Before*: one thing after the other on the main thread, and only what is alike shares a forward, filled up. *Now*: the
next batch is prepared in threads, and what is on a GPU (here so even on a CPU) shares forwards.

The first way takes pocket checkpoints and a corpus of COUNT photographs as PNG, each of another size. A CPU computes
and prepares with the same cores, so for a device there is a stand-in: after each forward it rests for as long as its
items would take at ``RATES``. Prints, before and now, the share of wall time that the main thread spent in preparation;
the share in which nothing was on the device, which on a busy machine is mostly the threads' waiting for a core; rows
computed for one kept; seconds, and their ratio.

``--true`` builds the true architectures with random weights, as tests/bench/bench_true_size.py does, and gives them
pictures of 512 x 512; on a GPU it prints pictures a second and the share of time in which the GPU waits, before and
now; then for pictures of many sizes, inpainters compiled, and chat models that search no beams, without and with a
static cache. It is made for 8 minutes of an H100 and was not tried on one: name fewer for less.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from models.adapters import ahead, batches
from models.adapters.catalogue import build
from models.adapters.roles import Turn
from models.captioners import blip
from models.chat import in_process
from models.encoders import vit
from models.measures.pictures import perceptual
from models.media.images import decode_png, encode_png
from models.pocket import WEIGHTS
from tests.bench.architectures import ARCHITECTURES, PROMPT
from tests.bench.bench_adapters import covered
from tests.bench.bench_true_size import write

ASKING = (blip, in_process, vit, perceptual)
"""The modules that ask for the device."""
SAID = {"max_tokens": 4, "beams": 2, "candidates": 1}
SMALL = {"max_pixels": 64 * 64}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit": ("encoders", "vit", {}),
    "blip": ("captioners", "blip", SAID),
    "qwen2.5-vl": ("captioners", "qwen2.5-vl", SAID | SMALL),
    "llava-onevision": ("captioners", "llava-onevision", SAID),
    "judge": ("chat", "qwen2.5-vl", SMALL),
    "lpips": ("measures", "squeezenet", {"net": "squeeze"}),
}
"""Case -> role, pocket checkpoint, settings."""
RATES = {"vit": 1200, "blip": 100, "qwen2.5-vl": 7, "llava-onevision": 3, "judge": 30, "lpips": 400}
"""Pictures a second of the stand-in: about three times what an H200 did when the chat models left it idle for two
thirds of the time."""
PICTURES = {"vit": 1024, "blip": 128, "qwen2.5-vl": 24, "llava-onevision": 16, "sd15": 16, "sd3": 8}
"""At true size: so many that a side takes some seconds."""


@contextmanager
def way(now: bool) -> Iterator[None]:
    """As it was, or as it is on a GPU; for the loading of a model too."""
    with patch.object(batches, "shares", lambda device: now), patch.object(ahead, "THREADS", ahead.THREADS * now or 1):
        yield


def work_of(role: str, adapter: Any) -> Callable[[Sequence[bytes]], object]:
    """What a stage asks of the adapter about some pictures."""

    def work(pngs: Sequence[bytes]) -> object:
        pictures = ahead.prepared(decode_png, pngs)
        count = len(pictures)
        if role == "encoders":
            return adapter.encode(pictures)
        if role == "captioners":
            return adapter.caption(pictures, [PROMPT] * count, range(count))
        if role == "chat":
            asked = [[Turn("user", "Is there a star?", (picture,))] for picture in pictures]
            return adapter.choose(asked, [["yes", "no"]] * count)
        masks = [np.ones(picture.shape[:2], bool) for picture in pictures]
        if role == "inpainters":
            return adapter.inpaint(pictures, masks, [PROMPT] * count, range(count))
        return adapter.measure(pictures, [picture[::-1].copy() for picture in pictures], masks)

    return work


def run(work: Callable[[Sequence[bytes]], object], pngs: Sequence[bytes], batch: int, now: bool) -> float:
    """Seconds for all pictures, in batches."""
    import torch

    works = [partial(work, pngs[start : start + batch]) for start in range(0, len(pngs), batch)]
    began = time.perf_counter()
    for result in ahead.ahead(works) if now else works:
        result()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def anew(known: dict[bytes, Any], *asked: Any) -> float:
    """As :func:`run`, with no picture encoded before."""
    known.clear()
    return run(*asked)


def photographs(count: int, side: int, varied: bool) -> list[bytes]:
    """Smooth pictures with some noise, of about ``side`` pixels; ``varied``: no two of one size."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        height, width = (side + number, side - number) if varied else (side, side)
        across = np.add.outer(np.arange(height), np.arange(width)) % 256
        noise = rng.integers(0, 16, (height, width, 3), dtype=np.uint8)
        made.append(encode_png((across[..., None] // 2).astype(np.uint8) + noise))
    return made


@contextmanager
def stand_in(rate: float) -> Iterator[Counter[str]]:
    """A device that takes its time. Counts seconds on it, the thread's own meanwhile, rows computed, rows kept."""
    counts, real, filled = Counter[str](), batches.in_batches, perceptual.Lpips._filled

    def timed(part: Callable[[], Any]) -> Any:
        def inside() -> Any:
            began = time.perf_counter(), time.thread_time()
            found = part()
            counts["device"] += time.perf_counter() - began[0]  # type: ignore[assignment]
            counts["asking"] += time.thread_time() - began[1]  # type: ignore[assignment]
            return found

        return ahead.on_device(inside)

    def counted(alike: Sequence[Any], size: int, shared: bool, compute: Callable[[list[int]], Any]) -> Any:
        def forward(rows: list[int]) -> Any:
            found = compute(rows)
            time.sleep(len(set(rows)) / rate)
            counts["rows"] += len(rows)
            return found

        counts["kept"] += len(alike)
        return real(alike, size, shared, forward)

    def pairs(measure: Any, some: list[Any]) -> list[Any]:
        made = filled(measure, some)
        counts["kept"] += len(some)
        counts["rows"] += len(made)
        return made

    def compared(measure: Any, firsts: Any, parts: Any) -> Any:
        time.sleep(sum(len(pairs) for pairs, _ in parts) / rate)
        return real_compared(measure, firsts, parts)

    real_compared = perceptual.Lpips._compared
    with ExitStack() as stack:
        for module in ASKING:
            stack.enter_context(patch.object(module, "on_device", timed))
        stack.enter_context(patch.object(batches, "in_batches", counted))
        stack.enter_context(patch.object(perceptual.Lpips, "_filled", pairs))
        stack.enter_context(patch.object(perceptual.Lpips, "_compared", compared))
        yield counts


def pocket(name: str, given: argparse.Namespace, pngs: Sequence[bytes]) -> dict[str, float]:
    """Both ways with a pocket checkpoint: seconds, shares of time without the device, rows for one kept."""
    role, folder, settings = CASES[name]
    where = {"weights" if role == "measures" else "checkpoint": str(WEIGHTS / folder)}
    kind = "lpips" if role == "measures" else folder
    sized = {} if role == "measures" else {"micro_batch": given.micro_batch}
    found: dict[str, float] = {}
    for side, now in (("before", False), ("now", True)):
        with way(now):
            adapter = build(role, name, {"adapter": kind, **where, **settings, **sized})
            adapter.load()
            if role == "measures":
                adapter._micro_batch = given.micro_batch  # as on a GPU
            work = work_of(role, adapter)
            run(work, pngs[:2], 2, now)
            with stand_in(given.rate or RATES[name]) as counts:
                own = time.thread_time()
                seconds = run(work, pngs, given.batch, now)
                own = time.thread_time() - own
        found |= {f"{side} seconds": seconds, f"{side} waits": 1 - counts["device"] / seconds}
        found[f"{side} prepares"] = (own - counts["asking"]) / seconds
        found[f"{side} rows"] = counts["rows"] / counts["kept"]
    print(
        f"{name:16} main thread prepares {found['before prepares']:6.1%} -> {found['now prepares']:6.1%}   "
        f"device waits {found['before waits']:6.1%} -> {found['now waits']:6.1%}   rows for one kept "
        f"{found['before rows']:5.2f} -> {found['now rows']:5.2f}   {found['before seconds']:6.1f} s -> "
        f"{found['now seconds']:6.1f} s   ratio {found['before seconds'] / found['now seconds']:5.2f}",
        flush=True,
    )
    return found


def on_gpu(run_all: Callable[[], float]) -> tuple[float, float]:
    """Seconds, and the share of them in which the GPU worked on no kernel and no copy."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    seconds = run_all()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        wall = run_all()
    spans = [(one.time_range.start, one.time_range.end) for one in profiled.events()
             if one.device_type == DeviceType.CUDA]  # fmt: skip
    return seconds, 1 - covered(spans) / 1e6 / wall


WAYS: tuple[tuple[str, bool, bool, dict[str, Any]], ...] = (
    ("before, one size", False, False, {}),
    ("now, one size", True, False, {}),
    ("now, many sizes", True, True, {}),
    ("now, compiled", True, False, {"compile": True}),
    ("now, greedy", True, False, {"beams": 1, "candidates": 1}),
    ("now, greedy, static", True, False, {"beams": 1, "candidates": 1}),
)
"""What is printed of a true architecture: title, whether as it is now, many sizes or one, settings. ``static``: with
the static cache of transformers, which on a GPU compiles the decoder; its beam search would not."""


def true_size(name: str, given: argparse.Namespace) -> None:
    """Both ways with a true architecture, of one size and of many; prints a line for each."""
    import torch

    architecture, cuda = ARCHITECTURES[name], torch.cuda.is_available()
    count, side = (4, 48) if given.tiny else (PICTURES[name], architecture.side)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        write(name, Path(folder), "cuda" if cuda else "cpu", given.dtype, given.tiny)
        settings = {"adapter": architecture.adapter, "checkpoint": folder, "dtype": given.dtype,
                    "micro_batch": given.micro_batch} | architecture.settings  # fmt: skip
        if architecture.steps:
            settings |= {"steps": 2 if given.tiny else 20} | ({"resolution": 32} if given.tiny else {})
        if architecture.role == "captioners":
            settings |= {"max_tokens": 4 if given.tiny else 64 if name != "blip" else 40}
        before: dict[str, Any] = {}
        adapter: Any = None
        for title, now, varied, more in WAYS:
            if ("compile" in more and not (architecture.steps and cuda)) or (
                "beams" in more and name not in ("qwen2.5-vl", "llava-onevision")
            ):
                continue
            with way(now):
                if (wanted := settings | more | {"": now}) != before:
                    adapter, before = None, wanted
                    gc.collect()
                    adapter = build(architecture.role, name, settings | more)
                    adapter.load()
                if title.endswith("static"):
                    model = adapter.chat._model
                    model.generation_config.cache_implementation = "static"
                work, pngs = work_of(architecture.role, adapter), photographs(count, side, varied)
                run(work, pngs[: given.micro_batch], given.micro_batch, now)
                known = getattr(getattr(adapter, "chat", None), "_features", {})
                each = partial(anew, known, work, pngs, given.micro_batch, now)
                seconds, waits = on_gpu(each) if cuda else (each(), float("nan"))
            print(f"{name:16} {title:20} {count / seconds:8.2f} pictures/s   GPU waits {waits:4.0%}", flush=True)
            del work, each


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--true", action="store_true", help=f"true architectures: of {', '.join(PICTURES)}")
    parser.add_argument("--tiny", action="store_true", help="toys of their layouts")
    parser.add_argument("--count", type=int, default=50, help="pictures")
    parser.add_argument("--side", type=int, default=400, help="about so many pixels a side")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a call")
    parser.add_argument("--micro-batch", type=int, default=8, help="pictures in a forward")
    parser.add_argument("--rate", type=float, help="pictures a second of the stand-in")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--folder", help="where true checkpoints are written for a while; default the system's")
    given = parser.parse_args(arguments)
    known = PICTURES if given.true else CASES
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no {unknown[0]!r}; known: {', '.join(known)}")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if not given.true:
        pngs = photographs(given.count, given.side, varied=True)
        print(f"{given.count} pictures of as many sizes, {given.batch} in a call, {given.micro_batch} in a forward")
        return {name: pocket(name, given, pngs) for name in given.names or CASES}
    if not (torch.cuda.is_available() or given.tiny):
        print("No GPU here, and these models are no work for a CPU: run with --tiny to check the script.")
        return {}
    import diffusers

    diffusers.utils.logging.set_verbosity_error()  # it would tell of every part that is cast, or left out
    diffusers.utils.logging.disable_progress_bar()
    print(f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'}, {given.dtype}", flush=True)
    for name in given.names or PICTURES:
        true_size(name, given)
    return {}


if __name__ == "__main__":
    main()
