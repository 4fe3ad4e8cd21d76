"""The pages of the toy study as text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

PAGES = [
    "index.html", "corpus-scenes.html", "corpus-photos.html", "ablations.html", "published.html",
    "where-we-differ.html", "gallery.html", "lineage.html",
]  # fmt: skip


@pytest.fixture(scope="module")
def texts(page: Path) -> dict[str, str]:
    return {name: (page.parent / name).read_text(encoding="utf-8") for name in PAGES}


@pytest.fixture(scope="module")
def text(texts: dict[str, str]) -> str:
    """The overview."""
    return texts["index.html"]


@pytest.fixture(scope="module")
def scenes(texts: dict[str, str]) -> str:
    """The page of one corpus."""
    return texts["corpus-scenes.html"]


@pytest.fixture(scope="module")
def gallery(texts: dict[str, str]) -> str:
    return texts["gallery.html"]


def read(page: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(page.parent / "tables" / f"{name}.csv", keep_default_na=False, na_values=["NaN"])
