"""Pipelines of diffusers as inpainters and painters read them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from models.adapters import batches
from models.adapters.checkpoints import identify

TEXT = "text_encoder"
"""How the names of text encoders begin among a pipeline's parts; SDXL differs from SD in these alone."""


def read_pipeline(
    settings: Any, name: str, denoiser: tuple[str, str], options: Callable[[dict[str, Any]], dict[str, Any]]
) -> tuple[Any, str]:
    """Read the pipeline of a checkpoint, on a GPU where there is one, and say on which device; a hub id is downloaded
    unless cached.

    ``settings`` name ``checkpoint``, ``revision`` and ``dtype``; ``denoiser`` is the part that denoises, with its
    class; ``options`` makes arguments of ``from_pretrained`` of the parts that are stored.

    Raises
    ------
    ValueError
        The checkpoint is of another architecture.
    """
    import diffusers
    import torch
    import transformers

    source = {"pretrained_model_name_or_path": settings.checkpoint, "revision": settings.revision}
    identify(settings.checkpoint, settings.revision)
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    pipeline, (part, kind) = getattr(diffusers, name), denoiser
    try:
        parts = pipeline.load_config(**source)
    except OSError as error:
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} has no model_index.json that can be read, as a pipeline of "
            f"diffusers has: {error}"
        ) from error
    if kind not in parts.get(part, []):
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} is a {parts.get('_class_name')} without a {part} of class "
            f"{kind}, as {name} needs it: choose the adapter that suits it"
        )
    own = {one for one in inspect.signature(pipeline.__init__).parameters if one.startswith(TEXT)}
    if other := sorted(own ^ {one for one in parts if one.startswith(TEXT)}):
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} is a {parts.get('_class_name')}, and of it and {name} only one has a "
            f"{other[0]}: choose the adapter that suits it"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = pipeline.from_pretrained(
        **source, dtype=getattr(torch, settings.dtype), use_safetensors=True, **options(parts)
    ).to(device)
    if batches.shares(device) and getattr(made, "vae", None):
        made.vae.to(memory_format=torch.channels_last)
    made.set_progress_bar_config(disable=True)
    return made, device


def check_side(side: int, unit: int, checkpoint: str) -> None:
    """See whether a model can take pictures of so many pixels a side; raises ValueError with the nearest it takes."""
    if side % unit:
        raise ValueError(
            f"resolution {side} is not a multiple of {unit}, into squares of which the model of "
            f"{checkpoint!r} divides a picture: take {max(1, round(side / unit)) * unit}"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of diffusers and transformers."""
    libraries = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [library.level for library in libraries]
    for library in libraries:
        library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.setLevel(level)
