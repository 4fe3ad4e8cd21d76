"""Models that read a text and write another, of any architecture of transformers' ``AutoModelForSeq2SeqLM``: T5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from models.adapters.checkpoints import identify
from models.adapters.pretrained import read
from models.adapters.roles import Conversation
from models.chat.causal_lm import without_pictures
from models.chat.in_process import InProcess, Inputs, Prompt

if TYPE_CHECKING:
    from torch import Tensor


class Seq2SeqLm(InProcess):
    """A model of one errand, such as parsing a sentence: what it is asked is read as it is, without a chat template."""

    VERSION: ClassVar[int] = 1
    TEMPLATED: ClassVar[bool] = False

    def _read(self) -> tuple[Any, Any]:
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        identify(checkpoint, revision)
        config = transformers.AutoConfig.from_pretrained(checkpoint, revision=revision)
        if type(config) not in transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            raise ValueError(
                f"checkpoint {checkpoint!r} is of type {config.model_type!r}, not a model from text to text: take one "
                "that transformers reads as AutoModelForSeq2SeqLM"
            )
        model, tokenizer = read(
            self.settings, config.model_type, "AutoModelForSeq2SeqLM", "AutoTokenizer",
            attn_implementation=self.settings.attention,
        )  # fmt: skip
        model.generation_config.decoder_start_token_id = config.decoder_start_token_id
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

    def _begins(self, prompt: Prompt) -> int:
        return 1  # behind the token that starts every reply

    def _logits(self, prompts: Sequence[Inputs], paths: Tensor) -> Tensor:
        import torch

        start = torch.full((len(paths), 1), self._model.config.decoder_start_token_id)
        begun = torch.cat([start, paths], 1).to(self.device)
        return self._model(**self._batch(prompts), decoder_input_ids=begun, use_cache=False).logits
