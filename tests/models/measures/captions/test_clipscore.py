"""A random CLIP of the true class: agreement with plain transformers, invariance and laws need no trained one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from models.adapters.checkpoints import identify
from models.measures.captions.candidates import Candidate, Corpus
from models.measures.captions.clipscore import ClipCosine, ClipScore
from registry.store.keys import digest

LETTERS = [chr(code) for code in range(33, 127)]
PIECES = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {"vocab_size": len(PIECES), "bos_token_id": len(PIECES) - 2, "eos_token_id": len(PIECES) - 1}
TEXTS = ["a red ring", "", "two dogs on the beach", "word " * 100, "a red ring"]
REFERENCES = ["a ring", "a red ring on a sky background"]


@dataclass(frozen=True)
class Shown:
    """A picture at hand, which says how often it is looked at."""

    array: np.ndarray
    looks: list[str]

    @property
    def digest(self) -> str:
        return digest(self.array.tobytes())

    def pixels(self) -> np.ndarray:
        self.looks.append(self.digest)
        return self.array


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=SMALL | TEXT, vision_config=vision, projection_dim=8))
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.5)
    model.save_pretrained(folder)
    CLIPTokenizer({piece: n for n, piece in enumerate(PIECES)}, [], model_max_length=77).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def measure(checkpoint: Path) -> ClipScore:
    made = ClipScore(ClipScore.Settings(checkpoint=str(checkpoint)))
    made.load()
    made.fit(Corpus({"1": REFERENCES}))
    return made


def shown(seed: int = 0, height: int = 40, width: int = 48) -> Shown:
    return Shown(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), [])


def records(texts: list[str] = TEXTS, references: list[str] = REFERENCES) -> list[Candidate]:
    pictures = [shown(seed, 40 + seed, 48) for seed in range(2)]
    return [Candidate("1", text, references, picture=pictures[n % 2]) for n, text in enumerate(texts)]


def cosines(checkpoint: Path, texts: list[str], others: list[str] | Shown) -> np.ndarray:
    """Cosines (texts, others) by CLIP's own forward, all texts padded into one batch, prompted as by the authors."""
    model, tokenizer = CLIPModel.from_pretrained(checkpoint).eval(), CLIPTokenizer.from_pretrained(checkpoint)
    picture = others if isinstance(others, Shown) else shown()
    image = CLIPImageProcessor.from_pretrained(checkpoint)(images=Image.fromarray(picture.array), return_tensors="pt")
    prompted = [f"A photo depicts {text}" for text in (*texts, *(others if isinstance(others, list) else ()))]
    tokens = tokenizer(prompted, padding=True, truncation=True, max_length=77, return_tensors="pt")
    with torch.no_grad():
        output = model(**tokens, **image)
    if isinstance(others, Shown):
        return (output.logits_per_text / model.logit_scale.detach().exp()).numpy()
    return (output.text_embeds[: len(texts)] @ output.text_embeds[len(texts) :].T).numpy()


def test_values_are_the_papers_formulas_over_clips_own_cosines(measure: ClipScore, checkpoint: Path) -> None:
    given = records()
    nearest = cosines(checkpoint, TEXTS, REFERENCES).max(axis=1).clip(0)
    for n, got in enumerate(measure.score(given)):
        score = 2.5 * max(cosines(checkpoint, TEXTS, given[n].picture)[n, 0], 0)
        assert got["clipscore"] == pytest.approx(score, abs=1e-5)
        harmonic = 2 / (1 / score + 1 / nearest[n]) if score and nearest[n] else 0
        assert got["refclipscore"] == pytest.approx(harmonic, abs=1e-5)
    assert len({got["clipscore"] for got in measure.score(given)}) > 2, "the checkpoint tells captions apart"


def test_a_caption_that_is_a_reference_has_the_harmonic_mean_with_one(measure: ClipScore) -> None:
    for got in measure.score(records(REFERENCES)):
        fits = got["clipscore"]
        assert got["refclipscore"] == pytest.approx(2 * fits / (fits + 1) if fits else 0)


def test_neither_score_is_negative_and_what_does_not_fit_has_none(measure: ClipScore) -> None:
    """Of a picture and captions that point away from each other nothing is left, with references or without."""
    measure.score(given := records())
    measure._pictures = dict.fromkeys(measure._pictures, -measure._texts[TEXTS[0]])
    assert measure.score(given[:1]) == [{"clipscore": 0.0, "refclipscore": 0.0}]
    measure._pictures = dict.fromkeys(measure._pictures, measure._texts[TEXTS[0]])
    assert measure.score(given[:1])[0]["clipscore"] == pytest.approx(2.5)
    measure._texts |= dict.fromkeys(REFERENCES, -measure._texts[TEXTS[0]])
    assert measure.score(given[:1])[0]["refclipscore"] == 0.0


def test_a_value_does_not_depend_on_its_neighbours_and_the_corpus_is_their_mean(
    measure: ClipScore, checkpoint: Path
) -> None:
    given = records()
    together = measure.score(given)
    for record, values in zip(reversed(given), reversed(together), strict=True):
        measure.fit(Corpus({"1": REFERENCES}))
        assert measure.score([record]) == [values]
    mean = {name: sum(values[name] for values in together) / len(together) for name in together[0]}
    assert measure.corpus(given) == mean


def test_each_picture_is_looked_at_once_a_corpus(measure: ClipScore) -> None:
    given = records()
    for _ in range(2):
        measure.corpus(given)
    assert [len(record.picture.looks) for record in given[:2]] == [1, 1]


def test_the_checkpoint_is_the_identity(checkpoint: Path) -> None:
    assert ClipScore(ClipScore.Settings(checkpoint=str(checkpoint))).identity() == identify(str(checkpoint))


def test_input_is_checked(measure: ClipScore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'1' has a caption but no picture: give the one that was captioned"):
        measure.score([Candidate("1", "a ring", REFERENCES)])
    with pytest.raises(ValueError, match="'1' has no references"):
        measure.score(records(references=[]))
    with pytest.raises(ValueError, match="there are no captions"):
        measure.corpus([])
    CLIPConfig(text_config=SMALL | TEXT).text_config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is of type 'clip_text_model', not a CLIP: take one such as"):
        ClipScore(ClipScore.Settings(checkpoint=str(tmp_path))).load()


def test_the_cosine_is_clips_own_without_a_prefix_and_without_references(checkpoint: Path) -> None:
    measure = ClipCosine(ClipCosine.Settings(checkpoint=str(checkpoint)))
    measure.load()
    measure.fit(Corpus())
    got = measure.score([Candidate("1", text, picture=shown()) for text in TEXTS])
    model, tokenizer = CLIPModel.from_pretrained(checkpoint).eval(), CLIPTokenizer.from_pretrained(checkpoint)
    image = CLIPImageProcessor.from_pretrained(checkpoint)(images=Image.fromarray(shown().array), return_tensors="pt")
    tokens = tokenizer(TEXTS, padding=True, truncation=True, max_length=77, return_tensors="pt")
    with torch.no_grad():
        output = model(**tokens, **image)
    expected = (output.text_embeds @ output.image_embeds.T)[:, 0].tolist()
    assert [values["clip_cosine"] for values in got] == pytest.approx(expected, abs=1e-5)
    assert min(expected) < 0 < max(expected), "a negative one stays"
    with pytest.raises(ValueError, match="has a caption but no picture"):
        measure.score([Candidate("1", "a ring")])
