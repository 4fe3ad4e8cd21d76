"""The shipped CLAP on clips of seed 3, from which nothing was learnt; and the recipe's own parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from transformers import ClapModel, ClapProcessor

from models.measures.pictures.clap import Clap
from models.media.audio import POCKET
from models.pocket import WEIGHTS
from models.training.clap import features, meaning, soft_entropy, sounding
from models.training.data import Examples
from models.worlds.spectrograms import KINDS, clip, spectrogram

FOLDER = WEIGHTS / "clap"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_kinds_are_known_by_their_labels():
    """Chance is a tenth."""
    model, processor = ClapModel.from_pretrained(FOLDER).eval(), ClapProcessor.from_pretrained(FOLDER)
    sounds = [clip(3, index)[0] for index in range(50)]
    mels = processor.feature_extractor(sounds, sampling_rate=POCKET.rate, return_tensors="pt")["input_features"]
    with torch.inference_mode():
        labels = meaning(model, processor.tokenizer, [f"a {kind} sound" for kind in KINDS])
        nearest = (sounding(model, mels.float()) @ labels.T).argmax(1).tolist()
    right = [list(KINDS)[near] == spectrogram(3, index).graph["kind"] for index, near in enumerate(nearest)]
    assert np.mean(right) >= 0.9


def test_the_measure_falls_with_what_is_changed():
    """A strip that is left out sounds closer than a half that is, and any of them closer than another kind."""
    made = [spectrogram(3, index) for index in range(6)]
    pictures = [one.picture for one in made]
    measure = Clap(Clap.Settings(checkpoint=str(FOLDER), spectrogram=POCKET))
    measure.load()

    def mean(changed: list[np.ndarray]) -> float:
        values = measure.measure(pictures, changed, [np.ones((64, 64), bool)] * len(pictures))
        return float(np.mean([value["clap"]["whole"] for value in values]))

    def silenced(columns: int) -> list[np.ndarray]:
        changed = [picture.copy() for picture in pictures]
        for picture in changed:
            picture[:, 32 - columns // 2 : 32 + columns // 2] = 255
        return changed

    other = [next(b.picture for b in made if b.graph["kind"] != a.graph["kind"]) for a in made]
    cosines = [mean(pictures), mean(silenced(4)), mean(silenced(32)), mean(other)]
    assert cosines[0] == 1
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[1] > cosines[3] + 0.2


def test_weights_are_small_and_stored_in_half_precision():
    from safetensors import safe_open

    file = FOLDER / "model.safetensors"
    assert file.stat().st_size < 1.4e6
    with safe_open(file, "pt") as opened:
        kinds = {str(opened.get_tensor(name).dtype) for name in opened.keys()}  # noqa: SIM118 - not a dict
    assert kinds <= {"torch.float16", "torch.int64"}


def test_features_are_made_once_and_of_both_sounds(tmp_path):
    examples = Examples(np.stack([spectrogram(3, 0).picture]), [["wind"]], [{"kind": "wind"}])
    made = features(examples, 3, tmp_path)
    assert made.shape == (1, 2, 1, 128, 32) and not np.array_equal(made[0, 0], made[0, 1])
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    assert np.array_equal(features(examples, 3, tmp_path), made) and file.stat().st_mtime_ns == before


def test_soft_entropy_is_cross_entropy_where_one_is_right():
    """Witness: torch's own, of class numbers and of shares."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([0, 3, 1, 1, 2])
    whole = torch.nn.functional.one_hot(wanted, 4).float()
    torch.testing.assert_close(soft_entropy(logits, whole), torch.nn.functional.cross_entropy(logits, wanted))
    mixed = (whole + 0.25) / 2
    torch.testing.assert_close(soft_entropy(logits, mixed), torch.nn.functional.cross_entropy(logits, mixed))
