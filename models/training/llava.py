"""Recipe of the pocket LLaVA-OneVision: the vision transformer of the family, a projector and a Qwen2 decoder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTModel,
)

from models.training.data import GRID, PATCH
from models.training.onevision import SIDE, save
from models.training.pointing import Pointers
from models.training.talking import Talker, Talking
from models.training.vit import WIDTH

TEXT, LAYERS = 128, 4
LAYER = {"layernorm_before": "layer_norm1", "layernorm_after": "layer_norm2", "o_proj": "out_proj",
         ".attention.": ".self_attn."}  # fmt: skip
"""A ViT's names in a layer, and a SigLIP tower's."""


class Llava(Talking[LlavaOnevisionForConditionalGeneration]):
    """Recipe with the trained ViT as tower: projector and decoder are trained, and in the end all three."""

    name = "llava"
    folder = "llava-onevision"
    steps = 15_500
    pointing = 0.55  # asked from the start, it learns where objects are and not which
    tuning: ClassVar[float] = 0.8
    """Share of the training after which the tower learns too, as in LLaVA-OneVision's last stages."""
    special = ("<video>", "<image>")
    about = """
A small LLaVA-OneVision (SigLIP tower of 12 layers and width 96, patches of 8 pixels; Qwen2 decoder of 4 layers and
width 128) for 64 x 64 pictures of the generated worlds. It knows no other pictures. The tower is the pocket `vit`,
which was taught what each patch shows, and has learnt on with the decoder. It follows instructions: describe the image;
describe one named object; say where it is; answer yes or no about an object, a colour, a texture, a count or a
relation; describe what is inside a red box.
"""

    def build(self) -> Talker[LlavaOnevisionForConditionalGeneration]:
        ids = self.token
        text = Qwen2Config(
            vocab_size=len(self.tokenizer), hidden_size=TEXT, intermediate_size=3 * TEXT, num_hidden_layers=LAYERS,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True,
            bos_token_id=None, eos_token_id=ids("<|im_end|>"), pad_token_id=ids("<|endoftext|>"),
        )  # fmt: skip
        vision = SiglipVisionConfig(
            hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=12, num_attention_heads=4,
            image_size=SIDE, patch_size=PATCH, vision_use_head=False, hidden_act="gelu",
        )  # fmt: skip
        config = LlavaOnevisionConfig(
            vision_config=vision, text_config=text, image_token_index=ids("<image>"),
            video_token_index=ids("<video>"), image_grid_pinpoints=[[SIDE, SIDE]], vision_feature_layer=-1,
            vision_feature_select_strategy="full", tie_word_embeddings=True,
        )  # fmt: skip
        captioner = LlavaOnevisionForConditionalGeneration(config)
        vit = self.weights / "vit"
        if not (vit / "config.json").exists():
            raise FileNotFoundError(f"{vit} holds no vision transformer; run `palimpsest train vit` first.")
        inherit(captioner.model.vision_tower, ViTModel.from_pretrained(vit, add_pooling_layer=False))
        return Talker(captioner, Pointers(TEXT))

    def loss(
        self, model: Talker[LlavaOnevisionForConditionalGeneration], rng: np.random.Generator, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        model.captioner.model.vision_tower.requires_grad_(progress >= self.tuning)
        return super().loss(model, rng, progress)

    def look(self, model: LlavaOnevisionForConditionalGeneration, pixels: Tensor) -> tuple[Tensor, Tensor]:
        states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
        seen = model.model.multi_modal_projector(states)
        count, _, width = seen.shape
        lines = seen.view(count, GRID, GRID, width)
        ends = model.model.image_newline.to(seen.dtype).expand(count, GRID, 1, width)
        return states, torch.cat([seen, torch.cat([lines, ends], 2).flatten(1, 2)], 1)

    def opening(self) -> tuple[Tensor, Tensor, int]:
        tokens = GRID * GRID + GRID * (GRID + 1)  # the picture, then again as its only tile, with the lines' ends
        ids = torch.tensor(self.tokenizer("<|im_start|>user" + "<image>" * tokens)["input_ids"])
        return ids, torch.arange(len(ids)), len(ids)

    def save(self, model: Talker[LlavaOnevisionForConditionalGeneration], folder: Path) -> None:
        save(model.captioner, self.tokenizer, folder)


@torch.no_grad()
def inherit(tower: SiglipVisionModel, vit: ViTModel) -> None:
    """Give a SigLIP tower the weights of a ViT of its size; the class token, which SigLIP lacks, is left behind."""
    state = vit.state_dict()
    found = {
        "embeddings.patch_embedding.weight": state["embeddings.patch_embeddings.projection.weight"],
        "embeddings.patch_embedding.bias": state["embeddings.patch_embeddings.projection.bias"],
        "embeddings.position_embedding.weight": state["embeddings.position_embeddings"][0, 1:],
        "post_layernorm.weight": state["layernorm.weight"],
        "post_layernorm.bias": state["layernorm.bias"],
    }
    for name, value in state.items():
        if name.startswith("layers."):
            for theirs, mine in LAYER.items():
                name = name.replace(theirs, mine)
            found[f"encoder.{name}"] = value
    tower.load_state_dict(found)
