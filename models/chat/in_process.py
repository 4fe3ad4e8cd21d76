"""Chat models that transformers runs in this process: generation, log-probabilities and choices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from models.adapters.checkpoints import identify
from models.adapters.decoding import Decoding, generation
from models.adapters.pretrained import Pretrained, read
from models.adapters.roles import Conversation, Reply, Scores, Turn
from models.adapters.thinking import OPEN, answered
from models.chat import lora
from models.chat.choices import apart, normalised

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

Inputs = dict[str, "Tensor"]
"""What a model is given, one row of each."""


class ChatSettings(Pretrained):
    """``attention``: the implementation that transformers uses; another one rounds otherwise and is another item.
    ``lora``: the folder of an adapter that PEFT or a training wrote, laid over the checkpoint."""

    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    lora: str | None = None

    def identity(self, *elsewhere: str) -> dict[str, Any]:
        """As that of :class:`~models.adapters.pretrained.Pretrained`, and the adapter's digest where there is one."""
        laid = {"lora": lora.identify(self.lora)} if self.lora else {}
        return super().identity("lora", *elsewhere) | laid


class Prompt(NamedTuple):
    """A conversation as the model gets it. ``shapes``: those of its pictures."""

    inputs: Inputs
    shapes: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens, those of pictures included."""
        return self.inputs["input_ids"].shape[1]

    def content(self) -> Hashable:
        """Bytes of the inputs, equal for equal prompts."""
        return tuple(tensor.numpy().tobytes() for tensor in self.inputs.values())


class InProcess(ABC):
    """Base of transformers' chat models.

    An item does not depend on its batch. Its pictures and text are prepared alone. Pictures of other sizes, and texts
    of other lengths, give other numbers of tokens, and padding them to one length would change how kernels round; so
    only items of the same sizes and one length share a forward, and that always has ``micro_batch`` rows, the last
    repeated where there are fewer. For a corpus of many sizes, set ``micro_batch`` to 1.
    """

    VERSION: ClassVar[int]
    Settings: ClassVar[type[ChatSettings]] = ChatSettings

    device: str
    positions: float
    """Tokens that the model can hold; there after ``load()``."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Checkpoint and settings; raises as :func:`models.adapters.checkpoints.identify` does."""
        return self.settings.identity()

    def load(self) -> None:
        """Read the model, on a GPU where there is one; a hub id is downloaded unless cached.

        Raises
        ------
        ValueError
            The checkpoint is of another architecture, lacks weights, or has no chat template; or an adapter is for
            another one.
        """
        self._model, self._processor = self._read()
        if self.settings.lora:
            self._model = lora.laid(self._model, self.settings.lora, self.base())
        self._tokenizer = getattr(self._processor, "tokenizer", self._processor)
        self.device = self._model.device.type
        self.positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", np.inf)
        if self._processor.chat_template is None:
            raise ValueError(
                f"checkpoint {self.settings.checkpoint!r} has no chat template: add its chat_template.jinja"
            )

    def base(self) -> dict[str, str]:
        """The checkpoint that an adapter is laid over, as :func:`models.adapters.checkpoints.identify` names it."""
        return identify(self.settings.checkpoint, self.settings.revision)

    @abstractmethod
    def _read(self) -> tuple[Any, Any]:
        """Read the model, and its processor or tokenizer."""

    @abstractmethod
    def _inputs(self, conversation: Conversation) -> Inputs:
        """The model's inputs for one conversation."""

    def answer(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int]
    ) -> list[list[Reply]]:
        """``decoding.candidates`` replies to each conversation.

        Raises
        ------
        ValueError
            A conversation leaves no room for ``max_tokens``.
        """
        prompts = [self._prompt(conversation, decoding.max_tokens) for conversation in conversations]

        def reply(rows: list[int]) -> list[list[Reply]]:
            batch = self._batch([prompts[i].inputs for i in rows])
            ids = self._model.generate(**batch, **generation(decoding, [seeds[i] for i in rows]))
            replies = self._replies(ids[:, prompts[rows[0]].length :], [prompts[row] for row in rows])
            count = decoding.candidates
            return [replies[i : i + count] for i in range(0, len(replies), count)]

        return self._in_batches([(prompt.shapes, prompt.length) for prompt in prompts], reply)

    def log_probabilities(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Scores]:
        """How probable each continuation is, token by token.

        Raises
        ------
        ValueError
            A continuation has no token, or the conversation leaves no room for it.
        """
        tokens = [self._tokens(text) for text in continuations]
        prompts = [self._prompt(one, len(ids)) for one, ids in zip(conversations, tokens, strict=True)]
        scored = self._scored(prompts, [(i, ids[:-1]) for i, ids in enumerate(tokens)])
        spelt = [tuple(self._tokenizer(t, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"])
                 for t in continuations]  # fmt: skip
        known = [np.append(path, last[ids[-1]]) for (path, last), ids in zip(scored, tokens, strict=True)]
        return [Scores(*one) for one in zip(known, spelt, strict=True)]

    def choose(self, conversations: Sequence[Conversation], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Probability of each choice among them, (choices,) float64; what differs in the last token only, or in the
        conversation not at all, shares a forward.

        Raises
        ------
        ValueError
            There is no choice, one has no token or is the beginning of another one, or the conversation leaves no room
            for it.
        """
        tokens = [[self._tokens(text) for text in some] for some in choices]
        for texts, some in zip(choices, tokens, strict=True):
            apart(texts, some)
        prompts = [self._prompt(one, max(map(len, some))) for one, some in zip(conversations, tokens, strict=True)]
        first: dict[Hashable, int] = {}
        same = [first.setdefault(prompt.content(), i) for i, prompt in enumerate(prompts)]
        asked = list(dict.fromkeys((i, ids[:-1]) for i, some in zip(same, tokens, strict=True) for ids in some))
        scored = dict(zip(asked, self._scored(prompts, asked), strict=True))

        def total(i: int, ids: tuple[int, ...]) -> float:
            path, last = scored[i, ids[:-1]]
            return float(path.sum() + last[ids[-1]])

        return [normalised([total(i, ids) for ids in some]) for i, some in zip(same, tokens, strict=True)]

    def _prompt(self, conversation: Conversation, room: int) -> Prompt:
        """A conversation as the model gets it, with ``room`` for as many tokens more."""
        shapes = tuple(picture.shape for turn in conversation for picture in turn.pictures)
        prompt = Prompt(self._inputs(conversation), shapes)
        if prompt.length + room > self.positions:
            whole, advice = f"A conversation with {len(shapes)} pictures is", "a shorter one"
            if len(shapes) == 1 and len(conversation) == 1:
                whole = f"A picture of {shapes[0][1]} x {shapes[0][0]} pixels and its prompt are"
                advice = "smaller pictures, a shorter prompt"
            raise ValueError(
                f"{whole} {prompt.length} tokens; with {room} more that is over the {self.positions} positions of "
                f"{self.settings.checkpoint!r}: take {advice}, or less max_tokens"
            )
        return prompt

    def _tokens(self, text: str) -> tuple[int, ...]:
        if ids := self._tokenizer(text, add_special_tokens=False)["input_ids"]:
            return tuple(ids)
        raise ValueError(f"{text!r} has no token to give a probability to: say what the reply should be")

    def _in_batches(self, alike: Sequence[Hashable], compute: Callable[[list[int]], Sequence[T]]) -> list[T]:
        """Results of ``compute`` for each index, called with ``micro_batch`` indices of items that are alike."""
        groups: dict[Hashable, list[int]] = {}
        for index, key in enumerate(alike):
            groups.setdefault(key, []).append(index)
        size = self.settings.micro_batch
        results: dict[int, T] = {}
        for indices in groups.values():
            for start in range(0, len(indices), size):
                some = indices[start : start + size]
                results.update(zip(some, compute(some + some[-1:] * (size - len(some))), strict=False))
        return [results[index] for index in range(len(alike))]

    def _batch(self, rows: Sequence[Inputs]) -> Inputs:
        """Rows of equal shapes as one batch on the model's device."""
        import torch

        batch = {name: torch.cat([row[name] for row in rows]).to(self.device) for name in rows[0]}
        if "pixel_values" in batch:
            batch["pixel_values"] = batch["pixel_values"].to(self._model.dtype)
        return batch

    def _replies(self, ids: Tensor, prompts: Sequence[Prompt]) -> list[Reply]:
        """Replies out of generated tokens, filled up behind their end; as many of each prompt, one after the other."""
        import torch

        end = self._model.generation_config.eos_token_id
        ended = torch.isin(ids, torch.tensor([] if end is None else end, device=ids.device)).any(1).tolist()
        texts = self._processor.batch_decode(ids, skip_special_tokens=True)
        ends = [self._tokenizer.decode(prompt.inputs["input_ids"][0, -8:]).rstrip() for prompt in prompts]
        thinking = [end.endswith(OPEN) for end in ends for _ in range(len(texts) // len(ends))]
        return [
            Reply(answered(text, begun), "stop" if done else "length")
            for text, begun, done in zip(texts, thinking, ended, strict=True)
        ]

    def _scored(
        self, prompts: Sequence[Prompt], asked: Sequence[tuple[int, tuple[int, ...]]]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """ln P of the tokens of each path behind a prompt, and of all tokens behind that, (vocabulary,)."""
        import torch

        def score(rows: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
            paths = torch.tensor([asked[row][1] for row in rows], dtype=torch.long)
            batch = self._batch([behind(prompts[asked[row][0]].inputs, asked[row][1]) for row in rows])
            with torch.inference_mode():
                logits = self._model(**batch, use_cache=False, logits_to_keep=paths.shape[1] + 1).logits
            known = logits.float().log_softmax(-1).cpu()
            steps = known[:, :-1].gather(-1, paths[..., None])[..., 0]
            return list(zip(steps.double().numpy(), known[:, -1].numpy(), strict=True))

        return self._in_batches([(prompts[i].shapes, prompts[i].length, len(path)) for i, path in asked], score)


class Seeing(InProcess):
    """Base of transformers' vision-language models; a subclass names its classes."""

    TYPE: ClassVar[str]
    """The model type in the checkpoint's ``config.json``."""
    MODEL: ClassVar[str]
    PROCESSOR: ClassVar[str]

    def _read(self) -> tuple[Any, Any]:
        return read(self.settings, self.TYPE, self.MODEL, self.PROCESSOR, attn_implementation=self.settings.attention)

    def ended(self, conversation: Conversation, reply: str) -> str:
        """A whole reply, with what the chat template writes behind it.

        Some templates, such as LLaVA-OneVision's, begin a turn otherwise once it is answered; a reply begins where it
        is generated. Raises ``ValueError`` where the template changes the reply itself.
        """
        written = self._text([*conversation, Turn("assistant", reply)], whole=True)
        _, found, end = written.rpartition(reply)
        if not found:
            raise ValueError(f"the chat template of {self.settings.checkpoint!r} changes the reply {reply!r:.60}")
        return reply + end

    def _text(self, conversation: Conversation, whole: bool = False) -> str:
        """A conversation as the chat template writes it: open for a reply, unless it is ``whole``."""
        image = {"type": "image"}
        messages = [
            {"role": turn.role, "content": [image] * len(turn.pictures) + [{"type": "text", "text": turn.text}]}
            for turn in conversation
        ]
        return self._processor.apply_chat_template(messages, **({} if whole else opened(conversation)))

    def _inputs(self, conversation: Conversation) -> Inputs:
        text = self._text(conversation)
        images = [Image.fromarray(picture) for turn in conversation for picture in turn.pictures]
        return dict(self._processor(images=[images] if images else None, text=[text], return_tensors="pt"))


def opened(conversation: Conversation) -> dict[str, bool]:
    """Options of a chat template that open a new turn of the assistant, or continue its last one."""
    begun = conversation[-1].role == "assistant"
    return {"add_generation_prompt": not begun, "continue_final_message": begun}


def behind(inputs: Inputs, path: Sequence[int]) -> Inputs:
    """Inputs whose text goes on with the tokens of a path."""
    import torch

    more = {"input_ids": torch.tensor([list(path)], dtype=torch.long)}
    more["attention_mask"] = torch.ones_like(more["input_ids"])
    more["mm_token_type_ids"] = torch.zeros_like(more["input_ids"])  # 0 is text
    return inputs | {name: torch.cat([inputs[name], value], 1) for name, value in more.items() if name in inputs}
