"""LPIPS (Zhang et al. 2018, arXiv 1801.03924) inside, outside and over the whole picture."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np

from models.adapters import batches, roles
from models.adapters.ahead import moved, on_device
from models.adapters.checkpoints import identify
from models.adapters.finite import finite
from models.measures import Metric, PictureMeasure
from models.measures.regions import check_pair, region_means
from models.media.images import to_float

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

TORCHVISION = {"alex": "alexnet-owt-7be5be79", "vgg": "vgg16-397923af", "squeeze": "squeezenet1_1-b8a52dc0"}
"""The ImageNet weights that torchvision serves for each trunk; a name ends in the start of its file's sha256."""

SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17}
"""The smallest side, in pixels, whose last feature map still has a pixel."""


class Lpips(PictureMeasure):
    """The lpips package's metric, version 0.1, with its calibrated linear heads and a trunk of our choice.

    ``whole`` is the package's scalar. ``region`` and ``outside`` average its spatial map, each layer's distances scaled
    up to the picture, over their pixels; scaling up moves mass a little, so they do not add up to ``whole`` exactly.
    The heads were calibrated for ImageNet trunks: with another trunk the number is a perceptual distance of the same
    form, comparable only with itself, and is to be reported under the checkpoint's name.
    """

    VERSION: ClassVar[int] = 1
    PREPARES: ClassVar[bool] = True
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "lpips",
            "LPIPS",
            111,
            "pictures",
            "perceptual distance of deep features (Zhang et al. 2018)",
            higher_is_better=False,
            regional=True,
            checkpoint=True,
        ),
    )

    class Settings(roles.Settings):
        """``weights``: "torchvision" for its ImageNet weights (a download unless cached), or a file of a trunk's
        torchvision state dict (``.safetensors``, ``.pth``; with or without the ``features.`` prefix and the classifier,
        any float dtype), or a folder that holds one such file."""

        net: Literal["alex", "vgg", "squeeze"] = "squeeze"
        weights: str = "torchvision"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Trunk and weights; raises as :func:`models.adapters.checkpoints.identify` does."""
        if self.settings.weights == "torchvision":
            return {"net": self.settings.net, "checkpoint": f"torchvision/{TORCHVISION[self.settings.net]}"}
        return {"net": self.settings.net} | identify(self.settings.weights)

    def load(self) -> None:
        """Build the package's network and put the trunk's weights in it.

        Raises
        ------
        FileNotFoundError
            The weights are not there.
        ValueError
            The file is not a state dict of this trunk.
        """
        import lpips
        import torch

        ours = self.settings.weights != "torchvision"
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", UserWarning)  # torchvision renamed the argument that lpips passes
            self._network = lpips.LPIPS(net=self.settings.net, version="0.1", pnet_rand=ours, verbose=False)
        if ours:
            _load_trunk(self._network.net, _weights_file(self.settings.weights), self.settings.net)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # On CPU a batch is hardly faster (squeeze, 64 pixels, one thread: 1.3 times at 8, less what filling up costs).
        self._micro_batch = 1 if self.device == "cpu" else 16
        self._network.eval().requires_grad_(False).to(self.device)

    def measure(
        self, originals: Sequence[np.ndarray], results: Sequence[np.ndarray], masks: Sequence[np.ndarray]
    ) -> list[dict[str, dict[str, float | None]]]:
        """``{"lpips": {region: value}}`` of each pair; sizes may differ between pairs.

        On a CPU, where a pair's value does not depend on its neighbours, pictures go through the trunk one at a time:
        a convolution over a batch rounds otherwise. On a GPU pictures of one size share a forward. An original that
        occurs k times goes through once.

        Raises
        ------
        ValueError
            About the first pair that cannot be compared, or is too small for the trunk.
        """
        by_size: dict[tuple[int, ...], dict[bytes, list[int]]] = {}
        for index, (original, result, mask) in enumerate(zip(originals, results, masks, strict=True)):
            check_pair(original, result, mask)
            height, width, _ = original.shape
            if min(height, width) < (side := SMALLEST[self.settings.net]):
                raise ValueError(
                    f"a picture of {width} × {height} pixels is too small for LPIPS with the {self.settings.net} "
                    f"trunk: each side needs at least {side}"
                )
            by_size.setdefault(original.shape, {}).setdefault(original.tobytes(), []).append(index)
        spread: dict[int, tuple[np.ndarray, float]] = {}
        for distinct in by_size.values():
            for some in self._batches(list(distinct.values())):
                firsts = self._as_batch([originals[indices[0]] for indices in some])
                pairs = [(row, index) for row, indices in enumerate(some) for index in indices]
                parts = [(part, self._as_batch([results[index] for _, index in part])) for part in self._batches(pairs)]
                spread |= on_device(partial(self._compared, firsts, parts))
        values = []
        for index, mask in enumerate(masks):
            spatial, whole = spread[index]
            finite(np.append(spatial, whole), "the distance by LPIPS")
            values.append({"lpips": region_means(spatial, mask) | {"whole": whole}})
        return values

    def _batches(self, items: list[T]) -> Iterator[list[T]]:
        for start in range(0, len(items), self._micro_batch):
            yield items[start : start + self._micro_batch]

    def _filled(self, some: list[T]) -> list[T]:
        return some if batches.shares(self.device) else some + some[-1:] * (self._micro_batch - len(some))

    def _as_batch(self, pictures: list[np.ndarray]) -> Tensor:
        import torch

        return torch.from_numpy(to_float(self._filled(pictures)))

    def _compared(
        self, firsts: Tensor, parts: Sequence[tuple[list[tuple[int, int]], Tensor]]
    ) -> dict[int, tuple[np.ndarray, float]]:
        """The map (H, W) and its mean, by index, of pairs (row of ``firsts``, index) with a batch of the others."""
        references = self._features(firsts)
        found = []
        for pairs, others in parts:
            rows = self._filled([row for row, _ in pairs])
            pair = [layer[rows] for layer in references], self._features(others)
            found.append(self._distances(*pair, size=others.shape[2:]))
        return {  # nothing waits for a forward before all are asked for
            index: (one, float(mean))
            for (pairs, _), (maps, means) in zip(parts, found, strict=True)
            for (_, index), one, mean in zip(pairs, maps.cpu().numpy(), means.tolist(), strict=False)
        }

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps (N, C, h, w), of unit norm over channels; at most a micro-batch of pictures of one size."""
        import lpips
        import torch

        images = moved(pictures, torch.device(self.device)) * 2 - 1
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return [lpips.normalize_tensor(layer) for layer in self._network.net(self._network.scaling_layer(images))]

    def _distances(self, references: list[Tensor], features: list[Tensor], size: torch.Size) -> tuple[Tensor, Tensor]:
        """The distances (N, H, W) of pairs, spread over pictures of this size, and their means (N,)."""
        import lpips
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            layers = [
                head((one - other) ** 2)
                for head, one, other in zip(self._network.lins, references, features, strict=True)
            ]
            whole = sum(lpips.spatial_average(layer) for layer in layers)
            return sum(lpips.upsample(layer, size) for layer in layers)[:, 0], whole.flatten()


