"""Decoding of language models: settings that all share, and sampling that does not depend on the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from models.adapters.finite import OVERFLOW
from models.adapters.settings import Settings

if TYPE_CHECKING:
    from torch import LongTensor, Tensor


class Decoding(Settings):
    """The decoding of paper *inpainting*, appendix D: "beam search with six beams, top-p sampling with [blank],
    temperature [blank], and a maximum of [blank] generated tokens [...] three candidate captions".

    The two ways exclude each other here. Unless ``sample``, a beam search over ``beams`` is made and the best
    ``candidates`` are kept, best first; a sum of log-probabilities is divided by length ** ``length_penalty``: above 0
    long captions gain. With ``sample``, ``candidates`` captions are drawn independently of each other, in no order of
    merit, from softmax(logits / ``temperature``) cut down to its ``top_p`` nucleus (Holtzman et al. 2020); candidate k
    of an item stays the same when more are asked for. What transformers does when asked for both (it *draws* the
    continuations that a beam search keeps) is a sample of nothing in particular, so we do not imitate it.

    The paper leaves out its numbers: beam search is our default because it is what the six beams ask for and it is
    deterministic; 0.9 is the nucleus of BLIP's authors (Li et al. 2022), and 1 leaves a model's probabilities as they
    are. Settings of the other way are allowed, so that entries can share them, and enter no key.
    """

    beams: int = Field(6, ge=1)
    candidates: int = Field(3, ge=1)
    max_tokens: int = Field(40, ge=1)
    length_penalty: float = 1.0
    sample: bool = False
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(0.9, gt=0, le=1)

    @model_validator(mode="after")
    def _enough_beams(self) -> Decoding:
        if self.candidates > self.beams and not self.sample:
            raise ValueError(
                f"{self.candidates} candidates need as many beams, and there are {self.beams}: raise `beams` or "
                "lower `candidates`"
            )
        return self

    @property
    def unused(self) -> set[str]:
        """Names of the settings without effect: those of sampling or of the beam search, whichever is not used.

        >>> sorted(Decoding(sample=True).unused)
        ['beams', 'length_penalty']
        """
        return {"beams", "length_penalty"} if self.sample else {"sample", "temperature", "top_p"}

    @property
    def decoding(self) -> Decoding:
        """These settings without those that a subclass adds."""
        return Decoding(**self.model_dump(include=set(Decoding.model_fields)))

    def decided(self) -> dict[str, Any]:
        """Settings with an effect, for a key.

        >>> Decoding(sample=True).decided()
        {'candidates': 3, 'max_tokens': 40, 'sample': True, 'temperature': 1.0, 'top_p': 0.9}
        """
        return self.model_dump(include=Decoding.model_fields.keys() - self.unused)


def candidate_seeds(seed: int, count: int) -> list[int]:
    """One seed of 32 bits for each candidate of an item; the first ones do not depend on how many there are.

    >>> candidate_seeds(7, 3)[:2] == candidate_seeds(7, 2)
    True
    """
    return [int(np.random.SeedSequence([seed, k]).generate_state(1)[0]) for k in range(count)]


class GumbelSampling:
    """A logits processor that draws each row's next word itself and leaves ``generate`` no other.

    argmax(log p + Gumbel noise) is an exact sample of p (Gumbel 1954; Maddison et al. 2014). Row i takes its noise from
    a CPU generator of its own, seeded with ``seeds[i]``, so that its draws depend neither on the device nor on the
    other rows. Here p is softmax(scores / temperature) over its top-p nucleus, the smallest set of words whose
    probability reaches ``top_p``, as transformers' warpers make it.
    """

    def __init__(self, settings: Decoding, seeds: Sequence[int]) -> None:
        import torch
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._warp = LogitsProcessorList()
        if settings.temperature != 1:
            self._warp.append(TemperatureLogitsWarper(settings.temperature))
        if settings.top_p < 1:
            self._warp.append(TopPLogitsWarper(settings.top_p))

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        """Scores (rows, words) in which each row has 0 at the word drawn and minus infinity elsewhere."""
        import torch

        tiny = torch.finfo(torch.float32).tiny  # of a uniform 0 the noise would be minus infinity
        rows = [torch.rand(scores.shape[1], generator=one).clamp_min(tiny) for one in self._generators]
        noise = -torch.log(-torch.log(torch.stack(rows).to(scores.device)))
        drawn = (self._warp(input_ids, scores.float()) + noise).argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


class Numbers:
    """A logits processor that changes nothing, and sees whether each row's best score is a number.

    What is chosen from NaN or infinity is the first word of the vocabulary, or the end. The answer stays where the
    model is until it is asked for, so that no step waits for it.
    """

    def __init__(self) -> None:
        self._good: list[Tensor] = []

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        """The scores."""
        self._good.append(scores.amax(-1).isfinite().all())
        return scores

    def check(self) -> None:
        """Raise ``ValueError`` where one was none."""
        import torch

        if not torch.stack(self._good).all():
            raise ValueError(f"the probabilities of words are NaN; {OVERFLOW}")


class Kept:
    """A logits processor that changes nothing, and keeps ln P of each word as it is chosen: one number a word, gathered
    where the model is. Before temperature and nucleus, and for rows that stay where they are, as no beams do."""

    def __init__(self) -> None:
        self._found: list[Tensor] = []
        self._last: Tensor | None = None

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        """The scores; those of the step before are kept for the word that was chosen then, alone."""
        self._choose(input_ids[:, -1:])
        self._last = scores.float().log_softmax(-1)
        return scores

    def _choose(self, ids: Tensor) -> None:
        if self._last is not None:
            self._found.append(self._last.gather(1, ids.to(self._last.device)))

    def of(self, ids: Tensor) -> np.ndarray:
        """ln P (rows, words) float64 of all words generated, ``ids`` (rows, words)."""
        import torch

        self._choose(ids[:, -1:])
        return torch.cat(self._found, 1).double().cpu().numpy()


def generation(settings: Decoding, seeds: Sequence[int], *watching: Any) -> dict[str, Any]:
    """Arguments of transformers' ``generate`` for a batch of one row an item; ``seeds`` are the items'.

    ``watching``: logits processors that see what the model gives.

    It returns ``candidates`` sequences an item, item after item. Sampling is asked for with as many sequences because
    ``generate`` then encodes a picture once; what it samples from has one word left.
    """
    arguments: dict[str, Any] = {
        "max_new_tokens": settings.max_tokens,
        "num_return_sequences": settings.candidates,
        "do_sample": settings.sample,
        "logits_processor": [*watching],
    }
    if not settings.sample:
        return arguments | {"num_beams": settings.beams, "length_penalty": settings.length_penalty}
    rows = [seed for item in seeds for seed in candidate_seeds(item, settings.candidates)]
    return arguments | {"num_beams": 1, "logits_processor": [*watching, GumbelSampling(settings, rows)]}


def generated(
    generate: Callable[..., Any], settings: Decoding, seeds: Sequence[int], *watching: Any, **inputs: Any
) -> Tensor:
    """What ``generate`` of a model of transformers gives for inputs: token ids, ``candidates`` rows an item.

    Raises ``ValueError`` where probabilities are no numbers.
    """
    numbers = Numbers()
    ids: Tensor = generate(**inputs, **generation(settings, seeds, numbers, *watching))
    numbers.check()
    return ids
