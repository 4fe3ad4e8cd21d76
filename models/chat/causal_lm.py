"""Text-only language models, of any architecture of transformers' ``AutoModelForCausalLM``."""

from __future__ import annotations

from typing import Any, ClassVar

from models.adapters.checkpoints import identify
from models.adapters.pretrained import read
from models.adapters.roles import Conversation
from models.chat.in_process import ChatSettings, InProcess, Inputs, opened


class CausalLmSettings(ChatSettings):
    """``template``: variables of the chat template beside the turns, as in ``{enable_thinking: false}``."""

    template: dict[str, Any] = {}


class CausalLm(InProcess):
    """Any causal language model whose tokenizer has a chat template."""

    VERSION: ClassVar[int] = 1
    Settings: ClassVar = CausalLmSettings

    def _read(self) -> tuple[Any, Any]:
        import transformers

        checkpoint, revision = self.settings.checkpoint, self.settings.revision
        identify(checkpoint, revision)
        config = transformers.AutoConfig.from_pretrained(checkpoint, revision=revision)
        if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ValueError(
                f"checkpoint {checkpoint!r} is of type {config.model_type!r}, not a causal language model: take one "
                "that transformers reads as AutoModelForCausalLM"
            )
        model, tokenizer = read(
            self.settings, config.model_type, "AutoModelForCausalLM", "AutoTokenizer",
            attn_implementation=self.settings.attention,
        )  # fmt: skip
        own = model.generation_config
        if own.pad_token_id is None:  # any will do, as nothing behind an end is read
            own.pad_token_id = own.eos_token_id[0] if isinstance(own.eos_token_id, list) else own.eos_token_id
        return model, tokenizer

    def _inputs(self, conversation: Conversation) -> Inputs:
        if any(turn.pictures for turn in conversation):
            raise ValueError(
                f"causal-lm takes no pictures, and was asked about one: let a model answer that sees, such as "
                f"qwen2.5-vl, instead of {self.settings.checkpoint!r}"
            )
        messages = [{"role": turn.role, "content": turn.text} for turn in conversation]
        return dict(
            self._tokenizer.apply_chat_template(
                messages, tokenize=True, return_dict=True, return_tensors="pt",
                **opened(conversation), **self.settings.template,
            )
        )  # fmt: skip
