"""The packed rows of the instructed captioners: what training computes is what transformers' own loop computes."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    ViTConfig,
    ViTModel,
)

from models.training import data
from models.training.llava import Llava, inherit
from models.training.qwen import Qwen, flat_patches
from models.training.vit import WIDTH
from models.worlds import WORLDS
from models.worlds.instructions import DESCRIBE
from models.worlds.questions import Turn

KINDS = {
    "llava": (Llava, LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor),
    "qwen": (Qwen, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor),
}
SAID = [[Turn("Is there a red star?", "yes", "object"), Turn(DESCRIBE, "a large red plain star")],
        [Turn("Where is the ring?", "in the upper left")]]  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def talking(request, tmp_path_factory):
    """A recipe, its untrained captioner with shaken weights, and what a study would load it with."""
    kind, model, processor = KINDS[request.param]
    root = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    config = ViTConfig(hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=12, num_attention_heads=4,
                       image_size=64, patch_size=8)  # fmt: skip
    ViTModel(config, add_pooling_layer=False).save_pretrained(root / "vit")

    class Small(kind):
        counts = dict.fromkeys(WORLDS, 40)

    recipe = Small(root / "build", root, [])
    talker = recipe.build().eval()
    for weight in talker.captioner.model.language_model.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    talker.captioner.half().float()
    recipe.prepare(talker)
    recipe.save(talker, root / recipe.folder)
    return (recipe, talker, model.from_pretrained(root / recipe.folder).eval(),
            processor.from_pretrained(root / recipe.folder), recipe.learnt("scenes").pictures[:3])  # fmt: skip


def inputs(processor, pictures, question):
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    return processor(images=[Image.fromarray(p) for p in pictures], text=[text] * len(pictures), return_tensors="pt")


@torch.no_grad()
def test_greedy_answers_are_those_of_generate(talking):
    recipe, talker, model, processor, pictures = talking
    given = inputs(processor, pictures, DESCRIBE)
    ids = model.generate(**given, max_new_tokens=10, do_sample=False)[:, given["input_ids"].shape[1] :]
    assert recipe.say(talker.captioner, pictures, DESCRIBE, 10) == processor.batch_decode(ids, skip_special_tokens=True)


@torch.no_grad()
def test_packed_logits_are_those_of_a_chat_of_one_turn(talking):
    recipe, talker, model, processor, pictures = talking
    _, read = recipe.look(talker.captioner, recipe.pixels(pictures[:2]))
    logits, labels, closed, states = recipe.logits(talker.captioner, read, recipe.packed(SAID))
    assert closed.sum() == 1 and labels[closed] == recipe.tokenizer.convert_tokens_to_ids("yes")
    at = 0
    for picture, turns in zip(pictures, SAID, strict=False):
        for turn in turns:
            given = inputs(processor, [picture], turn.question)
            answer = torch.tensor([recipe.tokenizer(turn.answer)["input_ids"] + recipe.end])
            spoken = given | {
                "input_ids": torch.cat([given["input_ids"], answer], 1),
                "attention_mask": torch.ones(1, given["input_ids"].shape[1] + answer.shape[1], dtype=torch.long),
            }
            if "mm_token_type_ids" in given:
                kinds = given["mm_token_type_ids"]
                spoken["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(answer)], 1)
            wanted = model(**spoken).logits[0, -answer.shape[1] - 1 : -1]
            found = logits[at : at + answer.shape[1]]
            assert torch.equal(labels[at : at + answer.shape[1]], answer[0])
            assert torch.allclose(found, wanted, atol=1e-3)
            at += answer.shape[1]
    assert at == len(labels)


@torch.no_grad()
def test_a_turn_does_not_hear_the_others(talking):
    recipe, talker, _, _, pictures = talking
    _, read = recipe.look(talker.captioner, recipe.pixels(pictures[:1]))
    alone, *_ = recipe.logits(talker.captioner, read, recipe.packed([SAID[0][1:]]))
    with_another, *_ = recipe.logits(talker.captioner, read, recipe.packed([SAID[0]]))
    assert torch.allclose(with_another[-len(alone) :], alone, atol=1e-4)


def test_the_tower_begins_as_the_vision_transformer():
    """Without its class token and places a ViT is a SigLIP tower: equal weights give equal patches where no patch looks
    at another."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
             "image_size": 16, "patch_size": 8, "hidden_act": "gelu"}  # fmt: skip
    torch.manual_seed(1)
    vit = ViTModel(ViTConfig(**shape, layer_norm_eps=1e-6), add_pooling_layer=False).eval()
    for layer in vit.layers:  # values of nothing: each patch stays alone
        layer.attention.v_proj.weight.data.zero_()
    tower = SiglipVisionModel(SiglipVisionConfig(**shape, vision_use_head=False)).eval()
    inherit(tower, vit)
    pixels = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        mine, theirs = (one(pixel_values=pixels).last_hidden_state for one in (tower, vit))
    assert torch.allclose(mine, theirs[:, 1:], atol=1e-5)


def test_flat_patches_are_the_processors(tmp_path):
    from transformers import Qwen2VLImageProcessor

    pictures = data.world("scenes", 3, 2, tmp_path).pictures
    processor = Qwen2VLImageProcessor(
        patch_size=8, merge_size=1, temporal_patch_size=2, min_pixels=4096, max_pixels=4096, image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )  # fmt: skip
    wanted = processor([Image.fromarray(p) for p in pictures], return_tensors="pt")["pixel_values"]
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert np.allclose(flat_patches(pixels), wanted, atol=1e-6)
