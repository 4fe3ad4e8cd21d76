"""A random CLAP of the true class, small: agreement, invariance and the laws do not need a trained one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly
from transformers import BertConfig, BertModel, ClapConfig, ClapFeatureExtractor, ClapModel

from models.measures.pictures.clap import Clap
from models.media.audio import Spectrogram, to_waveform

SMALL = Spectrogram(rate=8000, duration=1280, step=80, window=160, padding=1, bins=16, high=4000)
AUDIO = {"num_mel_bins": 16, "spec_size": 32, "window_size": 4, "patch_embeds_hidden_size": 16, "hidden_size": 32,
         "depths": [1, 1], "num_attention_heads": [2, 2], "num_hidden_layers": 2}  # fmt: skip
TEXT = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
        "max_position_embeddings": 8}  # fmt: skip
EXTRACTOR = {"feature_size": 16, "sampling_rate": 12_000, "max_length_s": 2, "hop_length": 380, "fft_window_size": 512,
             "frequency_max": 5000}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def saved(folder: Path, fused: bool = False, **extractor: int) -> Path:
    """Fused checkpoints look at four pieces of a long clip; the other layout cuts one out at random."""
    channels = {"enable_fusion": True, "fusion_type": "aff_2d"} if fused else {}
    truncation = "fusion" if fused else "rand_trunc"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ClapModel(ClapConfig(text_config=TEXT, audio_config=AUDIO | channels, projection_dim=16))
        model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-20)  # decibels, as after training
        model.audio_model.audio_encoder.batch_norm.running_var.fill_(100)
        for layer in (*model.audio_model.modules(), *model.audio_projection.modules()):
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.3)
    model.save_pretrained(folder)
    ClapFeatureExtractor(**EXTRACTOR | extractor, truncation=truncation).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("clap"))


def loaded(checkpoint: Path, spectrogram: Spectrogram = SMALL) -> Clap:
    measure = Clap(Clap.Settings(checkpoint=str(checkpoint), spectrogram=spectrogram))
    measure.load()
    return measure


@pytest.fixture(scope="module")
def measure(checkpoint: Path) -> Clap:
    return loaded(checkpoint)


def pairs(count: int) -> tuple[list[np.ndarray], ...]:
    """Coarse spectrograms, each with another in its middle, as a compositing inpainter leaves it."""
    rng = np.random.default_rng(0)
    one, other = (
        [np.kron(coarse, np.ones((4, 4, 3), np.uint8)) for coarse in rng.integers(0, 256, (count, 4, 4, 1), np.uint8)]
        for _ in range(2)
    )
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    return one, [np.where(mask[..., None], b, a) for a, b in zip(one, other, strict=True)], [mask] * count


def whole(values: list[dict[str, dict[str, float | None]]]) -> list[float]:
    return [value["clap"]["whole"] for value in values]


def test_agrees_with_transformers_called_by_hand(measure: Clap, checkpoint: Path) -> None:
    """Witness: the model's documented calls; 8 to 12 kHz is up by 3 and down by 2."""
    model, extractor = ClapModel.from_pretrained(checkpoint), ClapFeatureExtractor.from_pretrained(checkpoint)
    originals, results, masks = pairs(3)
    values = whole(measure.measure(originals, results, masks))
    for value, original, result in zip(values, originals, results, strict=True):
        sounds = [resample_poly(to_waveform(picture, SMALL), 3, 2) for picture in (original, result)]
        with torch.no_grad():
            one, other = (
                model.get_audio_features(
                    extractor(sound, sampling_rate=12_000, return_tensors="pt")["input_features"].float()
                ).pooler_output
                for sound in sounds
            )
        assert value < 0.99, "the random model tells these sounds apart"
        assert value == pytest.approx(torch.cosine_similarity(one, other).item(), abs=1e-6)


def test_identity_symmetry_and_range(measure: Clap) -> None:
    originals, results, masks = pairs(4)
    same = measure.measure(originals, originals, masks)
    assert same == [{"clap": {"whole": 1.0, "region": 1.0, "outside": 1.0}}] * 4
    there = whole(measure.measure(originals, results, masks))
    assert there == whole(measure.measure(results, originals, masks))
    assert all(-1 <= value < 1 for value in there)


def test_regions_of_a_composited_picture(measure: Clap) -> None:
    originals, results, masks = pairs(2)
    for value in measure.measure(originals, results, masks):
        assert value["clap"]["region"] == value["clap"]["whole"]
        assert value["clap"]["outside"] == 1
    (value,) = measure.measure(originals[:1], [255 - originals[0]], masks[:1])
    assert len(set(value["clap"].values())) == 3, "what drifted outside is heard on its own"


