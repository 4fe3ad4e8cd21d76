"""Prompt corpora: samples without pictures, what painters are asked to paint and judges ask about.

They are listed as corpora are (:mod:`stages.corpora`), and no picture belongs to them: a sample is a
:class:`~models.measures.prompted.Prompt`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from pydantic import Field

from models.adapters import settings
from models.adapters.settings import unknown, validated
from models.measures.prompted import Prompt, Question
from models.worlds import example
from models.worlds.grammar import parse
from registry.store.tables import csv_rows, json_lines, read_text
from stages.corpora import Problem, Source
from stages.corpora.checks import Subset, bad_record, in_order, up_to
from stages.engine.shards import storable


class PromptCorpus(Protocol):
    """Prompts of one source; its class is made with its settings."""

    @property
    def SOURCE(self) -> Source: ...

    @property
    def Settings(self) -> type[settings.Settings]:
        """Settings that ``params.yaml`` can give it."""

    @property
    def settings(self) -> Any:
        """Those that it was made with; ``path`` holds its files."""

    def samples(self) -> Iterator[Prompt | Problem]:
        """Prompts in an order that depends on the settings and files alone, problems where they were met.

        Raises FileNotFoundError or ValueError only where there is no corpus to read.
        """


def open_prompts(name: object, options: Mapping[str, Any]) -> PromptCorpus:
    """The prompt corpus of the catalogue's ``name`` with the settings that ``params.yaml`` gives it.

    >>> open_prompts("dgs", {})
    Traceback (most recent call last):
    ValueError: There is no prompt corpus "dgs"; did you mean "dsg"? Known: dpg-bench, dsg, scenes, t2i-compbench.

    Raises ValueError for an unknown name and for settings that the corpus does not take.
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise ValueError(unknown("prompt corpus", name, CATALOGUE))
    corpus = CATALOGUE[name]
    return corpus(validated(f"prompt corpus {name}", corpus.Settings, options))


class Dsg:
    """DSG-1k, or any table of its columns: a row is a question, and a prompt's category is where it comes from."""

    SOURCE = Source(
        about="DSG-1k: 1,060 prompts of ten sources with 8,182 questions and their dependencies",
        where="https://github.com/j-min/DSG (the folder dsg/data)",
        licence="Apache-2.0",
        files=("{table}",),
    )

    class Settings(Subset):
        path: Path
        """The folder with the table."""

        table: Path = Path("dsg-1k-anns.csv")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Prompt | Problem]:
        found = asked(self.settings.path / self.settings.table)
        return up_to(self.settings.limit, in_order(found, self.settings.seed))


class DpgBench:
    """DPG-Bench: dense prompts, with the questions of ``dpg_bench.csv`` where it is there, whose columns are DSG's."""

    SOURCE = Source(
        about="DPG-Bench: 1,065 dense prompts, with questions and their dependencies",
        where="https://github.com/TencentQQGYLab/ELLA (the folder dpg_bench)",
        licence="Apache-2.0",
        files=("prompts.jsonl",),
    )

    class Settings(Subset):
        path: Path
        """The folder with ``dpg_bench.csv``, or else with ``prompts.jsonl``: objects of ``id`` and ``prompt``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Prompt | Problem]:
        table = self.settings.path / "dpg_bench.csv"
        found = asked(table) if table.is_file() else self._unasked()
        return up_to(self.settings.limit, in_order(found, self.settings.seed))

    def _unasked(self) -> Iterator[Prompt | Problem]:
        path = self.settings.path / "prompts.jsonl"
        for number, record in json_lines(path, "file of prompts (nor a dpg_bench.csv)"):
            try:
                if isinstance(record, str):
                    raise ValueError(record)
                yield Prompt(storable(record["id"]), storable(record["prompt"]))
            except (KeyError, AttributeError, ValueError) as error:
                yield bad_record(f"{path.name}:{number}", error)


Category = Literal["color", "shape", "texture", "spatial", "3d_spatial", "non_spatial", "numeracy", "complex"]
COMPLEX = ("spatial", "action", "spatialaction")


class T2ICompBench:
    """T2I-CompBench: a prompt a line, a file a category.

    A complex prompt's category says what is judged of it beside its attributes, as their lists do: ``complex/spatial``,
    ``complex/action`` or ``complex/spatialaction``.
    """

    SOURCE = Source(
        about="T2I-CompBench: prompts of attributes, relations and counts, 300 a category for validation",
        where="https://github.com/Karine-Huang/T2I-CompBench (the folder examples/dataset)",
        licence="MIT",
        files=("{categories}_{split}.txt",),
    )

    class Settings(Subset):
        path: Path
        """The folder with ``color_val.txt`` and so on."""

        categories: tuple[Category, ...] = get_args(Category)
        split: Literal["train", "val"] = "val"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Prompt | Problem]:
        found = (each for category in self.settings.categories for each in self._file(category))
        return up_to(self.settings.limit, in_order(found, self.settings.seed))

    def _file(self, category: str) -> Iterator[Prompt | Problem]:
        name = f"{category}_{self.settings.split}"
        kinds = {}
        if category == "complex":
            kinds = {text: kind for kind in COMPLEX for _, text in self._lines(f"{name}_{kind}")}
        for number, text in self._lines(name):
            if category != "complex":
                yield Prompt(f"{name}/{number}", text, category)
            elif text in kinds:
                yield Prompt(f"{name}/{number}", text, f"complex/{kinds[text]}")
            else:
                yield bad_record(f"{name}.txt:{number}", ValueError("is in none of the lists of its kinds"))

    def _lines(self, name: str) -> Iterator[tuple[int, str]]:
        text = read_text(self.settings.path / f"{name}.txt", "file of prompts")
        return ((number, line) for number, said in enumerate(text.splitlines(), 1) if (line := storable(said.strip())))


COLUMNS = ("item_id", "text", "proposition_id", "dependency", "category_broad", "category_detailed",
           "question_natural_language")  # fmt: skip


def asked(path: Path) -> Iterator[Prompt | Problem]:
    """The prompts of a table of DSG's columns with their questions, in order of their first rows.

    A dependency on what is no other question of the prompt is a problem, and left out; a question that comes twice
    counts once. (The authors' code drops all dependencies of a prompt where one is no number.)

    Raises FileNotFoundError and ValueError where there is no such table.
    """
    rows: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
    for number, row in csv_rows(path, "table of questions"):
        where = f"{path.name}:{number}"
        if isinstance(row, str):
            yield bad_record(where, ValueError(row))
            continue
        if lacking := [column for column in COLUMNS if column not in row]:
            raise ValueError(f"{path} has no column {lacking[0]}: expected {', '.join(COLUMNS)}. Correct the path.")
        rows[storable(row["item_id"])].append((where, {name: storable(row[name].strip()) for name in COLUMNS}))
    for sample, own in rows.items():
        names = {row["proposition_id"] for _, row in own}
        questions: dict[str, Question] = {}
        for where, row in own:
            name = row["proposition_id"]
            if name in questions:
                yield Problem(sample, "duplicate_id", f"{where} has question {name} again; the first is kept.")
                continue
            said = [parent.strip() for parent in row["dependency"].split(",")]
            parents = tuple(parent for parent in said if parent in names - {name})
            for parent in dict.fromkeys(one for one in said if one not in {"0", "", *parents}):
                message = f"{where} depends on {parent!r}, which is no other question of {sample}; it is left out."
                yield Problem(sample, "bad_dependency", message)
            text, broad, detail = (row[column] for column in COLUMNS[-1:] + COLUMNS[-3:-1])
            questions[name] = Question(name, text, parents, broad, detail)
        yield Prompt(sample, own[0][1]["text"], sample.rpartition("_")[0], tuple(questions.values()))


class Scenes:
    """One of the five wordings of each scene of a seed, and the graph that it says."""

    SOURCE = Source(
        about="captions of scenes of one to three shapes",
        where="drawn by models/worlds",
        licence="that of this project",
        files=("scenes.py", "grammar.py"),
    )

    class Settings(settings.Settings):
        seed: int = Field(0, ge=0)
        """Which scenes; the pocket models' training seeds are in their model cards, and a study takes another."""

        count: int = Field(100, ge=1)
        """How many; the first ones stay the same when it grows."""

        path: Path = Path("models/worlds")
        """The program that draws the worlds, for DVC to watch; nothing is read from it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Prompt | Problem]:
        seed = self.settings.seed
        for index in range(self.settings.count):
            wordings = example("scenes", seed, index).references
            text = wordings[int(np.random.default_rng([seed, index]).integers(len(wordings)))]
            yield Prompt(f"seed-{seed}/{index}", text, graph=parse(text))


CATALOGUE: dict[str, type[Any]] = {"dsg": Dsg, "scenes": Scenes, "dpg-bench": DpgBench, "t2i-compbench": T2ICompBench}
