"""How long captions are to a text encoder, how many are cut, and how many nouns they have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.backbones import read_backbone
from models.adapters.checkpoints import identify
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need, some

log = logging.getLogger(__name__)

LIMITS = (77, 120, 256, 300, 512)
"""Tokens that text encoders of painters read: CLIP's, PixArt-alpha's T5 and its longer ones, SD 3's and FLUX's."""

NOUNS = ("NOUN", "PROPN", "NN")
"""How labels of nouns begin, in the universal tags and those of the Penn treebank."""

KINDS = ("bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "deberta-v2")


class Lengths(CaptionMeasure):
    """Tokens of a caption, those that begin and end it included, as the tokenizer of a text encoder counts them;
    whether the encoder cuts it; and its nouns, where the study names a tagger.

    After table 1 of *Precision or Recall?* (arXiv 2411.05079), whose tokens are T5's and whose nouns are spaCy's. Of a
    corpus they are means, so that a cut is the share of captions that are cut. A corpus whose captions are all cut is
    warned about: what tells them apart may never be read.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset()
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "tokens",
            "tokens",
            571,
            "other",
            "number of tokens by the tokenizer of a text encoder",
            higher_is_better=None,
            decimals=1,
            checkpoint=True,
        ),
        Metric(
            "nouns",
            "nouns",
            572,
            "other",
            "number of words that a tagger calls nouns",
            higher_is_better=None,
            decimals=1,
            checkpoint=True,
        ),
        *(
            Metric(
                f"cut_{limit}",
                f"cut at {limit}",
                573 + place,
                "other",
                f"share of captions of more than {limit} tokens, whose end a text encoder of that length never reads",
                higher_is_better=False,
                high=1,
                checkpoint=True,
            )
            for place, limit in enumerate(LIMITS)
        ),
    )

    class Settings(roles.Settings):
        tokenizer: str
        """A folder with a tokenizer, or a hub id with its commit as ``revision``."""
        revision: str | None = None
        subfolder: str = ""
        """Where in the repository the tokenizer lies, as in those of diffusers."""
        limits: tuple[int, ...] = (77,)
        """Lengths at which captions are cut: 77, 120, 256, 300, 512."""
        tagger: str | None = None
        """A checkpoint of BERT's family that names parts of speech; without it nouns are not counted."""
        tagger_revision: str | None = None

    def __init__(self, settings: Settings) -> None:
        if other := [limit for limit in settings.limits if limit not in LIMITS]:
            raise ValueError(f"limits has {other[0]}, which no text encoder has: take of {', '.join(map(str, LIMITS))}")
        self.settings = settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        left_out = {f"cut_{limit}" for limit in LIMITS} - {f"cut_{limit}" for limit in self.settings.limits}
        left_out |= set() if self.settings.tagger else {"nouns"}
        return tuple(metric for metric in self.METRICS if metric.name not in left_out)

    def identity(self) -> dict[str, Any]:
        """The tokenizer, the limits, and the tagger; raises as :func:`models.adapters.checkpoints.identify` does."""
        said = self.settings
        known: dict[str, Any] = {"tokenizer": identify(said.tokenizer, said.revision), "subfolder": said.subfolder}
        known |= {"limits": sorted(said.limits)}
        return known | ({"tagger": identify(said.tagger, said.tagger_revision)} if said.tagger else {})

    def load(self) -> None:
        """Read the tokenizer, and the tagger in float32; on a GPU where there is one.

        Raises
        ------
        ValueError
            The tagger is of another kind, lacks weights, or has no label of nouns.
        """
        import torch
        import transformers

        said = self.settings
        read = transformers.AutoTokenizer.from_pretrained
        self._tokenizer = read(said.tokenizer, revision=said.revision, subfolder=said.subfolder)
        if said.tagger:
            wanted = "a tagger of BERT's family, such as vblagoje/bert-english-uncased-finetuned-pos"
            self._tagger = read_backbone(
                said.tagger,
                said.tagger_revision,
                KINDS,
                wanted,
                (),
                "AutoModelForTokenClassification",
                dtype=torch.float32,
            )
            self._words = read(said.tagger, revision=said.tagger_revision)
            labels = self._tagger.config.id2label
            self._nouns = [number for number, label in labels.items() if label.upper().startswith(NOUNS)]
            if not self._nouns:
                raise ValueError(
                    f"{said.tagger} has no label of nouns among {', '.join(labels.values())}: it is no tagger"
                )
            self.device = self._tagger.device.type

    def fit(self, corpus: Corpus) -> None:
        """Drop what was counted for another corpus."""
        self._counted: dict[str, dict[str, float]] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """Metric -> number of each; ``cut`` is 0 or 1."""
        self._counted |= {text: self._count(text) for text in {r.text for r in records} - self._counted.keys()}
        return [self._counted[record.text] for record in records]

    def corpus(self, records: Sequence[Candidate]) -> dict[str, Any]:
        """The means over all captions; raises ``ValueError`` where there is none."""
        values = super().corpus(some(records))
        for limit in self.settings.limits:
            if values[f"cut_{limit}"] == 1:
                log.warning(
                    "All %d captions of a set have more than %d tokens by %s: a text encoder that reads no more never "
                    "sees their ends. Take one that reads more, or shorter captions.",
                    len(records), limit, self.settings.tokenizer,
                )  # fmt: skip
        return values

    def _count(self, text: str) -> dict[str, float]:
        tokens = len(self._tokenizer(text, verbose=False)["input_ids"])
        counted: dict[str, float] = {"tokens": tokens}
        if self.settings.tagger:
            counted["nouns"] = self._nouns_of(text)
        return counted | {f"cut_{limit}": float(tokens > limit) for limit in self.settings.limits}

    def _nouns_of(self, text: str) -> int:
        """Words that begin with a token that is called a noun; a text longer than the tagger reads goes in pieces."""
        import torch

        pieces = self._words(text, truncation=True, return_overflowing_tokens=True, return_tensors=None)
        found = 0
        for number, ids in enumerate(pieces["input_ids"]):
            with torch.inference_mode():
                labels = self._tagger(torch.tensor([ids], device=self._tagger.device)).logits[0].argmax(-1).tolist()
            found += sum(labels[place] in self._nouns for place in _first_tokens(pieces.word_ids(number)))
        return found


def _first_tokens(words: Iterable[int | None]) -> list[int]:
    """The places of the first token of each word, of the words that tokens belong to.

    >>> _first_tokens([None, 0, 0, 1, None])
    [1, 3]
    """
    first: dict[int, int] = {}
    for place, word in enumerate(words):
        if word is not None:
            first.setdefault(word, place)
    return list(first.values())
