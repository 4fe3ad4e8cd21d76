"""Parts of methods that ask at the same time get their own replies, each in the form in which it asked."""

from __future__ import annotations

from models.adapters.requests import Ask, together


def part(name: str, *waves: int):
    """Asks in waves of so many requests, 0 for one that is no list; returns the replies."""
    heard = []
    for wave, count in enumerate(waves):
        asked = [Ask("who", f"{name}{wave}{number}") for number in range(count)]
        heard.append((yield asked if count else Ask("who", f"{name}{wave}")))
    return heard


def test_parts_of_different_lengths_ask_in_common_waves():
    waves = []
    asking = together([part("a", 2, 0), part("b"), part("c", 0, 1, 0)])
    request = next(asking)
    try:
        while True:
            waves.append([one.text for one in request])
            request = asking.send([one.text.upper() for one in request])
    except StopIteration as end:
        returned = end.value
    assert waves == [["a00", "a01", "c0"], ["a1", "c10"], ["c2"]]
    assert returned == [[["A00", "A01"], "A1"], [], ["C0", ["C10"], "C2"]]


def test_nothing_to_ask_asks_nothing():
    try:
        next(together([part("a"), part("b")]))
    except StopIteration as end:
        assert end.value == [[], []]
