"""Models that read a text and write another, of any architecture of transformers' ``AutoModelForSeq2SeqLM``: T5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from models.adapters.roles import Conversation
from models.chat.causal_lm import read_speaking, without_pictures
from models.chat.in_process import InProcess
from models.chat.prompts import Inputs

if TYPE_CHECKING:
    from torch import Tensor


class Seq2SeqLm(InProcess):
    """A model of one errand, such as parsing a sentence: what it is asked is read as it is, without a chat template."""

    VERSION: ClassVar[int] = 1
    TEMPLATED: ClassVar[bool] = False

    def _read(self) -> tuple[Any, Any]:
        model, tokenizer = read_speaking(
            self.settings,
            "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
            "AutoModelForSeq2SeqLM",
            "a model from text to text",
        )
        model.generation_config.decoder_start_token_id = model.config.decoder_start_token_id
        return model, tokenizer

    def _inputs(self, conversation: Conversation) -> Inputs:
        without_pictures("seq2seq-lm", conversation, self.settings.checkpoint)
        if [turn.role for turn in conversation] != ["user"]:
            raise ValueError(
                f"seq2seq-lm is asked one thing at a time, and got {len(conversation)} turns: let a chat model answer "
                f"instead of {self.settings.checkpoint!r}"
            )
        encoded = self._tokenizer(conversation[0].text, return_tensors="pt")
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    def _begins(self, batch: Inputs) -> int:
        return 1  # behind the token that starts every reply

    def _logits(self, prompts: Sequence[Inputs], paths: Tensor) -> Tensor:
        import torch

        start = torch.full((len(paths), 1), self._model.config.decoder_start_token_id)
        begun = torch.cat([start, paths], 1).to(self.device)
        return self._model(**self._batch(prompts), decoder_input_ids=begun, use_cache=False).logits
