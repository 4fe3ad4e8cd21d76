from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from models.adapters.decoding import Decoding, GumbelSampling, candidate_seeds, generation
from models.captioners.blip import Blip
from models.captioners.prompted import Instructed

pytestmark = pytest.mark.usefixtures("one_thread")


def distribution(scores: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Witness: the nucleus as Holtzman et al. (2020, section 3.1) define it, in numpy and float64.

    The smallest set of the likeliest words whose probability is at least p, rescaled to 1.
    """
    scores = scores.astype(np.float64) / temperature
    p = np.exp(scores - scores.max())
    p /= p.sum()
    order = np.argsort(-p)
    size = int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1
    kept = np.zeros_like(p)
    kept[order[:size]] = p[order[:size]]
    return kept / kept.sum()


def agrees(drawn: np.ndarray, expected: np.ndarray) -> None:
    """Nothing that is improbable is drawn, and the rest as often as it should be (chi-square test)."""
    counts = np.bincount(drawn, minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    if possible.sum() > 1:
        assert chisquare(counts[possible], expected[possible] * counts.sum()).pvalue > 0.01


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.9), (1.5, 0.6), (0.5, 0.95), (1.0, 0.01)]
)
def test_draws_are_as_frequent_as_the_nucleus_says(temperature, top_p):
    """4 draws of 3,000 seeds each; one generator's draws count as much as another's first."""
    scores = np.random.default_rng(0).normal(0, 1.5, 12).astype(np.float32)
    sampling = GumbelSampling(Decoding(sample=True, temperature=temperature, top_p=top_p), range(3000))
    rows = torch.from_numpy(scores).expand(3000, -1)
    drawn = torch.stack([sampling(torch.zeros(3000, 1, dtype=torch.long), rows).argmax(-1) for _ in range(4)])
    agrees(drawn.flatten().numpy(), distribution(scores, temperature, top_p))


def test_first_words_of_a_model_are_as_frequent_as_its_softmax_says(checkpoint, pictures):
    """The same through ``generate``: 60 seeds of 40 candidates, on one picture."""
    settings = {"sample": True, "candidates": 40, "max_tokens": 1, "temperature": 2.0, "top_p": 0.8}
    blip = Blip(Blip.Settings(checkpoint=checkpoint, **settings))
    blip.load()
    pixels = blip._processor(images=pictures(1), return_tensors="pt")["pixel_values"]
    start = blip._processor.tokenizer.bos_token_id
    with torch.no_grad():
        scores = blip._model(pixel_values=pixels, input_ids=torch.tensor([[start]])).logits[0, -1]
    ids = blip._model.generate(pixel_values=pixels.expand(60, -1, -1, -1), **generation(blip.settings, range(60)))
    assert ids.shape == (60 * 40, 2)
    expected = distribution(scores.numpy(), 2.0, 0.8)
    assert (expected > 0).sum() > 3
    agrees(ids[:, 1].numpy(), expected)


def test_a_rows_draws_are_its_own():
    """Another place, other neighbours, another seed of torch: nothing changes."""
    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))

    def draws(order: list[int]) -> list[list[int]]:
        torch.manual_seed(len(order))
        sampling = GumbelSampling(Decoding(sample=True, top_p=1.0), [10 + i for i in order])
        ids = torch.zeros(len(order), 1, dtype=torch.long)
        return torch.stack([sampling(ids, scores[order]).argmax(-1) for _ in range(5)], 1).tolist()

    together = draws([0, 1, 2])
    assert draws([2, 0, 1]) == [together[2], together[0], together[1]]
    assert [draws([i])[0] for i in range(3)] == together
    assert len({tuple(row) for row in together}) == 3


def test_a_word_is_all_that_is_left():
    scores = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    left = GumbelSampling(Decoding(sample=True), [1, 2])(torch.zeros(2, 1, dtype=torch.long), scores)
    assert torch.isfinite(left).sum(1).tolist() == [1, 1]
    assert torch.equal(left.softmax(-1).max(-1).values, torch.ones(2))


@pytest.mark.parametrize("settings", [{"temperature": 1e-4}, {"top_p": 1e-6}])
def test_next_to_no_randomness_is_the_likeliest_word(settings):
    scores = torch.randn(64, 30, generator=torch.Generator().manual_seed(0))
    left = GumbelSampling(Decoding(sample=True, **settings), range(64))(torch.zeros(64, 1, dtype=torch.long), scores)
    assert torch.equal(left.argmax(-1), scores.argmax(-1))


def test_candidates_have_seeds_of_their_own():
    seeds = [seed for item in range(200) for seed in candidate_seeds(item, 5)]
    assert len(set(seeds)) == len(seeds)
    assert candidate_seeds(2**63 - 1, 1) != candidate_seeds(2**63 - 2, 1)


def test_more_candidates_than_beams_are_for_sampling():
    with pytest.raises(ValueError, match="7 candidates need as many beams, and there are 6"):
        Decoding(candidates=7)
    assert Decoding(candidates=7, sample=True).candidates == 7


def test_the_papers_numbers_are_the_defaults():
    """Appendix D names six beams and three candidates."""
    assert (Decoding().beams, Decoding().candidates, Instructed().beams) == (6, 3, 6)


@pytest.mark.parametrize(
    "settings", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}, {"beams": 0}, {"max_tokens": 0}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Decoding(**settings)
