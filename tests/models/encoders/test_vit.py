"""Random little transformers: agreement with transformers, the laws of a softmax and invariance need no trained one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from models.encoders.vit import Vit

SIDE, PATCH, LAYERS, HEADS, WIDTH = 32, 8, 3, 2, 16
SHAPE = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 32,
    "image_size": SIDE, "patch_size": PATCH, "initializer_range": 0.5,
}  # fmt: skip
KINDS = {  # the class, its configuration, and how many special tokens stand before the patches
    "vit": (transformers.ViTModel, transformers.ViTConfig(**SHAPE), 1),
    "deit": (transformers.DeiTModel, transformers.DeiTConfig(**SHAPE), 2),
    "dinov2": (transformers.Dinov2Model, transformers.Dinov2Config(**SHAPE), 1),
    "dinov2_with_registers": (
        transformers.Dinov2WithRegistersModel,
        transformers.Dinov2WithRegistersConfig(**SHAPE, num_register_tokens=3),
        4,
    ),
    "dinov3_vit": (transformers.DINOv3ViTModel, transformers.DINOv3ViTConfig(**SHAPE, num_register_tokens=2), 3),
    "vit_msn": (transformers.ViTMSNModel, transformers.ViTMSNConfig(**SHAPE), 1),
}


def save(folder: Path, model: transformers.PreTrainedModel, processor: object | None = None) -> Path:
    model.save_pretrained(folder)
    (processor or transformers.ViTImageProcessor(size={"height": SIDE, "width": SIDE})).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        folder = tmp_path_factory.getbasetemp() / "vits" / kind
        if not folder.exists():
            cls, config, _ = KINDS[kind]
            with torch.random.fork_rng():
                torch.manual_seed(0)
                save(folder, cls(config))
        return folder

    return make


def encoder(checkpoint: Path, **settings: object) -> Vit:
    made = Vit(Vit.Settings(checkpoint=str(checkpoint), **settings))
    made.load()
    return made


@pytest.fixture(scope="module")
def vit(checkpoint: Callable[[str], Path]) -> Vit:
    return encoder(checkpoint("vit"))


def pictures(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_called_by_hand_says_the_same(checkpoint: Callable[[str], Path], kind: str) -> None:
    """Witness: processor and model as their documentation calls them, one picture at a time.

    The row of CLS adds up to 1 with the special tokens, whose share the adapter leaves out.
    """
    cls, _, special = KINDS[kind]
    model = cls.from_pretrained(checkpoint(kind), attn_implementation="eager").eval()
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint(kind))
    some = pictures(3)
    for picture, (vector, attention) in zip(some, encoder(checkpoint(kind)).encode(some), strict=True):
        inputs = processor(images=Image.fromarray(picture), return_tensors="pt")
        with torch.no_grad():
            output = model(**inputs, output_attentions=True)
        rows = torch.cat(output.attentions)[:, :, 0].numpy()  # (layers, heads, tokens)
        assert attention.shape == (LAYERS, HEADS, (SIDE // PATCH) ** 2)
        assert attention.dtype == vector.dtype == np.float32
        np.testing.assert_allclose(attention, rows[:, :, special:], atol=1e-6)
        np.testing.assert_allclose(vector, output.last_hidden_state[0, 0].numpy(), atol=1e-5)
        np.testing.assert_allclose(attention.sum(-1) + rows[:, :, :special].sum(-1), 1, atol=1e-5)
        assert (attention.sum(-1) < 1).all()


def test_the_vector_is_normed_and_not_pooled(vit: Vit) -> None:
    """Law: a layer norm with its initial weights gives mean 0 and variance 1."""
    for vector, _ in vit.encode(pictures(2)):
        assert abs(vector.mean()) < 1e-5
        assert vector.std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_batch_makes_no_difference(vit: Vit, size: int) -> None:
    some = pictures(9) + pictures(1, 20, 50) + pictures(1, 1, 1)
    expected = vit.encode(some)
    assert len({vector.tobytes() for vector, _ in expected}) == len(some)
    for order in (1, -1):
        turned = some[::order]
        parts = [one for start in range(0, len(some), size) for one in vit.encode(turned[start : start + size])]
        for (vector, attention), (other, others) in zip(expected, parts[::order], strict=True):
            np.testing.assert_array_equal(vector, other)
            np.testing.assert_array_equal(attention, others)


def test_every_forward_has_the_same_shape(vit: Vit, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, forward = [], vit._forward
    monkeypatch.setattr(vit, "_forward", lambda pixels: (shapes.append(len(pixels)), forward(pixels))[1])
    assert len(vit.encode(pictures(11))) == 11
    assert vit.encode([]) == []
    assert shapes == [8, 8]


def test_attention_follows_the_patches(checkpoint: Callable[[str], Path]) -> None:
    """Law: without position embeddings, pictures of the same patches in another order give the same row, reordered."""
    model = transformers.ViTModel.from_pretrained(checkpoint("vit"))
    model.embeddings.position_embeddings.data.zero_()
    placeless = encoder(save(checkpoint("vit").parent / "placeless", model))
    blocks = np.random.default_rng(1).integers(0, 256, (4, PATCH, 4, PATCH, 3)).astype(np.uint8)
    picture, rolled = (one.reshape(SIDE, SIDE, 3) for one in (blocks, np.roll(blocks, (1, 2), axis=(0, 2))))
    (vector, attention), (other, moved) = placeless.encode([picture, rolled])
    grid = attention.reshape(LAYERS, HEADS, *placeless.grid)
    np.testing.assert_allclose(np.roll(grid, (1, 2), axis=(2, 3)), moved.reshape(grid.shape), atol=1e-5)
    assert np.abs(attention - moved).max() > 1e-2, "the order matters to the row itself"
    np.testing.assert_allclose(vector, other, atol=1e-4)


def test_coverage_is_the_share_of_a_patch(vit: Vit) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:PATCH, : PATCH + 4] = True
    mask[-1, -1] = True
    expected = np.zeros((4, 4), np.float32)
    expected[0, 0], expected[0, 1], expected[3, 3] = 1, 0.5, 1 / PATCH**2
    (found,) = vit.coverage([mask])
    assert vit.grid == (4, 4)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-6)


def test_coverage_sees_what_the_processor_keeps(checkpoint: Callable[[str], Path]) -> None:
    """A centre crop drops both ends of a wide picture, and of its mask."""
    processor = transformers.BitImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    model = transformers.ViTModel.from_pretrained(checkpoint("vit"))
    cropping = encoder(save(checkpoint("vit").parent / "cropping", model, processor))
    mask = np.zeros((SIDE, 2 * SIDE), bool)
    mask[:, : SIDE // 2] = True
    cut = np.zeros_like(mask)
    cut[:, SIDE // 2 : SIDE // 2 + PATCH] = True
    outside, inside = cropping.coverage([mask, cut])
    assert outside.max() == 0
    np.testing.assert_allclose(inside.reshape(4, 4), np.repeat([[1, 0, 0, 0]], 4, axis=0), atol=1e-6)


def test_a_classifier_is_read_without_its_head(
    checkpoint: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """As google/vit-base-patch16-224 is saved: with a classifier and without a pooler. Nothing is printed of it."""
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SHAPE))
    folder = save(checkpoint("vit").parent / "classifier", model)
    before = torch.random.get_rng_state()
    (vector, _), *_ = encoder(folder, micro_batch=1).encode(pictures(1))
    assert torch.equal(before, torch.random.get_rng_state()), "the pooler that is not used was drawn apart"
    inputs = transformers.AutoImageProcessor.from_pretrained(folder)(pictures(1)[0], return_tensors="pt")
    with torch.no_grad():
        expected = model.eval().vit(**inputs).last_hidden_state[0, 0]
    np.testing.assert_allclose(vector, expected.numpy(), atol=1e-5)
    assert "LOAD REPORT" not in "".join(capfd.readouterr())


def test_half_precision_is_another_key_and_a_close_value(checkpoint: Callable[[str], Path], vit: Vit) -> None:
    half = encoder(checkpoint("vit"), dtype="bfloat16")
    assert half.identity() != vit.identity()
    for (_, attention), (_, close) in zip(vit.encode(pictures(2)), half.encode(pictures(2)), strict=True):
        assert close.dtype == np.float32
        assert 0 < np.abs(attention - close).max() < 0.15


def test_identity(checkpoint: Callable[[str], Path]) -> None:
    identity = Vit(Vit.Settings(checkpoint=str(checkpoint("vit")))).identity()
    assert identity.pop("checkpoint").startswith("sha256:")
    assert identity == {"dtype": "float32", "micro_batch": 8}
    with pytest.raises(ValueError, match="hub id without a revision"):
        Vit(Vit.Settings(checkpoint="google/vit-base-patch16-224")).load()


def test_what_cannot_be_read_is_said(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    mae = transformers.ViTMAEConfig(**SHAPE)
    with pytest.raises(ValueError, match="is of type 'vit_mae', not a plain vision transformer"):
        encoder(save(tmp_path / "mae", transformers.ViTMAEModel(mae)))
    loose = transformers.BitImageProcessor(size={"shortest_edge": SIDE}, do_center_crop=False)
    model = transformers.ViTModel.from_pretrained(checkpoint("vit"))
    with pytest.raises(ValueError, match="different numbers of patches: set a fixed size or a centre crop"):
        encoder(save(tmp_path / "loose", model, loose))
    state = {name: value for name, value in model.state_dict().items() if "layers.1." not in name}
    model.save_pretrained(tmp_path / "gap", state_dict=state)
    transformers.ViTImageProcessor().save_pretrained(tmp_path / "gap")
    with pytest.raises(ValueError, match=r"has no 'layers.1.* and lacks \d+ more weights of a ViTModel"):
        encoder(tmp_path / "gap")
