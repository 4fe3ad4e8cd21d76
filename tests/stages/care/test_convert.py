"""Pickled weights as safetensors: the same numbers, for the same adapter, and nothing else is unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from models.adapters.catalogue import build
from models.pocket import WEIGHTS
from palimpsest import app
from stages.care.convert import convert

SIMCSE = WEIGHTS / "simcse-sup"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The pocket SimCSE as the authors of SimCSE release theirs: pickled, its weights in some order."""
    folder = tmp_path / "released"
    folder.mkdir()
    for file in SIMCSE.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    torch.save(dict(reversed(load_file(SIMCSE / "model.safetensors").items())), folder / "pytorch_model.bin")
    return folder


def embedder(checkpoint: Path):
    return build("embedders", "s", {"adapter": "simcse-sup", "checkpoint": str(checkpoint)})


def test_a_converted_checkpoint_says_what_the_pickled_one_holds(released: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only pickled weights"):
        embedder(released).identity()
    done = CliRunner().invoke(app, ["convert", str(released), str(tmp_path / "made/simcse-sup")])
    assert done.exit_code == 0, done.output
    made, pocket = embedder(tmp_path / "made/simcse-sup"), embedder(SIMCSE)
    made.load()
    pocket.load()
    texts = ["a red star", "two rings on the sky"]
    assert np.array_equal(made.embed(texts), pocket.embed(texts))
    again = embedder(convert(str(released), None, tmp_path / "again"))
    assert again.identity() == made.identity(), "equal checkpoints have equal keys"


def test_what_is_no_tensor_is_not_unpickled(released: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harmed",))

    torch.save({"weight": Harm()}, released / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds more than tensors"):
        convert(str(released), None, tmp_path / "made")
    assert not (tmp_path / "harmed").exists() and not (tmp_path / "made").exists()


def test_what_cannot_be_converted_is_said(released: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no pytorch_model\.bin"):
        convert(str(SIMCSE), None, tmp_path / "made")
    with pytest.raises(FileExistsError, match="is there already"):
        convert(str(released), None, released)
    with pytest.raises(ValueError, match="is a hub id without a revision"):
        convert("princeton-nlp/sup-simcse-bert-base-uncased", None, tmp_path / "made")
