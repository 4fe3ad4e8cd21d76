"""LoRA on checkpoints of random weights, of each family that is painted with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.adapters.catalogue import CATALOGUE, build, target
from models.adapters.lora import FILE
from models.adapters.roles import Lesson, Piece
from models.adapters.settings import validated
from models.trainers import fitting
from models.trainers.families import FAMILIES, Flux, Noise, StableDiffusion3
from registry.store import faults
from tests.models.painters.conftest import MAKERS

pytestmark = pytest.mark.usefixtures("one_thread")

LENGTHS = {"stable-diffusion-3": 4, "flux": 8, "pixart-alpha": 8}


@dataclass(frozen=True)
class Plain:
    """A picture of one colour."""

    digest: str
    level: int

    def pixels(self) -> np.ndarray:
        return np.full((20, 16, 3), self.level, np.uint8)


LESSONS = [Lesson(Plain(f"{k:02d}", 20 * k), f"a {'r' * k} star") for k in range(10)]


def painter(make_painted, adapter, **settings):
    said = {"adapter": adapter, "checkpoint": make_painted(adapter), "steps": 2, "guidance": 1, "resolution": 16}
    said |= {"max_sequence_length": LENGTHS[adapter]} if adapter in LENGTHS else {}
    return build("painters", "mine", said | settings)


def trainer(make_painted, adapter="stable-diffusion-3", **settings):
    kind = target("trainers", "lora")
    least = {"epochs": 2, "batch": 4, "micro_batch": 2, "rate": 1e-2} | settings
    made = kind(validated("lora", kind.Settings, least), painter(make_painted, adapter))
    made.load()
    return made


def encoded(made, lessons=LESSONS):
    """What is known of the pieces of some lessons."""
    pieces = made.pieces(lessons)
    return dict(zip(pieces, made.encode(pieces), strict=True)).__getitem__


def trained(made, folder, lessons=LESSONS, seed=0, known=None):
    folder.mkdir(exist_ok=True)
    heard = []
    found = made.train(lessons, known or encoded(made, lessons), seed, folder, lambda said, step: heard.append(step))
    return (folder / FILE).read_bytes(), found, heard


def test_each_family_that_paints_can_be_trained():
    assert {target("painters", name).PIPELINE for name in CATALOGUE["painters"]} == FAMILIES.keys()


@pytest.mark.parametrize("adapter", list(MAKERS))
def test_what_was_trained_paints_as_diffusers_paints_with_it(make_painted, adapter, tmp_path):
    """Witness: the pipeline's own ``load_lora_weights``, of the families that have it."""
    _, found, heard = trained(trainer(make_painted, adapter), tmp_path)
    assert found.figures["steps"] == heard[-1] == 5 and found.figures["lessons"] == 10
    plain, adapted = painter(make_painted, adapter), painter(make_painted, adapter, lora=str(tmp_path))
    assert plain.identity() != adapted.identity() and "lora" not in plain.identity()
    plain.load()
    adapted.load()
    (before,), (after,) = plain.paint(["a star"], [1]), adapted.paint(["a star"], [1])
    assert not np.array_equal(before, after)
    if adapter != "pixart-alpha":
        plain._pipeline.load_lora_weights(str(tmp_path))
        assert np.array_equal(plain.paint(["a star"], [1])[0], after)


def test_a_latent_stands_beside_its_own_caption_however_the_order(make_painted):
    """The trap of diffusers' own examples (#14430): latents by step, captions by a shuffled loader."""
    made = trainer(make_painted)
    known = encoded(made)
    family = SimpleNamespace(DENSITY="uniform", dtype=torch.float32)
    mode = trainer(make_painted, latents="mode")
    batch = fitting.Batches(mode, LESSONS, known, 3, family, torch.device("cpu"))
    rows = [row for some in fitting.batches(batch.names, 3, 2, 5) for row in some]
    assert [row.lesson for row in rows] != sorted(row.lesson for row in rows) and len(rows) == 20
    whole, pipeline = batch.of(rows, 0.0, 1.0), made.base.read()
    for row, latent, text in zip(rows, whole.clean, whole.texts["prompt_embeds"], strict=True):
        lesson = LESSONS[row.lesson]
        picture = torch.full((1, 3, 16, 16), float(lesson.picture.level)) / 255 * 2 - 1
        with torch.no_grad():
            assert torch.equal(latent, pipeline.vae.encode(picture).latent_dist.mean[0])
            by_hand = pipeline.encode_prompt(lesson.caption, None, None, max_sequence_length=4)[0]
        assert torch.equal(text, by_hand[0])


