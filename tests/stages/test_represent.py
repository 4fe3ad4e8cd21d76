"""The represent stage's comparison, with the pocket vision transformer."""

from itertools import pairwise

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.measures.embeddings.drift import LAYERED, drift
from models.measures.regions import REGIONS, column
from models.media.images import encode_png
from models.worlds import example
from registry.store import places
from registry.store.objects import ObjectStore
from stages.engine.pairs import Pair
from stages.engine.pictures import Picture
from stages.engine.tasks import Task
from stages.represent import compare


@pytest.fixture(scope="module")
def encoder():
    made = build("encoders", "vit", {"adapter": "vit", "checkpoint": "models/pocket/weights/vit", "micro_batch": 2})
    made.load()
    return made


@pytest.fixture(autouse=True)
def objects(tmp_path, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_OBJECTS", str(tmp_path / "objects"))


def kept(picture):
    return Picture(ObjectStore(places.objects_url()).put(encode_png(picture)))


def task(original, repainted, mask):
    return Task("scenes", "one", {}, {}, inputs=Pair(kept(original), kept(repainted), kept(mask)))


@pytest.fixture(scope="module")
def scene():
    """A scene, the same with its middle grey, and the mask of the middle, which is 16 of the 64 patches."""
    original = example("scenes", 3, 0).picture
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    return original, np.where(mask[..., None], np.uint8(128), original), mask


def test_what_did_not_change_has_not_moved(encoder, scene):
    original, _, mask = scene
    (outcome,) = compare(encoder, [task(original, original, mask)])
    assert outcome.value["cls_cosine_whole"] == pytest.approx(1)
    for metric in ("tvd_sum", "entropy_change"):
        assert all(set(outcome.value[column(metric, region)]) == {0.0} for region in REGIONS)


def test_values_are_those_of_the_measure_by_layer_and_do_not_depend_on_the_batch(encoder, scene):
    original, holed, mask = scene
    alone, _, together = (one.value for one in (
        *compare(encoder, [task(original, holed, mask)]),
        *compare(encoder, [task(original, original, mask), task(original, holed, mask)]),
    ))  # fmt: skip
    assert alone == together
    (_, before), (_, after) = encoder.encode([original, holed])
    moved = drift(before, after, mask.reshape(8, 8, 8, 8).mean((1, 3)).ravel())
    for metric in LAYERED:
        for region in REGIONS:
            assert alone[column(metric, region)] == pytest.approx(moved[metric][region], rel=1e-5, abs=1e-9)
    assert np.shape(alone["tvd_heads"]) == (3, 12, 4) and np.shape(alone["embedding"]) == (96,)
    assert all(0 < value < 2 for value in alone["tvd_sum_whole"])


def test_an_original_is_encoded_once_a_batch(encoder, scene):
    original, holed, mask = scene
    seen = []

    class Counting:
        coverage = staticmethod(encoder.coverage)

        def encode(self, pictures):
            seen.extend(picture.tobytes() for picture in pictures)
            return encoder.encode(pictures)

    compare(Counting(), [task(original, one, mask) for one in (original, holed, holed)])
    assert len(seen) == 2 and all(one != other for one, other in pairwise(seen))


@pytest.mark.parametrize("broken", ["embedding", "attention"])
def test_an_encoder_of_nan_has_seen_nothing(scene, broken):
    """A NaN embedding counted as equal to itself, and attention of NaN as no attention."""

    class Overflowing:
        def encode(self, pictures):
            cls, looks = np.ones(4, np.float32), np.ones((2, 3, 64), np.float32)
            (cls if broken == "embedding" else looks)[..., 0] = np.nan
            return [(cls, looks) for _ in pictures]

        def coverage(self, masks):
            return [np.ones(64, np.float32) for _ in masks]

    original, repainted, mask = scene
    with pytest.raises(ValueError, match=f"the {broken} .* NaN or infinity"):
        compare(Overflowing(), [task(original, repainted, mask)])
