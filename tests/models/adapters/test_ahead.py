"""The next batch is prepared while one is on the device; results, their order and their thread are those of doing one
thing after the other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from models.adapters import ahead as module
from models.adapters.ahead import AbandonedError, ahead, on_device, prepared
from models.adapters.batches import by_length, in_batches
from models.adapters.catalogue import build
from stages.engine.handling import prepares

HERE = threading.main_thread()


def test_the_next_batch_is_prepared_while_one_is_on_the_device():
    """Each device part waits for the next preparation: it never came, were it not made meanwhile."""
    ready = [threading.Event() for _ in range(4)]
    events = []

    def work(number: int) -> int:
        assert threading.current_thread() is not HERE
        ready[number].set()
        return on_device(partial(compute, number)) * 10

    def compute(number: int) -> int:
        assert threading.current_thread() is HERE, "kernels round as many threads as that one has"
        assert number == 3 or ready[number + 1].wait(30)
        assert number > 1 or not ready[number + 2].is_set(), "not two ahead"
        events.append(number)
        return number

    assert [result() for result in ahead(partial(work, number) for number in range(4))] == [0, 10, 20, 30]
    assert events == [0, 1, 2, 3]


def test_the_next_batch_begins_when_one_comes_to_the_device():
    """So what the first one makes ready for all (a variant, a corpus) is there."""
    log = []

    def work(number: int) -> None:
        log.append(f"begins {number}")
        on_device(lambda: log.append(f"computes {number}"))

    for result in ahead([lambda: log.append("needs no device"), partial(work, 1), partial(work, 2)]):
        result()
    assert log[:2] == ["needs no device", "begins 1"]
    assert log.index("computes 1") < log.index("computes 2")


def test_what_raises_raises_where_it_is_asked_for_and_the_others_go_on():
    def work(number: int) -> int:
        return on_device(lambda: 6 // number)

    results, found = ahead(partial(work, number) for number in (0, 2, 0, 3)), []
    for result in results:
        try:
            found.append(result())
        except ZeroDivisionError:
            found.append("failed")
    assert found == ["failed", 3, "failed", 2]


def test_what_raises_while_a_batch_is_drawn_is_no_fault_of_the_one_before():
    """Its result is there, and then whoever asks for the next one hears: nobody takes the rest for done."""

    def works():
        yield lambda: on_device(lambda: 1)
        raise OSError("the database is locked")

    found = []
    with pytest.raises(OSError, match="locked"):
        for result in ahead(works()):
            found.append(result())
    assert found == [1]


@pytest.mark.parametrize("how", ["closed", "told to end"])
def test_whoever_is_not_asked_any_more_ends(how, monkeypatch):
    monkeypatch.setattr(module, "POLL", 0.01)
    raised, threads = [], []

    def end() -> None:
        if how == "told to end":
            raise SystemExit(143)

    def work() -> None:
        threads.append(threading.current_thread())
        try:
            on_device(end)
            on_device(threading.Event)
        except AbandonedError:
            raised.append(how)
            raise

    results = ahead([work] * 3)
    result = next(results)
    if how == "told to end":
        with pytest.raises(SystemExit):
            result()
    results.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert len(raised) == len(threads)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *(("chat", name) for name in ("qwen2.5-vl", "qwen2-vl", "llava", "llava-onevision", "causal-lm", "seq2seq-lm")),
        *(("captioners", name) for name in ("blip", "qwen2.5-vl", "qwen2-vl", "llava", "llava-onevision")),
        ("encoders", "vit"), ("measures", "clipscore"), ("measures", "lpips"),
    ],
)  # fmt: skip
def test_what_is_prepared_ahead(role, name):
    settings = {"adapter": name} | ({} if name == "lpips" else {"checkpoint": "anywhere"})
    assert prepares(build(role, name, settings))


def test_an_endpoint_has_threads_of_its_own():
    settings = {"adapter": "openai-compatible", "endpoint": "http://127.0.0.1:1/v1", "model": "any", "revision": "1"}
    assert not prepares(build("captioners", "hosted", settings))


def test_items_are_prepared_in_order_and_by_several_threads(monkeypatch):
    monkeypatch.setattr(module, "THREADS", 4)
    met = threading.Barrier(4, timeout=30)

    def prepare(number: int) -> int:
        met.wait()
        return -number

    assert prepared(prepare, range(8)) == [-number for number in range(8)]
    with pytest.raises(ZeroDivisionError):
        prepared(lambda number: 1 // number, [1, 0])


def test_every_item_is_computed_once_and_fills_up_where_rows_are_exact():
    calls: list[list[int]] = []

    def double(rows: list[int]) -> list[int]:
        calls.append(rows)
        return [2 * row for row in rows]

    lengths = [7, 1, 5, 7, 3]
    assert in_batches(lengths, 2, False, double) == [0, 2, 4, 6, 8]
    assert calls == [[0, 3], [1, 1], [2, 2], [4, 4]]
    calls.clear()
    assert in_batches(by_length(lengths, 2), 2, True, double) == [0, 2, 4, 6, 8]
    assert sorted(calls) == [[0, 2], [1, 4], [3]]
