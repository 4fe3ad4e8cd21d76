"""The trunk here has random weights: agreement with the lpips package and the laws do not need trained ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models import vgg

from models.measures.pictures.perceptual import SMALLEST, TORCHVISION, Lpips

SIZE = 24


@pytest.fixture(scope="module")
def trunk() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.squeezenet1_1(weights=None).eval()


@pytest.fixture(scope="module")
def weights(trunk: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("squeezenet") / "model.safetensors"
    save_file(dict(trunk.features.state_dict()), path)
    return path


@pytest.fixture(scope="module")
def measure(weights: Path) -> Lpips:
    measure = Lpips(Lpips.Settings(net="squeeze", weights=str(weights)))
    measure.load()
    return measure


def package(trunk: torch.nn.Module, net: str = "squeeze", **options: bool) -> lpips.LPIPS:
    """The package's own network, its slices filled with the modules of torchvision's trunk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False, **options)
    for piece in network.net.children():
        for name, _ in list(piece.named_children()):
            setattr(piece, name, trunk.features[int(name)])
    return network


def pictures(count: int, noise: float = 60.0, size: int = SIZE) -> tuple[list[np.ndarray], ...]:
    random = np.random.default_rng(0)
    originals = list(random.integers(0, 256, (count, size, size, 3)).astype(np.uint8))
    results = [np.clip(one + random.normal(0, noise, one.shape), 0, 255).astype(np.uint8) for one in originals]
    masks = [random.random((size, size)) < 0.3 for _ in originals]
    return originals, results, masks


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture / 127.5 - 1).permute(2, 0, 1)[None].float()


