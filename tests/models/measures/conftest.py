"""METEOR's tables take seven CPU seconds to read: one process of ours and one of pycocoevalcap's serve all tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from models.measures.captions.meteor import Meteor


@pytest.fixture(scope="session")
def meteor() -> Iterator[Meteor]:
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    meteor = Meteor()
    yield meteor
    meteor.close()


@pytest.fixture(scope="session")
def witness() -> Iterator[Callable[[dict[str, list[str]], dict[str, list[str]]], tuple[float, list[float]]]]:
    """pycocoevalcap's METEOR: (gts, res) → corpus score, scores."""
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    from pycocoevalcap.meteor.meteor import Meteor

    witness = Meteor()
    with witness.meteor_p.stdout, witness.meteor_p.stderr:
        yield witness.compute_score
