"""The stages of the DAG, parents before children, and what each of them holds: one table for all who ask.

It lies in the registry's store because lineage, pins and reports read it too, and they know no stage. ``dvc.yaml`` is
written by hand; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

DATA = Path("data")
"""Where stages write, in a checkout."""

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = pa.list_(pa.string())
SENTENCES = pa.list_(pa.struct([("text", pa.string()), ("negative", pa.bool_()), ("kind", pa.string())]))
FILES = pa.map_(pa.string(), pa.string())
"""Digests by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One node of the DAG.

    >>> STAGES["inpaint"].addressed("telea"), STAGES["quality"].kind_of("lexical"), STAGES["degrade"].folder()
    ('inpaint@telea', 'quality.lexical', PosixPath('data/degrade'))
    """

    name: str
    kind: str = ""
    """The kind of its items; of a measuring stage the beginning, before the entry's name. Empty: it holds no items."""
    section: str | None = None
    """The section of ``params.yaml`` that it reads."""
    each: bool = True
    """Whether it is one stage for every entry of its section, or one for all."""
    role: str | None = None
    """The role of its entries' adapters in the catalogue; None where they are no adapters."""
    axis: str | None = None
    """The axis that its entries are on."""
    axes: tuple[str, ...] = ()
    """The axes that its rows name."""
    inputs: tuple[str, ...] = ()
    """The stages whose outputs it reads."""
    fields: tuple[tuple[str, pa.DataType], ...] = ()
    """The columns of its rows beside those of all rows, its axes, and the metrics that its entry declares."""
    output: str = ""
    """What its output is, for people who pin it."""
    measures: bool = False
    """Whether it only looks at what other stages made."""
    originals: bool = False
    """Whether it looks at the originals too, not at repainted pictures alone."""
    wholes: bool = False
    """Whether it holds an item for each cell as a whole, beside those of samples."""
    together: bool = False
    """Whether each of its items depends on all of a corpus."""
    averaged: bool = True
    """Whether a mean over its numbers says anything."""
    counted: bool = True
    """Whether how many items it holds follows from the samples of corpora and its axes; else its node says."""
    filed: bool = False
    """Whether its items leave files."""

    def addressed(self, entry: str = "") -> str:
        """The name by which DVC addresses it."""
        return f"{self.name}@{entry}" if entry else self.name

    def kind_of(self, entry: str = "") -> str:
        """The kind of the items of one entry: its own, where no axis tells apart what it measures."""
        return f"{self.kind}.{entry}" if self.measures and not self.axis else self.kind

    def folder(self, entry: str = "") -> Path:
        """Its output, relative to the checkout."""
        return DATA / self.name / entry