def test_agrees_with_the_package(trunk: torch.nn.Module, measure: Lpips) -> None:
    originals, results, masks = pictures(4)
    scalar, spatial = package(trunk), package(trunk, spatial=True)
    for value, original, result, mask in zip(
        measure.measure(originals, results, masks), originals, results, masks, strict=True
    ):
        with torch.no_grad():
            whole = scalar(tensor(original), tensor(result)).item()
            full = spatial(tensor(original), tensor(result))[0, 0].numpy()
        assert whole > 1e-4, "the random trunk tells these pictures apart"
        assert value["lpips"]["whole"] == pytest.approx(whole, abs=1e-6)
        assert value["lpips"]["region"] == pytest.approx(full[mask].mean(), abs=1e-6)
        assert value["lpips"]["outside"] == pytest.approx(full[~mask].mean(), abs=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_other_trunks_agree_with_the_package(net: str, tmp_path: Path) -> None:
    """From a file of torchvision's names, as its checkpoints have them (VGG's classifier would be half a gigabyte)."""
    layers = {
        "alex": lambda: torchvision.models.alexnet(weights=None).features,
        "vgg": lambda: vgg.make_layers(vgg.cfgs["D"]),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = torch.nn.Module()
        trunk.features = layers[net]().eval()
    save_file(trunk.state_dict() | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "model.safetensors")
    measure, witness = Lpips(Lpips.Settings(net=net, weights=str(tmp_path))), package(trunk, net, spatial=True)
    measure.load()
    originals, results, masks = pictures(2, size=40)
    values = measure.measure(originals, results, masks)
    for value, original, result, mask in zip(values, originals, results, masks, strict=True):
        with torch.no_grad():
            full = witness(tensor(original), tensor(result))[0, 0].numpy()
            witness.spatial = False
            whole = witness(tensor(original), tensor(result)).item()
            witness.spatial = True
        assert whole > 1e-4
        assert value["lpips"]["whole"] == pytest.approx(whole, abs=1e-6)
        assert value["lpips"]["region"] == pytest.approx(full[mask].mean(), abs=1e-6)
        assert value["lpips"]["outside"] == pytest.approx(full[~mask].mean(), abs=1e-6)


def test_torchvision_weights_are_the_default(
    trunk: torch.nn.Module, measure: Lpips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision reads its cache where its file is there: a random trunk stands in for the published one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(trunk.state_dict(), tmp_path / "hub" / "checkpoints" / f"{TORCHVISION['squeeze']}.pth")
    default = Lpips(Lpips.Settings())
    default.load()
    assert default.measure(*pictures(2)) == measure.measure(*pictures(2))


def test_identity_and_symmetry(measure: Lpips) -> None:
    originals, results, masks = pictures(3)
    assert (
        measure.measure(originals, originals, masks)
        == [{"lpips": dict.fromkeys(("whole", "region", "outside"), 0)}] * 3
    )
    assert measure.measure(originals, results, masks) == measure.measure(results, originals, masks)


def test_more_noise_is_farther(measure: Lpips) -> None:
    distances = [
        np.mean([value["lpips"]["whole"] for value in measure.measure(*pictures(4, noise))])
        for noise in (2, 10, 50, 250)
    ]
    assert distances == sorted(distances)
    assert distances[0] < distances[-1]


def test_batches_of_one_and_sixteen_are_equal_bit_by_bit(measure: Lpips) -> None:
    batch = pictures(16)
    alone = [measure.measure([one], [other], [mask])[0] for one, other, mask in zip(*batch, strict=True)]
    assert measure.measure(*batch) == alone


@pytest.mark.parametrize("order", [1, -1])
def test_batches_of_a_gpu_change_rounding_only_and_never_by_neighbours(
    measure: Lpips, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sizes of pictures, originals that occur again, micro-batches that are not full."""
    mixed = [small + large for small, large in zip(pictures(7), pictures(3, size=31), strict=True)]
    mixed[0][4:6] = [mixed[0][0]] * 2
    alone = measure.measure(*mixed)
    monkeypatch.setattr(measure, "_micro_batch", 4)
    together = measure.measure(*(some[::order] for some in mixed))[::order]
    parts = [measure.measure([one], [other], [mask])[0] for one, other, mask in zip(*mixed, strict=True)]
    assert together == parts
    for value, expected in zip(together, alone, strict=True):
        assert value["lpips"] == pytest.approx(expected["lpips"], abs=1e-6)


def test_an_original_passes_the_trunk_once(measure: Lpips) -> None:
    originals, results, masks = pictures(5)
    calls: list[bool] = []
    hook = measure._network.net.register_forward_hook(lambda *_: calls.append(torch.backends.cudnn.enabled))
    shared = measure.measure([originals[0].copy() for _ in results], results, masks)
    hook.remove()
    assert calls == [True] * (1 + 5), "with cuDNN, where there is a GPU"
    assert shared[3] == measure.measure(originals[:1], results[3:4], masks[3:4])[0]


def test_empty_region_has_no_value(measure: Lpips) -> None:
    originals, results, masks = pictures(1)
    assert measure.measure(originals, results, [np.zeros_like(masks[0])])[0]["lpips"]["region"] is None


def test_too_small_a_picture_is_refused(measure: Lpips) -> None:
    with pytest.raises(ValueError, match="1 × 1 pixels is too small for LPIPS with the squeeze trunk: .* at least 17"):
        measure.measure(*pictures(1, size=1))


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_smallest_side_is_where_the_package_fails(net: str) -> None:
    """``vgg`` is left out for its half gigabyte of random weights; its 16 was found in the same way."""
    build = {"alex": torchvision.models.alexnet, "squeeze": torchvision.models.squeezenet1_1}[net]
    network = package(build(weights=None).eval(), net)
    fits, smaller = (torch.zeros(1, 3, side, side) for side in (SMALLEST[net], SMALLEST[net] - 1))
    assert network(fits, fits).item() == 0
    with pytest.raises(RuntimeError):
        network(smaller, smaller)


def test_names_of_torchvision_weights() -> None:
    models = torchvision.models
    published = {"alex": models.AlexNet_Weights, "vgg": models.VGG16_Weights, "squeeze": models.SqueezeNet1_1_Weights}
    assert {net: Path(each.IMAGENET1K_V1.url).stem for net, each in published.items()} == TORCHVISION


def test_every_way_to_store_a_trunk_is_read(trunk: torch.nn.Module, measure: Lpips, tmp_path: Path) -> None:
    """A whole torchvision model as .pth, and a folder with one file; half precision moves the value by its rounding."""
    torch.save(trunk.state_dict(), tmp_path / "squeezenet1_1.pth")
    (tmp_path / "half").mkdir()
    half = {name: value.half() for name, value in trunk.features.state_dict().items()}
    save_file(half, tmp_path / "half" / "model.safetensors")
    expected = measure.measure(*pictures(1))[0]["lpips"]
    for weights, tolerance in ((tmp_path / "squeezenet1_1.pth", 0), (tmp_path / "half", 1e-2)):
        other = Lpips(Lpips.Settings(weights=str(weights)))
        other.load()
        assert other.measure(*pictures(1))[0]["lpips"] == pytest.approx(expected, rel=tolerance, abs=0)


def test_loading_leaves_the_random_state_alone(weights: Path) -> None:
    before = torch.random.get_rng_state()
    Lpips(Lpips.Settings(weights=str(weights))).load()
    assert torch.equal(before, torch.random.get_rng_state())


def test_identity_names_the_weights(weights: Path, tmp_path: Path) -> None:
    ours = Lpips(Lpips.Settings(weights=str(weights))).identity()
    assert ours["net"] == "squeeze"
    assert ours["checkpoint"].startswith("sha256:")
    assert Lpips(Lpips.Settings(net="vgg")).identity() == {"net": "vgg", "checkpoint": "torchvision/vgg16-397923af"}
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Lpips(Lpips.Settings(weights=str(tmp_path / "none.pth"))).identity()


def test_wrong_weights_are_named(trunk: torch.nn.Module, tmp_path: Path) -> None:
    state = dict(trunk.features.state_dict())
    save_file({name: value for name, value in state.items() if name != "3.squeeze.bias"}, tmp_path / "a.safetensors")
    save_file(state | {"0.weight": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(
        ValueError, match="not a state dict of torchvision's squeezenet1_1: it has no 'features.3.squeeze"
    ):
        Lpips(Lpips.Settings(weights=str(tmp_path / "a.safetensors"))).load()
    with pytest.raises(ValueError, match=r"'features.0.weight' is \(1,\), expected \(64, 3, 3, 3\)"):
        Lpips(Lpips.Settings(weights=str(tmp_path / "b.safetensors"))).load()
    with pytest.raises(ValueError, match=r"holds 2 weight files \(a.safetensors, b.safetensors\): name the file"):
        Lpips(Lpips.Settings(weights=str(tmp_path))).load()
