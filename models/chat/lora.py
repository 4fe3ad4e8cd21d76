"""Low-rank adapters of chat models (LoRA, Hu et al. 2021, arXiv 2106.09685), with PEFT.

An adapter stays beside the weights and is not merged into them: in bfloat16 most of what a short training changes would
be rounded away.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.adapters import checkpoints

if TYPE_CHECKING:
    from peft import PeftModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def identify(folder: str) -> dict[str, str]:
    """The digests of an adapter's two files; what else lies beside them does not count.

    Raises ``FileNotFoundError`` where there is no folder, ``ValueError`` where it holds no adapter.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"the adapter {folder!r} is not there: name the folder that a training wrote")
    if lacking := [name for name in (CONFIG, WEIGHTS) if not (path / name).is_file()]:
        raise ValueError(f"{folder!r} holds no {lacking[0]}: name a folder with an adapter as PEFT writes it")
    return {name: checkpoints.identify(str(path / name))["checkpoint"] for name in (CONFIG, WEIGHTS)}


def laid(model: Any, folder: str, base: Mapping[str, str]) -> Any:
    """The model with an adapter in it; ``base`` names the model's checkpoint.

    Raises ``ValueError`` where the adapter was trained over other weights or has no place in the model.
    """
    from peft import PeftConfig, PeftModel

    path = Path(folder).expanduser()
    config = PeftConfig.from_pretrained(str(path))
    if not config.peft_type:
        raise ValueError(f"{folder!r} has an {CONFIG} that is not PEFT's: get the adapter again")
    trained = config.base_model_name_or_path or ""
    if trained.startswith("sha256:") and base["checkpoint"].startswith("sha256:") and trained != base["checkpoint"]:
        raise ValueError(
            f"the adapter {folder!r} was trained over a checkpoint of digest {trained[7:19]}, and this is "
            f"{base['checkpoint'][7:19]}: name the checkpoint that it was trained over"
        )
    with quiet():
        warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
        try:
            return PeftModel.from_pretrained(model, str(path)).get_base_model()
        except (RuntimeError, ValueError, UserWarning) as error:
            said = str(error).splitlines()[0]
            raise ValueError(f"the adapter {folder!r} does not fit the checkpoint: {said:.200}") from error


def begun(model: Any, rank: int, seed: int, tower: bool = False) -> PeftModel:
    """The model with a new adapter over all linear layers of its decoder, which does nothing yet; all else is frozen.

    ``alpha`` is twice the rank and there is no dropout, as LLaMA-Factory has them, whose ``lora_target: all`` leaves
    out tower, projector and head of a vision-language model too. With ``tower`` the first two learn as well.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn

    head = model.get_output_embeddings()
    places = [
        name for name, one in model.named_modules()
        if isinstance(one, nn.Linear) and one is not head and (tower or ".language_model." in name)
    ]  # fmt: skip
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="|".join(map(re.escape, sorted(places))))
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of what PEFT 0.21 uses and transformers 5 is about to drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def save(model: PeftModel, base: Mapping[str, str], folder: Path) -> None:
    """Write an adapter as PEFT reads it, with the checkpoint that it is for and no path of this machine."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base["checkpoint"], base.get("revision")
    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    (folder / WEIGHTS).write_bytes(save({name: weight.contiguous() for name, weight in weights.items()}))
    config.inference_mode = True
    config.save_pretrained(str(folder))
    config.inference_mode = False
