"""Tokenisers of captions: ``ptb`` as coco-caption does it, ``none`` for texts that are tokenised already."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from models.measures.captions.java import JavaMissing, java_command, java_environment

Tokenizer = Literal["ptb", "none"]
TOKENIZERS: tuple[str, ...] = get_args(Tokenizer)

_JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
_PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""What coco-caption drops. Its list has brackets too, as ``-LRB-``, but tokens are lower case: they stay."""


def tokenize(texts: Iterable[str], tokenizer: Tokenizer) -> dict[str, str]:
    """Each distinct text with its tokens, joined by single spaces. All texts go through one Java process.

    ``ptb`` is the Stanford PTBTokenizer of coco-caption: lower case, punctuation dropped. ``none`` splits on white
    space. White space of any kind, line ends included, separates tokens in both.

    Raises
    ------
    JavaMissing
        ``ptb`` without Java.
    RuntimeError
        Java failed, or gave another number of lines than it was asked for.

    >>> tokenize(["A dog's\\n tail."], "none")
    {"A dog's\\n tail.": "A dog's tail."}
    """
    lines = {text: " ".join(text.split()) for text in texts}
    if tokenizer == "none" or not lines:
        return lines
    return dict(zip(lines, _ptb(list(lines.values())), strict=True))


def _ptb(lines: Sequence[str]) -> list[str]:
    try:
        command = java_command(_JAR)
    except JavaMissing as missing:
        raise JavaMissing(
            f"tokenizer 'ptb' runs in Java: {missing}; or choose tokenizer 'none' for texts that are tokenised already"
        ) from None
    command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    text = "\n".join(lines).encode(errors="replace")
    done = subprocess.run(command, input=text, capture_output=True, timeout=3600, check=False, env=java_environment())
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()[-500:]
        raise RuntimeError(f"the PTB tokenizer failed ({done.returncode}): {reason}")
    tokenized = done.stdout.decode().split("\n")[: len(lines)]
    if len(tokenized) != len(lines):
        raise RuntimeError(f"the PTB tokenizer was given {len(lines)} lines and answered {len(tokenized)}")
    return [" ".join(word for word in line.rstrip().split(" ") if word not in _PUNCTUATION) for line in tokenized]
