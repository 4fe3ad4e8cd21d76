"""Chat models that learn replies: the log-probabilities of these with gradients.

:class:`Adapted` learns by a new LoRA adapter, :class:`Connected` as a whole but for its tower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.adapters.roles import Conversation, Turn
from models.chat import lora
from models.chat.prompts import PIXELS, TEXT, Inputs, Prompt, behind
from models.chat.seeing import Seeing

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Learner:
    """A loaded chat model that sees."""

    def __init__(self, chat: Seeing) -> None:
        self.chat = chat
        self.model: Any = chat._model

    def prompt(self, conversation: Conversation) -> Prompt:
        """A conversation as the model gets it; raises ``ValueError`` where it is too long for it."""
        return self.chat._prompt(conversation, 1)

    def reply(self, conversation: Conversation, text: str) -> tuple[int, ...]:
        """The tokens of a whole reply, its end included."""
        return self.chat._tokens(self.chat.ended(conversation, text))

    def log_probabilities(
        self, prompts: Sequence[Prompt], replies: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        """ln P of the tokens of replies, (tokens,) float32 each: of the first replies to all prompts, of the second, …

        Each picture is encoded once, however many replies it has. A row is a prompt and a reply, filled up at its end,
        where nothing sees it.
        """
        import torch
        from torch.nn.functional import cross_entropy, pad

        rows = [(one.inputs, ids) for some in replies for one, ids in zip(prompts, some, strict=True)]
        texts = [behind(inputs, ids) for inputs, ids in rows]
        longest = max(text["input_ids"].shape[1] for text in texts)
        batch = {
            name: torch.cat([pad(text[name], (0, longest - text[name].shape[1])) for text in texts])
            for name in TEXT
            if name in texts[0]
        }
        begins = [inputs["input_ids"].shape[1] - 1 for inputs, _ in rows]
        row = torch.tensor([number for number, (_, ids) in enumerate(rows) for _ in ids])
        place = torch.tensor([begin + n for begin, (_, ids) in zip(begins, rows, strict=True) for n in range(len(ids))])
        said = torch.tensor([token for _, ids in rows for token in ids])
        device = self.chat.device
        states = self.model.model(
            **{name: one.to(device) for name, one in batch.items()},
            **self._seen([prompt.inputs for prompt in prompts], len(replies)),
            use_cache=False,
        ).last_hidden_state[row.to(device), place.to(device)]
        logits = self.model.get_output_embeddings()(states).float()
        found = iter((-cross_entropy(logits, said.to(device), reduction="none")).split([len(ids) for _, ids in rows]))
        return [[next(found) for _ in prompts] for _ in replies]

    def _seen(self, prompts: Sequence[Inputs], times: int) -> dict[str, Any]:
        """The pictures as the decoder gets them, each encoded once, for that many rows a prompt; and their sizes."""
        import torch
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        about = [{name: one for name, one in inputs.items() if name not in TEXT} for inputs in prompts]
        if "pixel_values" not in about[0]:
            return {}
        sizes = {name: torch.cat([one[name] for one in about]) for name in about[0] if name != "pixel_values"}
        encoded: Any = [feature for batch in _alike(about) for feature in self._encode(batch)]
        return {
            "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=encoded * times)},
            **{name: one.repeat(times, *[1] * (one.ndim - 1)).to(self.chat.device) for name, one in sizes.items()},
        }

    def _encode(self, about: Sequence[Inputs]) -> Sequence[Tensor]:
        """The features of pictures of one shape, each (tokens, width)."""
        return self.chat._encode(**self.chat._pictures(self.chat._batch(about)), return_dict=True).pooler_output


class Adapted(Learner):
    """One with a new adapter: :func:`models.chat.lora.begun` says what its settings mean."""

    def __init__(self, chat: Seeing, rank: int, seed: int, tower: bool = False) -> None:
        super().__init__(chat)
        self.adapted = lora.begun(chat._model, rank, seed, tower)
        self.model = self.adapted.get_base_model()

    def parameters(self) -> list[Tensor]:
        """What is learnt."""
        return [one for one in self.adapted.parameters() if one.requires_grad]

    def save(self, folder: Path) -> None:
        """Write the adapter to a folder."""
        lora.save(self.adapted, self.chat.base(), folder)


class Connected(Learner):
    """A LLaVA, whose projector joins a tower to a language model; of ``fresh`` parts the weights are drawn anew.

    ``given``: pictures come as :func:`features`, so that the tower is passed by. What learns is kept in float32.
    """

    TYPES = ("llava", "llava_onevision")
    """The model types that are built so."""

    def __init__(self, chat: Seeing, fresh: Iterable[str], seed: int, given: bool) -> None:
        import torch

        super().__init__(chat)
        self.inner, self.given = self.model.model, given
        self.tower = self.inner.vision_tower
        self.model.requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for part in fresh:
                self._draw(part)
        for one in self.learning("all"):
            one.data = one.data.float()
        if given:
            self.inner.vision_tower = _passed()

    def _draw(self, part: str) -> None:
        """Draw the weights of a part as its class does, the projector's with those of the mark at the end of a line."""
        import torch

        inner, like = self.inner, self.model.get_input_embeddings().weight
        if part == "projector":
            inner.multi_modal_projector = type(inner.multi_modal_projector)(self.model.config).to(like)
            if hasattr(inner, "image_newline"):
                inner.image_newline.data = (torch.randn(like.shape[1]) / like.shape[1] ** 0.5).to(like)
        else:
            config = self.model.config.text_config
            inner.language_model = type(inner.language_model)(config).to(like)
            if config.tie_word_embeddings or self.model.config.tie_word_embeddings:
                self.model.tie_weights()
            else:
                torch.nn.init.normal_(self.model.lm_head.weight, std=config.initializer_range)

    def learning(self, what: str) -> list[Tensor]:
        """The weights of the ``projector``, or ``all`` but the tower's."""
        if what == "projector":
            return list(self.inner.multi_modal_projector.parameters())
        return [one for name, one in self.model.named_parameters() if ".vision_tower." not in name]

    def conversation(
        self, picture: np.ndarray, turns: Sequence[tuple[str, str]]
    ) -> tuple[Prompt, list[int], list[bool]]:
        """A conversation about a picture: the prompt up to its first answer, the tokens that come then, and which of
        these are of answers, their ends included. ``turns``: what was asked, and answered.

        Raises ``ValueError`` where it is too long for the model, or the chat template rewrites what was said before.
        """
        said, written = [Turn("user", turns[0][0], (picture,))], ""
        prompt, path, answers = self.prompt(said), list[int](), list[bool]()
        for number, (question, answer) in enumerate(turns):
            if number:
                said.append(Turn("user", question))
                text = self.chat._text(said)
                if not text.startswith(written):
                    raise ValueError(
                        f"the chat template of {self.chat.settings.checkpoint!r} rewrites a conversation as it goes on"
                    )
                ids = self.chat._tokens(text[len(written) :])
                path, answers = [*path, *ids], [*answers, *[False] * len(ids)]
            ids = self.reply(said, answer)
            path, answers = [*path, *ids], [*answers, *[True] * len(ids)]
            said.append(Turn("assistant", answer))
            written = self.chat._text(said, whole=True)
        return prompt, path, answers

    def shown(self, prompt: Prompt, features: Tensor) -> Prompt:
        """A prompt with :func:`features` in place of its picture."""
        tiles = prompt.inputs[PIXELS].shape[:-3]
        given = features.reshape(*tiles, 1, *features.shape[1:])
        return prompt._replace(inputs=prompt.inputs | {PIXELS: given})

    def _encode(self, about: Sequence[Inputs]) -> Sequence[Tensor]:
        how = {"vision_feature_layer": 0, "vision_feature_select_strategy": "full"} if self.given else {}
        return self.chat._encode(**self.chat._pictures(self.chat._batch(about)), **how, return_dict=True).pooler_output

    def save(self, folder: Path) -> None:
        """Write the whole checkpoint, with its processor, to a folder; the learner is of no use then."""
        self.inner.vision_tower = self.tower
        self.model.to(self.tower.dtype).save_pretrained(folder)
        self.chat._processor.save_pretrained(folder)


def features(chat: Seeing, conversation: Conversation) -> Tensor:
    """What the projector of a loaded LLaVA is given of the picture of a conversation, (tiles, tokens, width)."""
    learner, seen = Learner(chat), list[Any]()
    hook = learner.model.model.multi_modal_projector.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    learner._encode([learner.prompt(conversation).inputs])
    hook.remove()
    found: Tensor = seen[0].cpu().contiguous()  # without its CLS it is a view
    return found


def _passed() -> Any:
    """A tower for pictures that went through one before: it gives what it is given."""
    from torch import nn
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    class Passed(nn.Module):
        def forward(self, features: Tensor, **how: Any) -> BaseModelOutputWithPooling:
            return BaseModelOutputWithPooling(hidden_states=(features[:, 0],))

    return Passed()


def _alike(about: Sequence[Inputs]) -> Iterator[Sequence[Inputs]]:
    """Neighbours whose pictures can share a tensor, in order."""
    start = 0
    for end in range(1, len(about) + 1):
        if end == len(about) or about[end]["pixel_values"].shape[1:] != about[start]["pixel_values"].shape[1:]:
            yield about[start:end]
            start = end
