"""Lessons of the pocket language model, its tokenizer, and its recipe in small."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from models.pocket.prompts import ASK, JUDGE, QUESTIONS
from models.training import claims, errands, language, spoken, verdicts
from models.training.readings import _STUTTER, Reading, Thing, facts, meant, read, written
from models.worlds import grammar, trends
from models.worlds.grammar import WORDS, agreement, parse, references, relation
from models.worlds.questions import yes_or_no

COUNT = 150


@pytest.fixture(scope="module")
def scenes():
    """Scene graphs without pictures, and their five captions."""
    rng = np.random.default_rng(5)
    graphs = [spoken.scene(rng) for _ in range(COUNT)]
    return [(graph, references(graph, rng)) for graph in graphs]


def test_captions_are_read_as_the_worlds_parser_reads_them(scenes):
    rng = np.random.default_rng(0)
    texts = [text for _, some in scenes for text in some] + [spoken.blurred(some[1], rng) for _, some in scenes]
    for text in texts:
        text = _STUTTER.sub(r"\1", text)  # the worlds' parser counts what is said twice
        known, found = parse(text), read(text)
        assert [{name: one.meaning(name) for name in WORDS if one.meaning(name)} for one in found.things] == [
            {name: thing[name] for name in WORDS if name in thing} for thing in known["objects"]
        ], text
        told = {(one["subject"], one["object"]): one["predicate"] for one in known["relations"]}
        assert {pair: found.relation(*pair) for pair in found.links} == told, text
        assert found.ground == (known["background"] or "")


def test_a_caption_written_anew_says_all_that_was_read(scenes):
    for graph, texts in scenes:
        for text in (texts[0], texts[1], texts[4]):
            again = written(read(text))
            assert agreement(parse(again), graph)["exact"] == 1, again
            assert meant(read(again)) == meant(read(text))
    assert written(read("a star below a ring, which is left of a disc. the disc")) == (
        "a star below a ring, which is left of a disc and a disc"
    )


def test_of_three_relations_those_are_kept_that_make_a_chain():
    found = read("a red ring with a blue star to its left and a green disc above it on a mint backdrop")
    assert found.links == {(1, 0): "to the left of", (2, 0): "above"}
    assert written(found) == (
        "a blue star to the left of a red ring, which is below a green disc, on a mint background"
    )


def test_facts_of_a_caption_by_hand():
    assert facts(read("two shapes on sky: a big red striped ring and an orange ring")) == [
        "There are two shapes.", "There is a red ring.", "The red ring is big.", "The red ring is striped.",
        "There is an orange ring.", "The background is sky.",
    ]  # fmt: skip
    assert facts(read("a plain star in the upper left, over a disc")) == [
        "There is a star.", "The star is plain.", "The star is in the upper left.", "There is a disc.",
        "The star is over the disc.",
    ]  # fmt: skip


def test_verdicts_agree_with_the_questions_that_captioners_learn(scenes):
    """A caption that says all answers as the picture does: the other recipes' questions are the witness."""
    rng, seen = np.random.default_rng(1), Counter()
    for graph, texts in scenes:
        things = read(texts[1]).things
        for kind in ("object", "color", "texture"):
            for truth in (True, False):
                turn = yes_or_no(graph, kind, truth, rng)
                if turn is None:
                    continue
                asked = read(turn.question).things[0]
                if kind == "object":
                    found = verdicts.verdict([verdicts.fits(thing, asked) for thing in things])
                else:
                    word = turn.question.rstrip("?").split()[-1]
                    found = verdicts.verdict([verdicts.has(one, kind, word) for one in things
                                             if verdicts.fits(one, asked) is not False])  # fmt: skip
                assert found == turn.answer, (texts[1], turn)
                seen[kind, found] += 1
    assert min(seen.values()) > COUNT / 4 and len(seen) == 6


def test_what_a_caption_leaves_open_is_not_judged():
    thing = Thing({"shape": "ring"})
    assert verdicts.verdict([verdicts.has(thing, "color", "red")]) == "n/a"
    assert verdicts.verdict([verdicts.fits(thing, Thing({"shape": "hoop", "color": "red"}))]) == "n/a"
    assert verdicts.verdict([verdicts.fits(thing, Thing({"shape": "star", "color": "red"}))]) == "no"


def test_relations_that_two_others_imply_hold_in_every_layout():
    rng, implied = np.random.default_rng(6), 0
    for _ in range(COUNT):
        graph = {"objects": [{"box": [*rng.integers(0, 50, 2).tolist(), 9, 9]} for _ in range(3)]}
        links = {(i, i + 1): relation(graph, i, i + 1) for i in (0, 1)}
        found = Reading([Thing(), Thing(), Thing()], links)
        for i, j in ((0, 2), (2, 0)):
            if way := verdicts.chained(found, i, j):
                assert way == relation(graph, i, j)
                implied += 1
    assert implied > COUNT / 10


def test_two_captions_of_one_scene_make_one_that_is_true(scenes):
    for graph, texts in scenes:
        known = errands.both(read(texts[3]), read(texts[1]))
        shapes = [(thing["shape"], thing["color"]) for thing in graph["objects"]]
        if len(set(shapes)) == len(shapes):
            assert agreement(parse(written(known)), graph)["precision"] == 1, texts


