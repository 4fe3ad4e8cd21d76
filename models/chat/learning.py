"""Chat models that learn replies: the log-probabilities of these with gradients, over a new LoRA adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.adapters.roles import Conversation
from models.chat import lora
from models.chat.prompts import TEXT, Inputs, Prompt, behind
from models.chat.seeing import Seeing

if TYPE_CHECKING:
    from torch import Tensor


class Learner:
    """A loaded chat model that sees, with a new adapter: :func:`models.chat.lora.begun` says what its settings mean."""

    def __init__(self, chat: Seeing, rank: int, seed: int, tower: bool = False) -> None:
        self.chat = chat
        self.adapted = lora.begun(chat._model, rank, seed, tower)
        self.model: Any = self.adapted.get_base_model()

    def parameters(self) -> list[Tensor]:
        """What is learnt."""
        return [one for one in self.adapted.parameters() if one.requires_grad]

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

    def save(self, folder: Path) -> None:
        """Write the adapter to a folder."""
        lora.save(self.adapted, self.chat.base(), folder)


def _alike(about: Sequence[Inputs]) -> Iterator[Sequence[Inputs]]:
    """Neighbours whose pictures can share a tensor, in order."""
    start = 0
    for end in range(1, len(about) + 1):
        if end == len(about) or about[end]["pixel_values"].shape[1:] != about[start]["pixel_values"].shape[1:]:
            yield about[start:end]
            start = end