def test_batches_come_to_the_device_of_their_own_process(make_painted, tmp_path, monkeypatch):
    """And not to the first GPU, where torch takes a thread to be that was told of no other."""
    made, seen = trainer(make_painted), []
    init = fitting.Batches.__init__
    monkeypatch.setattr(fitting.Batches, "__init__", lambda self, *given: seen.append(given[-1]) or init(self, *given))
    monkeypatch.setattr("accelerate.Accelerator.device", torch.device("cpu", 0))
    trained(made, tmp_path)
    assert seen == [torch.device("cpu", 0)] != [torch.device("cpu")]


def test_trainings_on_other_captions_meet_the_same_pictures_and_noise(make_painted):
    made = trainer(make_painted, dropout=0.5)
    others = [Lesson(lesson.picture, f"no {lesson.caption}") for lesson in LESSONS]
    known = {**dict.fromkeys(made.pieces(LESSONS)), **dict.fromkeys(made.pieces(others))}
    known = dict(zip(known, made.encode(list(known)), strict=True)).__getitem__
    family = SimpleNamespace(DENSITY="logit_normal", dtype=torch.float32)
    one, two, other = (
        fitting.Batches(made, lessons, known, seed, family, torch.device("cpu"))
        for lessons, seed in ((LESSONS, 1), (others, 1), (others, 2))
    )
    plan = fitting.batches(one.names, 1, 2, 4)
    assert plan == fitting.batches(two.names, 1, 2, 4) != fitting.batches(other.names, 2, 2, 4)
    rows = [row for some in plan for row in some]
    first, second, third = (some.of(rows, 0.1, 2.0) for some in (one, two, other))
    for name in ("clean", "noise", "u"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(getattr(first, name), getattr(third, name))
    assert not torch.equal(first.texts["prompt_embeds"], second.texts["prompt_embeds"])
    fewer = [lesson for lesson in LESSONS if lesson.picture.digest != "04"]  # whose caption failed, say
    order = [row.lesson for some in fitting.batches(fitting.names_of(LESSONS), 1, 1, 1) for row in some]
    left = [row.lesson for some in fitting.batches(fitting.names_of(fewer), 1, 1, 1) for row in some]
    assert [LESSONS[k] for k in order if k != 4] == [fewer[k] for k in left]


def test_each_distinct_text_and_picture_is_encoded_once_and_as_long_as_it_is(make_painted):
    made = trainer(make_painted, "pixart-alpha", dropout=0.1)
    twice = [*LESSONS, Lesson(LESSONS[0].picture, LESSONS[1].caption)]
    pieces = made.pieces(twice)
    assert len(pieces) == len(set(pieces)) == 10 + 10 + 1
    known = encoded(made, twice)
    tokenizer = made.base.read().tokenizer
    for piece in (piece for piece in pieces if piece.what == "text"):
        tokens = len(tokenizer(piece.text)["input_ids"])
        assert len(known(piece)["prompt_embeds"]) == len(known(piece)["prompt_attention_mask"]) == min(tokens, 8)
        assert bool(known(piece)["cut"]) == (tokens > 8)
    assert len(known(Piece("text"))["prompt_embeds"]) == 1, "the end of nothing"


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(make_painted, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 2)
    made = trainer(make_painted, dropout=0.2)
    known = encoded(made)
    whole, found, _ = trained(made, tmp_path / "whole", known=known)
    monkeypatch.setattr(fitting, "learnt", dying(fitting.learnt, at=4))
    with pytest.raises(KeyboardInterrupt):
        trained(made, tmp_path / "killed", known=known)
    assert not (tmp_path / "killed" / FILE).exists()
    monkeypatch.undo()
    again, gone_on, _ = trained(made, tmp_path / "killed", known=known)
    assert again == whole and gone_on.figures == found.figures
    assert trained(made, tmp_path / "other", known=known, seed=1)[0] != whole


@pytest.mark.parametrize("file", ["checkpoint.part", FILE])
def test_a_full_disk_names_the_file_and_the_training_goes_on_when_there_is_room(
    make_painted, tmp_path, monkeypatch, file
):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 2)
    made = trainer(make_painted)
    known = encoded(made)
    whole, _, _ = trained(made, tmp_path / "whole", known=known)
    full = tmp_path / "full"
    monkeypatch.setattr(fitting, "learnt", filling(fitting.learnt, full / file))
    with pytest.raises(OSError, match="No space left on device") as said:
        trained(made, full, known=known)
    assert faults.sentence(said.value).startswith("The disk is full, or faulty")
    left = torch.load(full / fitting.CHECKPOINT, weights_only=True)
    assert left["step"] == (4 if file == FILE else 2), "the last whole one"
    (full / file).unlink(missing_ok=True)
    monkeypatch.undo()
    again, _, _ = trained(made, full, known=known)
    assert again == whole


