"""Chat models that transformers runs in this process: generation, log-probabilities and choices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from models.adapters import batches
from models.adapters.ahead import moved, on_device, prepared
from models.adapters.checkpoints import identify
from models.adapters.decoding import Decoding, Kept, generated
from models.adapters.pretrained import Pretrained
from models.adapters.roles import Conversation, Logits, Reply, Scores
from models.adapters.thinking import OPEN, answered
from models.chat import lora
from models.chat.choices import apart, normalised
from models.chat.prompts import Inputs, Prompt, behind, padded, together

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class ChatSettings(Pretrained):
    """``attention``: the implementation that transformers uses; another one rounds otherwise and is another item.

    ``pad``: conversations are filled up on the left, with what is not attended to, to a multiple of so many tokens.
    Those of about one length then share a forward, which without it wants the same length; and each rounds otherwise.
    ``lora``: the folder of an adapter that PEFT or a training wrote, laid over the checkpoint.
    """

    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    pad: int = Field(1, ge=1)
    lora: str | None = None

    def identity(self, *elsewhere: str) -> dict[str, Any]:
        """As that of :class:`~models.adapters.pretrained.Pretrained`, and the adapter's digest where there is one;
        without ``pad`` where nothing is filled up."""
        laid = {"lora": lora.identify(self.lora)} if self.lora else {}
        return super().identity("lora", *elsewhere, *(["pad"] if self.pad == 1 else [])) | laid


class InProcess(ABC):
    """Base of transformers' chat models.

    An item's pictures and text are prepared alone. Pictures of other sizes, and texts of other lengths, give other
    numbers of tokens, and padding them to one length changes how kernels round. So on a CPU, where an item does not
    depend on its batch, only items of the same sizes and one length share a forward, and that always has
    ``micro_batch`` rows, the last repeated where there are fewer; for a corpus of many sizes, set it to 1. On a GPU
    those of about one length share one, filled up on the left with what is not attended to, if the model has rotary
    positions, which count from where a conversation begins.
    """

    VERSION: ClassVar[int]
    PREPARES: ClassVar[bool] = True
    Settings: ClassVar[type[ChatSettings]] = ChatSettings
    TEMPLATED: ClassVar[bool] = True
    """Whether a chat template makes one text of a conversation."""

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
            The checkpoint is of another architecture, lacks weights, or has no chat template; or no rotary positions,
            which ``pad`` needs; or an adapter is for another one.
        """
        self._model, self._processor = self._read()
        if self.settings.lora:
            self._model = lora.laid(self._model, self.settings.lora, self.base())
        self._tokenizer = getattr(self._processor, "tokenizer", self._processor)
        self.device = self._model.device.type
        config = self._model.config.get_text_config()
        self.positions = getattr(config, "max_position_embeddings", np.inf)
        rotary = bool(getattr(config, "rope_parameters", None))
        self._shared = batches.shares(self.device)
        self._padded = self._shared and rotary
        if self.settings.pad > 1 and not rotary:
            raise ValueError(
                f"checkpoint {self.settings.checkpoint!r} has no rotary positions, so nothing can be put before a "
                "conversation: leave out `pad`"
            )
        if self.TEMPLATED and self._processor.chat_template is None:
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
        found = self._answered(conversations, decoding, seeds, watched=False)
        return [[reply for reply, _ in some] for some in found]

    def answer_scored(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Reply, Scores | None]]:
        """The first reply to each conversation, and how probable it was as it was written.

        Raises
        ------
        ValueError
            As :meth:`answer` does.
        """
        watched = decoding.sample or decoding.beams == 1
        return [some[0] for some in self._answered(conversations, decoding, seeds, watched)]

    def _answered(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int], watched: bool
    ) -> list[list[tuple[Reply, Scores | None]]]:
        prompts = prepared(lambda one: self._prompt(one, decoding.max_tokens), conversations)
        return on_device(lambda: self._generated(prompts, decoding, seeds, watched))

    def _generated(
        self, prompts: Sequence[Prompt], decoding: Decoding, seeds: Sequence[int], watched: bool
    ) -> list[list[tuple[Reply, Scores | None]]]:
        from models.chat.growing import cached

        prompts, count = self._seen(prompts), decoding.candidates

        def reply(rows: list[int]) -> list[list[tuple[Reply, Scores | None]]]:
            kept = Kept() if watched else None
            batch = self._batch([prompts[i].inputs for i in rows])
            batch |= cached(self._model)
            watching = [kept] if kept else []
            ids = generated(self._model.generate, decoding, [seeds[i] for i in rows], *watching, **batch)
            ids = ids[:, self._begins(batch) :]
            replies = self._replies(ids, [prompts[row] for row in rows])
            scores: list[Scores | None] = [None] * len(replies)
            if kept:
                scores = [self._as_written(*one) for one in zip(replies, ids.tolist(), kept.of(ids), strict=True)]
            both = list(zip(replies, scores, strict=True))
            return [both[i : i + count] for i in range(0, len(both), count)]

        return self._in_batches([(prompt.shapes, prompt.length) for prompt in prompts], reply)

    def _as_written(self, reply: Reply, ids: Sequence[int], known: np.ndarray) -> Scores | None:
        """Scores of a reply out of tokens and their ln P; None where its text alone is not cut into the first of these.

        So it is behind thoughts, behind a blank, and where a model spells a word in an unusual way.
        """
        tokens = self._tokens(reply.text) if reply.text else ()
        if not tokens or tuple(ids[: len(tokens)]) != tokens:
            return None
        return Scores(known[: len(tokens)], self._spelt(reply.text))

    def log_probabilities(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Scores]:
        """How probable each continuation is, token by token.

        Raises
        ------
        ValueError
            A continuation has no token, or the conversation leaves no room for it.
        """
        known = self._known(conversations, continuations)
        return [Scores(one, self._spelt(text)) for one, text in zip(known, continuations, strict=True)]

    def logits(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Logits]:
        """What each continuation is given before the softmax, token by token.

        Raises
        ------
        ValueError
            As :meth:`log_probabilities` does.
        """
        known = self._known(conversations, continuations, raw=True)
        return [Logits(one, self._spelt(text)) for one, text in zip(known, continuations, strict=True)]

    def _known(
        self, conversations: Sequence[Conversation], continuations: Sequence[str], raw: bool = False
    ) -> list[np.ndarray]:
        """ln P of each continuation's tokens, (tokens,) float64; ``raw``: their logits."""
        tokens = [self._tokens(text) for text in continuations]
        rooms = zip(conversations, map(len, tokens), strict=True)
        prompts = prepared(lambda one: self._prompt(*one), rooms)
        scored = self._scored(prompts, [(i, ids[:-1]) for i, ids in enumerate(tokens)], raw)
        return [np.append(path, last[ids[-1]]) for (path, last), ids in zip(scored, tokens, strict=True)]

    def choose(self, conversations: Sequence[Conversation], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Probability of each choice among them, (choices,) float64; what differs in the last token only, or in the
        conversation not at all, shares a forward. Of spellings that the model reads alike the first has it all.

        Raises
        ------
        ValueError
            There is no choice, one has no token or is the beginning of another one, or the conversation leaves no room
            for it.
        """
        tokens = [[self._tokens(text) for text in some] for some in choices]
        for texts, some in zip(choices, tokens, strict=True):
            apart(texts, some)
        rooms = zip(conversations, (max(map(len, some)) for some in tokens), strict=True)
        prompts = prepared(lambda one: self._prompt(*one), rooms)
        first: dict[Hashable, int] = {}
        same = [first.setdefault(prompt.content(), i) for i, prompt in enumerate(prompts)]
        asked = list(dict.fromkeys((i, ids[:-1]) for i, some in zip(same, tokens, strict=True) for ids in some))
        scored = dict(zip(asked, self._scored(prompts, asked), strict=True))

        def total(i: int, ids: tuple[int, ...]) -> float:
            path, last = scored[i, ids[:-1]]
            return float(path.sum() + last[ids[-1]])

        return [normalised([total(i, ids) for ids in some], some) for i, some in zip(same, tokens, strict=True)]

    def _prompt(self, conversation: Conversation, room: int) -> Prompt:
        """A conversation as the model gets it, with ``room`` for as many tokens more."""
        shapes, unit = tuple(picture.shape for turn in conversation for picture in turn.pictures), self.settings.pad
        prompt, room = Prompt(padded(self._inputs(conversation), unit), shapes), -(-room // unit) * unit
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

    def _seen(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        """The prompts, their pictures encoded where the model sees any."""
        return prompts

    def _tokens(self, text: str) -> tuple[int, ...]:
        if ids := self._tokenizer(text, add_special_tokens=False)["input_ids"]:
            return tuple(ids)
        raise ValueError(f"{text!r} has no token to give a probability to: say what the reply should be")

    def _spelt(self, text: str) -> tuple[tuple[int, int], ...]:
        """What each token of a text spells, as (start, end) of its characters."""
        return tuple(self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"])

    def _in_batches(
        self, alike: Sequence[tuple[Hashable, int]], compute: Callable[[list[int]], Sequence[T]]
    ) -> list[T]:
        """Results of ``compute`` for each index, called with at most ``micro_batch`` indices of items that are alike:
        in the first of the pair, and in the second, a length, where lengths do not share a forward."""
        size, keys = self.settings.micro_batch, list[Hashable](alike)
        if self._padded:
            keys = list(batches.by_length([length for _, length in alike], size))
        return batches.in_batches(keys, size, self._shared, compute)

    def _batch(self, rows: Sequence[Inputs]) -> Inputs:
        """Rows as one batch on the model's device, texts filled up on the left to one length."""
        import torch

        lengthened = together(rows)
        names = dict.fromkeys(name for row in lengthened for name in row)
        each = {name: [row[name] for row in lengthened if name in row] for name in names}
        return {name: moved(torch.cat(some), self._model.device) for name, some in each.items()}

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
        self, prompts: Sequence[Prompt], asked: Sequence[tuple[int, tuple[int, ...]]], raw: bool = False
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """ln P of the tokens of each path behind a prompt, and of all tokens behind that, (vocabulary,).

        ``raw``: their logits. What is read of a path is gathered where the model is.
        """
        import torch

        unit = self.settings.pad
        lengths = [-(-len(path) // unit) * unit for _, path in asked]

        def score(seen: Sequence[Prompt], rows: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
            longest = max(lengths[row] for row in rows)
            paths = torch.tensor(
                [[*asked[row][1], *[0] * (longest - len(asked[row][1]))] for row in rows], dtype=torch.long
            )
            with torch.inference_mode():
                logits = self._logits([seen[asked[row][0]].inputs for row in rows], paths)
            known = logits.float() if raw else logits.float().log_softmax(-1)
            steps = known[:, :-1].gather(-1, paths[..., None].to(known.device))[..., 0].double().cpu().numpy()
            ends = [len(asked[row][1]) for row in rows]
            return [(steps[at, :end], known[at, end].cpu().numpy()) for at, end in enumerate(ends)]

        alike = [
            ((prompts[i].shapes, length), prompts[i].length + length)
            for (i, _), length in zip(asked, lengths, strict=True)
        ]
        return on_device(lambda: self._in_batches(alike, partial(score, self._seen(prompts))))

    def _begins(self, batch: Inputs) -> int:
        """Where replies begin in what ``generate`` gives."""
        return batch["input_ids"].shape[1]

    def _logits(self, prompts: Sequence[Inputs], paths: Tensor) -> Tensor:
        """Logits (rows, length + 1, vocabulary) of what comes behind each prompt, along paths (rows, length)."""
        batch = self._batch([behind(one, path) for one, path in zip(prompts, paths.tolist(), strict=True)])
        return self._model(**batch, use_cache=False, logits_to_keep=paths.shape[1] + 1).logits
