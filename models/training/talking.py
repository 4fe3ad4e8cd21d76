"""Base of the recipes of the pocket captioners that follow instructions: the LLaVA and the Qwen layout.

A picture is encoded once and asked several things: its turns are packed into one row, and a mask lets each turn see the
picture and itself only, so that no answer is read off another.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    AttentionInterface,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from models.training.captioning import Captioning
from models.training.data import Examples
from models.training.pointing import UNASKED, Pointers, targets
from models.training.seeing import Heads, Views
from models.training.words import chat_tokenizer
from models.worlds.instructions import BOXED, DESCRIBE, full_name, turns
from models.worlds.questions import KINDS, Turn, only_name, yes_or_no

LENGTH = 512
SHARES = {"scenes": 16, "referring": 5, "series": 4, "plots": 4, "radiographs": 2, "spectrograms": 2}
"""Pictures of each world in a batch."""
ASKED = 8


Captioner = TypeVar("Captioner", bound=LlavaOnevisionForConditionalGeneration | Qwen2_5_VLForConditionalGeneration)


class Talker(nn.Module, Generic[Captioner]):
    """The captioner, and beside it the heads that teach its tower to see, or its decoder to find what is named; only
    the captioner is shipped."""

    def __init__(self, captioner: Captioner, heads: Heads | Pointers) -> None:
        super().__init__()
        self.captioner, self.heads = captioner, heads


class Talking(Captioning[Talker[Captioner]], Generic[Captioner]):
    """Recipe of two stages: the tower is trained on dense labels, then the decoder on answers."""

    rate = 1.5e-3
    looking: ClassVar[float] = 0.0
    """Share of the training in which a tower that is not trained yet only says what each patch shows."""
    pointing: ClassVar[float] = 1.0
    """Share of the training after which the decoder is also asked where what is named is."""
    special: ClassVar[Sequence[str]]
    """Tokens that stand for pictures."""
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "image-text-to-text"}

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Every word of two thousand examples of each world, and of what is asked about them."""
        rng, texts = np.random.default_rng(self.seed), [DESCRIBE, BOXED]
        for examples in self.lessons.sources.values():
            for graph, captions in zip(examples.annotations[:2000], examples.captions[:2000], strict=True):
                texts += [text for turn in turns(graph, captions, rng, ASKED) for text in turn[:2]] + captions
        return chat_tokenizer(texts, self.special, LENGTH)

    @abstractmethod
    def look(self, model: Captioner, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The tower's patches (N, 64, width) in raster order, and what the decoder reads (N, tokens, width')."""

    @abstractmethod
    def opening(self) -> tuple[Tensor, Tensor, int]:
        """Ids (P,) of a chat up to its first word with a token for every embedding of the picture, their positions
        ((P,) or (3, P)) and that of the word after."""

    def prepare(self, model: Talker[Captioner]) -> None:
        self.ids, self.places, self.next_place = self.opening()
        im_start, im_end = self.token("<|im_start|>"), self.token("<|im_end|>")
        self.reply = [im_end, im_start, *self.tokenizer("assistant")["input_ids"]]
        self.end = [im_end]
        if self.device == "cpu":
            model.captioner.set_attn_implementation({"text_config": "products"})

    def pixels(self, pictures: np.ndarray) -> Tensor:
        """(N, 64, 64, 3) uint8 as (N, 3, 64, 64) in [-1, 1]: what the processors make of them."""
        return self.tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1

    def loss(
        self, model: Talker[Captioner], rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        views = self.lessons.draw(rng, SHARES)
        patches, read = self.look(model.captioner, self.pixels(views.pictures))
        if isinstance(model.heads, Pointers):
            pointers = model.heads if progress >= self.pointing else None
            losses = self.spoken(model.captioner, read, views, rng, pointers)
            return sum(losses.values(), torch.zeros(())), _numbers(losses)
        dense = self.lessons.loss(model.heads, views, patches, patches.mean(1))
        if progress < self.looking:
            return dense, {"dense": dense.item()}
        losses = self.spoken(model.captioner, read, views, rng) | {"dense": dense}
        return losses["words"] + losses["closed"] + 0.2 * dense, _numbers(losses)

    def spoken(
        self,
        captioner: Captioner,
        read: Tensor,
        views: Views,
        rng: np.random.Generator,
        pointers: Pointers | None = None,
    ) -> dict[str, Tensor]:
        """Losses of the words of all answers, of yes and no, and by ``pointers`` of the places of what is named."""
        some = [(self.lessons.sources[name], k) for name, numbers in views.numbers.items() for k in numbers]
        graphs = [source.annotations[k] for source, k in some]
        rows = self.packed([turns(source.annotations[k], source.captions[k], rng, ASKED) for source, k in some])
        losses, parts = {}, []
        # where there are shapes much is asked: the short rows of the others are not filled up to the length of those
        for shapes in (True, False):
            mine = [number for number, graph in enumerate(graphs) if ("objects" in graph) == shapes]
            if not mine:
                continue
            *part, states = self.logits(captioner, read[mine], [rows[number] for number in mine])
            parts.append(part)
            if shapes and pointers:
                tokens = [self.tokenizer.convert_ids_to_tokens(rows[number]["ids"]) for number in mine]
                answers = [rows[number]["labels"] for number in mine]
                places = targets(tokens, answers, [graphs[number] for number in mine])
                losses["pointed"] = pointers.loss(states, *(place.to(read.device) for place in places))
        logits, labels, closed = (torch.cat(part) for part in zip(*parts, strict=True))
        losses["words"] = cross_entropy(logits, labels)
        losses["closed"] = cross_entropy(logits[closed], labels[closed]) if closed.any() else logits.new_zeros(())
        return losses

    def logits(
        self, captioner: Captioner, read: Tensor, rows: Sequence[dict[str, list[Any]]]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Logits (answers' tokens, words), the tokens, which of them say yes or no, row by row and turn by turn; and
        the states (rows, longest, width) of all tokens of the turns after each layer."""
        start, device = len(self.ids), read.device
        longest = max(len(row["ids"]) for row in rows)
        ids = np.zeros((len(rows), longest), np.int64)
        turn = np.full((len(rows), longest), -1)
        after = np.zeros((len(rows), longest), np.int64)
        labels = np.full((len(rows), longest), UNASKED)
        closed = np.zeros((len(rows), longest), bool)
        for k, row in enumerate(rows):
            n = len(row["ids"])
            ids[k, :n], turn[k, :n], after[k, :n] = row["ids"], row["turn"], row["after"]
            labels[k, :n], closed[k, :n] = row["labels"], row["closed"]
        own = torch.from_numpy(turn).to(device)
        seen = torch.ones(len(rows), start + longest, start + longest, dtype=torch.bool, device=device).tril()
        seen[:, start:, start:] &= own[:, :, None] == own[:, None, :]
        mask = torch.zeros(seen.shape, device=device).masked_fill(~seen, -1e4)
        embed = captioner.get_input_embeddings()
        opening = embed(self.ids.to(device)).expand(len(rows), -1, -1)
        seat = (self.ids == self.picture_id).to(device)
        opening = opening.masked_scatter(seat[None, :, None], read.to(opening.dtype))
        inputs = torch.cat([opening, embed(torch.from_numpy(ids).to(device))], 1)
        later = self.next_place + torch.from_numpy(after)
        first = self.places.unsqueeze(-2).expand(*self.places.shape[:-1], len(rows), start)
        places = torch.cat([first, later.expand(*self.places.shape[:-1], *later.shape)], -1).to(device)
        layers = captioner.model.language_model(
            inputs_embeds=inputs, attention_mask=mask[:, None], position_ids=places, use_cache=False,
            output_hidden_states=True,
        ).hidden_states  # fmt: skip
        states = [layer[:, start:] for layer in layers]
        wanted = torch.from_numpy(labels).to(device)
        # a word is said one place before it stands; turns are contiguous, and their first words are never answers
        saying = wanted[:, 1:] != UNASKED
        return (captioner.lm_head(states[-1][:, :-1][saying]).float(), wanted[:, 1:][saying],
                torch.from_numpy(closed).to(device)[:, 1:][saying], states)  # fmt: skip

    def packed(self, asked: Sequence[Sequence[Turn]]) -> list[dict[str, list[Any]]]:
        """Token ids of each row's turns, the turn and the place in it of each token, and the answers as labels."""
        flat = [turn for row in asked for turn in row]
        said = self.tokenizer([turn.question for turn in flat])["input_ids"]
        back = self.tokenizer([turn.answer for turn in flat])["input_ids"]
        rows, at = [], 0
        for row in asked:
            found: dict[str, list[Any]] = {name: [] for name in ("ids", "turn", "after", "labels", "closed")}
            for number, turn in enumerate(row):
                question, answer = said[at] + self.reply, back[at] + self.end
                at += 1
                found["ids"] += question + answer
                found["turn"] += [number] * (len(question) + len(answer))
                found["after"] += range(len(question) + len(answer))
                found["labels"] += [UNASKED] * len(question) + answer
                found["closed"] += [False] * len(question) + [bool(turn.kind)] + [False] * (len(answer) - 1)
            rows.append(found)
        return rows

    @property
    def picture_id(self) -> int:
        """The token that stands for an embedding of the picture."""
        return self.token(self.special[-1])

    def token(self, text: str) -> int:
        """The id of one token."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(text))

    def evaluate(self, model: Talker[Captioner]) -> dict[str, float]:
        def say(world: str, pictures: np.ndarray) -> list[str]:
            return self.say(model.captioner, pictures, BOXED if world == "referring" else DESCRIBE)

        return self.described(say, 200) | self.answers(model.captioner, self.unseen("scenes"))

    @torch.no_grad()
    def answers(self, captioner: Captioner, scenes: Examples, count: int = 200) -> dict[str, float]:
        """Shares of yes/no questions answered rightly, by kind, and of objects described with every attribute right."""
        rng = np.random.default_rng(0)
        right: dict[str, list[float]] = {kind: [] for kind in KINDS}
        yes, no = self.token("yes"), self.token("no")
        for k in range(0, count, 25):
            graphs = scenes.annotations[k : k + 25]
            _, read = self.look(captioner, self.pixels(scenes.pictures[k : k + 25]))
            asked = [[turn for kind in KINDS for answer in (True, False)
                      if (turn := yes_or_no(graph, kind, answer, rng))] for graph in graphs]  # fmt: skip
            logits, labels, closed, _ = self.logits(captioner, read, self.packed(asked))
            chosen = (logits[closed][:, yes] > logits[closed][:, no]) == (labels[closed] == yes)
            for turn, hit in zip([turn for row in asked for turn in row], chosen.tolist(), strict=True):
                right[turn.kind].append(hit)
        figures = {f"yes or no: {kind}": float(np.mean(hits)) for kind, hits in right.items()}
        figures["yes or no"] = float(np.mean([hit for hits in right.values() for hit in hits]))
        hits = []
        for picture, graph in list(zip(scenes.pictures, scenes.annotations, strict=True))[:60]:
            thing = graph["objects"][0]
            if name := only_name(graph, thing, rng):
                said = self.say(captioner, picture[None], f"Describe the {name}.")
                hits.append(said[0] == f"a {full_name(thing)}")
        return figures | {"one object": float(np.mean(hits))}

    @torch.no_grad()
    def say(self, captioner: Captioner, pictures: np.ndarray, question: str, longest: int = 48) -> list[str]:
        """The greedy answers to one question about pictures."""
        said = self.tokenizer(question)["input_ids"] + self.reply
        texts: list[str] = []
        for begin in range(0, len(pictures), 50):
            _, read = self.look(captioner, self.pixels(pictures[begin : begin + 50]))
            ids = torch.tensor([*self.ids.tolist(), *said]).expand(len(read), -1)
            embed = captioner.get_input_embeddings()(ids)
            embed = embed.masked_scatter((ids == self.picture_id)[..., None], read)
            places = torch.cat(
                [self.places, self.next_place + torch.arange(len(said)).expand(*self.places.shape[:-1], -1)], -1
            )
            places = places.unsqueeze(-2).expand(*places.shape[:-1], len(read), -1)
            found, cache, going = [], None, torch.ones(len(read), dtype=torch.bool)
            for _ in range(longest):
                out = captioner.model.language_model(
                    inputs_embeds=embed, position_ids=places, past_key_values=cache, use_cache=True
                )
                words, cache = captioner.lm_head(out.last_hidden_state[:, -1]).argmax(-1), out.past_key_values
                found.append(torch.where(going, words, self.tokenizer.pad_token_id))
                going &= words != self.end[0]
                if not going.any():
                    break
                embed, places = captioner.get_input_embeddings()(words)[:, None], places[..., -1:] + 1
            texts += self.tokenizer.batch_decode(torch.stack(found, 1), skip_special_tokens=True)
        return texts


def _numbers(losses: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


def products(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, scaling: float, **rest: Any
) -> tuple[Tensor, None]:
    """Attention as two matrix products, for transformers: five times as fast with a mask on a CPU as torch's own, which
    makes sure in every layer that no row is masked altogether."""
    batch, heads, _, _ = query.shape
    scores = torch.bmm(scaling * query.flatten(0, 1), key.flatten(0, 1).mT).unflatten(0, (batch, heads))
    shares = scores.add_(attention_mask.to(query.dtype)).softmax(-1)
    return torch.bmm(shares.flatten(0, 1), value.flatten(0, 1)).unflatten(0, (batch, heads)).transpose(1, 2), None


AttentionInterface.register("products", products)
AttentionMaskInterface.register("products", eager_mask)