def _weights_file(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_dir():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".pth", ".pt"))
    if len(files) != 1:
        raise ValueError(
            f"'{path}' holds {len(files)} weight files ({', '.join(file.name for file in files) or 'none'}): "
            "name the file itself"
        )
    return files[0]


def _load_trunk(trunk: Any, file: Path, net: str) -> None:
    """Fill the package's slices (``slice3.6.weight``) from torchvision's names (``features.6.weight``)."""
    import torch

    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
    state = {name.removeprefix("features."): tensor for name, tensor in state.items()}
    wanted = {name.split(".", 1)[1]: parameter for name, parameter in trunk.state_dict().items()}
    for name, parameter in wanted.items():
        if name not in state:
            near = difflib.get_close_matches(name, state, n=1)
            raise ValueError(
                f"'{file}' is not a state dict of torchvision's {TORCHVISION[net].split('-')[0]}: it has no "
                f"'features.{name}'" + (f" (nearest: {near[0]!r})" if near else "")
            )
        if state[name].shape != parameter.shape:
            raise ValueError(
                f"'{file}' is not a state dict of torchvision's {TORCHVISION[net].split('-')[0]}: 'features.{name}' is "
                f"{tuple(state[name].shape)}, expected {tuple(parameter.shape)}"
            )
        parameter.copy_(state[name])
