"""A transformers model out of a checkpoint that may have been saved with a head which the model has not."""

from __future__ import annotations

from typing import Any

from models.adapters.checkpoints import identify


def read_backbone(
    checkpoint: str,
    revision: str | None,
    kinds: tuple[str, ...],
    wanted: str,
    unused: tuple[str, ...],
    model: str = "AutoModel",
    **options: Any,
) -> Any:
    """Read ``model``, a class of transformers, in evaluation mode, on a GPU where there is one; a head that it has not
    is left behind.

    transformers fills weights that a checkpoint lacks with random numbers and a warning. Here that is an error, but for
    those whose name starts with one of ``unused``: they do not matter to the caller. A hub id is downloaded unless
    cached; ``kinds`` are the model types of transformers that will do, ``wanted`` says them in words, and ``options``
    go to ``from_pretrained``.

    Raises
    ------
    ValueError
        The checkpoint is of another kind, of none that transformers knows, or lacks weights that matter (naming the
        first).
    """
    import torch
    import transformers

    identify(checkpoint, revision)
    kind = transformers.AutoConfig.from_pretrained(checkpoint, revision=revision).model_type
    if kind not in kinds:
        raise ValueError(f"checkpoint {checkpoint!r} is of type {kind!r}, not {wanted}")
    transformers.utils.logging.disable_progress_bar()
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # what is missing is said below
    try:
        with torch.random.fork_rng(devices=[]):
            made, info = getattr(transformers, model).from_pretrained(
                checkpoint, revision=revision, use_safetensors=True, output_loading_info=True, **options
            )
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    if missing := sorted(name for name in info["missing_keys"] if not name.startswith(unused)):
        raise ValueError(
            f"checkpoint {checkpoint!r} has no {missing[0]!r}"
            + (f" and lacks {len(missing) - 1} more weights" if len(missing) > 1 else "")
            + f" of a {type(made).__name__}: take a checkpoint that was saved whole"
        )
    return made.eval().to("cuda" if torch.cuda.is_available() else "cpu")
