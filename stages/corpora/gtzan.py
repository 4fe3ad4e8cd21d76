"""GTZAN (Tzanetakis and Cook 2002): music clips of ten genres as mel-spectrograms, captioned by the genre's name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import Field

from models.media.audio import Spectrogram, beginning, read_audio, to_picture
from registry.store.faults import Passing
from stages.corpora import Problem, Sample, Source
from stages.corpora.checks import Entry, Subset, in_order, up_to
from stages.corpora.pictures import Unreadable
from stages.corpora.watched import shown

Genre = Literal["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
SOUNDS = {".wav", ".au"}


class Gtzan:
    """``<genre>/<genre>.00000.wav`` to 00099 of the mirrors, or ``.au`` of the original release.

    The reference of a clip is its genre's name, as in the inpainting paper (B.1). The set has no splits, and known
    faults (Sturm 2013: repeated and distorted clips, doubtful labels), which are left as they are. ``jazz.00054.wav``
    of the common mirror is broken; another clip of the genre takes its place.
    """

    SOURCE = Source(
        about="GTZAN: 1,000 music clips of 30 s, a hundred in each of ten genres, with the genre as label",
        where="https://huggingface.co/datasets/marsyas/gtzan (genres.tar.gz), or the folder genres_original of"
        " https://www.kaggle.com/datasets/andradaolteanu/gtzan-dataset-music-genre-classification",
        licence="none stated; commercial recordings collected from 2000 to 2001, used for research only",
        files=("{genres}/",),
    )

    VERSION = 1

    class Settings(Subset):
        """Number of clips, and how they are drawn."""

        path: Path
        """The folder with a folder for each genre."""

        genres: tuple[Genre, ...] = get_args(Genre)

        per_genre: int = Field(50, ge=1)
        """At most this many good clips of each genre."""

        seed: int | None = 0
        """Clips are drawn uniformly with it; null takes them in the order of the files."""

        spectrogram: Spectrogram = Spectrogram()
        """How a clip is drawn."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return up_to(self.settings.limit, self._examined())

    def _examined(self) -> Iterator[Sample | Problem]:
        """Clips in the chosen order, those of a genre that has enough of them passed over unread."""
        taken: Counter[str] = Counter()
        for entry in in_order(self._entries(), self.settings.seed):
            (genre,) = entry.captions
            if taken[genre] < self.settings.per_genre:
                found = self._examine(entry)
                taken[genre] += isinstance(found, Sample)
                yield found

    def _entries(self) -> list[Entry]:
        entries = []
        for genre in self.settings.genres:
            folder = self.settings.path / genre
            clips = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in SOUNDS)
            if not clips:
                raise FileNotFoundError(
                    f"There is no clip (.wav or .au) of GTZAN in {folder}. Correct the corpus's path in the study: it"
                    " is the folder that holds blues, classical and so on."
                )
            entries += [Entry(shown(Path(path.stem)), "all", path, [genre]) for path in clips]
        return entries

    def _examine(self, entry: Entry) -> Sample | Problem:
        spectrogram = self.settings.spectrogram
        try:
            digest = hashlib.sha256(entry.path.read_bytes()).hexdigest()
            beginning(*read_audio(entry.path), spectrogram)
        except (OSError, ValueError) as error:
            message = f"{shown(entry.path)}: {error} Until then {entry.sample} is left out."
            return Problem(entry.sample, "unreadable_sound", message)
        return Sample(
            sample=entry.sample,
            split=entry.split,
            source={"sha256": digest, "version": self.VERSION, "spectrogram": spectrogram.model_dump()},
            references=tuple(entry.captions),
            annotations={},
            picture=partial(_picture, entry.path, digest, spectrogram),
        )


def _picture(path: Path, sha256: str, spectrogram: Spectrogram) -> np.ndarray:
    try:
        picture = to_picture(*read_audio(path), spectrogram)
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return picture
    except (OSError, ValueError) as error:
        raise Unreadable(f"{shown(path)}: {error}") from error
    raise Passing(f"{shown(path)} was replaced while its corpus was prepared; run again.")
