"""BLEU, ROUGE-L, CIDEr and METEOR of captions against a corpus's references, with the COCO definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from models.adapters import roles
from models.measures.captions.java import java_command
from models.measures.captions.meteor import Meteor, MeteorError
from models.measures.captions.ngrams import Bleu, Cider, Rouge, bleu
from models.measures.captions.ptb import Tokenizer, tokenize
from models.measures.captions.references import check_hypotheses, check_references

BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")


class Scores(NamedTuple):
    """``items``: id → metric → value; ``corpus``: metric → value; ``failed``: id → why METEOR could not align it.

    With a caption failed, METEOR has no corpus value: it would be another corpus's.
    """

    items: dict[str, dict[str, float]]
    corpus: dict[str, float]
    failed: dict[str, str]


class Lexical:
    """Scores of captions, item by item and pooled; fitted once per corpus and shared by all its configurations.

    An item's value is coco-caption's own multi-reference definition, equal to pycocoevalcap's per-image score: BLEU
    clips counts by the maximum over references and takes the closest length; ROUGE-L takes the best precision and the
    best recall over references; METEOR the best-scoring reference; CIDEr the mean over references. Thus "the maximum
    over references" (paper 000, appendix C) is in each definition but CIDEr's, where it would make another metric.
    Corpus values are coco-caption's: pooled counts for BLEU and METEOR, the mean over items for ROUGE-L and CIDEr.

    Captions are remembered with what was counted for them: one that comes again, from another configuration or for the
    corpus value, costs nothing. Memory: about 55 kB an image with five references of ten words, and 1 kB a caption.
    """

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        """``metrics``: which to compute. ``tokenizer``: see :func:`models.measures.captions.ptb.tokenize`."""

        metrics: tuple[Literal["bleu", "rouge_l", "cider", "meteor"], ...] = ("bleu", "rouge_l", "cider", "meteor")
        tokenizer: Tokenizer = "ptb"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self.unavailable: dict[str, str] = {}
        """Metrics that were asked for and cannot be had on this machine, with the reason; no other takes their name."""
        if "meteor" in self.settings.metrics:
            try:
                java_command("meteor/meteor-1.5.jar")
            except FileNotFoundError as missing:
                self.unavailable["meteor"] = f"METEOR runs in Java: {missing}"
        self._metrics = [name for name in self.settings.metrics if name not in self.unavailable]
        self._meteor = Meteor() if "meteor" in self._metrics else None

    @property
    def METRICS(self) -> tuple[str, ...]:
        """The names of the values, those of an unavailable metric included."""
        return tuple(name for one in self.settings.metrics for name in (BLEU if one == "bleu" else (one,)))

    @property
    def corpus_wide(self) -> bool:
        """Whether a caption's values depend on all references of the corpus, as CIDEr does, or only on its own."""
        return "cider" in self._metrics

    def identity(self) -> dict[str, Any]:
        """Tokenizer and the metrics that can be had here: with Java installed later, keys change and METEOR is added.

        Beside it an item depends on its caption and references, and where :attr:`corpus_wide` on its id and on
        :func:`models.measures.captions.references.reference_digest`.
        """
        return {"tokenizer": self.settings.tokenizer, "metrics": self._metrics}

    def load(self) -> None:
        """Start METEOR's process, which reads its tables for some ten seconds."""
        if self._meteor:
            self._meteor.start()

    def close(self) -> None:
        """End METEOR's process; scoring again starts a new one."""
        if self._meteor:
            self._meteor.close()

    def fit(self, references: Mapping[str, Sequence[str]], captions: Iterable[str] = ()) -> None:
        """Take a corpus's references, id → texts; ``captions`` to be scored later are tokenised in the same Java call.

        Raises
        ------
        ValueError
            An item without references.
        JavaMissing
            Tokenizer ``ptb`` without Java.
        """
        check_references(references)
        texts = [text for own in references.values() for text in own]
        self._tokens = tokenize([*texts, *captions], self.settings.tokenizer)
        self._references = {key: [self._tokens[text] for text in own] for key, own in references.items()}
        self._bleu = Bleu(self._references) if "bleu" in self._metrics else None
        self._rouge = Rouge(self._references) if "rouge_l" in self._metrics else None
        self._cider = Cider(self._references) if "cider" in self._metrics else None
        self._counted: dict[tuple[str, str], dict[str, Any]] = {}

    def score(self, hypotheses: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """Metric → value of each caption, id → text.

        Raises
        ------
        ValueError
            An id without references (naming the nearest), or a caption that is not a text.
        MeteorError
            Naming the first caption that METEOR cannot align; the others are remembered, so that scoring them again
            without it costs nothing.
        """
        return self._complete(hypotheses).items

    def corpus(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """Metric → value of all captions as one corpus; raises as :meth:`score`, and where there is no caption."""
        return self._complete(hypotheses).corpus

    def evaluate(self, hypotheses: Mapping[str, str]) -> Scores:
        """Both at once; a caption that METEOR cannot align does not raise, but is named in ``failed``."""
        counted = self._count(hypotheses)
        values: dict[str, dict[str, float]] = {key: {} for key in counted}
        corpus: dict[str, float] = {}
        if self._bleu and counted:
            for key, own in counted.items():
                values[key] |= zip(BLEU, bleu([own["bleu"]]), strict=True)
            corpus |= zip(BLEU, bleu(own["bleu"] for own in counted.values()), strict=True)
        for name in ("rouge_l", "cider"):
            if name in self._metrics and counted:
                for key, own in counted.items():
                    values[key][name] = own[name]
                corpus[name] = sum(own[name] for own in counted.values()) / len(counted)
        failed = {key: str(own["meteor"]) for key, own in counted.items() if isinstance(own.get("meteor"), MeteorError)}
        aligned = [key for key in counted if key not in failed]
        if self._meteor and aligned:
            scores, pooled = self._meteor.scores([counted[key]["meteor"] for key in aligned])
            for key, score in zip(aligned, scores, strict=True):
                values[key]["meteor"] = score
            if not failed:
                corpus["meteor"] = pooled
        return Scores(values, corpus, failed)

    def _complete(self, hypotheses: Mapping[str, str]) -> Scores:
        scores = self.evaluate(hypotheses)
        for key, reason in scores.failed.items():
            raise MeteorError(f"the caption of {key!r}: {reason}")
        return scores

    def _count(self, hypotheses: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        check_hypotheses(hypotheses, self._references)
        self.load()
        new = {text for text in hypotheses.values() if text not in self._tokens}
        self._tokens |= tokenize(sorted(new), self.settings.tokenizer)
        counted = {}
        for key, text in hypotheses.items():
            caption = self._tokens[text]
            if (key, caption) not in self._counted:
                self._counted[key, caption] = self._count_one(key, caption)
            counted[key] = self._counted[key, caption]
        return counted

    def _count_one(self, key: str, caption: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        if self._bleu:
            own["bleu"] = self._bleu.counts(key, caption)
        if self._rouge:
            own["rouge_l"] = self._rouge.score(key, caption)
        if self._cider:
            own["cider"] = self._cider.score(key, caption)
        if self._meteor:
            try:
                own["meteor"] = self._meteor.statistics(caption, self._references[key])
            except MeteorError as error:
                own["meteor"] = error
        return own