def filling(learnt, file):
    """Steps of which the third fills the disk that a file lies on."""
    steps = iter(range(1, 100))

    def step(*args):
        if next(steps) == 3:
            file.symlink_to("/dev/full")
        return learnt(*args)

    return step


def dying(learnt, at):
    """A step that is killed the ``at``-th time."""
    steps = iter(range(1, at + 1))

    def step(*args):
        if next(steps) == at:
            raise KeyboardInterrupt
        return learnt(*args)

    return step


def test_a_loss_that_is_no_number_stops_and_says_where(make_painted, tmp_path):
    made = trainer(make_painted)
    known = encoded(made)
    bad = fitting.batches(fitting.names_of(LESSONS), 0, 2, 4)[2][1].lesson

    def broken(piece):
        found = known(piece)
        hit = piece.picture == LESSONS[bad].picture
        return {**found, "mean": found["mean"] * math.nan} if hit else found

    step = next(k for k, rows in enumerate(fitting.batches(fitting.names_of(LESSONS), 0, 2, 4), 1)
                if bad in [row.lesson for row in rows])  # fmt: skip
    with pytest.raises(FloatingPointError, match=f"loss is no number at step {step}, of the pictures {bad:02d};"):
        trained(made, tmp_path, known=broken)
    state = torch.load(tmp_path / fitting.CHECKPOINT, weights_only=True)
    assert state["step"] == step - 1 and all(one.isfinite().all() for one in state["weights"].values())


@pytest.mark.parametrize("shared", [{"micro_batch": 4}, {"processes": 2}], ids=str)
def test_it_does_not_matter_how_a_batch_is_shared_out(make_painted, tmp_path, shared):
    """But for rounding: the gradient of a batch is the mean of those of its parts."""
    lessons = LESSONS[:4]
    made, other = trainer(make_painted, epochs=3), trainer(make_painted, epochs=3, **shared)
    assert made.identity() == other.identity()
    one = trained(made, tmp_path / "one", lessons)[1]
    pieces = made.pieces(lessons)
    known = dict(zip(pieces, made.encode(pieces), strict=True))
    two = trained(other, tmp_path / "two", lessons, known=known.get)[1]
    assert two.figures == pytest.approx(one.figures, rel=1e-4)
    apart, together = load_file(tmp_path / "one" / FILE), load_file(tmp_path / "two" / FILE)
    for name, weight in apart.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-3, atol=1e-5)


def test_captions_that_are_all_cut_are_told(make_painted, tmp_path, caplog):
    lessons = [Lesson(lesson.picture, f"{lesson.caption} and more than is read") for lesson in LESSONS[:4]]
    _, found, _ = trained(trainer(make_painted, "pixart-alpha", epochs=1), tmp_path, lessons)
    assert found.figures["truncated"] == 1 and "All 4 captions are longer than the painter reads" in caplog.text


def test_an_adapter_of_another_checkpoint_is_refused(make_painted, tmp_path):
    trained(trainer(make_painted), tmp_path)
    wide = painter(make_painted, "stable-diffusion", lora=str(tmp_path))
    with pytest.raises(ValueError, match="holds no adapter of a unet"):
        wide.load()
    with pytest.raises(FileNotFoundError, match="holds no pytorch_lora_weights.safetensors: name a folder with"):
        painter(make_painted, "stable-diffusion", lora=str(tmp_path.parent)).identity()
    with pytest.raises(FileNotFoundError, match="the adapter 'nowhere' is not there: name a file, or the folder"):
        painter(make_painted, "stable-diffusion", lora="nowhere").identity()


def test_an_adapter_that_is_not_whole_or_of_the_rank_it_says_is_refused(make_painted, tmp_path):
    trained(trainer(make_painted), tmp_path)
    mine, file = painter(make_painted, "stable-diffusion-3", lora=str(tmp_path)), tmp_path / FILE
    whole, some = load_file(file), {"lora_adapter_metadata": safe_open(file, "pt").metadata()["lora_adapter_metadata"]}
    save_file(
        whole, file, {one: said.replace('"transformer.r": 4', '"transformer.r": 2') for one, said in some.items()}
    )
    with pytest.raises(ValueError, match=r"says that its rank is 2, and .* has 4: get the file again"):
        mine.load()
    save_file(dict(list(whole.items())[:-1]), file, some)
    with pytest.raises(ValueError, match="lacks what it says that it holds of transformer_blocks.1.attn.to_v: get the"):
        mine.load()


