"""The roles a model can play, one Protocol each; those of measures are in :mod:`models.measures`, beside what they get.

Every adapter class carries

- ``VERSION``: an integer, part of every key, raised when the same settings give other results;
- ``Settings``: a frozen pydantic model of what ``params.yaml`` may say about it (unknown names are refused);
- ``identity()``: what enters an item's key beside the inputs: checkpoint, revision, settings that change the result.
  It is cheap: no heavy import, no weights read into memory;
- ``load()``: heavy imports and weights. Called once, and only when an item is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel

from models.adapters.decoding import Decoding
from models.adapters.settings import Settings as Settings  # adapters' own derive from it

if TYPE_CHECKING:
    from torch import Tensor


class Adapter(Protocol):
    """Members of every role.

    One that computes on another device than the CPU says so as ``device``, there after ``load()``. One that needs the
    device for no more than it says (:func:`models.adapters.ahead.on_device`) has a true ``PREPARES``: the engine then
    begins its next batch in a thread while this one is computed.
    """

    VERSION: ClassVar[int]

    @property
    def Settings(self) -> type[BaseModel]:
        """The pydantic model of its settings in ``params.yaml``."""

    def identity(self) -> dict[str, Any]:
        """JSON-able parts of the key: everything but the inputs that the result depends on."""

    def load(self) -> None:
        """Import the heavy libraries and read the weights."""


class Inpainter(Adapter, Protocol):
    """Repaints the True part of a mask."""

    @property
    def sees_hole(self) -> bool:
        """Whether pixels under the mask can matter; where not, an item is shared by all degradations of one region."""

    @property
    def prompted(self) -> bool:
        """Whether the prompt matters; an unprompted adapter gets empty prompts and its items do not depend on them."""

    def inpaint(
        self, pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[np.ndarray]:
        """Raw repainted pictures, (H, W, 3) uint8, each of its input's size.

        ``seeds`` has one integer per item; the result of an item depends on its own seed and never on its neighbours in
        the batch. The caller composites, so a result may differ outside the mask: that drift is measured.
        """


@dataclass(frozen=True, eq=False)
class Turn:
    """One message of a conversation: pictures (H, W, 3) uint8, as many as there are, and then text."""

    role: Literal["system", "user", "assistant"]
    text: str
    pictures: tuple[np.ndarray, ...] = ()


Conversation = Sequence[Turn]
"""Turns in order. The last is the user's; or the assistant's, which then is a reply's beginning, to be continued."""


@dataclass(frozen=True)
class Reply:
    """A reply without blanks around it, and why it ended: ``stop`` by itself, ``length`` at ``max_tokens``.

    A server may have words of its own, or none.
    """

    text: str
    finish: str


class Scores(NamedTuple):
    """How probable a text is, token by token.

    ``log_probabilities``: ln P of each token given those before, (tokens,) float64. ``spans``: what each token spells,
    as (start, end) of the text's characters; empty for the first parts of a character of several tokens.
    """

    log_probabilities: np.ndarray
    spans: tuple[tuple[int, int], ...]


class Logits(NamedTuple):
    """What a model gives the tokens of a text before the softmax.

    ``logits``: (tokens,) float64, up to a number that is another one at every place, so that those of one place alone
    can be compared, and those of two conversations cannot. ``spans`` as those of :class:`Scores`.
    """

    logits: np.ndarray
    spans: tuple[tuple[int, int], ...]


