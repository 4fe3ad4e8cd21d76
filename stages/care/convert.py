"""``palimpsest convert``: pickled weights become safetensors, since no adapter of a network of transformers unpickles.

Some releases hold pickled weights alone: SimCSE's, and CLAP's. They are read here once, by an unpickler that knows
tensors and refuses everything else, and written down number by number with the files of text beside them.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

PICKLED, SAFE = "pytorch_model.bin", "model.safetensors"
TEXTS = ("*.json", "*.txt")
"""Configuration, vocabulary and settings of tokenizers and extractors."""


def convert(checkpoint: str, revision: str | None, folder: Path) -> Path:
    """Write a checkpoint as safetensors into a folder that is not there yet, and return it.

    ``checkpoint`` is a folder, or a hub id, which is downloaded with its commit as ``revision``. Equal checkpoints give
    equal bytes, and so equal keys.

    Raises
    ------
    FileExistsError
        The folder is there.
    FileNotFoundError, ValueError
        There is no such checkpoint, or its weights are no pickled tensors; or a hub id has no commit.
    """
    import torch
    from huggingface_hub import snapshot_download
    from safetensors.torch import save_file

    from models.adapters.checkpoints import identify

    if folder.exists():
        raise FileExistsError(f"{folder} is there already; name another folder, or remove it.")
    source = Path(checkpoint)
    if not source.is_dir():
        identify(checkpoint, revision)
        source = Path(snapshot_download(checkpoint, revision=revision, allow_patterns=[*TEXTS, PICKLED]))
    if not (source / PICKLED).is_file():
        raise FileNotFoundError(f"{checkpoint} has no {PICKLED}: there is nothing to convert.")
    try:
        state = torch.load(source / PICKLED, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{source / PICKLED} holds more than tensors, or none: {str(error).splitlines()[0]}") from None
    folder.mkdir(parents=True)
    # Tied weights share memory, which safetensors does not know: each is written out.
    own = {name: tensor.clone().contiguous() for name, tensor in sorted(state.items())}
    save_file(own, folder / SAFE, metadata={"format": "pt"})
    for file in sorted(file for pattern in TEXTS for file in source.glob(pattern)):
        shutil.copyfile(file, folder / file.name)
    return folder
