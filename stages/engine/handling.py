"""How stages handle an entry of ``params.yaml``, and under which identity its adapter computes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from models.adapters.settings import Settings, validated
from registry.store import places

DEFAULT_BATCH = 16


class Handling(Settings):
    """How stages handle an entry. This is their business, and enters no key of the adapter's own items, but for the
    ``candidates`` that a measure of captions counts where they are not the first."""

    batch_size: int = Field(DEFAULT_BATCH, ge=1, strict=True)
    corpora: list[str] | None = None
    """Those that a measure or an encoder is for; all where absent."""
    projection: dict[str, Any] = {}
    """How an encoder's embeddings are brought into the plane."""
    candidates: str = "first"
    """Those of a captioner that a measure of captions counts."""
    prompts: list[str] | None = None
    """The corpora of prompts that a painter paints; all where absent."""
    trainings: list[str] | None = None
    """The entries of ``training`` with which it paints them, beside as it is; all that start from it where absent."""


def handling(name: str, entry: Mapping[str, Any], *what: str) -> tuple[Handling, dict[str, Any]]:
    """How an entry is handled, and the settings of its adapter; ``what`` can be said of its handling.

    >>> handling("blip", {"adapter": "blip", "batch_size": 0}, "batch_size")
    Traceback (most recent call last):
    ValueError: The setting "batch_size" of blip should be greater than or equal to 1, but is 0.
    """
    said = validated(name, Handling, {key: entry[key] for key in what if key in entry})
    return said, {key: value for key, value in entry.items() if key not in what}


def identity_of(kind: str, adapter: Any) -> dict[str, Any]:
    """Part of the key of every item of an adapter, beside the item's inputs; ``kind`` is its name in the catalogue."""
    return {"adapter": kind, "version": adapter.VERSION, **adapter.identity()}


def prepares(adapter: Any) -> bool:
    """Whether an adapter needs the device for no more than it says (:mod:`models.adapters.ahead`)."""
    return getattr(adapter, "PREPARES", False)


def served(adapter: Any) -> bool:
    """Whether an adapter asks a server, and needs no device of its own."""
    return getattr(adapter, "device", "") == "endpoint"


def batched(adapter: Any) -> bool:
    """Whether an adapter asks by files, for which a provider may take a day."""
    return served(adapter) and adapter.settings.batch


def loaded(adapter: Any) -> str:
    """Load an adapter's model and say on which device it is."""
    if hasattr(adapter, "keep_in"):  # notes of what is asked for and paid, but not answered yet
        adapter.keep_in(places.home() / "batches")
    adapter.load()
    if torch := sys.modules.get("torch"):
        torch.backends.cudnn.allow_tf32 = False  # what a study calls float32 is float32 on a GPU too
    device: str = getattr(adapter, "device", "cpu")
    if torch and device == "cpu":
        keep_memory()
    return device


def keep_memory() -> None:
    """Have the C library keep the memory that a forward lets go of, for the next one: up to 256 MiB, in pieces of up to
    32. Given back and taken anew, it is filled with zeros page by page, which is a tenth of a forward."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc's
        for trim_or_mmap, size in ((-1, 2**28), (-3, 2**25)):
            library.mallopt(trim_or_mmap, size)


def card(device: str) -> str:
    """The name of a device: a GPU's own."""
    name: str = sys.modules["torch"].cuda.get_device_name() if device.startswith("cuda") else device
    return name