GRID = ("degradation", "inpainter")

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            name="prepare",
            kind="original",
            section="corpora",
            fields=(
                ("split", pa.string()),
                ("image", IMAGE),
                ("width", pa.int32()),
                ("height", pa.int32()),
                ("references", TEXTS),
                ("annotations", pa.string()),
            ),
            output="corpus",
        ),
        Stage(
            name="degrade",
            kind="degraded",
            section="degradations",
            each=False,
            axis="degradation",
            axes=("degradation",),
            inputs=("prepare",),
            fields=(("image", IMAGE), ("mask", IMAGE)),
            output="images",
        ),
        Stage(
            name="inpaint",
            kind="repainted",
            section="inpainters",
            role="inpainters",
            axis="inpainter",
            axes=GRID,
            inputs=("prepare", "degrade"),
            fields=(("image", IMAGE), ("drift", pa.float64())),
            output="images",
        ),
        Stage(
            name="caption",
            kind="caption",
            section="captioners",
            role="captioners",
            axis="captioner",
            axes=(*GRID, "captioner"),
            inputs=("prepare", "degrade", "inpaint"),
            fields=(("caption", pa.string()), ("candidates", TEXTS)),
            output="captions",
            originals=True,
        ),
        Stage(
            name="recaption",
            kind="recaption",
            section="recaptioners",
            axis="recaptioner",
            axes=(*GRID, "captioner", "recaptioner"),
            inputs=("prepare", "inpaint", "caption"),
            fields=(("caption", pa.string()),),
            output="captions",
            originals=True,
        ),
        Stage(
            name="compose",
            kind="caption",  # like a captioner's, to all who look at them
            section="captions",
            axis="captioner",
            axes=("captioner",),
            inputs=("prepare", "caption", "recaption"),
            fields=(
                ("caption", pa.string()),
                ("sentences", SENTENCES),
                ("precision", pa.float64()),
                ("recall", pa.float64()),
            ),
            output="caption set",
            originals=True,
        ),
        Stage(
            name="prompt",
            kind="prompt",
            section="prompts",
            fields=(("prompt", pa.string()), ("annotations", pa.string())),
            output="prompts",
            counted=False,
        ),
        Stage(
            name="train",
            kind="trained",
            section="training",
            axis="training",
            axes=("training",),
            inputs=("prepare", "caption", "recaption", "compose"),
            fields=(
                ("files", FILES),
                ("loss", pa.float64()),
                ("truncated", pa.float64()),
                ("lessons", pa.int64()),
                ("steps", pa.int64()),
            ),
            output="trained checkpoints",
            counted=False,
            filed=True,
        ),
        Stage(
            name="paint",
            kind="painted",
            section="painters",
            role="painters",
            axis="painter",
            axes=("painter", "training"),
            inputs=("prompt", "train"),
            fields=(("image", IMAGE), ("prompt", pa.string()), ("annotations", pa.string())),
            output="paintings",
            counted=False,
        ),
        Stage(
            name="answer",
            kind="answer",
            section="answerers",
            axis="captioner",
            axes=("captioner", "training"),
            inputs=("prepare", "train"),
            output="answers",
            measures=True,
            counted=False,
            originals=True,
            wholes=True,
        ),
        Stage(
            name="represent",
            kind="represent",
            section="encoders",
            role="encoders",
            axes=GRID,
            inputs=("prepare", "degrade", "inpaint"),
            fields=(
                ("embedding", pa.list_(pa.float32())),
                ("tvd_heads", pa.list_(pa.list_(pa.list_(pa.float32())))),  # [region][layer][head]
            ),
            output="represent",
            measures=True,
            originals=True,
        ),
        Stage(
            name="project",
            kind="project",
            section="encoders",
            axes=GRID,
            inputs=("represent",),
            fields=(("umap_x", pa.float64()), ("umap_y", pa.float64())),
            output="project",
            measures=True,
            averaged=False,
            originals=True,
            together=True,
        ),
        Stage(
            name="fidelity",
            kind="fidelity",
            section="fidelity",
            role="measures",
            axes=GRID,
            inputs=("prepare", "degrade", "inpaint"),
            output="fidelity",
            measures=True,
        ),
        Stage(
            name="quality",
            kind="quality",
            section="quality",
            role="measures",
            axes=(*GRID, "captioner", "recaptioner", "painter", "training"),
            inputs=("prepare", "degrade", "inpaint", "caption", "recaption", "compose", "paint"),
            output="quality",
            measures=True,
            originals=True,
            wholes=True,
        ),
        Stage(
            name="index",
            inputs=(
                "prepare",
                "degrade",
                "inpaint",
                "caption",
                "recaption",
                "compose",
                "prompt",
                "train",
                "paint",
                "answer",
                "represent",
                "project",
                "fidelity",
                "quality",
            ),
        ),
        Stage(name="report", inputs=("index",)),
    )
}
"""By name."""

HOLDING = tuple(stage for stage in STAGES.values() if stage.kind)
"""The stages that hold items."""

MAKING = tuple(dict.fromkeys(stage.kind for stage in HOLDING if not stage.measures))
"""The kinds of what is measured, the originals first."""

REQUESTS = (
    "paint", "ask", "scored", "choose", "logprobs", "logits", "embed", "encode", "measure", "compare", "detect", "tag",
)  # fmt: skip
"""The kinds of what methods ask of models: an item that was made of such items was made of all of them."""

UNAVERAGED = tuple(stage.kind for stage in HOLDING if not stage.averaged)
"""The kinds of measuring items over which a mean says nothing."""

FILED = tuple(stage.kind for stage in HOLDING if stage.filed)
"""The kinds of items that leave files."""

SECTIONS: dict[str, Stage] = {}
"""The sections of ``params.yaml`` that hold entries, each with the first stage that reads it."""
for _stage in HOLDING:
    if _stage.section:
        SECTIONS.setdefault(_stage.section, _stage)
