"""Recipe of the pocket language model: Qwen2's layout, the worlds' language, and what recaptioning asks."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from models.training.data import HELD_OUT_SEED, TRAIN_SEED
from models.training.errands import TASKS, Lesson, lesson, lessons
from models.training.readings import meant, read
from models.training.recipe import Recipe, save_half

WIDTH, LAYERS, HEADS = 144, 6, 6
POSITIONS = 1024
LENGTHS = (48, 64, 80, 96, 128, 160, 192, 288)
"""Lessons are filled up to one of these numbers of tokens; those that are longer are left out."""
TOKENS = 24_576
"""Tokens of a batch, those that fill it up included."""
UNASKED = -100
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""That of the released checkpoints, without their system message."""
TURN = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


class Language(Recipe[Qwen2ForCausalLM]):
    """Recipe that learns answers to the prompts of :mod:`models.pocket.prompts`."""

    name = "language"
    folder = "qwen2"
    steps = 9000
    rate = 2e-3
    counts: ClassVar = {}
    learns_plots = False
    checkpoint_every = 1000
    taught: ClassVar[int] = 500_000
    """Lessons."""
    judged: ClassVar[int] = 200
    """Unseen lessons of each task that the figures are of."""
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    about = f"""
A small Qwen2 ({LAYERS} layers, width {WIDTH}) that reads and writes captions of the generated worlds, and no other
language. It answers the prompts of `models/pocket/prompts.py`: name the objects of a sentence as instructions; put
answers about objects, and about their positions, together; write one caption from a caption and these; make one caption
of two; split a caption into facts; answer a question from a caption with yes, no or n/a; say a caption in other words.
A third of the captions that it learnt from have words exchanged, left out or said twice, as small captioners do. Where
two sources differ, a later answer is believed before a caption, and the first caption before the second; an object that
no caption names is taken not to be there, and what is not said of one that is named is n/a.

Figures: `kept`, the share of the facts (objects, attributes, places, relations, ground) that the answer has to have and
has; `added`, the share of its facts that it must not have; `exact`, answers that are right word for word; of `named`,
`kept` is the share of objects asked for; of `judged`, answers by what is right.
"""

    def material(self) -> list[str]:
        return [f"{self.taught} prompts about captions of scenes, series, radiographs and spectrograms"]

    @cached_property
    def tokenizer(self) -> Qwen2Tokenizer:
        """Byte pairs that make one token of every word of the lessons."""
        taught = lessons(TRAIN_SEED, 0, 4000)
        return word_tokenizer(text for one in taught for text in (TURN.format(prompt=one.prompt), one.answer))

    def tokens(self, texts: Iterable[str]) -> list[list[int]]:
        """Ids of each text, by all cores."""
        return [found.ids for found in self.tokenizer.backend_tokenizer.encode_batch_fast(list(texts))]

    def build(self) -> Qwen2ForCausalLM:
        size = len(self.tokenizer)
        return Qwen2ForCausalLM(Qwen2Config(
            vocab_size=size, hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=POSITIONS,
            tie_word_embeddings=True, initializer_range=0.05, bos_token_id=None,
            eos_token_id=self.tokenizer.eos_token_id, pad_token_id=self.tokenizer.pad_token_id,
        ))  # fmt: skip

    def prepare(self, model: Qwen2ForCausalLM) -> None:
        """Tokens of all lessons on the device, and where their answers begin, by length."""
        made = in_parallel(TRAIN_SEED, self.taught)
        told = self.tokens(TURN.format(prompt=one.prompt) for one in made)
        back = self.tokens(one.answer + "<|im_end|>" for one in made)
        rows = [(question + answer, len(question)) for question, answer in zip(told, back, strict=True)]
        self.shelves, shorter = [], 0
        for length in LENGTHS:
            some = [row for row in rows if shorter < len(row[0]) <= length]
            shorter = length
            if some:
                ids = np.full((len(some), length), self.tokenizer.pad_token_id, np.int32)
                for k, (row, _) in enumerate(some):
                    ids[k, : len(row)] = row
                begins = np.array([[begin, len(row)] for row, begin in some], np.int32)
                self.shelves.append((self.tensor(ids), self.tensor(begins)))
        sizes = np.array([shelf[0].numel() for shelf in self.shelves], float)
        self.shares = sizes / sizes.sum()

    def loss(self, model: Qwen2ForCausalLM, rng: np.random.Generator, progress: float) -> tuple[Tensor, dict[str, Any]]:
        ids, spans = self.shelves[rng.choice(len(self.shelves), p=self.shares)]
        length = ids.shape[1]
        drawn = torch.randint(len(ids), (max(1, TOKENS // length),), device=ids.device)
        tokens, span = ids[drawn].long(), spans[drawn]
        place = torch.arange(length, device=ids.device)
        labels = tokens.masked_fill((place < span[:, :1]) | (place >= span[:, 1:]), UNASKED)
        causal: dict[str, None] = {"full_attention": None}  # without, Qwen2 looks at the device for packed rows
        states = model.model(input_ids=tokens, attention_mask=causal, use_cache=False).last_hidden_state
        logits = model.lm_head(states[:, :-1])  # rows are filled up behind their ends, which none before looks at
        asked = labels[:, 1:].flatten()
        each = cross_entropy(logits.flatten(0, 1).float(), asked, ignore_index=UNASKED, reduction="none")
        each = each.view(len(drawn), -1).sum(1) / (span[:, 1] - span[:, 0])
        return each.mean(), {}  # a single word counts as much as a whole caption

    def evaluate(self, model: Qwen2ForCausalLM) -> dict[str, float]:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model.to(device)  # type: ignore[arg-type]
        figures: dict[str, float] = {}
        for number, task in enumerate(TASKS):
            rng = np.random.default_rng([HELD_OUT_SEED, number])
            asked = [lesson(rng, task) for _ in range(self.judged)]
            figures |= scores(task, asked, self.say(model, [one.prompt for one in asked]))
        return figures

    @torch.no_grad()
    def say(self, model: Qwen2ForCausalLM, prompts: Sequence[str], longest: int = 220) -> list[str]:
        """The greedy answers."""
        tokens = self.tokenizer([TURN.format(prompt=prompt) for prompt in prompts], padding=True, return_tensors="pt")
        tokens = {name: value.to(model.device) for name, value in tokens.items() if name != "token_type_ids"}
        ids: Any = model.generate(**tokens, do_sample=False, max_new_tokens=longest)  # type: ignore[misc]
        said = ids[:, tokens["input_ids"].shape[1] :]
        return [text.strip() for text in self.tokenizer.batch_decode(said, skip_special_tokens=True)]

    def save(self, model: Qwen2ForCausalLM, folder: Path) -> None:
        save_half(model, folder)
        self.tokenizer.save_pretrained(folder)


def scores(task: str, asked: Sequence[Lesson], said: Sequence[str]) -> dict[str, float]:
    """Figures of answers to one task: exact ones; and of facts, those kept and those added; or by what is right."""
    exact = [one.answer == text for one, text in zip(asked, said, strict=True)]
    if task == "judged":
        by_answer = defaultdict(list)
        for one, hit in zip(asked, exact, strict=True):
            by_answer[one.answer].append(hit)
        return {task: float(np.mean(exact))} | {f"{task} {answer}": float(np.mean(by_answer[answer]))
                                                for answer in ("yes", "no", "n/a") if answer in by_answer}  # fmt: skip
    kept = wanted = added = told = 0
    for one, text in zip(asked, said, strict=True):
        right, found = (told_by(task, answer) for answer in (one.answer, text))
        kept, wanted = kept + (right & found).total(), wanted + right.total()
        added, told = added + (found - right).total(), told + found.total()
    shares = {"kept": kept / wanted, "added": added / max(told, 1), "exact": float(np.mean(exact))}
    return {f"{task} {name}": value for name, value in shares.items()}


def told_by(task: str, answer: str) -> Counter[str]:
    """What an answer says, to be counted: its lines, its sentences, or the facts of a caption.

    >>> told_by("named", "Describe more details about the ring.").total()
    1
    """
    if task in ("named", "split"):
        return Counter(answer.split("\n"))
    if task in ("objects", "positions"):
        return sum((meant(read(sentence)) for sentence in answer.split(". ")), Counter())
    return meant(read(answer)) or Counter(answer.split(" and "))


def in_parallel(seed: int, count: int, chunk: int = 2000) -> list[Lesson]:
    """The first ``count`` lessons of a seed, made by up to 16 processes."""
    if count <= chunk:
        return lessons(seed, 0, count)
    first = range(0, count, chunk)
    with ProcessPoolExecutor(min(16, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        made = pool.map(lessons, [seed] * len(first), first, [min(count, begin + chunk) for begin in first])
        return [one for some in made for one in some]


def word_tokenizer(texts: Iterable[str]) -> Qwen2Tokenizer:
    """Qwen2's byte-level pairs, joined until every word that the texts repeat is one token; decoded, a text is whole.

    >>> found = word_tokenizer(["Describe the red ring.\\n"] * 3)
    >>> found.tokenize("Describe the ring"), found.decode(found("a ring\\n3.5 é")["input_ids"])
    (['Describe', 'Ġthe', 'Ġring'], 'a ring\\n3.5 é')
    """
    learner, alphabet = Qwen2Tokenizer().backend_tokenizer, sorted(ByteLevel.alphabet())
    counts = Counter(word for text in texts for word, _ in learner.pre_tokenizer.pre_tokenize_str(text))
    words = [learner.decoder.decode([word]) for word, count in sorted(counts.items()) if count >= 3]
    learner.model = BPE()
    # each word once: pairs are joined by how many words they are in, and go on until there are none
    learner.train_from_iterator(words, BpeTrainer(vocab_size=10_000, initial_alphabet=alphabet, show_progress=False))
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    pieces = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet, *("".join(pair) for pair in merges)]
    return Qwen2Tokenizer(
        vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))}, merges=merges,  # type: ignore[arg-type]
        model_max_length=POSITIONS, padding_side="left", eos_token="<|im_end|>", pad_token="<|endoftext|>",
        unk_token="<|endoftext|>", chat_template=TEMPLATE, additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip
