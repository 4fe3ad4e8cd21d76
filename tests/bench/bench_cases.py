"""Peak memory of a stage that rewrites captions, as its corpus grows.

    python -m tests.bench.bench_cases [--cases 1000 10000] [--portion 1000]

Pictures of 4 × 4 with a caption of 60 words each, rewritten by RICO in two rounds: four requests a case, asked of
models without weights, a painter of plain colours and a reviser that answers in 120 words. SQLite, objects on disk.
Each size runs in a process of its own and is measured there (``ru_maxrss``). Prints megabytes beyond what the imports
take, and how much a case adds from one size to the next: with a small ``--portion`` what stays of a case that is done.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models.adapters import catalogue
from models.adapters.roles import Reply, Turn
from models.media.images import encode_png
from registry.store.dag import SECTIONS, STAGES
from stages import recaption
from stages.engine import node
from stages.engine.loop import execute
from stages.engine.shards import image, shard_count, shard_of, write_shard
from stages.engine.study import Study
from tests.bench.bench_plan import apart
from tests.stages.engine import toys

WORDS = "of a small red star beside two large blue rings under the grey sky there is"


class Reviser(toys.Toy):
    """Revises a caption in its last word."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        return [[self.reply(conversation[-1].text)] for conversation in conversations]

    def reply(self, text: str) -> Reply:
        caption = text.partition("The caption is: ")[2].partition("\n")[0]
        said = f"<analysis>{WORDS * 4}</analysis><revised_caption>{caption}, indeed</revised_caption>"
        return Reply(said, "stop")


def study() -> Study:
    model = {"journal": os.devnull, "batch_size": 256}
    models = {name: {"adapter": name, "name": name, **model} for name in ("toy-painter", "toy-reviser")}
    rico = {"method": "rico", "painter": "toy-painter", "reviser": "toy-reviser", "rounds": 2}
    return Study.model_validate(
        {section: {} for section in SECTIONS}
        | {"study": "cases", "models": models, "corpora": {"some": {}}, "captioners": {"one": {"adapter": "blip"}}}
        | {"recaptioners": {"rico": rico}}
    )


def write_captions(cases: int) -> None:
    """Write the shards of originals and of their captions."""
    count = shard_count(cases)
    shards: defaultdict[str, list[int]] = defaultdict(list)
    for number in range(cases):
        shards[shard_of(f"{number:07}", count)].append(number)
    for name, numbers in shards.items():
        pictured, captioned = [], []
        for number in sorted(numbers):
            common = {"corpus": "some", "sample": f"{number:07}", "status": "ok"}
            picture = encode_png(np.frombuffer(number.to_bytes(48, "big"), np.uint8).reshape(4, 4, 3))
            pictured.append({**common, "key": f"p-{number}", "image": image(picture, ""), "references": []})
            captioned.append(
                {**common, "captioner": "one", "key": f"c-{number}", "parents": [f"p-{number}"]}
                | {"caption": f"{number} {WORDS * 4}", "candidates": []}
            )
        for folder, rows in (("prepare", pictured), ("caption/one", captioned)):
            stage = STAGES[folder.partition("/")[0]]
            fields = [*((axis, pa.string()) for axis in stage.axes), *stage.fields]
            write_shard(Path("data", folder, "some", name), rows, fields)


def most() -> int:
    """The most bytes that this process has taken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rewritten(folder: Path, cases: int, portion: int) -> int:
    """Bytes beyond the imports of a stage with so many cases."""
    os.chdir(folder / str(cases))
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    Path("dvc.yaml").touch()
    node.PORTION = portion
    toys.register()
    STAGES["recaption"] = recaption.STAGE
    catalogue.CATALOGUE["chat"]["toy-reviser"] = "tests.bench.bench_cases:Reviser"
    before = most()
    link = execute(recaption.node(study(), "rico"))
    if (link["computed"], link["failed"], link["requests"]["asked"]) != (cases, 0, 4 * cases):
        raise RuntimeError(f"Of {cases} cases {link['computed']} were rewritten: {link['reasons']}.")
    return most() - before


def laid_out(folder: Path, cases: int) -> None:
    (folder / str(cases)).mkdir()
    os.chdir(folder / str(cases))
    write_captions(cases)


def main(arguments: list[str] | None = None) -> dict[int, int]:
    """Print the figures and return bytes by number of cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--portion", type=int, default=node.PORTION, help="cases that advance together")
    given = parser.parse_args(arguments)
    found: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for cases in given.cases:
            apart(laid_out, Path(temporary), cases)
            found[cases] = apart(rewritten, Path(temporary), cases, given.portion)
            line = f"{cases:9,} cases: {found[cases] / 1e6:7.0f} MB"
            if len(found) > 1:
                (less, at_first), (more, then) = list(found.items())[-2:]
                line += f", {(then - at_first) / (more - less) / 1e3:.1f} kB for each more"
            print(line, flush=True)
    return found


if __name__ == "__main__":
    main()
