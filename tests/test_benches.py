"""The benches that need a GPU, as far as they can be held to account without one; and the one of memory, as a toy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.adapters.catalogue import CATALOGUE, build
from models.media.images import encode_png
from models.trainers.families import FAMILIES, Flow
from registry.store.axes import AXES
from registry.store.dag import IMAGE
from stages.engine.provenance import SCHEMA
from stages.engine.shards import image, write_shard
from tests.bench import (
    bench_devices,
    bench_memory,
    bench_recaption,
    bench_statistics,
    bench_trainings,
    bench_true_size,
    bench_waiting,
)
from tests.bench.architectures import ARCHITECTURES, networks
from tests.bench.painters import PAINTERS

ROOT = Path(__file__).resolve().parents[1]

PUBLISHED = {
    "sd15": {"UNet2DConditionModel": (860e6, 1e6), "CLIPTextModel": (123e6, 1e6)},
    "sd2": {"UNet2DConditionModel": (865e6, 1e6)},
    "sd3-t5": {"SD3Transformer2DModel": (2.0e9, 0.05e9), "T5EncoderModel": (4.7e9, 0.1e9)},
    "blip": {"BlipForConditionalGeneration": (470e6 - 30524 * 768, 1e6)},
    "llava-onevision": {"LlavaOnevisionForConditionalGeneration": (8.03e9, 0.005e9)},
    "qwen2.5-vl": {"Qwen2_5_VLForConditionalGeneration": (8_292_166_656, 0)},
    "vit": {"ViTModel": (86e6, 1e6)},
}
"""Network -> parameters, and to how many. CompVis' and Stability's READMEs ("860M UNet and 123M text encoder", "865M
UNet"); Esser et al. 2024 ("2B", "4.7B"); hub pages (BLIP large 470M, which counts the word embedding twice; LLaVA
8.03B); half the ``total_size`` of the checkpoint's bfloat16 index (Qwen); Dosovitskiy et al. 2021, table 1 (86M)."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_true_sizes_are_the_published_ones(name: str) -> None:
    import torch

    with torch.device("meta"):  # shapes without memory
        made = ARCHITECTURES[name].make(False)
    found = {type(network).__name__: network.num_parameters() for network in networks(made)}
    for network, (parameters, rounding) in PUBLISHED[name].items():
        assert abs(found[network] - parameters) <= rounding


