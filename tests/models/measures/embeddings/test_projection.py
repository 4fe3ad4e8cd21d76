"""Embeddings in the plane: neighbours stay neighbours, and the same fit gives the same bytes."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from models.measures.embeddings.projection import Projection, project


def clusters(count: int, each: int) -> np.ndarray:
    """Points around ``count`` directions of a space of 16 dimensions, much nearer to their own than to another."""
    rng = np.random.default_rng(0)
    centres = 10 * rng.normal(size=(count, 16))
    return np.repeat(centres, each, axis=0) + rng.normal(size=(count * each, 16))


def test_neighbours_stay_neighbours():
    embeddings = clusters(3, 20)
    found = project(embeddings, Projection())
    assert found.shape == (60, 2)
    assert trustworthiness(embeddings, found, n_neighbors=10, metric="cosine") > 0.9
    own = np.arange(60) // 20
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1) + np.eye(60) * 1e9
    assert (own[apart.argmin(axis=1)] == own).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 27])
def test_small_corpora_have_a_place_and_again_the_same(count):
    embeddings = clusters(1, count)
    found = project(embeddings, Projection())
    assert found.shape == (count, 2) and np.isfinite(found).all()
    assert found.tobytes() == project(embeddings, Projection()).tobytes()


def test_the_length_of_an_embedding_says_nothing():
    """The cosine does not know it; principal components, where the fit begins, do, and so all are scaled alike."""
    embeddings = clusters(2, 10)
    assert np.allclose(project(embeddings, Projection()), project(8 * embeddings, Projection()), atol=1e-4)


def test_another_seed_is_another_map():
    embeddings = clusters(2, 10)
    assert not np.array_equal(project(embeddings, Projection()), project(embeddings, Projection(seed=1)))


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        project(np.array([[1.0, np.nan]]), Projection())


FIT = """
import sys
import numpy as np
from numba.core import event
from models.measures.embeddings.projection import Projection, project
with event.install_recorder("numba:compile") as compiled:
    project(np.eye(8), Projection())
sys.exit(str(len(compiled.buffer)))
"""


def test_what_was_compiled_is_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first, second = (int(subprocess.run([sys.executable, "-c", FIT], capture_output=True).stderr) for _ in range(2))
    assert first > 5 * second


def test_the_search_for_neighbours_is_compiled_only_for_many_points():
    program = """
import numpy as np
from numba.extending import is_jitted
from models.measures.embeddings import projection
projection.load()
import pynndescent.utils
assert not is_jitted(pynndescent.utils.make_heap)
projection.MANY = 5
projection.project(np.eye(8), projection.Projection())
import pynndescent.utils
assert is_jitted(pynndescent.utils.make_heap)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
