"""A random SAM of the true class: boxes around transformers' own masks, and laws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SamConfig, SamImageProcessor, SamModel, SamVisionConfig
from transformers import pipeline as pipelines

from models.detectors.sam import Sam

PICTURES = [np.random.default_rng(seed).integers(0, 256, (40, 56, 3), np.uint8) for seed in range(2)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    side = {"image_size": 64, "patch_size": 8}
    vision = SamVisionConfig(
        hidden_size=16, output_channels=8, num_hidden_layers=2, num_attention_heads=2, mlp_dim=32, window_size=4,
        global_attn_indexes=[1], num_pos_feats=4, **side,
    )  # fmt: skip
    prompts: dict[str, Any] = {"hidden_size": 8, "mask_input_channels": 4, **side}
    masks = {
        "hidden_size": 8,
        "mlp_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks))
        for weight in model.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(folder)
    small = {"height": 16, "width": 16}
    SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16},
        mask_pad_size=small,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def made(checkpoint: Path, **settings: Any) -> Sam:
    sam = Sam(Sam.Settings(checkpoint=str(checkpoint), **{"points": 4, "quality": 0.0, "stability": 0.0, **settings}))
    sam.load()
    return sam


def test_boxes_are_those_around_transformers_masks(checkpoint: Path) -> None:
    own = pipelines("mask-generation", model=str(checkpoint), device="cpu")
    how = {"points_per_crop": 4, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    sam = made(checkpoint)
    together = sam.detect(PICTURES, [(), ("star",)])
    for picture, found in zip(PICTURES, together, strict=True):
        around = []
        for mask in own(Image.fromarray(picture), **how)["masks"]:
            rows, columns = np.nonzero(np.asarray(mask))
            around.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        assert sorted(one.box for one in found) == sorted(around)
        assert found and {one.label for one in found} == {""} and all(0 < one.score <= 1 for one in found)
    assert [sam.detect([picture], [()])[0] for picture in PICTURES] == together


def test_nothing_good_is_nothing(checkpoint: Path) -> None:
    assert made(checkpoint, stability=0.999).detect(PICTURES[:1], [()]) == [[]]


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    ViTModel(
        ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is of type 'vit', not a SAM: take one such as facebook/sam-vit-base"):
        Sam(Sam.Settings(checkpoint=str(tmp_path))).load()