@pytest.mark.parametrize(
    ("adapter", "denoiser"),
    [
        ("stable-diffusion", (865e6, 1e6)),
        ("stable-diffusion-xl", (2.6e9, 0.05e9)),
        ("stable-diffusion-3", (2.0e9, 0.05e9)),
        ("flux", (12e9, 0.2e9)),
        ("pixart-alpha", (0.6e9, 0.02e9)),
    ],
)
def test_true_painters_learn_from_what_they_encode(
    adapter: str, denoiser: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters as Stability's README (865M), Podell et al. 2023 (2.6B), Esser et al. 2024 (2B), Black Forest Labs
    ("12 billion") and Chen et al. 2023 (0.6B) say; and shapes alone, through text encoder, adapter and loss."""
    import diffusers
    import torch

    from models.adapters import lora

    asked = "transformers.masking_utils._ignore_bidirectional_mask_sdpa"  # what a mask holds, which shapes do not tell
    monkeypatch.setattr(asked, lambda *mask: False)
    with torch.device("meta"):
        parts = {name: make() for name, make in PAINTERS[adapter](False).items()}
    base = build("painters", "true", {"adapter": adapter, "checkpoint": "somewhere"})
    extra = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    kind = getattr(diffusers, base.PIPELINE)
    base._pipeline, base.device = kind(**parts, **(extra if adapter == "stable-diffusion" else {})), "meta"
    network = parts[base.DENOISER[0]]
    assert abs(network.num_parameters() - denoiser[0]) <= denoiser[1]
    texts = base.encode("a red disc")
    family = FAMILIES[base.PIPELINE](network, parts["scheduler"], base.side(network.config), None, 3.5)
    assert lora.insert(network, 4, 4, family.TARGETS)
    side = base.side(network.config) // base._pipeline.vae_scale_factor
    clean = torch.empty(1, parts["vae"].config.latent_channels, side, side, device="meta")
    moment = torch.tensor([0.5], device="cpu" if isinstance(family, Flow) else "meta")
    assert family.errors(clean, clean, moment, texts).shape == (1,)


def test_every_training_runs_as_a_toy() -> None:
    command = [sys.executable, "-m", "tests.bench.bench_trainings", "--tiny", "--batch", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, _, *rows = done.stdout.splitlines()
    assert [" ".join(row.split()[:2]) for row in rows] == list(bench_trainings.RECIPES)
    assert {name.removeprefix("lora ") for name in bench_trainings.RECIPES} >= set(CATALOGUE["painters"])
    assert "stopped" not in done.stdout


def test_every_true_size_runs_as_a_toy(tmp_path: Path) -> None:
    """Built, written, read by its adapter, run twice; and nothing stays."""
    command = [sys.executable, "-m", "tests.bench.bench_true_size", "--tiny", "--batch", "2", "--steps", "2"]
    command += ["--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert said == list(ARCHITECTURES)
    assert list(tmp_path.iterdir()) == []


def test_waiting_is_measured_before_and_now(capsys: pytest.CaptureFixture[str]) -> None:
    """Nine pictures of as many sizes: in forwards of four, each row was computed four times."""
    found = bench_waiting.main(["qwen2.5-vl", "--count", "9", "--micro-batch", "4", "--side", "48", "--rate", "1000"])
    assert found["qwen2.5-vl"]["before rows"] > 3
    assert found["qwen2.5-vl"]["now rows"] == 1
    assert 0 <= found["qwen2.5-vl"]["now waits"] < 1
    bench_waiting.main(["--true", "--tiny", "qwen2.5-vl"])
    titles = [line[17:37].strip() for line in capsys.readouterr().out.splitlines()[3:]]
    assert titles == [title for title, _, _, more in bench_waiting.WAYS if "compile" not in more]


MASK = np.zeros((4, 4), bool)
MASK[1:3, 1:3] = True


def clone(folder: Path, device: str, levels: int = 0, caption: str = "a disc", score: float = 0.5) -> Path:
    """What a study of two pictures leaves behind: repainted on ``device``, ``levels`` brighter in one."""

    def write(kind: str, place: str, computed_on: str, rows: list[dict], *fields: tuple[str, pa.DataType]) -> None:
        common = {"corpus": "scenes", "status": "ok", "parents": []}
        axes = [(axis, pa.string()) for axis in AXES]
        write_shard(
            folder / "data" / kind / place / "part-00.parquet", [common | row for row in rows], axes + [*fields]
        )
        run = {"id": "r", "stage": "s", "git_commit": "c", "device": computed_on, "engine": "local"}
        run |= {"key": "k", "started_at": datetime.now(UTC)}
        (folder / "data/provenance").mkdir(exist_ok=True)
        path = folder / "data/provenance" / f"{kind}@{place}.parquet"
        pq.write_table(pa.Table.from_pylist([run], schema=SCHEMA), path)

    blurred = {"degradation": "blur"}
    painted = blurred | {"inpainter": "sd"}
    written = painted | {"captioner": "blip"}
    mask = image(encode_png(MASK), "mask.png")
    write("degrade", "", "cpu", [{"sample": s, "key": s, "mask": mask} | blurred for s in "ab"], ("mask", IMAGE))
    pictures = {"a": np.zeros((4, 4, 3), np.uint8), "b": np.where(MASK[..., None], np.uint8(levels), np.uint8(0))}
    shown = {s: image(encode_png(np.repeat(p, 3 // p.shape[2], axis=2)), "p.png") for s, p in pictures.items()}
    rows = [{"sample": s, "key": s, "image": shown[s], "drift": 0.0} | painted for s in "ab"]
    write("inpaint", "sd", device, rows, ("image", IMAGE), ("drift", pa.float64()))
    key = {"a": "a", "b": f"b{levels}"}
    said = {"a": "a ring", "b": caption}
    rows = [{"sample": s, "key": key[s], "caption": said[s]} | written for s in "ab"]
    write("caption", "blip", device, rows, ("caption", pa.string()))
    rows = [{"sample": s, "key": said[s], "cider": {"a": 1.0, "b": score}[s]} | written for s in "ab"]
    write("quality", "lexical", "cpu", rows, ("cider", pa.float64()))
    rows = [{"sample": s, "key": key[s], "mse_region": 0.1} | painted for s in "ab"]
    write("fidelity", "pixel", "cpu", rows, ("mse_region", pa.float64()))
    return folder


def outside(cpu: Path, gpu: Path) -> set[str]:
    return {finding.stage for finding in bench_devices.compare(cpu, gpu) if not finding.within}


def test_what_two_devices_may_differ_in(tmp_path: Path) -> None:
    cpu = clone(tmp_path / "cpu", "cpu")
    assert outside(cpu, clone(tmp_path / "same", "cuda")) == set()
    assert outside(cpu, clone(tmp_path / "near", "cuda", levels=2)) == set()
    assert outside(cpu, clone(tmp_path / "far", "cuda", levels=3)) == {"inpaint@sd"}
    assert outside(cpu, clone(tmp_path / "exact", "cpu", levels=1)) == {"inpaint@sd"}, "a CPU does not differ"
    assert outside(cpu, clone(tmp_path / "turned", "cuda", caption="a cup")) == {"caption@blip"}
    other = clone(tmp_path / "moved", "cuda", levels=2, caption="a cup", score=0.3)
    assert outside(cpu, other) == {"quality@lexical"}, "of another picture another caption; but the cell moved too far"
    assert outside(cpu, clone(tmp_path / "wrong", "cuda", score=0.5 + 1e-9)) == {"quality@lexical"}
    shutil.rmtree(other / "data/caption/blip")
    assert outside(cpu, other) == {"caption@blip", "quality@lexical"}, "what is missing is told"


def test_without_a_gpu_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert bench_devices.main(["--folder", str(tmp_path / "devices")]) == 0
    bench_true_size.main([])
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not (tmp_path / "devices").exists()


def test_memory_is_measured_under_every_number_of_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    peaks = bench_memory.main(4, 32)
    assert list(peaks) == [3, 9, 27]
    assert min(chain(*peaks.values())) > 10e6
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("4 pictures of 32 x 32")
    assert [line.split()[0] for line in lines] == ["3", "9", "27", "growth:"]


def test_the_rule_is_compared_with_other_tests_on_every_kind_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    rates = bench_statistics.main(2, 99)
    assert len(rates) == 3 * len(bench_statistics.DATA) + 8
    assert all(0 <= rate <= 1 for some in rates.values() for rate in some)
    assert len(capsys.readouterr().out.splitlines()) == len(rates) + 4


def test_captions_one_by_one_are_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """The loop by hand, with raw calls of transformers, comes to the caption that the engine comes to."""
    found = bench_recaption.main(["1", "--method", "scalecap"])
    assert found.keys() == {"scalecap", "rating"}
    assert "same captions 1 of 1" in capsys.readouterr().out