def test_layers_that_are_not_there_and_batches_that_are_too_large_are_named(make_painted, tmp_path):
    with pytest.raises(ValueError, match="SD3Transformer2DModel has no layer called to_nothing"):
        trained(trainer(make_painted, targets=["to_nothing"]), tmp_path)
    with pytest.raises(ValueError, match=r"10 captions in 2 epochs fill no batch of 32: lower `batch`"):
        trained(trainer(make_painted, batch=32), tmp_path)


# What is learnt, against formulas of the papers, with a network that answers what it is told.


class Told:
    """A denoiser that gives what it is told, and keeps what it got."""

    dtype = torch.float32

    def __init__(self, answer, **config):
        self.answer, self.config, self.got = answer, SimpleNamespace(**config), {}

    def __call__(self, *args, **kwargs):
        self.got = {**dict(zip(("hidden_states", "timestep"), args, strict=False)), **kwargs}
        return (self.answer,)


CLEAN, NOISE = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
U = torch.tensor([0.25, 0.75])
TEXTS = {"prompt_embeds": torch.zeros(2, 3, 4), "pooled_prompt_embeds": torch.zeros(2, 4)}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noise_and_velocity(prediction):
    """Ho et al. 2020, equation 4; Salimans & Ho 2022, appendix D: v = alpha noise - sigma x. Hang et al. 2023: the
    weights of min-SNR."""
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                              prediction_type=prediction)  # fmt: skip
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    share = torch.tensor(np.cumprod(1 - betas)[[250, 750]], dtype=torch.float32)[:, None, None, None]
    alpha, sigma = share.sqrt(), (1 - share).sqrt()
    wanted = NOISE if prediction == "epsilon" else alpha * NOISE - sigma * CLEAN
    network = Told(wanted + 2)
    errors = Noise(network, scheduler, 32, None, 1).errors(CLEAN, NOISE, U, TEXTS)
    torch.testing.assert_close(network.got["hidden_states"], alpha * CLEAN + sigma * NOISE)
    torch.testing.assert_close(errors, torch.full((2,), 4.0))
    snr = (share / (1 - share)).flatten()
    weight = snr.clamp(max=5) / (snr if prediction == "epsilon" else snr + 1)
    torch.testing.assert_close(Noise(network, scheduler, 32, 5, 1).errors(CLEAN, NOISE, U, TEXTS), 4 * weight)


def test_flow_of_stable_diffusion_3_is_shifted_once():
    """Esser et al. 2024, equation 23: sigma' = shift sigma / (1 + (shift - 1) sigma)."""
    network = Told(NOISE - CLEAN, patch_size=2)
    family = StableDiffusion3(network, FlowMatchEulerDiscreteScheduler(shift=3.0), 32, None, 1)
    assert family.errors(CLEAN, NOISE, U, TEXTS).abs().max() == 0
    plain = torch.tensor([0.75, 0.25])  # u counts from the noisiest moment
    sigma = 3 * plain / (1 + 2 * plain)
    torch.testing.assert_close(network.got["timestep"], 1000 * sigma)
    level = sigma[:, None, None, None]
    torch.testing.assert_close(network.got["hidden_states"], (1 - level) * CLEAN + level * NOISE)


def test_flow_of_flux_is_shifted_by_size_and_reads_the_guidance():
    """mu is 0.5 at 256 tokens and 1.15 at 4096 (FLUX's release): exp(mu) / (exp(mu) + 1 / sigma - 1)."""
    clean, noise = torch.zeros(2, 1, 1, 32, 32).unbind()  # 256 tokens
    network = Told(torch.zeros(1, 256, 4), guidance_embeds=True)
    family = Flux(network, FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), 256, None, 3.5)
    family.errors(clean, noise, torch.tensor([0.5]), {name: one[:1] for name, one in TEXTS.items()})
    shift = math.exp(0.5)
    torch.testing.assert_close(network.got["timestep"], torch.tensor([shift / (shift + 1)]))
    assert network.got["guidance"].tolist() == [3.5]
    assert network.got["img_ids"].shape == (256, 3) and network.got["hidden_states"].shape == (1, 256, 4)


def test_pictures_are_scaled_about_their_centre(make_painted):
    """Of a tall picture the middle is seen."""

    class Striped(Plain):
        def pixels(self):
            picture = np.zeros((32, 16, 3), np.uint8)
            picture[8:24] = 255
            return picture

    made = trainer(make_painted)
    (found,) = made.encode([piece for piece in made.pieces([Lesson(Striped("s", 0), "x")]) if piece.picture])
    with torch.no_grad():
        white = made.base.read().vae.encode(torch.ones(1, 3, 16, 16)).latent_dist
    assert torch.equal(found["mean"], white.mean[0]) and torch.equal(found["deviation"], white.std[0])
