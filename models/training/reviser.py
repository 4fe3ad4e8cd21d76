"""Recipe of the pocket reviser: a LLaVA-OneVision that compares a picture with a painting of its caption."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, pad
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    PreTrainedTokenizerFast,
)

from models.pocket.prompts import ANALYSIS, EDIT, REVISE, REVISE_WITHOUT_ANALYSIS, REVISED
from models.training import data
from models.training.data import GRID
from models.training.drafts import case, painted
from models.training.mending import mended
from models.training.onevision import save
from models.training.recipe import Recipe
from models.training.revising import SLIPS, lesson, lessons, seen
from models.training.words import chat_tokenizer
from models.worlds import version
from models.worlds.questions import KINDS, yes_or_no

LENGTH = 512
UNSAID = (1, 3)
"""Layers of the captioner's tower that are left out: its descriptions suffer least from these two."""
TWO, ONE = 2 * (GRID * GRID + 1), GRID * GRID + GRID * (GRID + 1)
"""Tokens of two pictures, each whole with a line's end, and of one, whole and as a tile with its lines' ends."""


class Reviser(Recipe[LlavaOnevisionForConditionalGeneration]):
    """Recipe that goes on from the trained ``llava``: all of it learns from paintings of faulty captions."""

    name = "reviser"
    folder = "reviser"
    steps = 9000
    rate = 1e-3
    learns_plots = False
    checkpoint_every = 1000
    counts: ClassVar = {"scenes": 120_000}
    alone: ClassVar[int] = 40_000
    """Scenes that are seen without a painting."""
    batch: ClassVar[tuple[int, int]] = (192, 64)
    """Lessons of a step with two pictures, and with one."""
    card: ClassVar = {"library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    about = """
A small LLaVA-OneVision (SigLIP tower of 10 layers and width 96, patches of 8 pixels; Qwen2 decoder of 4 layers and
width 128) for 64 x 64 pictures of the generated worlds' scenes. It knows no other pictures. It is given a picture, a
painting of a caption of it, and that caption, and replies with an analysis (what the picture shows and where, what the
painting shows, what of the caption is wrong) and a revised caption, between the tags of RICO. It also revises without a
painting, describes the picture, and answers questions about it. The words to ask it with are in
`models.pocket.prompts`; a reply takes up to 140 tokens. It began as the pocket `llava-onevision`, without two layers of
its tower.
"""

    def material(self) -> list[str]:
        return [
            f"{self.counts['scenes']} pictures of `scenes` (version {version('scenes')}) with paintings of captions",
            f"{self.alone} alone",
        ]

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Every word of some thousand lessons."""
        made = [lesson(data.TRAIN_SEED, two, k) for two in (True, False) for k in range(1500)]
        texts = [text.replace("<", " ").replace(">", " ") for one in made for text in (one.prompt, one.reply)]
        return chat_tokenizer(texts, ("<video>", "<image>"), LENGTH, (*ANALYSIS, *REVISED))

    def build(self) -> LlavaOnevisionForConditionalGeneration:
        folder = self.weights / "llava-onevision"
        if not (folder / "config.json").exists():
            raise FileNotFoundError(f"{folder} holds no captioner to begin with; run `palimpsest train llava` first.")
        captioner = LlavaOnevisionForConditionalGeneration.from_pretrained(folder)
        theirs = PreTrainedTokenizerFast.from_pretrained(folder).get_vocab()
        ids = self.tokenizer.get_vocab()
        config: Any = LlavaOnevisionConfig.from_pretrained(folder)
        config.vision_config.num_hidden_layers -= len(UNSAID)
        config.text_config.vocab_size = len(ids)
        config.text_config.eos_token_id, config.text_config.pad_token_id = ids["<|im_end|>"], ids["<|endoftext|>"]
        config.image_token_index, config.video_token_index = ids["<image>"], ids["<video>"]
        model = LlavaOnevisionForConditionalGeneration(config)
        inherit(model.model, captioner.model)
        shared = [(ids[word], theirs[word]) for word in ids if word in theirs]
        with torch.no_grad():
            words, known = model.lm_head.weight, captioner.lm_head.weight  # those of the embeddings too
            words[[mine for mine, _ in shared]] = known[[their for _, their in shared]]
        return model

    def prepare(self, model: LlavaOnevisionForConditionalGeneration) -> None:
        pools = [
            lessons(data.TRAIN_SEED, two, count, self.build_folder)
            for two, count in ((True, self.counts["scenes"]), (False, self.alone))
        ]
        rows = [self.rows(pool.prompts, pool.replies, tokens) for pool, tokens in zip(pools, (TWO, ONE), strict=True)]
        longest = max(ids.shape[1] for ids, _ in rows)
        self.pool = []
        for pool, (ids, weights) in zip(pools, rows, strict=True):
            filled = [np.pad(table, ((0, 0), (0, longest - table.shape[1]))) for table in (ids, weights)]
            self.pool.append([self.tensor(table) for table in (pool.pictures, *filled)])

    @property
    def begun(self) -> int:
        """Tokens before the first picture's."""
        return len(self.tokenizer.tokenize("<|im_start|>user"))

    def rows(self, prompts: list[str], replies: list[str], pictures: int) -> tuple[np.ndarray, np.ndarray]:
        """Token ids (N, longest) int16 of whole chats, filled up behind their end, and how much each token's loss
        weighs (N, longest) uint8: not at all, once in an analysis, twice in any other reply."""
        read: Any = self.tokenizer
        opening = read("<|im_start|>user" + "<image>" * pictures)["input_ids"]
        reply = read("<|im_end|><|im_start|>assistant")["input_ids"]
        asked, said = read(prompts)["input_ids"], read(replies)["input_ids"]
        end, thought = read.convert_tokens_to_ids(["<|im_end|>", ANALYSIS[1]])
        longest = max(len(a) + len(b) for a, b in zip(asked, said, strict=True)) + len(opening) + len(reply) + 1
        ids = np.full((len(prompts), longest), self.tokenizer.pad_token_id, np.int16)
        weights = np.zeros((len(prompts), longest), np.uint8)
        for k, (question, answer) in enumerate(zip(asked, said, strict=True)):
            start = len(opening) + len(question) + len(reply)
            row = [*opening, *question, *reply, *answer, end]
            ids[k, : len(row)] = row
            analysed = answer.index(thought) + 1 if thought in answer else 0
            weights[k, start : start + analysed] = 1
            weights[k, start + analysed : len(row)] = 2
        return ids, weights

    def loss(
        self, model: LlavaOnevisionForConditionalGeneration, rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        drawn = []
        for (pictures, ids, weights), count in zip(self.pool, self.batch, strict=True):
            some = torch.randint(len(ids), (count,), device=ids.device)
            drawn.append((pictures[some], ids[some], weights[some]))
        shown = [pictures.permute(0, 1, 4, 2, 3).float() / 127.5 - 1 for pictures, _, _ in drawn]
        shown = [torch.cat([blurred(one[:, :1], 0.15, 0.5), blurred(one[:, 1:], 0.85, 1.0)], 1) for one in shown]
        read = self.look(model, torch.cat([one.flatten(0, 1) for one in shown]))
        newline = model.model.image_newline.to(read.dtype)
        paired, alone = read.split([2 * len(shown[0]), len(shown[1])])
        paired = torch.cat([paired, newline.expand(len(paired), 1, -1)], 1).reshape(len(shown[0]), TWO, -1)
        lines = torch.cat([alone.unflatten(1, (GRID, GRID)), newline.expand(len(alone), GRID, 1, -1)], 2)
        alone = torch.cat([alone, lines.flatten(1, 2)], 1)
        ids = torch.cat([ids for _, ids, _ in drawn]).long()
        weights = torch.cat([weights for _, _, weights in drawn])[:, 1:].float()
        words = model.get_input_embeddings()(ids).split(self.batch)
        # joined by place, not by `masked_scatter`, whose gradient waits for the device
        begun = self.begun
        embed = [torch.cat([some[:, :begun], told.to(some.dtype), some[:, begun + told.shape[1] :]], 1)
                 for some, told in zip(words, (paired, alone), strict=True)]  # fmt: skip
        # whole rows from the left: causal, and what fills them up comes last
        states = model.model.language_model(
            inputs_embeds=torch.cat(embed), attention_mask={"full_attention": None}, use_cache=False
        ).last_hidden_state[:, :-1]
        logits = model.lm_head(states).float()
        each = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view_as(weights)
        thought, said = weights == 1, weights == 2
        parts = {"analysis": (each * thought).sum() / thought.sum(), "said": (each * said).sum() / said.sum()}
        return (each * weights).sum() / weights.sum(), {name: part.detach() for name, part in parts.items()}

    def look(self, model: LlavaOnevisionForConditionalGeneration, pixels: Tensor) -> Tensor:
        """What the decoder reads of the patches (N, 64, width) of pictures (N, 3, 64, 64)."""
        tower: Any = model.model.vision_tower
        return model.model.multi_modal_projector(
            tower.encoder(inputs_embeds=tower.embeddings(pixels)).last_hidden_state
        )

    def save(self, model: LlavaOnevisionForConditionalGeneration, folder: Path) -> None:
        save(model, self.tokenizer, folder)

    def evaluate(self, model: LlavaOnevisionForConditionalGeneration) -> dict[str, float]:
        """Figures of the saved model on unseen scenes, as transformers' own loop generates."""
        folder = self.weights / self.folder
        speaker = Speaker(folder)
        figures = revised(speaker, self.held_out, REVISE)
        for name, prompt in (("without analysis", REVISE_WITHOUT_ANALYSIS), ("edit", EDIT)):
            found = revised(speaker, self.held_out, prompt, 200)
            figures |= {f"{name}: {figure}": found[figure] for figure in ("mended", "broken", "left alone")}
        rng = np.random.default_rng(0)
        scenes = zip(self.held_out.pictures[:100], self.held_out.annotations[:100], strict=True)
        turns = [(picture, turn) for picture, graph in scenes for kind in KINDS for yes in (True, False)
                 if (turn := yes_or_no(graph, kind, yes, rng))]  # fmt: skip
        replies = speaker.say([picture[None] for picture, _ in turns], [turn.question for _, turn in turns])
        hits = [reply == turn.answer for reply, (_, turn) in zip(replies, turns, strict=True)]
        return figures | {"yes or no": float(np.mean(hits))}


class Speaker:
    """A saved reviser and its processor, as a study would use them."""

    def __init__(self, folder: Path) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model: Any = LlavaOnevisionForConditionalGeneration.from_pretrained(folder).eval()
        self.model.to(self.device)
        self.processor: Any = LlavaOnevisionProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def say(self, pictures: list[np.ndarray], prompts: list[str], longest: int = 160) -> list[str]:
        """The greedy replies to each prompt about one or two pictures (1 or 2, 64, 64, 3)."""
        texts: list[str] = []
        for begin in range(0, len(prompts), 128):
            some = pictures[begin : begin + 128]
            chats = [
                [{"role": "user", "content": [{"type": "image"}] * len(shown) + [{"type": "text", "text": prompt}]}]
                for shown, prompt in zip(some, prompts[begin : begin + 128], strict=True)
            ]
            given = self.processor(
                images=[[Image.fromarray(picture) for picture in shown] for shown in some],
                text=[self.processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats],
                padding=True, return_tensors="pt",
            ).to(self.device)  # fmt: skip
            ids = self.model.generate(**given, max_new_tokens=longest, do_sample=False)
            texts += self.processor.batch_decode(ids[:, given["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]


def revised(speaker: Speaker, scenes: data.Examples, prompt: str, count: int = 512) -> dict[str, float]:
    """How many faults of captions are mended, by kind; how many facts that were right are broken; how many right
    captions are left alone. A quarter of the captions is right, the others have one to three faults."""
    rng = np.random.default_rng(0)
    slips, shares = list(SLIPS), list(SLIPS.values())
    graphs = scenes.annotations[:count]
    cases = [case(graph, rng, k % 4) for k, graph in enumerate(graphs)]
    paintings = [painted(one.shown, rng, slips[rng.choice(len(slips), p=shares)]) for one in cases]
    shown = [seen(graph, painting if prompt != EDIT else None)
             for graph, painting in zip(graphs, paintings, strict=True)]  # fmt: skip
    replies = speaker.say(shown, [prompt.format(caption=one.first) for one in cases])
    mends: dict[str, list[bool]] = {}
    figures: dict[str, list[bool]] = {name: [] for name in ("broken", "left alone", "exact", "without a caption")}
    for reply, graph, one in zip(replies, graphs, cases, strict=True):
        text = reply.partition(REVISED[0])[2].partition(REVISED[1])[0].strip()
        done, facts = mended(text, graph, one)
        for kind, hits in done.items():
            mends.setdefault(kind, []).extend(hits)
        figures["broken"] += [not fact for fact in facts]
        figures["exact" if one.faults else "left alone"].append(text.replace(" :", ":") == str(one.right))
        figures["without a caption"].append(not text)
    each = {"mended": [hit for hits in mends.values() for hit in hits], **figures}
    each |= {f"mended: {kind}": mends[kind] for kind in sorted(mends)}
    return {name: float(np.mean(hits)) for name, hits in each.items() if hits}


@torch.no_grad()
def inherit(mine: Any, theirs: Any) -> None:
    """Give a model of LLaVA-OneVision the weights of another, but for its words and the tower's ``UNSAID`` layers."""
    kept = [layer for k, layer in enumerate(theirs.vision_tower.encoder.layers) if k not in UNSAID]
    pairs = [*zip(mine.vision_tower.encoder.layers, kept, strict=True)]
    pairs += [(mine.vision_tower.embeddings, theirs.vision_tower.embeddings),
              (mine.multi_modal_projector, theirs.multi_modal_projector),
              (mine.language_model.layers, theirs.language_model.layers),
              (mine.language_model.norm, theirs.language_model.norm)]  # fmt: skip
    for one, other in pairs:
        one.load_state_dict(other.state_dict())
    mine.image_newline.copy_(theirs.image_newline)


def blurred(pictures: Tensor, share: float, strength: float) -> Tensor:
    """Pictures (N, K, 3, H, W) in [-1, 1], a ``share`` of them softened, with noise and other levels, as an
    autoencoder and a painter leave them."""
    if not pictures.shape[1]:
        return pictures
    flat = pictures.flatten(0, 1)
    by = torch.rand(4, len(flat), 1, 1, 1, device=flat.device) - 0.5
    by = strength * by * (torch.rand(len(flat), 1, 1, 1, device=flat.device) < share)
    soft = avg_pool2d(pad(flat, (1, 1, 1, 1), "replicate"), 3, 1)
    changed = flat + by[0].abs() * 2 * (soft - flat)
    changed = changed * (1 + 0.2 * by[1]) + 0.2 * by[2] + 0.15 * by[3] * torch.randn_like(flat)
    return changed.clamp(-1, 1).view_as(pictures)
