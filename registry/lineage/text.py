"""Lineage as people read it: a tree, the youngest item first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from registry.lineage.groups import Group, Mean
from registry.lineage.locks import Output
from registry.lineage.walk import Node, Number, Place, Trace
from registry.store.items import OK, Execution

SHORT = 12
"""Number of hex digits of a key or a digest that are shown."""

DIGEST = re.compile(r"\b[0-9a-f]{40,64}\b")
PLAIN = re.compile(r"[\x21-\x7e]+")
SHOWN_NUMBERS = 24


def quoted(text: str) -> str:
    """Quote the words of a model or a person, in one line and without control characters.

    >>> quoted("two\\x1b[2J cats")
    '"two\\\\u001b[2J cats"'
    """
    return json.dumps(text, ensure_ascii=False)


def shortened(text: str) -> str:
    """Cut the digests in a text to their first digits.

    >>> shortened("sha256:" + "0f" * 32)
    'sha256:0f0f0f0f0f0f'
    """
    return DIGEST.sub(lambda found: found[0][:SHORT], text)


def formatted_value(value: Any) -> str:
    """Format a part of a key in one line, nested parts in brackets.

    >>> formatted_value({"kind": "zero", "sizes": [1, 2], "prompt": "a cat"})
    'kind zero, sizes [1, 2], prompt "a cat"'
    """
    if isinstance(value, Mapping):
        texts = ((name, formatted_value(part), isinstance(part, Mapping)) for name, part in value.items())
        return ", ".join(f"{name} ({text})" if nested else f"{name} {text}" for name, text, nested in texts)
    if isinstance(value, str):
        return shortened(value) if PLAIN.fullmatch(value) else quoted(value)
    return "none" if value is None else str(value)


def formatted_place(place: Place | None) -> str:
    """Format the corpus, the sample and the names on the axes in one line."""
    if place is None:
        return "at no place of a study"
    return " · ".join([f"{place.corpus}/{place.sample}", *filter(None, place.names().values())])


def formatted_run(run: Execution) -> str:
    """Format an execution in one line."""
    began = f"{run.started_at:%Y-%m-%d %H:%M} UTC"
    return f"run {run.id} · {run.stage} · commit {shortened(run.git_commit)} · {run.device} · {began}"


def details(node: Node) -> Iterator[str]:
    """Lines below the heading of a node: its result, its own parts, its run."""
    if node.status != OK:
        yield f"failed: {node.reason}"
    if node.caption is not None:
        yield f"says {quoted(node.caption)}"
    for reference in node.references[:1]:
        more = f" (the first of {len(node.references)} references)" if len(node.references) > 1 else ""
        yield f"reference {quoted(reference)}{more}"
    if node.object:
        yield f"picture {node.object[:SHORT]}"
    for name, value in node.own.items():
        yield f"{name}: {formatted_value(value)}"
    if "model" in node.own:
        yield f"seed: {node.seed}"
    yield formatted_run(node.run)


def heading(node: Node) -> str:
    """Format a node in one line: its kind, key and place, and how many items are alike."""
    notes = [f"stands at {node.places} places"] if node.places > 1 else []
    notes += [f"{node.alike} more such items led to the same result"] if node.alike else []
    return " · ".join([f"{node.kind} {node.key[:SHORT]}", formatted_place(node.place)]) + (
        f"  ({'; '.join(notes)})" if notes else ""
    )


def tree(node: Node, seen: set[str], lead: str = "", branch: str = "") -> Iterator[str]:
    """Lines of a node and of all its ancestors; what was printed before is only named."""
    if node.key in seen:
        yield f"{lead}{branch}{node.kind} {node.key[:SHORT]} (above)"
        return
    seen.add(node.key)
    yield lead + branch + heading(node)
    inner = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for line in details(node):
        yield f"{inner}{'│' if node.parents else ' '}    {line}"
    for number, parent in enumerate(node.parents, 1):
        yield from tree(parent, seen, inner, "└─ " if number == len(node.parents) else "├─ ")


def formatted_number(number: Number | Mean) -> str:
    """Format a number with its region and layer.

    >>> formatted_number(Number("tvd_even", "region", 3, 0.25))
    'tvd_even@region, layer 3: 0.25'
    """
    value = number.value if isinstance(number, Number) else number.mean
    layer = f", layer {number.layer}" if isinstance(number, Number) and number.layer is not None else ""
    name = f"{number.metric}@{number.region}" if number.region else number.metric
    return f"{name}{layer}: {'undefined' if value is None else f'{value:.6g}'}"


def formatted_trace(trace: Trace) -> str:
    """Format the numbers asked for, and the tree of their item."""
    lines = [formatted_number(number) for number in trace.numbers[:SHOWN_NUMBERS]]
    if more := len(trace.numbers) - SHOWN_NUMBERS:
        lines += [f"… and {more} more; --json has them all"] if more > 0 else []
    return "\n".join([*lines, *tree(trace.item, set())])


def formatted_group(group: Group) -> str:
    """Format a summary of many items, and the tree of one of them."""
    lines = [group.name]
    for mean in group.means:
        by = f"mean of {mean.items} items of {mean.kind}" if mean.kind else f"over {mean.items} captions as a whole"
        lines.append(f"  {formatted_number(mean)} ({by})")
    kinds = ", ".join(f"{count} {kind}" for kind, count in group.items.items())
    lines.append(f"  items: {kinds}" + (f"; {group.failed} failed" if group.failed else ""))
    lines += [f"  model: {formatted_value(model)}" for model in group.models]
    lines += [f"  {items} items by {formatted_run(run)}" for run, items in group.runs]
    lines.append(f"  commits: {', '.join(map(shortened, group.commits))}")
    if group.example:
        lines += ["", "One of them:", formatted_trace(group.example)]
    return "\n".join(lines)


def formatted_output(found: Output) -> str:
    """Format the entry of ``dvc.lock`` behind an output, one line a field."""
    locked, link = found.locked, found.run
    by = "" if found.name == locked.stage else f" by stage {locked.stage},"
    lines = [
        f"{found.name}:{by} as dvc.lock has it",
        f"  command: {formatted_value(locked.command)}",
        f"  commit: {f'{shortened(found.commit)}, the first with this' if found.commit else 'none has this yet'}",
    ]
    if link:
        counts = ", ".join(f"{link[name]} {name}" for name in ("items", "recalled", "computed", "failed"))
        lines.append(f"  run {link['mlflow_run_id']} · {link['device']} · {link['started_at']} · {counts}")
    else:
        lines.append(f"  run: {f'{locked.link} is not here' if locked.link else 'none; the stage computes no items'}")
    lines += [f"  parameter {name}: {formatted_value(value)}" for name, value in locked.parameters.items()]
    for path, md5 in locked.dependencies.items():
        makers = found.makers[path]
        lines.append(f"  dependency {path}: {formatted_md5(md5)}" + (f", by {', '.join(makers)}" if makers else ""))
    return "\n".join([*lines, *(f"  output {path}: {formatted_md5(md5)}" for path, md5 in locked.outputs.items())])


def formatted_md5(md5: str | None) -> str:
    """Format DVC's digest, shortened."""
    return f"md5 {md5[:SHORT]}" if md5 else "of no digest"


def formatted(found: Trace | Group | Output) -> str:
    """Format what an ID names, for a terminal."""
    if isinstance(found, Output):
        return formatted_output(found)
    return formatted_trace(found) if isinstance(found, Trace) else formatted_group(found)
