"""Batched adapters against the loop of the papers' code: one item after the other through the library's own example.

    python -m tests.bench.bench_adapters [--only NAME ...] [--checkpoint FOLDER] [--count 16] [--batch 16] [--side 64]

Same weights, same settings, same device, generated pictures, texts of generated scenes. Each side runs twice in turns,
and the better time counts, so that what else runs on the machine weighs less. Prints seconds an item and the ratio of
throughputs; on a GPU also, for both sides, items a second, the memory that torch held at most on top of the weights,
and the share of time in which the GPU waited: the part of one more, profiled, run in which it worked on no kernel and
no copy, because Python had not yet asked for one.

Default checkpoints are the pocket ones, and of what is not trained yet a line says so. ``riffusion`` has no pocket
checkpoint: it is the pocket SD 1.5 with the four latent channels that Riffusion's U-Net has, as fast and not as good.
``--checkpoint``, with ``--only``, names another: a folder, such as a real model on a GPU.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from models.adapters.catalogue import build
from models.pocket import WEIGHTS
from models.worlds import Example, example

RESULTS = 3
"""Repainted pictures of one original that LPIPS compares: a study has one a degradation."""


class Sides(NamedTuple):
    """Both ways to do ``count`` items."""

    loop: Callable[[], object]
    batched: Callable[[], object]


class Material:
    """What the adapters are given."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.count, self.batch, self.side = given.count, given.batch, given.side
        made: list[Example] = [example("scenes", 0, index) for index in range(self.count)]
        self.pictures = [np.asarray(Image.fromarray(one.picture).resize((self.side,) * 2)) for one in made]
        self.images = [Image.fromarray(picture) for picture in self.pictures]
        self.texts = [one.references[0] for one in made]
        self.mask = np.zeros((self.side, self.side), bool)
        self.mask[self.side // 4 : -self.side // 4, self.side // 4 : -self.side // 4] = True

    def batches(self) -> Iterable[slice]:
        return (slice(start, start + self.batch) for start in range(0, self.count, self.batch))


def inpainting(adapter: Any, material: Material) -> Sides:
    settings, images = adapter.settings, material.images
    mask = Image.fromarray(material.mask)
    prompts = material.texts if settings.prompted else [""] * material.count

    def loop() -> None:
        import torch

        for seed, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            adapter._pipeline(
                prompt, image=image, mask_image=mask, height=material.side, width=material.side,
                num_inference_steps=settings.steps, guidance_scale=settings.guidance, strength=settings.strength,
                generator=torch.Generator("cpu").manual_seed(seed),
            )  # fmt: skip

    def batched() -> None:
        for some in material.batches():
            pictures = material.pictures[some]
            adapter.inpaint(pictures, [material.mask] * len(pictures), prompts[some], range(material.count)[some])

    return Sides(loop, batched)


def captioning(adapter: Any, material: Material) -> Sides:
    settings = adapter.settings
    prompt = getattr(settings, "prompt", "")
    choose = {"num_beams": settings.beams, "num_return_sequences": settings.candidates,
              "max_new_tokens": settings.max_tokens}  # fmt: skip

    def loop() -> None:
        speaker = getattr(adapter, "chat", adapter)
        model, processor = speaker._model, speaker._processor
        for image in material.images:
            if prompt:
                content = [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
                inputs = processor.apply_chat_template(
                    [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
                    return_dict=True, return_tensors="pt",
                )  # fmt: skip
            else:
                inputs = processor(images=image, return_tensors="pt")
            ids = model.generate(**inputs.to(adapter.device, model.dtype), **choose)
            processor.batch_decode(ids, skip_special_tokens=True)

    def batched() -> None:
        for some in material.batches():
            pictures = material.pictures[some]
            adapter.caption(pictures, [prompt] * len(pictures), range(material.count)[some])

    return Sides(loop, batched)


def encoding(adapter: Any, material: Material) -> Sides:
    def loop() -> None:
        import torch

        for image in material.images:
            inputs = adapter._processor(images=image, return_tensors="pt").to(adapter.device, adapter._model.dtype)
            with torch.no_grad():
                output = adapter._model(**inputs, output_attentions=True)
            output.last_hidden_state[:, 0].float().cpu().numpy()
            torch.stack(output.attentions)[:, 0, :, 0, 1:].float().cpu().numpy()

    return Sides(loop, lambda: [adapter.encode(material.pictures[some]) for some in material.batches()])


def embedding(adapter: Any, material: Material) -> Sides:
    def loop() -> None:
        import torch

        if not hasattr(adapter, "_tokenizer"):  # sentence-transformers brings its own
            for text in material.texts:
                adapter._model.encode(text, show_progress_bar=False)
            return
        for text in material.texts:
            inputs = adapter._tokenizer(text, truncation=True, max_length=128, return_tensors="pt").to(adapter.device)
            with torch.no_grad():
                output = adapter._model(**inputs)
            vector = output.pooler_output if adapter.pooling == "pooler" else output.last_hidden_state[:, 0]
            (vector / vector.norm(dim=1, keepdim=True)).cpu().numpy()

    return Sides(loop, lambda: [adapter.embed(material.texts[some]) for some in material.batches()])


def comparing(adapter: Any, material: Material) -> Sides:
    """Some pictures, and others that stand for their results."""
    results = [material.pictures[(index + 1) % material.count] for index in range(material.count)]
    originals = [material.pictures[index // RESULTS] for index in range(material.count)]

    def loop() -> None:
        import lpips
        import torch

        for original, result in zip(originals, results, strict=True):
            pair = [lpips.im2tensor(picture).to(adapter.device) for picture in (original, result)]
            with torch.no_grad():
                adapter._network(*pair).item()

    def batched() -> None:
        for some in material.batches():
            adapter.measure(originals[some], results[some], [material.mask] * len(originals[some]))

    return Sides(loop, batched)


CASES: dict[str, tuple[str, dict[str, Any], str, Callable[[Any, Material], Sides]]] = {
    "sd15": ("inpainters", {"adapter": "stable-diffusion", "guidance": 3}, "sd15-inpaint", inpainting),
    "sd15-unprompted": (
        "inpainters", {"adapter": "stable-diffusion", "guidance": 3, "prompted": False}, "sd15-inpaint", inpainting,
    ),
    "sd2": ("inpainters", {"adapter": "stable-diffusion", "guidance": 3}, "sd2-inpaint", inpainting),
    "sd3": ("inpainters", {"adapter": "stable-diffusion-3", "guidance": 3}, "sd3-inpaint", inpainting),
    "riffusion": ("inpainters", {"adapter": "stable-diffusion", "guidance": 3}, "sd15-inpaint", inpainting),
    "blip": ("captioners", {"adapter": "blip"}, "blip", captioning),
    "llava-onevision": ("captioners", {"adapter": "llava-onevision"}, "llava-onevision", captioning),
    "qwen2.5-vl": ("captioners", {"adapter": "qwen2.5-vl"}, "qwen2.5-vl", captioning),
    "vit": ("encoders", {"adapter": "vit"}, "vit", encoding),
    "sbert": ("embedders", {"adapter": "sbert"}, "sbert", embedding),
    "simcse-sup": ("embedders", {"adapter": "simcse-sup"}, "simcse-sup", embedding),
    "simcse-unsup": ("embedders", {"adapter": "simcse-unsup"}, "simcse-unsup", embedding),
    "lpips": ("measures", {"adapter": "lpips", "net": "squeeze"}, "squeezenet", comparing),
}  # fmt: skip
"""Case -> role, settings, pocket checkpoint, and how both sides are made."""


def four_channels(checkpoint: Path, folder: str) -> str:
    """A copy of an SD inpainting pipeline whose U-Net takes latents alone, as Riffusion's does."""
    from diffusers import StableDiffusionInpaintPipeline

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(checkpoint, safety_checker=None)
    unet = pipeline.unet
    first = type(unet.conv_in)(4, unet.conv_in.out_channels, unet.conv_in.kernel_size, padding=unet.conv_in.padding)
    first.weight.data, first.bias.data = unet.conv_in.weight.data[:, :4].clone(), unet.conv_in.bias.data
    unet.conv_in = first
    unet.register_to_config(in_channels=4)
    pipeline.save_pretrained(folder)
    return folder


def settings_of(name: str, checkpoint: str, given: argparse.Namespace) -> dict[str, Any]:
    """The settings of a case's adapter, as ``params.yaml`` would say them."""
    role, settings, _, _ = CASES[name]
    settings = settings | {"weights" if role == "measures" else "checkpoint": checkpoint}
    if role in ("inpainters", "captioners", "encoders"):
        settings |= {"dtype": given.dtype, "micro_batch": min(given.batch, 8)}
    if role == "inpainters":
        settings |= {"steps": given.steps}
    if settings["adapter"] in ("llava-onevision", "qwen2.5-vl"):
        settings |= {"max_tokens": given.tokens}
    return settings


def run(name: str, checkpoint: str, given: argparse.Namespace, material: Material) -> str:
    """Both sides of one case, timed in turns."""
    role, _, _, sides = CASES[name]
    adapter = build(role, name, settings_of(name, checkpoint, given))
    adapter.load()
    both = sides(adapter, material)
    best = [float("inf"), float("inf")]
    for turn in itertools.chain((0, 1), (0, 1)):
        best[turn] = min(best[turn], seconds(both[turn]))
    each = [one / material.count for one in best]
    lines = [f"{name:18} loop {each[0]:8.4f} s   batched {each[1]:8.4f} s   ratio {each[0] / each[1]:6.2f}"]
    if adapter.device == "cuda":
        lines += [f"{title:>18} {on_gpu(side, material.count)}" for title, side in both._asdict().items()]
    return "\n".join(lines)


def seconds(work: Callable[[], object]) -> float:
    """Until the work is done, on the GPU too."""
    import torch

    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def on_gpu(work: Callable[[], object], count: int) -> str:
    """Items a second, memory on top of the weights, and the share of time in which the GPU waits."""
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    took = seconds(work)
    memory = torch.cuda.max_memory_allocated() - held
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        wall = seconds(work)
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in profiled.events()
        if event.device_type == DeviceType.CUDA
    ]
    waiting = 1 - covered(spans) / 1e6 / wall
    return f"{count / took:8.2f} /s   {memory / 1e6:9.1f} MB   GPU waits {waiting:4.0%}"


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of what some intervals cover together.

    >>> covered([(0, 2), (5, 6), (1, 3)])
    4.0
    """
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--checkpoint", help="a folder instead of the pocket checkpoint, for one NAME")
    parser.add_argument("--count", type=int, default=16, help="pictures, texts or pairs")
    parser.add_argument("--batch", type=int, default=16, help="of them in a call; up to 8 in a forward")
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture's side")
    parser.add_argument("--steps", type=int, default=20, help="of the inpainters")
    parser.add_argument("--tokens", type=int, default=60, help="words that chat models may say")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    given = parser.parse_args()
    if given.checkpoint and len(given.only or ()) != 1:
        parser.error("--checkpoint is for one adapter: name it with --only")
    import diffusers
    import torch
    import transformers

    diffusers.utils.logging.set_verbosity_error()  # the loop's side warns of every prompt that is cut
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread(s)"
    print(f"{device}, {given.dtype}, {given.count} items, {given.batch} in a call", flush=True)
    material = Material(given)
    for name in given.only or CASES:
        checkpoint = Path(given.checkpoint or WEIGHTS / CASES[name][2])
        if not any((checkpoint / file).exists() for file in ("model_index.json", "config.json", "model.safetensors")):
            print(f"{name:18} skipped: {checkpoint} holds no model (a pocket one is trained by `palimpsest train`)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            cut = name == "riffusion" and not given.checkpoint
            print(run(name, four_channels(checkpoint, folder) if cut else str(checkpoint), given, material), flush=True)


if __name__ == "__main__":
    main()
