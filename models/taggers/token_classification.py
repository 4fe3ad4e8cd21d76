"""Parts of speech by any token classifier of transformers whose labels are those of Universal Dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from models.adapters.backbones import read_backbone
from models.adapters.finite import finite
from models.adapters.pretrained import Checkpoint
from models.adapters.roles import Tagged

WINDOW = 256
"""Tokens that are looked at together; a longer text is cut into as many."""

NEEDED = frozenset({"ADJ", "ADV", "NOUN", "NUM", "PROPN", "VERB"})
"""Labels without which a checkpoint tells no universal parts of speech."""


class TokenClassification:
    """Any checkpoint of ``AutoModelForTokenClassification`` with universal parts of speech as labels, such as
    vblagoje/bert-english-uncased-finetuned-pos.

    Words are those of its tokenizer; each has the label of its first token, as usual since BERT (Devlin et al. 2019,
    section 5.3). Texts go one by one, so that no result depends on what is asked beside it.
    """

    VERSION: ClassVar[int] = 1

    class Settings(Checkpoint):
        """``checkpoint``: a folder, or a hub id with its commit as ``revision``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """The checkpoint; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read the model in float32, on a GPU where there is one, with its tokenizer.

        Raises
        ------
        ValueError
            The checkpoint is no token classifier, lacks weights, or has other labels.
        """
        import torch
        import transformers
        from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES as KINDS

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        wanted = "a token classifier: take one such as vblagoje/bert-english-uncased-finetuned-pos"
        model = "AutoModelForTokenClassification"
        self._model = read_backbone(checkpoint, revision, tuple(KINDS), wanted, (), model=model, dtype=torch.float32)
        self._labels: dict[int, str] = self._model.config.id2label
        if missing := sorted(NEEDED - set(self._labels.values())):
            raise ValueError(
                f"checkpoint {checkpoint!r} has no label {missing[0]!r}, but {', '.join(self._labels.values()):.80}: "
                "take one with the universal parts of speech"
            )
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, revision=revision)
        self._window = min(WINDOW, self._tokenizer.model_max_length, self._model.config.max_position_embeddings)
        self.device = self._model.device.type

    def tag(self, texts: Sequence[str]) -> list[list[Tagged]]:
        """The words of each text with their parts of speech, in order."""
        return [self._tagged(text) for text in texts]

    def _tagged(self, text: str) -> list[Tagged]:
        import torch

        cut = self._tokenizer(
            text, truncation=True, max_length=self._window, return_overflowing_tokens=True, return_offsets_mapping=True
        )
        words: dict[int, Tagged] = {}
        for window, ids in enumerate(cut["input_ids"]):
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                logits = self._model(input_ids=torch.tensor([ids], device=self.device)).logits[0]
            found = finite(logits.cpu().numpy(), "the scores of labels").argmax(-1).tolist()
            spelt = cut["offset_mapping"][window]
            for word, label, (start, end) in zip(cut.word_ids(window), found, spelt, strict=True):
                if word is not None:
                    first = words.get(word, Tagged(start, end, self._labels[label]))
                    words[word] = first._replace(end=end)
        return list(words.values())
