"""Settings that models with a checkpoint share; and language models of transformers, as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.adapters.checkpoints import identify
from models.adapters.settings import Settings


class Checkpoint(Settings):
    """``checkpoint``: a folder, or a hub id with its commit as ``revision``."""

    checkpoint: str
    revision: str | None = None

    def identity(self, *elsewhere: str) -> dict[str, Any]:
        """Checkpoint and settings, but for those that are ``elsewhere`` in the key or in no key.

        Raises as :func:`models.adapters.checkpoints.identify` does.
        """
        hidden = {"checkpoint", "revision", *elsewhere}
        return identify(self.checkpoint, self.revision) | self.model_dump(exclude=hidden)


class Pretrained(Checkpoint):
    """``dtype``: what is computed in.

    ``micro_batch``: items in a forward. On a CPU fewer are filled up by repeating the last, since kernels round
    otherwise for another batch shape. More are faster on a GPU, and cost memory, ``beams`` or ``candidates`` times
    over.
    """

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    micro_batch: int = Field(8, ge=1)


def read(settings: Pretrained, kind: str, model: str, processor: str, **options: Any) -> tuple[Any, Any]:
    """Read a checkpoint of type ``kind``: its model, on a GPU where there is one, and its processor or tokenizer.

    ``model`` and ``processor`` name classes of transformers; ``options`` go to the model's ``from_pretrained``. A hub
    id is downloaded unless cached. Of the checkpoint's own settings for generation, the token ids alone are kept: how
    words are chosen is what :class:`models.adapters.decoding.Decoding` says, alike for all models.

    Raises
    ------
    ValueError
        The checkpoint is of another architecture, or lacks weights (naming the first).
    """
    import torch
    import transformers

    identify(settings.checkpoint, settings.revision)
    transformers.utils.logging.disable_progress_bar()
    found = _architecture(settings.checkpoint, settings.revision)
    if found != kind:
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} is of type {found!r}, and {kind!r} is needed: take one that "
            f"transformers reads as {model}"
        )
    source = {"pretrained_model_name_or_path": settings.checkpoint, "revision": settings.revision}
    made, info = getattr(transformers, model).from_pretrained(
        **source, dtype=getattr(torch, settings.dtype), use_safetensors=True, output_loading_info=True, **options
    )
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} lacks {len(missing)} weights of a {model}, {missing[0]!r} first: take "
            "one that was saved whole"
        )
    prepared = getattr(transformers, processor).from_pretrained(**source)
    own, tokenizer = made.generation_config, getattr(prepared, "tokenizer", prepared)
    made.generation_config = transformers.GenerationConfig(
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=tokenizer.pad_token_id if own.pad_token_id is None else own.pad_token_id,
    )
    return made.eval().to("cuda" if torch.cuda.is_available() else "cpu"), prepared


def _architecture(checkpoint: str, revision: str | None) -> str | None:
    """The model type that a checkpoint's ``config.json`` names."""
    import transformers

    folder = Path(checkpoint).expanduser()
    if folder.exists() and not (folder / "config.json").is_file():
        return None
    config, _ = transformers.PreTrainedConfig.get_config_dict(checkpoint, revision=revision)
    return config.get("model_type")
