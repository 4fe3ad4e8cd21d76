"""Text-only language models, of any architecture of transformers' ``AutoModelForCausalLM``."""

from __future__ import annotations

from typing import Any, ClassVar

from models.adapters.checkpoints import identify
from models.adapters.pretrained import read
from models.adapters.roles import Conversation
from models.chat.in_process import ChatSettings, InProcess
from models.chat.prompts import Inputs, opened


class CausalLmSettings(ChatSettings):
    """``template``: variables of the chat template beside the turns, as in ``{enable_thinking: false}``."""

    template: dict[str, Any] = {}


class CausalLm(InProcess):
    """Any causal language model whose tokenizer has a chat template."""

    VERSION: ClassVar[int] = 1
    Settings: ClassVar = CausalLmSettings

    def _read(self) -> tuple[Any, Any]:
        model, tokenizer = read_speaking(
            self.settings, "MODEL_FOR_CAUSAL_LM_MAPPING", "AutoModelForCausalLM", "a causal language model"
        )
        own = model.generation_config
        if own.pad_token_id is None:  # any will do, as nothing behind an end is read
            own.pad_token_id = own.eos_token_id[0] if isinstance(own.eos_token_id, list) else own.eos_token_id
        return model, tokenizer

    def _inputs(self, conversation: Conversation) -> Inputs:
        without_pictures("causal-lm", conversation, self.settings.checkpoint)
        messages = [{"role": turn.role, "content": turn.text} for turn in conversation]
        return dict(
            self._tokenizer.apply_chat_template(
                messages, tokenize=True, return_dict=True, return_tensors="pt",
                **opened(conversation), **self.settings.template,
            )
        )  # fmt: skip


def read_speaking(settings: ChatSettings, mapping: str, model: str, wanted: str) -> tuple[Any, Any]:
    """Read a model without eyes, and its tokenizer; raises ValueError where it is not of transformers' ``mapping``."""
    import transformers

    identify(settings.checkpoint, settings.revision)
    config = transformers.AutoConfig.from_pretrained(settings.checkpoint, revision=settings.revision)
    if type(config) not in getattr(transformers, mapping):
        raise ValueError(
            f"checkpoint {settings.checkpoint!r} is of type {config.model_type!r}, not {wanted}: take one that "
            f"transformers reads as {model}"
        )
    return read(settings, config.model_type, model, "AutoTokenizer", attn_implementation=settings.attention)


def without_pictures(adapter: str, conversation: Conversation, checkpoint: str) -> None:
    """Raise ValueError where a conversation has pictures."""
    if any(turn.pictures for turn in conversation):
        raise ValueError(
            f"{adapter} takes no pictures, and was asked about one: let a model answer that sees, such as "
            f"qwen2.5-vl, instead of {checkpoint!r}"
        )
