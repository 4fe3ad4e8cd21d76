from pathlib import Path

from mypy import api

from models.adapters.catalogue import CATALOGUE
from tests.models.adapters import protocols

ROOT = Path(__file__).parents[3]
PROTOCOLS = {
    "inpainters": protocols.INPAINTERS,
    "chat": protocols.CHAT,
    "captioners": protocols.CAPTIONERS,
    "recaptioners": protocols.RECAPTIONERS,
    "trainers": protocols.TRAINERS,
    "painters": protocols.PAINTERS,
    "encoders": protocols.ENCODERS,
    "detectors": protocols.DETECTORS,
    "embedders": protocols.EMBEDDERS,
    "taggers": protocols.TAGGERS,
    "measures": {**protocols.PICTURE_MEASURES, **protocols.CAPTION_MEASURES, **protocols.JUDGED_MEASURES},
    "prompted": protocols.PAINTING_JUDGES,
    "benchmarks": protocols.BENCHMARKS,
}
ADAPTERS = """
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from models.adapters import roles


class Fitting:
    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        width: int = 8

    def identity(self) -> dict[str, Any]:
        return {}

    def load(self) -> None:
        pass

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.zeros((len(texts), 8), np.float32)


class Broken:
    VERSION: ClassVar[int] = 1
    Settings = Fitting.Settings

    def identity(self) -> dict[str, Any]:
        return {}

    def load(self) -> None:
        pass

    def embed(self, texts: str) -> np.ndarray:
        return np.zeros((1, 8), np.float32)


fitting: type[roles.Embedder] = Fitting
broken: type[roles.Embedder] = Broken
"""
SKIPPED = """
[mypy]
plugins = pydantic.mypy
[mypy-torch.*,transformers.*]
follow_imports = skip
"""
"""So that large libraries are not read."""


def test_every_adapter_is_held_to_the_protocol_of_its_role():
    named = {
        role: {name: f"{adapter.__module__}:{adapter.__qualname__}" for name, adapter in adapters.items()}
        for role, adapters in PROTOCOLS.items()
    }
    assert named == CATALOGUE


def test_an_adapter_that_does_not_fit_its_protocol_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "adapters.py").write_text(ADAPTERS)
    (tmp_path / "mypy.ini").write_text(SKIPPED)
    said, errors, status = api.run(
        [str(tmp_path / "adapters.py"), f"--config-file={tmp_path / 'mypy.ini'}", f"--cache-dir={tmp_path / 'cache'}"]
    )
    refusal, summary = said.splitlines()
    assert (status, errors) == (1, "")
    assert 'expression has type "type[Broken]", variable has type "type[Embedder]"' in refusal
    assert summary.startswith("Found 1 error in 1 file")
