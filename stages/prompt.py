"""``prompt@corpus``: the prompts of one corpus, samples without pictures, with what is asked of their paintings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.measures.prompted import Prompt
from registry.store.dag import STAGES
from registry.store.keys import canonical
from stages.corpora import Problem
from stages.corpora.prompts import PromptCorpus, open_prompts
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.shards import DISK, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task, by_shard

STAGE = STAGES["prompt"]


def opened(study: Study, name: str) -> PromptCorpus:
    """A corpus of prompts, not read yet; raises as :func:`~stages.corpora.prompts.open_prompts` does."""
    settings = dict(study.entry("prompts", name))
    return open_prompts(settings.pop("adapter", None), settings)


def read(study: Study, name: str) -> tuple[list[Prompt], list[Problem]]:
    """Read a corpus of prompts, and the problems of its files.

    Raises ``ValueError`` where it holds no prompt, or as :func:`opened` does.
    """
    found = list(opened(study, name).samples())
    prompts = [one for one in found if isinstance(one, Prompt)]
    problems = [one for one in found if isinstance(one, Problem)]
    if not prompts:
        first = f" The first problem: {problems[0].message}" if problems else ""
        raise ValueError(f"The prompts {name} hold none.{first} Look at prompts.{name} in {study.file}.")
    if name in study.entries("corpora"):
        raise ValueError(f"corpora and prompts both have an entry called {name}; call one of them something else.")
    return prompts, problems


def plan(corpus: str, prompts: Sequence[Prompt]) -> Iterator[tuple[str, list[Task]]]:
    """One task a prompt, shard by shard."""
    tasks = []
    for prompt in prompts:
        columns = {"prompt": prompt.text, "annotations": canonical(prompt.annotations())}
        tasks.append(Task(corpus, prompt.sample, columns, columns))
    return by_shard(tasks)


class Listed:
    """Everything is known of a prompt when it is planned."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [Outcome() for _ in tasks]


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the prompts that a study calls NAME."""
    prompts, problems = read(study, name)
    return Node(
        stage=STAGE,
        entry=name,
        settings=study.entry("prompts", name),
        study=study.study,
        total=len(prompts),
        plan=plan(name, prompts),
        worker=Listed(),
        problems=problems,
    )


def main(name: str) -> None:
    """List the prompts that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