def test_an_empty_region_has_no_value(measure: Clap) -> None:
    (original, *_), (result, *_), (mask, *_) = pairs(1)
    (nothing,) = measure.measure([original], [result], [np.zeros_like(mask)])
    (everything,) = measure.measure([original], [result], [np.ones_like(mask)])
    assert nothing["clap"]["region"] is None and nothing["clap"]["outside"] == nothing["clap"]["whole"]
    assert everything["clap"]["outside"] is None and everything["clap"]["region"] == everything["clap"]["whole"]


def test_the_batch_makes_no_difference(measure: Clap) -> None:
    batch = pairs(5)
    alone = [measure.measure([one], [other], [mask])[0] for one, other, mask in zip(*batch, strict=True)]
    assert measure.measure(*batch) == alone
    assert measure.measure(*(each[::-1] for each in batch)) == alone[::-1]


def test_equal_pictures_are_heard_once(measure: Clap, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, embed = [], measure._embed
    monkeypatch.setattr(measure, "_embed", lambda picture: (heard.append(1), embed(picture))[1])
    originals, results, masks = pairs(3)
    measure.measure([originals[0].copy() for _ in results], [results[0], originals[0], results[0].copy()], masks)
    assert len(heard) == 2


@pytest.mark.parametrize("fused", [False, True])
def test_chance_has_no_part(fused: bool, tmp_path: Path) -> None:
    """The extractor crops long clips at random, and calls a random short one long where the model is fused."""
    measure = loaded(saved(tmp_path, fused, max_length_s=1, hop_length=190))
    values = set()
    for seed in range(4):
        np.random.seed(seed)
        values.add(whole(measure.measure(*pairs(1)))[0])
    assert len(values) == 1


def test_silence_has_a_value(measure: Clap) -> None:
    white, (original, *_) = np.full((16, 16, 3), 255, np.uint8), pairs(1)[0]
    (value,) = measure.measure([white], [original], [np.ones((16, 16), bool)])
    assert np.isfinite(value["clap"]["whole"])


def test_identity_names_checkpoint_and_spectrogram(checkpoint: Path) -> None:
    plain = Clap(Clap.Settings(checkpoint=str(checkpoint))).identity()
    assert plain["checkpoint"].startswith("sha256:") and str(checkpoint) not in json.dumps(plain)
    assert Clap(Clap.Settings(checkpoint=str(checkpoint), spectrogram=SMALL)).identity() != plain
    with pytest.raises(ValueError, match="hub id without a revision"):
        Clap(Clap.Settings(checkpoint="laion/clap-htsat-unfused")).identity()


def test_what_cannot_be_compared_is_refused(measure: Clap) -> None:
    originals, results, masks = pairs(1)
    with pytest.raises(ValueError, match="compare pictures of one size"):
        measure.measure(originals, [results[0][:8]], masks)
    large = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match=r"16 x 16 pixels was expected, got \(32, 32, 3\)"):
        measure.measure([large], [large], [np.ones((32, 32), bool)])


def test_a_checkpoint_in_half_precision_is_computed_in_float32(tmp_path: Path, measure: Clap, checkpoint: Path) -> None:
    ClapModel.from_pretrained(checkpoint).half().save_pretrained(tmp_path)
    ClapFeatureExtractor.from_pretrained(checkpoint).save_pretrained(tmp_path)
    assert whole(loaded(tmp_path).measure(*pairs(2))) == pytest.approx(whole(measure.measure(*pairs(2))), abs=1e-2)


def test_wrong_checkpoints_are_named(tmp_path: Path, checkpoint: Path) -> None:
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=8, **size)).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="bert' is of type 'bert', not a CLAP: take one such as laion/clap-htsat-unf"):
        loaded(tmp_path / "bert")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        loaded(tmp_path / "nowhere")
    model = ClapModel.from_pretrained(checkpoint)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("audio_projection.lin")}
    model.save_pretrained(tmp_path / "part", state_dict=state)
    ClapFeatureExtractor.from_pretrained(checkpoint).save_pretrained(tmp_path / "part")
    with pytest.raises(ValueError, match="has no 'audio_projection.linear1.bias' and lacks 3 more weights"):
        loaded(tmp_path / "part")


def test_measuring_prints_nothing(checkpoint: Path, capfd: pytest.CaptureFixture, caplog) -> None:
    loaded(checkpoint).measure(*pairs(1))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
