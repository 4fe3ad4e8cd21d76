"""A random OWLv2 of the true class: agreement with transformers' own pipeline, and laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor
from transformers import pipeline as pipelines

from models.detectors.owlv2 import Owlv2

LETTERS = [chr(code) for code in range(33, 127)]
PIECES = ["!", *LETTERS[1:], *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
NAMES = ["cat", "lamp"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owl")
    text = SMALL | {"vocab_size": len(PIECES), "bos_token_id": len(PIECES) - 2, "eos_token_id": len(PIECES) - 1}
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=16))
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.5)
    model.save_pretrained(folder)
    tokens = CLIPTokenizer({piece: n for n, piece in enumerate(PIECES)}, [], model_max_length=16, pad_token="!")
    Owlv2Processor(Owlv2ImageProcessor(size={"height": 32, "width": 32}), tokens).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> Owlv2:
    made = Owlv2(Owlv2.Settings(checkpoint=str(checkpoint), threshold=0.0))
    made.load()
    return made


def picture(seed: int = 0, height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_what_it_finds_is_what_transformers_pipeline_finds(checkpoint: Path, detector: Owlv2) -> None:
    own = pipelines("zero-shot-object-detection", model=str(checkpoint), device="cpu")
    prompts = {f"a photo of a {name}": name for name in NAMES}
    theirs = own(Image.fromarray(picture()), candidate_labels=list(prompts), threshold=0.0)
    (ours,) = detector.detect([picture()], [NAMES])
    assert len(ours) == 16, "a box a patch"
    assert {one.label for one in ours} == set(NAMES), "the checkpoint tells names apart"
    nearest = [max((one["score"], prompts[one["label"]]) for one in theirs), (ours[0].score, ours[0].label)]
    assert nearest[0][1] == nearest[1][1]
    assert nearest[0][0] == pytest.approx(nearest[1][0], abs=1e-5)
    for one in ours:
        box = tuple(int(side) for side in one.box)
        assert any(
            box == tuple(other["box"].values()) and one.score == pytest.approx(other["score"], abs=1e-5)
            for other in theirs
        )


def test_a_picture_does_not_depend_on_its_neighbours_and_nothing_is_found_of_no_names(detector: Owlv2) -> None:
    both = detector.detect([picture(), picture(1), picture()], [NAMES, ["dog"], []])
    assert both == [*detector.detect([picture()], [NAMES]), *detector.detect([picture(1)], [["dog"]]), []]


def test_the_surest_come_first_and_those_below_the_threshold_not_at_all(checkpoint: Path, detector: Owlv2) -> None:
    (everything,) = detector.detect([picture()], [NAMES])
    scores = [one.score for one in everything]
    assert scores == sorted(scores, reverse=True)
    strict = Owlv2(Owlv2.Settings(checkpoint=str(checkpoint), threshold=scores[3]))
    strict.load()
    assert strict.detect([picture()], [NAMES]) == [everything[:3]]


def test_another_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ValueError, match="is of type 'vit', not an OWLv2"):
        Owlv2(Owlv2.Settings(checkpoint=str(tmp_path))).load()
