"""BLEU, ROUGE-L, CIDEr and METEOR of captions against a corpus's references, with the COCO definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from models.adapters import roles
from models.measures import Metric
from models.measures.captions.candidates import Candidate, CaptionMeasure, Corpus, Need, some
from models.measures.captions.java import METEOR, java_command
from models.measures.captions.meteor import Incomplete, Meteor, MeteorError
from models.measures.captions.ngrams import Bleu, Cider, Rouge, Texts, bleu
from models.measures.captions.ptb import Tokenizer, tokenize
from models.measures.captions.references import check_own, check_references

BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")


class Scores(NamedTuple):
    """``items``: metric → value of each; ``corpus``: metric → value; ``failed``: id → why METEOR could not align it.

    With a caption failed, METEOR has no corpus value: it would be another corpus's.
    """

    items: list[dict[str, float]]
    corpus: dict[str, float]
    failed: dict[str, str]


class Lexical(CaptionMeasure):
    """Scores of captions, item by item and pooled; fitted once per corpus and shared by all its configurations.

    An item's value is coco-caption's own multi-reference definition, equal to pycocoevalcap's per-image score: BLEU
    clips counts by the maximum over references and takes the closest length; ROUGE-L takes the best precision and the
    best recall over references, and is their F-measure as COCO's, or that recall, by which the paper says what ROUGE-L
    is; METEOR the best-scoring reference; CIDEr the mean over references. Thus "the maximum
    over references" (paper 000, appendix C) is in each definition but CIDEr's, where it would make another metric.
    Corpus values are coco-caption's: pooled counts for BLEU and METEOR, the mean over items for ROUGE-L and CIDEr.

    Captions are remembered with what was counted for them: one that comes again, from another configuration or for the
    corpus value, costs nothing. Memory: about 55 kB an image with five references of ten words, and 1 kB a caption.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references"})
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "bleu_1",
            "BLEU-1",
            201,
            "captions",
            "clipped precision of words, with brevity penalty (Papineni et al. 2002)",
            high=1,
        ),
        Metric("bleu_2", "BLEU-2", 202, "captions", "as BLEU-1, geometric mean over words and pairs", high=1),
        Metric("bleu_3", "BLEU-3", 203, "captions", "as BLEU-1, up to triples", high=1),
        Metric("bleu_4", "BLEU-4", 204, "captions", "as BLEU-1, up to four words in a row", high=1),
        Metric(
            "rouge_l",
            "ROUGE-L F",
            205,
            "captions",
            "F-measure of the longest common subsequence, β = 1.2, COCO's (Lin 2004)",
            high=1,
        ),
        Metric(
            "cider",
            "CIDEr",
            206,
            "captions",
            "TF-IDF weighted n-gram cosine, 0 to 10, COCO's CIDEr-D (Vedantam et al. 2015)",
            high=10,
        ),
        Metric(
            "meteor",
            "METEOR",
            207,
            "captions",
            "aligned words with stems, synonyms and paraphrases, version 1.5",
            high=1,
        ),
        Metric(
            "rouge_l_recall",
            "ROUGE-L recall",
            208,
            "captions",
            "share of a reference's words in the longest common subsequence, the best reference (Lin 2004)",
            high=1,
        ),
    )

    class Settings(roles.Settings):
        """``metrics``: which to compute. ``tokenizer``: see :func:`models.measures.captions.ptb.tokenize`."""

        metrics: tuple[Literal["bleu", "rouge_l", "cider", "meteor", "rouge_l_recall"], ...] = (
            "bleu",
            "rouge_l",
            "cider",
            "meteor",
            "rouge_l_recall",
        )
        tokenizer: Tokenizer = "ptb"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        self.unavailable: dict[str, str] = {}
        """Metrics that were asked for and cannot be had on this machine, with the reason; no other takes their name."""
        if "meteor" in self.settings.metrics:
            try:
                java_command(METEOR)
            except FileNotFoundError as missing:
                self.unavailable["meteor"] = f"METEOR runs in Java: {missing}"
        self._metrics = [name for name in self.settings.metrics if name not in self.unavailable]
        self._meteor = Meteor() if "meteor" in self._metrics else None
        self.broken: MeteorError | None = None
        """Why METEOR's process does not run, there after ``load()``; then every score is without METEOR."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that are set, an unavailable one included."""
        known = {metric.name: metric for metric in self.METRICS}
        return tuple(known[name] for one in self.settings.metrics for name in (BLEU if one == "bleu" else (one,)))

    @property
    def needs(self) -> frozenset[Need]:
        """A caption's own references, and for CIDEr those of the whole corpus."""
        return self.NEEDS | {"corpus_references"} if "cider" in self._metrics else self.NEEDS

    def identity(self) -> dict[str, Any]:
        """Tokenizer and the metrics that can be had here: once Java is installed, keys change and METEOR is added."""
        return {"tokenizer": self.settings.tokenizer, "metrics": self._metrics}

    def load(self) -> None:
        """Start METEOR's process, which reads its tables for some ten seconds."""
        if self._meteor and not self.broken:
            try:
                self._meteor.start()
            except MeteorError as error:
                self.broken = error

    def close(self) -> None:
        """End METEOR's process; scoring again starts a new one."""
        if self._meteor:
            self._meteor.close()

    def fit(self, corpus: Corpus) -> None:
        """Take a corpus's references; the texts to be scored later are tokenised in the same Java call.

        Raises
        ------
        ValueError
            An item without references.
        JavaMissing
            Tokenizer ``ptb`` without Java.
        """
        check_references(corpus.references)
        texts = [text for own in corpus.references.values() for text in own]
        self._tokens = tokenize([*texts, *corpus.texts], self.settings.tokenizer)
        self._bleu = Bleu() if "bleu" in self._metrics else None
        self._rouge = Rouge() if {"rouge_l", "rouge_l_recall"} & set(self._metrics) else None
        documents = [tuple(self._tokens[text] for text in own) for own in corpus.references.values()]
        self._cider = Cider(documents) if "cider" in self._metrics else None
        self._counted: dict[tuple[Texts, str], dict[str, Any]] = {}

    def score(self, records: Sequence[Candidate]) -> list[dict[str, float]]:
        """Metric → value of each caption.

        Raises
        ------
        ValueError
            A record without references.
        Incomplete
            Naming the first caption that METEOR cannot align, with its other values; the other captions are remembered,
            so that scoring them again without it costs nothing.
        """
        scores = self.evaluate(records)
        for record, values in zip(records, scores.items, strict=True):
            if record.sample in scores.failed and "meteor" not in values:
                raise Incomplete(f"the caption of {record.sample!r}: {scores.failed[record.sample]}", values)
        return scores.items

    def corpus(self, records: Sequence[Candidate]) -> dict[str, float]:
        """Metric → value of all captions as one corpus; raises as :meth:`score`, and where there is none."""
        scores = self.evaluate(some(records))
        for key, reason in scores.failed.items():
            raise Incomplete(f"the caption of {key!r}: {reason}", scores.corpus)
        return scores.corpus

    def evaluate(self, records: Sequence[Candidate]) -> Scores:
        """Both at once; a caption that METEOR cannot align does not raise, but is named in ``failed``."""
        counted = self._count(records)
        values: list[dict[str, float]] = [{} for _ in counted]
        corpus: dict[str, float] = {}
        if self._bleu and counted:
            for value, own in zip(values, counted, strict=True):
                value |= zip(BLEU, bleu([own["bleu"]]), strict=True)
            corpus |= zip(BLEU, bleu(own["bleu"] for own in counted), strict=True)
        for name in ("rouge_l", "rouge_l_recall", "cider"):
            if name in self._metrics and counted:
                for value, own in zip(values, counted, strict=True):
                    value[name] = own[name]
                corpus[name] = sum(own[name] for own in counted) / len(counted)
        answers = [own.get("meteor") for own in counted]
        failed = {
            record.sample: str(answer)
            for record, answer in zip(records, answers, strict=True)
            if isinstance(answer, MeteorError)
        }
        aligned = {n: answer for n, answer in enumerate(answers) if isinstance(answer, str)}
        if self._meteor and aligned:
            scores, pooled = self._meteor.scores(list(aligned.values()))
            for n, score in zip(aligned, scores, strict=True):
                values[n]["meteor"] = score
            if not failed:
                corpus["meteor"] = pooled
        return Scores(values, corpus, failed)

    def _count(self, records: Sequence[Candidate]) -> list[dict[str, Any]]:
        for record in records:
            check_own(record.sample, record.references)
        self.load()
        new = {text for one in records for text in (one.text, *one.references) if text not in self._tokens}
        self._tokens |= tokenize(sorted(new), self.settings.tokenizer)
        counted = []
        for record in records:
            pair = tuple(self._tokens[text] for text in record.references), self._tokens[record.text]
            if pair not in self._counted:
                self._counted[pair] = self._count_one(*pair)
            counted.append(self._counted[pair])
        return counted

    def _count_one(self, references: Texts, caption: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        if self._bleu:
            own["bleu"] = self._bleu.counts(references, caption)
        if self._rouge:
            own["rouge_l"], own["rouge_l_recall"] = self._rouge.score(references, caption)
        if self._cider:
            own["cider"] = self._cider.score(references, caption)
        if self.broken:
            own["meteor"] = self.broken
        elif self._meteor:
            try:
                own["meteor"] = self._meteor.statistics(caption, references)
            except MeteorError as error:
                own["meteor"] = error
        return own
