"""What a forecast makes of past runs and of a few pictures."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from registry.store.dag import STAGES
from registry.tracking.asking import Past
from stages.care.counting import asked_about
from stages.care.plan import Asked, Forecast, Size, estimated, listing, mean_size
from stages.care.rates import appendix, at_rates, read_rates, requests
from stages.engine.answering import variants
from stages.engine.node import Node
from stages.engine.study import read_study


def forecast(runs: list[Past], size: Size | None, stage: str = "inpaint"):
    """Of ten missing items of an adapter."""
    node = Node(
        stage=STAGES[stage], entry="mine", settings={"adapter": "telea"}, study="s", total=10, plan=(), worker=None
    )
    return estimated(runs, Asked(node, 10, {"photographs": 10}), size, 0, 10, 0)


def past(pixels: float | None, seconds: float = 10, stage: str = "inpaint") -> Past:
    """A run over a hundred items."""
    return Past(f"{stage}@telea", {"adapter": "telea"}, "cpu", 100, seconds, pixels)


def test_runs_over_small_pictures_speak_for_large_ones_by_their_pixels():
    """256 × 256 is sixteen times 64 × 64: 1.6 s an item where 0.1 s were measured."""
    found = forecast([past(64 * 64)], Size(256 * 256, 100_000))
    assert found.hours == {"cpu": pytest.approx(10 * 1.6 / 3600)}
    assert (found.scaled, found.bytes) == (True, 1_000_000)
    assert "16 s cpu *" in listing([found])
    assert "* No past run saw pictures of about this size" in listing([found])


def test_runs_over_pictures_of_about_that_size_speak_alone():
    found = forecast([past(64 * 64), past(256 * 256, seconds=50)], Size(256 * 256, 1))
    assert (found.hours, found.scaled) == ({"cpu": pytest.approx(10 * 0.5 / 3600)}, False)
    assert "*" not in listing([found])


@pytest.mark.parametrize(("runs", "size"), [([], Size(1, 1)), ([past(None)], Size(1, 1)), ([past(1)], None)])
def test_what_nothing_says_is_unknown(runs, size):
    assert forecast(runs, size).hours is None


def test_scores_of_captions_take_what_they_took():
    runs = [past(64 * 64, stage="quality")]
    assert forecast(runs, Size(512 * 512, 1), "quality").hours == {"cpu": pytest.approx(10 * 0.1 / 3600)}


def test_corpora_weigh_as_many_pictures_as_they_have():
    assert mean_size({"a": Size(100, 10), "b": Size(400, 40)}, {"a": 30, "b": 10, "unread": 5}) == (175, 17.5)
    assert mean_size({}, {"a": 3}) is None


def test_given_rates_go_before_those_of_past_runs(tmp_path: Path):
    """A million captions at 2.27 a second of an H200 (Qwen2.5-VL, batch 8) are 122 hours, and on eight 0.6 days."""
    found = [
        Forecast("inpaint@sd", 9, 0, 9, 0, {"cpu": 1.0}, 1),
        Forecast("caption@qwen", 1_000_000, 0, 0, 1_000_000, None, 0),
    ]
    path = tmp_path / "rates.yaml"
    path.write_text("caption: {items_per_second: 2.27, device: H200}\n")
    inpaint, caption = at_rates(found, read_rates(path))
    assert inpaint == found[0]
    assert caption.hours == {"H200": pytest.approx(122.37, abs=0.01)}
    assert appendix([caption], {"recaption@rico": {"reviser": 12, "language": None}}, 8).splitlines() == [
        "On 8 x H200, each stage spread evenly: 0.6 days.",
        "recaption@rico asks reviser: 12 requests at most",
        "recaption@rico asks language: no bound",
    ]
    path.write_text("captoin: {items_per_second: 2}\n")
    with pytest.raises(ValueError, match='no stage of the study "captoin"; did you mean "caption"'):
        at_rates(found, read_rates(path))
    path.write_text("caption: {items_per_second: 0}\n")
    with pytest.raises(ValueError, match='"items_per_second" of caption in .* should be greater than 0, but is 0'):
        read_rates(path)


def test_requests_of_methods_are_counted_beforehand():
    """RICO asks its painter and its reviser once a round (paper RICO, algorithm 1): of one and of two rounds 3."""
    study = read_study(Path("params.yaml"))
    of = {stage: Forecast(stage, 48, 0, 48, 0, None, 0) for stage in ("recaption@rico", "recaption@scalecap")}
    found = requests(study, list(of.values()))
    assert found["recaption@rico"] == {f"models/pocket/weights/{name}": 72 for name in ("sd3-paint", "reviser")}
    assert found["recaption@scalecap"]["models/pocket/weights/qwen2"] is None, (
        "as many as its first caption has sentences"
    )


def test_requests_of_benchmarks_are_counted_beforehand():
    """Against what the benchmarks do ask of two pictures, of which each question is a request of its own once."""
    study = read_study(Path("params.yaml"))
    pope = {"question": "Is there a {object}?", "object": "{color} {shape}"}
    prism = {"language_model": "language"}
    entry = {"model": "llava", "corpora": ["scenes"], "benchmarks": {"pope": pope, "caption-qa": {}, "prism": prism}}
    corpora = {"scenes": {**study.corpora["scenes"], "count": 2}}
    study = study.model_copy(update={"corpora": corpora, "answerers": {"lvlm": entry}})
    [one] = variants(study, "lvlm").values()
    asked = set()
    for sample, own in asked_about(study, one, "scenes").items():
        for kind, questions in own.items():
            ask, reply = one.benchmarks[kind].ask(None, questions), None
            with suppress(StopIteration):
                while True:
                    some = ask.send(reply)
                    several = some if isinstance(some, list) else [some]
                    asked |= {(sample, kind, each.role, each.text) for each in several}
                    reply = [[0.5] * len(each.choices) for each in some] if isinstance(some, list) else "a ring"
    models = {"answerer": "models/pocket/weights/llava-onevision", "language_model": "models/pocket/weights/qwen2"}
    forecast = Forecast("answer@lvlm", 3, 0, 3, 0, None, 0)
    assert requests(study, [forecast]) == {"answer@lvlm": Counter(models[role] for *_, role, _ in asked)}
    assert requests(study, [forecast._replace(missing=0)]) == {}
