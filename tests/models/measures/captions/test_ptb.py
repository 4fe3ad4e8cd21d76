from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from models.measures.captions.java import JavaMissing
from models.measures.captions.ptb import tokenize

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")

CAPTIONS = [
    "A man's hat -- (red); isn't here...",
    'Two dogs, 3.5 cats & a "horse"!',
    "a café, naïve façade",
    "Call 555-1234 now? U.S.A. e.g. it's 10:30.",
    "",
    "...",
    "a|||b <unk> {x} [y] `q'",
    "the the the",
]


@needs_java
def test_ptb_agrees_with_pycocoevalcap() -> None:
    ours = tokenize(CAPTIONS, "ptb")
    theirs = PTBTokenizer().tokenize({index: [{"caption": text}] for index, text in enumerate(CAPTIONS)})
    assert [ours[text] for text in CAPTIONS] == [theirs[index][0] for index in range(len(CAPTIONS))]


@needs_java
def test_no_caption_shifts_another() -> None:
    """A line end inside a caption, of any kind, must not become a second caption."""
    odd = ["a\nb", "a\r\nb", "a\u2028b", "a\x0bb", "a\x0cb", "a\x85b", "\n", "a\tb", "  a  b  "]
    texts = [*odd, "x\x00y", "a \U0001f600 b", "\ud83d", "שלום עולם", " ".join(["word"] * 10_000), "last one"]
    tokens = tokenize(texts, "ptb")
    assert {tokens[text] for text in odd if text.strip()} == {"a b"}
    assert tokens["\n"] == ""
    assert len(tokens[texts[-2]].split()) == 10_000
    assert tokens["last one"] == "last one"


def test_none_splits_on_white_space() -> None:
    assert tokenize(["A\n dog's\u2028tail ,"], "none") == {"A\n dog's\u2028tail ,": "A dog's tail ,"}
    assert tokenize([], "ptb") == {}


def test_without_java_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaMissing, match="'ptb' runs in Java: .* install a Java runtime .* choose tokenizer 'none'"):
        tokenize(["a"], "ptb")
    assert tokenize(["a"], "none") == {"a": "a"}
