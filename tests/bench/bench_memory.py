"""Peak memory of a captioning stage as its study grows by inpainters, against holding the pictures of a shard at once.

    python -m tests.bench.bench_memory [pictures] [side]

256 pictures of 512 × 512 as PNG of about 200 kB, degraded in three ways, repainted by one, three and nine inpainters:
under 3, 9 and 27 configurations. The shards are written without running an inpainter, no object store holds the
pictures, and a captioner without a network says how bright each is, 16 a batch. The peer keeps the rows of all shards
with the bytes of their images, as plans did before tasks carried references, and captions one batch. Each runs in a
process of its own and is measured there (``ru_maxrss``). Prints megabytes and ratios.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models.adapters import catalogue
from models.adapters.decoding import Decoding
from models.media.images import decode_png, encode_png
from registry.store.dag import SECTIONS, STAGES
from stages import caption
from stages.engine.loop import execute
from stages.engine.shards import DISK, image, shard_count, shard_of, write_shard
from stages.engine.study import Study

BATCH = 16
DEGRADATIONS = ("blur", "lowdim", "zero")
INPAINTERS = (1, 3, 9)
KINDS = 16
"""So many different pictures; the files of all are different."""


class Speaker:
    """A captioner that says how bright a picture is."""

    VERSION = 1
    Settings = Decoding

    def __init__(self, settings: Decoding) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {}

    def load(self) -> None:
        """Nothing."""

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        return [[f"{picture.mean():.3f}"] for picture in pictures]


def study(inpainters: int) -> Study:
    return Study.model_validate(
        {section: {} for section in SECTIONS}
        | {"study": "memory", "corpora": {"photos": {"adapter": "folder"}}}
        | {"degradations": {name: {"kind": "zero"} for name in DEGRADATIONS}}
        | {"inpainters": {f"painter-{n}": {"adapter": "identity"} for n in range(inpainters)}}
        | {"captioners": {"speaker": {"adapter": "speaker", "batch_size": BATCH}}}
    )


def photograph(kind: int, side: int) -> bytes:
    """A smooth picture with the noise of a camera, as PNG."""
    rng = np.random.default_rng(kind)
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(rng.uniform(2, 12) * x + rng.uniform(2, 12) * y + rng.uniform(0, 6)) for _ in range(3)]
    picture = 128 + 90 * np.stack(waves, -1) + rng.normal(0, 0.3, (side, side, 3))
    return encode_png(picture.clip(0, 255).astype(np.uint8))


def signed(png: bytes, text: str) -> bytes:
    """The picture in a file of its own: with a comment before the last chunk."""
    chunk = b"tEXtComment\0" + text.encode()
    return png[:-12] + (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + png[-12:]


def write(folder: Path, pictures: int, side: int) -> float:
    """Write what stages would leave behind that made so many pictures and repainted them; returns kilobytes a PNG."""
    kinds = [photograph(kind, side) for kind in range(KINDS)]
    drawn = cycle(kinds)  # neighbours in a shard differ, so that it is as large as its pictures
    mask = image(encode_png(np.pad(np.ones((side // 2, side // 2), bool), side // 4)), "mask.png")
    names = [f"{n:06}.png" for n in range(pictures)]
    spoiled = [{"degradation": degradation} for degradation in DEGRADATIONS]
    outputs: list[tuple[str, str, list[dict[str, Any]]]] = [("prepare", "", [{}]), ("degrade", "", spoiled)]
    for inpainter in study(max(INPAINTERS)).entries("inpainters"):
        outputs.append(("inpaint", inpainter, [where | {"inpainter": inpainter} for where in spoiled]))
    for stage, entry, places in outputs:
        shards: dict[str, list[dict[str, Any]]] = {}
        for name in names:
            for where in places:
                key = "/".join([stage, name, *where.values()])
                row = {"corpus": "photos", "sample": name, "key": key, "status": "ok", **where, "mask": mask}
                row |= {"references": ["a photograph"], "annotations": "{}", "width": side, "height": side}
                row["image"] = image(signed(next(drawn), key), name)
                shards.setdefault(shard_of(name, shard_count(pictures)), []).append(row)
        fields = [*((axis, pa.string()) for axis in STAGES[stage].axes), *STAGES[stage].fields]
        for shard, rows in shards.items():
            write_shard(folder / STAGES[stage].folder(entry) / "photos" / shard, rows, fields)
    return sum(map(len, kinds)) / KINDS / 1e3


def referring(folder: Path, inpainters: int) -> float:
    """Run the stage in a folder, from nothing; returns the peak in bytes."""
    os.chdir(folder)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    shutil.rmtree(".palimpsest", ignore_errors=True)
    catalogue.CATALOGUE["captioners"]["speaker"] = "tests.bench.bench_memory:Speaker"
    execute(caption.node(study(inpainters), "speaker"))
    return peak()


def holding(folder: Path, inpainters: int) -> float:
    """Hold the rows of all shards with their images, and caption one batch; returns the peak in bytes."""
    os.chdir(folder)
    painted = [STAGES["inpaint"].folder(name) for name in study(inpainters).entries("inpainters")]
    rows = list(chain(*(DISK.rows(f) for f in (STAGES["prepare"].folder(), STAGES["degrade"].folder(), *painted))))
    Speaker(Decoding()).caption([decode_png(row["image"]["bytes"]) for row in rows[-BATCH:]], [""] * BATCH, [0] * BATCH)
    return peak()


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def apart(function: Callable[..., float], *arguments: object) -> float:
    """What a function returns, in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(pictures: int = 256, side: int = 512) -> dict[int, tuple[float, float]]:
    """Print the figures and return the peaks in bytes, the stage's and the peer's, by number of configurations."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "dvc.yaml").touch()
        size = apart(write, folder, pictures, side)
        print(f"{pictures} pictures of {side} x {side}, {size:.0f} kB each")
        for inpainters in INPAINTERS:
            configurations = inpainters * len(DEGRADATIONS)
            ours, peer = (apart(way, folder, inpainters) for way in (referring, holding))
            found[configurations] = ours, peer
            print(
                f"{configurations:2} configurations: stage {ours / 1e6:5.0f} MB, holding pictures "
                f"{peer / 1e6:5.0f} MB, ratio {ours / peer:.2f}"
            )
    (first, peer_first), *_, (last, peer_last) = found.values()
    print(f"growth: stage {last / first:.2f} times, holding pictures {peer_last / peer_first:.2f} times")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