class Chat(Adapter, Protocol):
    """Answers conversations with any number of pictures, and gives the probabilities of replies.

    On a CPU in float32, no result depends on what is asked beside it.
    """

    def answer(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int]
    ) -> list[list[Reply]]:
        """``decoding.candidates`` replies to each conversation, best first where they are searched for.

        ``seeds`` has one integer a conversation. Raises ValueError where one of them cannot be answered, saying why.
        """

    def log_probabilities(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Scores]:
        """How probable each continuation is, given its conversation.

        Text and continuation are cut into tokens apart, and the end of the reply is no part of it: the continuation is
        how a reply begins, or how one that the last turn has begun goes on.
        """

    def answer_scored(
        self, conversations: Sequence[Conversation], decoding: Decoding, seeds: Sequence[int]
    ) -> list[tuple[Reply, Scores | None]]:
        """The first reply to each conversation that :meth:`answer` gives, and how probable it was as it was written.

        That is what :meth:`log_probabilities` says of its text, up to rounding; None where its text is cut into other
        tokens than were written, or these cannot be told: behind thoughts, by a beam search.
        """

    def logits(self, conversations: Sequence[Conversation], continuations: Sequence[str]) -> list[Logits]:
        """What each token of a continuation is given before the softmax of :meth:`log_probabilities`.

        Raises ValueError where the model is behind an endpoint, which tells no logits.
        """

    def choose(self, conversations: Sequence[Conversation], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Probability of each choice as the beginning of a reply, given that it is one of them: (choices,), sum 1.

        That is exp of the sum of its ln P (:meth:`log_probabilities`), divided by its sum over the choices; of those
        that the model spells alike ("yes" and "Yes", where it knows no capital letters) the first has it all. Raises
        ValueError where a choice is the beginning of another one, since both would count the same replies.
        """


class Captioner(Adapter, Protocol):
    """Captions pictures."""

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """Candidate captions of each picture, best first."""


class Painter(Adapter, Protocol):
    """Paints pictures of texts."""

    def paint(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        """A picture (H, W, 3) uint8 of each text; it depends on its own seed and never on its neighbours."""


class Embedder(Adapter, Protocol):
    """Encodes sentences as vectors."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 of unit norm."""


class Encoder(Adapter, Protocol):
    """Encodes a picture as a vector, with the attention to its patches."""

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches; there after ``load()``."""

    def encode(self, pictures: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """``(cls, attention)`` of each picture: (D,) float32, and (layers, heads, patches) float32 from CLS to patches.

        Attention is as the softmax gave it: what CLS gives to itself is left out, and rows add up to less than 1.
        """

    def coverage(self, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The share in [0, 1] of each patch that a mask covers, (patches,) float32."""


class Tagged(NamedTuple):
    """A word of a text, as its characters (start, end), and its part of speech (Universal Dependencies')."""

    start: int
    end: int
    tag: str


class Tagger(Adapter, Protocol):
    """Says of the words of texts which parts of speech they are."""

    def tag(self, texts: Sequence[str]) -> list[list[Tagged]]:
        """The words of each text, in order; no result depends on what is asked beside it."""


class Detection(NamedTuple):
    """A thing found in a picture."""

    label: str
    """The name under which it was looked for."""
    score: float
    """How sure the detector is, in [0, 1]."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels."""


class Detector(Adapter, Protocol):
    """Finds things in pictures by name."""

    def detect(self, pictures: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> list[list[Detection]]:
        """What was found in each picture (H, W, 3) uint8 of the names looked for in it, the surest first.

        A segmenter, which knows no names, finds parts with an empty label.
        """


class Pictured(Protocol):
    """A picture by reference: its pixels are fetched when they are needed."""

    @property
    def digest(self) -> str:
        """The sha256 of its PNG."""

    def pixels(self) -> np.ndarray:
        """The picture (H, W, 3) uint8."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A picture with its caption, to be learnt from."""

    picture: Pictured
    caption: str
    rejected: str = ""
    """A worse caption of the same picture; empty where there is none. Who learns preferences needs it."""
    question: str = ""
    """What the caption answers; empty where nothing in particular was asked."""
    stage: Literal["", "initial", "instruction"] = ""
    """The stage of a pretraining that it is for; empty where it is one of the entry's own captions."""

    def parts(self) -> list[str]:
        """What of it enters a key."""
        own = [self.picture.digest, self.caption, self.rejected]
        return [*own, self.stage, self.question] if self.stage else own


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that lessons are made of, as the base model encodes it before the training: an item of its own, which
    all trainings share.

    ``what`` says what is computed, as its trainer names it, of ``text``, ``picture``, or both.
    """

    what: str
    text: str = ""
    picture: Pictured | None = None

    def parts(self) -> dict[str, Any]:
        """Parts of its key, beside what its trainer's ``encoding`` gives."""
        return {"what": self.what, "text": self.text, "picture": self.picture and self.picture.digest}


Arrays = Mapping[str, "Tensor"]
"""A piece, encoded: tensors on the CPU. It is kept as safetensors, with their types and shapes."""


class Trained(NamedTuple):
    """What a training made: files by name, such as adapters as safetensors, and figures by name."""

    files: Mapping[str, Path]
    figures: Mapping[str, float]


class Trainer(Adapter, Protocol):
    """Trains a model on lessons. Its class is made with its settings and its base, an adapter that is not loaded.

    ``identity()`` says of the base what the training depends on, no more: how it samples does not matter. ``load()``
    imports libraries and sets ``device``; what ``encode`` and ``train`` need of the base they read themselves.
    """

    ROLES: ClassVar[Mapping[str, str]]
    """The name of its base in ``params.yaml``, with the role of the catalogue that it is of; one alone."""

    def encoding(self) -> dict[str, Any]:
        """JSON-able parts of the key of every piece: what of the base and the settings its arrays depend on."""

    def pieces(self, lessons: Sequence[Lesson]) -> list[Piece]:
        """The pieces that a training on these lessons will ask for, each once."""

    def encode(self, pieces: Sequence[Piece]) -> list[Arrays]:
        """The arrays of each piece, which do not depend on its neighbours."""

    def train(
        self,
        lessons: Sequence[Lesson],
        known: Callable[[Piece], Arrays],
        seed: int,
        folder: Path,
        log: Callable[[Mapping[str, float], int], None],
    ) -> Trained:
        """Train, and leave the files in ``folder``.

        The checkpoints in ``folder`` make a killed training go on to the very files of an uninterrupted one; it is
        empty at first. ``known`` gives the arrays of a piece; ``log`` hears of figures by step.

        Raises ``ValueError`` where lessons cannot be learnt from, and ``FloatingPointError`` where a loss is no number:
        it says at which step and of which pictures, and the last good checkpoint stays.
        """
