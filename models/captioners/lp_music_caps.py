"""LP-MusicCaps (Doh et al. 2023, arXiv 2307.16372): the captioner of music in the inpainting paper (appendix F)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from models.adapters.checkpoints import identify
from models.adapters.decoding import generated
from models.captioners.audio import Listener

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 10
"""Length of the model's input; shorter sound is followed by silence, as its authors do it."""

HOP, TRANSFORM = 160, 1024
FAINTEST = 1e-10

MELS = "audio_encoder.mel_encoder.mel_scale.fb"
WINDOW = "audio_encoder.mel_encoder.spec_fn.window"
CONV = "audio_encoder.conv"


class LpMusicCaps(Listener):
    """The authors' own files: convolutions in Whisper's manner over a mel-spectrogram, then BART.

    transformers has no such class, so the file is read here: ``transfer.pth`` and its siblings of
    https://huggingface.co/seungheondoh/lp-music-caps, whose ``state_dict`` holds ``audio_encoder.*`` and ``bart.*``.
    """

    VERSION: ClassVar[int] = 1
    rate = 16_000

    class Settings(Listener.Settings):
        """``checkpoint``: the ``.pth`` file. ``bart``: a folder with the configuration and the tokenizer of
        facebook/bart-base, or its hub id with its commit as ``bart_revision``; its weights are not used.
        """

        bart: str
        bart_revision: str | None = None

    settings: Settings

    def identity(self) -> dict[str, Any]:
        """Both checkpoints and the settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        bart = identify(self.settings.bart, self.settings.bart_revision)
        return self.settings.identity("bart", "bart_revision", *self.settings.unused) | {"bart": bart}

    def load(self) -> None:
        """Read the file into BART and the layers before it, on a GPU where there is one.

        Raises
        ------
        ValueError
            The file is not one of LP-MusicCaps, or not of this BART; or ``max_tokens`` are more than it has positions.
        """
        import torch
        import transformers

        self.identity()
        settings = self.settings
        where: dict[str, Any] = {"pretrained_model_name_or_path": settings.bart, "revision": settings.bart_revision}
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._dtype = getattr(torch, self.settings.dtype)
        config = transformers.AutoConfig.from_pretrained(**where)
        if config.model_type != "bart":
            raise ValueError(f"{self.settings.bart!r} is of type {config.model_type!r}: LP-MusicCaps needs its BART")
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        if self.settings.max_tokens >= config.max_position_embeddings:
            raise ValueError(
                f"max_tokens is {self.settings.max_tokens}, but BART has only {config.max_position_embeddings} "
                "positions, one of them for the start: set fewer"
            )
        state = _state(Path(self.settings.checkpoint).expanduser())
        with torch.device("meta"):
            bart = transformers.BartForConditionalGeneration(config)
        try:
            bart.load_state_dict({n[5:]: t for n, t in state.items() if n.startswith("bart.")}, assign=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise ValueError(
                f"{self.settings.checkpoint!r} is not of the BART {self.settings.bart!r}: {reason}"
            ) from None
        bart.tie_weights()
        # As of every captioner, the token ids alone are kept of the checkpoint's settings for choosing words.
        names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
        bart.generation_config = transformers.GenerationConfig(**{name: getattr(config, name) for name in names})
        self._bart = bart.eval().to(self.device, self._dtype)
        self._front = {
            name: tensor.to(self.device, torch.float32 if name in (MELS, WINDOW) else self._dtype)
            for name, tensor in state.items()
            if name.startswith("audio_encoder.")
        }

    def _say(self, sounds: list[np.ndarray], seeds: list[int]) -> list[str]:
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        filled = np.zeros((len(sounds), SECONDS * self.rate), np.float32)
        for row, sound in zip(filled, sounds, strict=True):
            row[: len(sound)] = sound[: len(row)]
        with torch.inference_mode():
            embedded = self._embedded(torch.from_numpy(filled).to(self.device))
            encoded = BaseModelOutput(self._bart.model.encoder(inputs_embeds=embedded).last_hidden_state)
            ids = generated(self._bart.generate, self.settings, seeds, encoder_outputs=encoded)
        return self._tokenizer.batch_decode(ids, skip_special_tokens=True)

    def _embedded(self, sound: Tensor) -> Tensor:
        """Inputs of BART's encoder for sound (N, samples): (N, 32, width) for ten seconds."""
        import torch
        from torch.nn.functional import conv1d, gelu

        front = self._front
        spectrum = torch.stft(sound, TRANSFORM, HOP, window=front[WINDOW], return_complex=True)
        # The authors leave the imaginary part out, and trained their weights so.
        mels = (spectrum.real.square().transpose(1, 2) @ front[MELS]).transpose(1, 2)
        states = 10 * torch.log10(mels.clamp(min=FAINTEST)).to(self._dtype)
        states = gelu(conv1d(states, front[f"{CONV}1.weight"], front[f"{CONV}1.bias"], padding=1))
        for number in range(sum(name.startswith(f"{CONV}_stack.") for name in front) // 2):
            weight, bias = (front[f"{CONV}_stack.{number}.{part}"] for part in ("weight", "bias"))
            states = gelu(conv1d(states, weight, bias, stride=2, padding=1))
        return states.transpose(1, 2) + front["audio_encoder.positional_embedding"]


def _state(path: Path) -> dict[str, Tensor]:
    """The tensors of an LP-MusicCaps file, by the names that its authors' model gives them."""
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"'{path}' is not a file of PyTorch tensors: {str(error).splitlines()[0]}") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    for name in (MELS, WINDOW, f"{CONV}1.weight", "audio_encoder.positional_embedding", "bart.model.shared.weight"):
        if name not in state:
            raise ValueError(f"'{path}' is not a file of LP-MusicCaps: it has no {name!r}; take its transfer.pth")
    return state
