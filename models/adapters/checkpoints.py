"""Identity of a checkpoint in an item's key: a digest of its files, or a hub id pinned to a commit."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_CARD = {".md", ".png"}
"""Files of these kinds tell of a checkpoint, and are no part of it."""
_PICKLED = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
_WEIGHT_SUFFIXES = {*_PICKLED, ".onnx", ".safetensors"}


DIGESTED: dict[str, str] = {}
"""Local files and folders that this process has identified, by the names under which they were asked for."""


def identify(checkpoint: str, revision: str | None = None) -> dict[str, str]:
    """The parts of a key that name a checkpoint; nothing is downloaded and no weight is parsed.

    A local file or folder is its content: ``{"checkpoint": "sha256:..."}`` over relative names and bytes, without its
    model card (Markdown and PNG) and dotfiles, so that a checkpoint may be moved and its card rewritten. A Hugging Face
    id is ``{"checkpoint": id, "revision": commit}``.

    Raises
    ------
    FileNotFoundError
        ``checkpoint`` looks like a path (starts with ``/``, ``.`` or ``~``, has a weight file's suffix, or lies in a
        folder that exists) and nothing is there; or a folder holds no file.
    ValueError
        A hub id without a commit, a commit for local files, a folder whose weights are all pickled (reading them could
        run any code), or a string that is neither a path nor a hub id.

    >>> identify("openai/clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")["checkpoint"]
    'openai/clip-vit-base-patch32'
    >>> identify("openai/clip-vit-base-patch32")
    Traceback (most recent call last):
        ...
    ValueError: checkpoint 'openai/clip-vit-base-patch32' is a hub id without a revision: set `revision` to the commit \
hash shown under "Files and versions" on its hub page, so that equal keys mean equal weights
    """
    path = Path(checkpoint).expanduser()
    if path.exists():
        if revision is not None:
            raise ValueError(
                f"checkpoint {checkpoint!r} is local, so revision {revision!r} means nothing: remove the revision; "
                "the files themselves are digested"
            )
        DIGESTED[checkpoint] = _digest(path)
        return {"checkpoint": DIGESTED[checkpoint]}
    if _looks_like_path(checkpoint, path) and revision is None:
        raise FileNotFoundError(f"checkpoint {checkpoint!r} does not exist{_nearest(path)}")
    if not _HUB_ID.fullmatch(checkpoint):
        raise ValueError(f"checkpoint {checkpoint!r} is neither an existing path nor a hub id such as 'owner/name'")
    if revision is None:
        raise ValueError(
            f"checkpoint {checkpoint!r} is a hub id without a revision: set `revision` to the commit hash shown under "
            '"Files and versions" on its hub page, so that equal keys mean equal weights'
        )
    if not _COMMIT.fullmatch(revision):
        raise ValueError(
            f"revision {revision!r} of checkpoint {checkpoint!r} is not a commit hash (7 to 40 hex digits): branches "
            "and tags move, so pin the commit they point to"
        )
    return {"checkpoint": checkpoint, "revision": revision}


def _looks_like_path(checkpoint: str, path: Path) -> bool:
    return (
        checkpoint.startswith(("/", ".", "~"))
        or checkpoint.count("/") > 1
        or path.suffix in _WEIGHT_SUFFIXES
        or ("/" in checkpoint and path.parent.is_dir())
    )


def _nearest(path: Path) -> str:
    """The end of the message about a missing path: its nearest sibling, or the deepest folder that is there."""
    existing = next((parent for parent in path.parents if parent.is_dir()), Path())
    wanted = path.relative_to(existing).parts[0]
    names = sorted(entry.name for entry in existing.iterdir() if not entry.name.startswith("."))
    close = difflib.get_close_matches(wanted, names, n=1)
    return f": did you mean '{existing / close[0]}'?" if close else f": '{existing}' has no {wanted!r}"


def _digest(path: Path) -> str:
    if path.is_file():
        return f"sha256:{_file_digest(*_stamp(path))}"
    names = {
        file.relative_to(path).as_posix(): file
        for file in path.rglob("*")
        if file.is_file()
        and file.suffix not in _CARD
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    }
    if not names:
        raise FileNotFoundError(f"checkpoint folder '{path}' holds no file: train it or copy its files there")
    suffixes = {file.suffix for file in names.values()}
    if suffixes & _PICKLED and ".safetensors" not in suffixes:
        pickled = min(name for name, file in names.items() if file.suffix in _PICKLED)
        raise ValueError(
            f"checkpoint folder '{path}' has only pickled weights ({pickled}), which could run code when read: "
            "take its safetensors, or convert it with `save_pretrained` where you trust it"
        )
    return digest_of({name: _file_digest(*_stamp(file)) for name, file in names.items()})


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a folder that holds these files and no others, each by its own sha256."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{files[name]}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _stamp(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return os.fspath(path.resolve()), stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=4096)
def _file_digest(path: str, mtime_ns: int, size: int) -> str:
    """sha256 of a file; the cache lives as long as the process, and sees a change by ``mtime_ns`` and ``size``."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
