"""Folders of pictures, painted and read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from stages.corpora import Problem, Sample, open_corpus


def paint(path: Path, size: tuple[int, int] = (40, 20), colour: str = "teal") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def read(path: Path, **options) -> tuple[list[Sample], list[Problem]]:
    found = list(open_corpus("folder", {"path": path, **options}).samples())
    return [each for each in found if isinstance(each, Sample)], [each for each in found if isinstance(each, Problem)]
