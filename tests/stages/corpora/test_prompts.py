"""Small files in the true formats, and the releases where they are at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from models.measures.prompted import Prompt, Question
from stages.corpora import Problem
from stages.corpora.prompts import CATALOGUE, PromptCorpus, open_prompts

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"
HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language\n"
)
TABLE = (
    HEADER
    + """\
whoops_5,A red cube,cube,1,0,entity,whole,entity - whole (cube),Is there a cube?
whoops_5,A red cube,"cube, red",2,"1, 2",attribute,color,"attribute - color (cube, red)",Is the cube red?
whoops_5,A red cube,"cube, red",3,"1, air",relation,spatial,"relation - spatial (cube, air)",Is it in the air?
whoops_5,A red cube,"cube, red",3,1,attribute,color,again,Is it?
short,row
posescript_1,A man sits,man,1,0,entity,whole,entity - whole (man),Is there a man?
"""
)
CUBE = Prompt(
    "whoops_5",
    "A red cube",
    "whoops",
    (
        Question("1", "Is there a cube?", (), "entity", "whole"),
        Question("2", "Is the cube red?", ("1",), "attribute", "color"),
        Question("3", "Is it in the air?", ("1",), "relation", "spatial"),
    ),
)


def read(corpus: PromptCorpus) -> tuple[list[Prompt], list[Problem]]:
    found = list(corpus.samples())
    prompts = [one for one in found if isinstance(one, Prompt)]
    return prompts, [one for one in found if isinstance(one, Problem)]


def at_hand(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs ../shared/data/{name}")
    return SHARED / name


@pytest.mark.parametrize(("name", "table"), [("dsg", "dsg-1k-anns.csv"), ("dpg-bench", "dpg_bench.csv")])
def test_questions_with_what_they_depend_on(tmp_path, name, table):
    """The first row counts, which DPG-Bench's own reader drops."""
    (tmp_path / table).write_text(TABLE)
    prompts, problems = read(open_prompts(name, {"path": tmp_path}))
    assert prompts[0] == CUBE
    assert [prompt.sample for prompt in prompts] == ["whoops_5", "posescript_1"]
    assert [problem.kind for problem in problems] == ["bad_record", "bad_dependency", "bad_dependency", "duplicate_id"]
    assert problems[1].message == f"{table}:3 depends on '2', which is no other question of whoops_5; it is left out."


def test_dense_prompts_without_questions(tmp_path):
    lines = ['{"id": "0", "prompt": "A field."}', '{"id": "1"}', "[]", '{"id": "0", "prompt": "Another."}', ""]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    prompts, problems = read(open_prompts("dpg-bench", {"path": tmp_path}))
    assert prompts == [Prompt("0", "A field.")]
    assert [problem.kind for problem in problems] == ["bad_record", "bad_record", "duplicate_id"]
    assert problems[0].message == "prompts.jsonl:2 has no 'prompt'; it is left out."


def compbench(folder: Path) -> None:
    (folder / "color_val.txt").write_bytes(b"a green bench and a red car\r\n\r\n a red bench\r\n")
    (folder / "complex_val.txt").write_text("The hat was on top of it.\nA dog ran.\nA cat sat near it.\nWho?")
    for kind, line in [("spatial", "The hat was on top of it."), ("action", "A dog ran."),
                       ("spatialaction", "A cat sat near it.")]:  # fmt: skip
        (folder / f"complex_val_{kind}.txt").write_text(f"{line}\n")


def test_a_prompt_a_line_and_complex_ones_by_their_lists(tmp_path):
    compbench(tmp_path)
    corpus = open_prompts("t2i-compbench", {"path": tmp_path, "categories": ["color", "complex"]})
    prompts, problems = read(corpus)
    assert prompts == [
        Prompt("color_val/1", "a green bench and a red car", "color"),
        Prompt("color_val/3", "a red bench", "color"),
        Prompt("complex_val/1", "The hat was on top of it.", "complex/spatial"),
        Prompt("complex_val/2", "A dog ran.", "complex/action"),
        Prompt("complex_val/3", "A cat sat near it.", "complex/spatialaction"),
    ]
    assert [problem.message for problem in problems] == [
        "complex_val.txt:4 is in none of the lists of its kinds; it is left out."
    ]


def test_a_smaller_limit_is_the_head_of_a_larger_one(tmp_path):
    compbench(tmp_path)
    entry = {"path": tmp_path, "categories": ["complex", "color"], "seed": 1}
    whole, _ = read(open_prompts("t2i-compbench", entry))
    head, _ = read(open_prompts("t2i-compbench", {**entry, "limit": 2}))
    assert (len(whole), head) == (5, whole[:2])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dsg-1k", {}, 'There is no prompt corpus "dsg-1k"; did you mean "dsg"'),
        ("dsg", {"path": "nowhere"}, "There is no table of questions at nowhere/dsg-1k-anns.csv. Correct the path"),
        (
            "dpg-bench",
            {"path": "nowhere"},
            "There is no file of prompts .nor a dpg_bench.csv. at nowhere/prompts.jsonl",
        ),
        ("t2i-compbench", {"path": "nowhere"}, "There is no file of prompts at nowhere/color_val.txt"),
        ("t2i-compbench", {"path": ".", "categories": ["colour"]}, 'The setting "categories.0" of .* should be'),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(name, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        list(open_prompts(name, options).samples())


def test_a_table_of_other_columns_is_refused(tmp_path):
    (tmp_path / "dsg-1k-anns.csv").write_text("item_id,text\n1,A cube\n")
    with pytest.raises(ValueError, match="has no column proposition_id: expected item_id, text, "):
        list(open_prompts("dsg", {"path": tmp_path}).samples())


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_prompt_corpus_says_where_it_comes_from(name):
    source = CATALOGUE[name].SOURCE
    assert all((source.about, source.where, source.licence, source.files))


def test_the_releases_hold_what_they_say():
    """1,060 prompts with 8,182 questions (DSG's paper: ten sources); 1,065 dense ones; 300 a category."""
    prompts, problems = read(open_prompts("dsg", {"path": at_hand("dsg")}))
    assert (len(prompts), sum(len(prompt.questions) for prompt in prompts)) == (1060, 8182)
    assert len({prompt.category for prompt in prompts}) == 10
    assert Counter(problem.kind for problem in problems) == {"bad_dependency": 62}
    assert len(read(open_prompts("dpg-bench", {"path": at_hand("dpg_bench")}))[0]) == 1065
    prompts, problems = read(open_prompts("t2i-compbench", {"path": at_hand("t2i_compbench")}))
    counts = Counter(prompt.category for prompt in prompts)
    complexes = {category: count for category, count in counts.items() if category.startswith("complex")}
    assert complexes == {"complex/action": 212, "complex/spatial": 58, "complex/spatialaction": 30}
    assert {count for category, count in counts.items() if category not in complexes} == {300}
    assert problems == []
