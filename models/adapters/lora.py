"""Low-rank adapters of a network (Hu et al. 2021) by peft: put in, written and read as one safetensors file.

The file is laid out as diffusers writes it: weights under the name of the network within its pipeline, with rank, scale
and places as metadata, so that ``pipeline.load_lora_weights`` reads it where a family has that. Equal weights give
equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.adapters.checkpoints import identify

if TYPE_CHECKING:
    from torch import Tensor

FILE = "pytorch_lora_weights.safetensors"
"""The name under which diffusers looks for an adapter in a folder."""
METADATA = "lora_adapter_metadata"
AGAIN = "get the file again, whole"


def insert(network: Any, rank: int, scale: int, targets: Sequence[str]) -> list[str]:
    """Put adapters of ``rank``, times ``scale`` / ``rank``, beside the layers whose names end in one of ``targets``.

    All else is frozen; what is new is float32, drawn from torch's generator so that nothing changes at first. Returns
    the names of the layers, sorted.

    Raises ``ValueError`` where the network has no such layer.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    network.requires_grad_(False)
    try:
        inject_adapter_in_model(
            LoraConfig(r=rank, lora_alpha=scale, init_lora_weights="gaussian", target_modules=list(targets)), network
        )
    except ValueError as error:
        raise ValueError(f"a {type(network).__name__} has no layer called {', '.join(targets)}: {error}") from error
    for weight in network.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return sorted(name for name, layer in network.named_modules() if isinstance(layer, LoraLayer))


def weights(network: Any) -> dict[str, Tensor]:
    """The weights of a network's adapters by name, on the CPU."""
    from peft import get_peft_model_state_dict

    return {name: one.detach().cpu().contiguous() for name, one in get_peft_model_state_dict(network).items()}


def restore(network: Any, found: dict[str, Tensor]) -> None:
    """Give a network's adapters the weights that :func:`weights` gave."""
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(network, found)


def write(network: Any, file: Path, part: str, rank: int, scale: int, places: Sequence[str]) -> None:
    """Write the adapters of a network, which is the ``part`` of its pipeline."""
    from safetensors.torch import save

    said = {f"{part}.r": rank, f"{part}.lora_alpha": scale, f"{part}.target_modules": list(places)}
    held = {f"{part}.{name}": one for name, one in sorted(weights(network).items())}
    file.write_bytes(save(held, metadata={METADATA: json.dumps(said, sort_keys=True)}))


def read(network: Any, adapter: str, part: str) -> None:
    """Put the adapters of a file, or of a folder that holds one, into a network.

    Raises ``ValueError`` where they are another network's, or not all there.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from safetensors import safe_open
    from safetensors.torch import load_file

    file = file_of(adapter)
    with safe_open(file, "pt") as opened:
        said = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
    prefix = f"{part}."
    found = {name.removeprefix(prefix): one for name, one in load_file(file).items() if name.startswith(prefix)}
    own = {name.removeprefix(prefix): one for name, one in said.items() if name.startswith(prefix)}
    if not found or not own:
        raise ValueError(f"{file} holds no adapter of a {part}, or none with its rank: take one that was trained here")
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    for name, one in found.items():
        layer = shapes.get(f"{name.rpartition('.lora_')[0]}.weight")
        side = 1 if ".lora_A." in name else 0
        if layer is None or layer[side] != one.shape[side]:
            raise ValueError(
                f"adapter {adapter!r} is of another network: {name} does not fit a {type(network).__name__} of this "
                "checkpoint; take the checkpoint that it was trained on"
            )
        if one.shape[1 - side] != own["r"]:
            raise ValueError(f"{file} says that its rank is {own['r']}, and {name} has {one.shape[1 - side]}: {AGAIN}")
    for place in own["target_modules"]:
        if f"{place}.weight" in shapes and not {f"{place}.lora_{side}.weight" for side in "AB"} <= found.keys():
            raise ValueError(f"{file} lacks what it says that it holds of {place}: {AGAIN}")
    inject_adapter_in_model(LoraConfig(**own), network, state_dict=found)
    restore(network, found)


def file_of(adapter: str) -> Path:
    """The file of an adapter; raises ``FileNotFoundError`` where there is none."""
    path = Path(adapter).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"the adapter {adapter!r} is not there: name a file, or the folder that it is in")
    if not (path / FILE).is_file():
        raise FileNotFoundError(f"{adapter!r} holds no {FILE}: name a folder with a painter's adapter")
    return path / FILE


def digest(adapter: str) -> str:
    """What names an adapter in a key: its file's digest, or that of the folder; raises as :func:`file_of` does."""
    file_of(adapter)
    return identify(adapter)["checkpoint"]