def test_the_first_of_two_captions_is_believed():
    known = errands.both(read("a small red ring on a sky background"), read("a large hoop, on a mint background"))
    assert written(known) == "a small red ring, on a sky background"


def test_lessons_are_the_same_whoever_makes_them_and_of_every_task():
    made = errands.lessons(1, 0, 300)
    assert made[100:200] == errands.lessons(1, 100, 200)
    assert {one.task for one in made} == set(errands.TASKS)
    assert all(one.prompt == one.prompt.strip() and one.answer and "  " not in one.answer for one in made
               if not one.prompt.endswith("Positions: "))  # fmt: skip
    judged = Counter(one.answer for one in made if one.task == "judged")
    assert set(judged) == {"yes", "no", "n/a"} and max(judged.values()) < 0.6 * judged.total()


def test_lessons_of_series_add_what_the_first_caption_does_not_claim():
    rng = np.random.default_rng(2)
    for _ in range(40):
        prompt, answer = claims.fused(rng)
        first, second = (line.partition(": ")[2] for line in prompt.split("\n")[1:])
        assert answer.startswith(first)
        if trends.parse(first) and trends.parse(second):
            assert set(trends.parse(answer)) >= set(trends.parse(first))


def test_every_word_is_a_token_and_any_text_comes_back():
    made = errands.lessons(1, 0, 600)
    tokenizer = language.word_tokenizer(text for one in made for text in (one.prompt, one.answer))
    words = {f" {word}" for table in WORDS.values() for some in table.values() for word in some}
    assert all(len(tokenizer.tokenize(word)) == 1 for word in words | {f" {g}" for g in grammar.BACKGROUNDS})
    for text in (made[0].prompt, "Two lines.\nNaïve 3.5 %, 世界", ""):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    made = type("Small", (language.Language,), {"taught": 60, "judged": 2})
    return made(folder / "build", folder / "weights", [])


@pytest.mark.usefixtures("one_thread")
def test_the_loss_is_that_of_transformers(recipe, monkeypatch):
    monkeypatch.setattr(language, "TOKENS", 1)
    model = recipe.build()
    recipe.prepare(model)
    assert sum(len(ids) for ids, _ in recipe.shelves) >= 55
    torch.manual_seed(3)
    found, _ = recipe.loss(model, np.random.default_rng(0), 0.0)
    torch.manual_seed(3)
    ids, spans = recipe.shelves[np.random.default_rng(0).choice(len(recipe.shelves), p=recipe.shares)]
    row = int(torch.randint(len(ids), (1,)))
    begin, end = spans[row].tolist()
    tokens = ids[row : row + 1, :end].long()
    labels = tokens.clone()
    labels[:, :begin] = language.UNASKED
    assert found.item() == pytest.approx(model(tokens, labels=labels).loss.item(), rel=1e-4)
    assert tokens[0, -1] == recipe.tokenizer.eos_token_id


@pytest.mark.usefixtures("one_thread")
def test_what_is_trained_is_served_by_the_adapter_of_language_models(recipe, monkeypatch):
    from models.adapters.catalogue import build

    monkeypatch.setattr(language, "TOKENS", 512)
    monkeypatch.setattr(recipe, "say", lambda model, prompts, longest=220: ["a red ring"] * len(prompts))
    figures = recipe.train(lambda figures, step: None, False, 3)
    assert figures["judged"] == 0 and 0 <= figures["caption kept"] <= 1
    folder = recipe.weights / "qwen2"
    assert "language" in (folder / "README.md").read_text()
    assert (folder / "model.safetensors").stat().st_size < 3.8e6
    served = build("chat", "causal-lm", {"adapter": "causal-lm", "checkpoint": str(folder)})
    served.load()
    prompt = QUESTIONS.format(sentence="a red ring on a sky background")
    ((reply,),) = served.answer([[Turn("user", prompt)]], Decoding(beams=1, candidates=1, max_tokens=4), [0])
    assert isinstance(reply.text, str)
    question = JUDGE.format(caption="a red ring", question="Is there a red ring?")
    assert served.choose([[Turn("user", question)]], [["yes", "no", "n/a"]])[0].sum() == pytest.approx(1)


def test_right_answers_score_and_wrong_ones_do_not():
    rng = np.random.default_rng(4)
    for task in errands.TASKS:
        asked = [errands.lesson(rng, task) for _ in range(20)]
        right = language.scores(task, asked, [one.answer for one in asked])
        wrong = language.scores(task, asked, ["nothing at all"] * 20)
        if task == "judged":
            assert right["judged"] == 1 and wrong["judged"] == 0
        else:
            assert (right[f"{task} kept"], right[f"{task} added"], right[f"{task} exact"]) == (1, 0, 1)
            assert wrong[f"{task} kept"] == wrong[f"{task} exact"] == 0
    some = [errands.Lesson("named", "", "\n".join(ASK.format(name=name) for name in ("red ring", "star")))]
    said = language.scores("named", some, [ASK.format(name="star")])
    assert (said["named kept"], said["named added"], said["named exact"]) == (0.5, 0, 0)
