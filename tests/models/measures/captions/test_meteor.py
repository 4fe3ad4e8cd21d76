"""METEOR's process: its numbers against pycocoevalcap's, its protocol against a program that misbehaves on demand."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from models.measures.captions.meteor import Meteor, MeteorError


def test_agrees_with_pycocoevalcap(meteor: Meteor, witness: Callable) -> None:
    references = {
        "1": ["a man rides a brown horse", "someone is riding a horse on the beach"],
        "2": ["two dogs play", "dogs playing in the grass", "a pair of dogs"],
        "3": ["a café with naïve façade"],
        "4": ["the cat sat on the mat"],
    }
    captions = {
        "1": "a woman riding horses",
        "2": "two dogs are playing on grass",
        "3": "a naïve café \U0001f600",
        "4": "",
    }
    expected, expected_items = witness(references, {key: [text] for key, text in captions.items()})
    items, corpus = meteor.scores([meteor.statistics(captions[key], references[key]) for key in references])
    assert corpus == pytest.approx(expected, abs=1e-12)
    assert items == pytest.approx(expected_items, abs=1e-12)


def test_a_caption_equal_to_its_reference_scores_one(meteor: Meteor) -> None:
    assert meteor.scores([meteor.statistics("two dogs play outside", ["two dogs play outside"])]) == ([1], 1)


@pytest.mark.parametrize("text", ["a ||| b", "a\nb", "a\r\nb", "|||", "a\u2028b", "a\x00b", "\ud83d", "x" * 100_000])
def test_the_protocol_is_not_broken_by_a_caption(meteor: Meteor, text: str) -> None:
    meteor.statistics(text, ["a b", text])
    assert meteor.scores([meteor.statistics("a b", ["a b"])])[1] == pytest.approx(1, abs=1e-6)


def test_no_caption_is_no_corpus(meteor: Meteor) -> None:
    with pytest.raises(ValueError, match="give at least one"):
        meteor.scores([])


@pytest.fixture
def actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``java`` that speaks the protocol, floods its error stream, and hangs or dies when a caption says so."""
    (tmp_path / "java").write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import sys, time
        for line in sys.stdin:
            sys.stderr.write("noise " * 50_000)
            sys.stderr.flush()
            if "hang" in line:
                time.sleep(60)
            if "die" in line:
                sys.exit(1)
            parts = line.split(" ||| ")
            answers = 1 if parts[0] == "SCORE" else len(parts)
            print("\\n".join(["0.5"] * answers), flush=True)
        """)
    )
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_flood_of_messages_does_not_block(actor: Path) -> None:
    meteor = Meteor(timeout=20)
    assert [meteor.statistics("a", ["a"]) for _ in range(5)] == ["0.5"] * 5
    assert meteor.scores(["0.5", "0.5"]) == ([0.5, 0.5], 0.5)
    meteor.close()


def test_no_answer_in_time_is_an_error_and_the_next_caption_goes_on(actor: Path) -> None:
    meteor = Meteor(timeout=1)
    with pytest.raises(MeteorError, match="no answer within 1 s"):
        meteor.statistics("hang", ["a"])
    meteor.timeout = 20
    assert meteor.statistics("a", ["a"]) == "0.5"
    meteor.close()


def test_death_is_an_error_and_the_next_caption_goes_on(actor: Path) -> None:
    meteor = Meteor(timeout=20)
    with pytest.raises(MeteorError, match="died: noise"):
        meteor.statistics("die", ["a"])
    assert meteor.statistics("a", ["a"]) == "0.5"
    meteor.close()


def test_a_java_that_does_not_start_is_named(actor: Path) -> None:
    (actor / "java").write_text("#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2\nexit 1\n")
    with pytest.raises(MeteorError, match="Unable to locate a Java Runtime"):
        Meteor().start()


def test_the_process_ends_with_close_and_with_its_owner(actor: Path) -> None:
    meteor = Meteor()
    meteor.start()
    process = meteor._process
    meteor.close()
    assert process.poll() is not None
    meteor.start()
    process = meteor._process
    del meteor
    assert process.poll() is not None


def test_the_language_of_this_machine_is_no_part_of_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where decimals have commas, Java read METEOR's own numbers wrong. The value is what it gives in English."""
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    monkeypatch.setenv("_JAVA_OPTIONS", "-Duser.language=it -Duser.country=IT")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    meteor = Meteor()
    riding = ["a man riding a brown horse on a beach", "a person rides a horse near the sea"]
    dogs = ["two dogs play in the snow", "a pair of dogs playing outside in winter"]
    bus = ["a red bus parked in front of a building", "a double decker bus at a stop"]
    captions = ["a man riding a horse", "two dogs in snow", "a red bus in the street"]
    counted = [meteor.statistics(*pair) for pair in zip(captions, (riding, dogs, bus), strict=True)]
    assert meteor.scores(counted)[1] == pytest.approx(0.26906673135002684, abs=1e-12)
    meteor.close()
