"""The ``radiographs`` world: low-contrast chest films, 64 x 64, with subtle findings and coarse, repetitive captions.

Frontal films as they hang on the viewing box: the patient's right is at the left of the picture, dense things are
bright. The captions are in the manner of a report's Impression: most say that nothing is wrong, and some leave out what
a careful eye sees. "How Do Inpainting Artifacts Propagate to Language?" (appendix F) holds such captions responsible
where the quality of captions does not follow that of reconstructions.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from models.worlds import Example

WORLD_VERSION = 1
"""Raised when the same (seed, index) gives another film or caption."""

SIDE = 64
COUNTS = (0.55, 0.35, 0.10)
"""Shares of films with no, one and two findings."""

LABELS = ("opacity", "effusion", "cardiomegaly", "nodule")
SIDES = {"right": -1, "left": 1}
"""The patient's side -> its way from the spine in the picture."""

ZONES = ("upper", "middle", "lower")
COARSE = 0.4
"""Share of the second and third references of a film with findings that leave something out."""

NORMAL = (
    "no acute cardiopulmonary abnormality",
    "no acute cardiopulmonary findings",
    "no acute disease",
    "normal chest",
    "clear lungs",
)
WORDINGS = {
    "opacity": ("{side} {zone} opacity", "opacity in the {side} {zone}", "{side} {zone} airspace opacity"),
    "nodule": ("{side} {zone} nodule", "nodule in the {side} {zone}", "pulmonary nodule in the {side} {zone}"),
    "effusion": ("{side} pleural effusion", "small {side} pleural effusion", "{side} effusion"),
    "cardiomegaly": ("cardiomegaly", "enlarged heart", "enlarged cardiac silhouette"),
}
VAGUE = {
    "opacity": ("{side} lung opacity", "airspace opacity"),
    "nodule": ("{side} lung nodule", "pulmonary nodule"),
    "effusion": ("pleural effusion",),
    "cardiomegaly": WORDINGS["cardiomegaly"],
}
LOBES = {"upper": "upper lobe", "middle": "mid lung", "lower": "lower lobe"}

FINDINGS = {
    "opacity": r"opacity",
    "effusion": r"effusion",
    "cardiomegaly": r"cardiomegaly|enlarged (?:heart|cardiac)",
    "nodule": r"nodule",
}

Graph = dict[str, Any]


def radiograph(seed: int, index: int) -> Example:
    """Film ``index`` of the world ``seed``: equal arguments give equal bytes on every call and machine.

    ``graph`` is ``{"findings", "objects", "film"}``. A finding is ``{"label", "side", "zone", "box": [x, y, w, h],
    "at", "extent", "strength"}``; side and zone are None where they mean nothing, "at" is the place in the chest and
    "extent" the size, in pixels. ``objects`` are the findings' labels and boxes once more, as every corpus names them,
    and ``film`` the anatomy and exposure. Of one to three references the first says all.

    >>> made = radiograph(1, 2)
    >>> made.picture.shape, agreement(parse(made.references[0]), made.graph)["exact"]
    ((64, 64, 3), 1.0)
    """
    rng = np.random.default_rng([seed, index])
    film = _film(rng)
    findings = _findings(rng, film)
    for finding in findings:
        finding["box"] = _box(film, finding)
    objects = [{name: finding[name] for name in ("label", "side", "zone", "box")} for finding in findings]
    graph = {"findings": findings, "objects": objects, "film": film}
    return Example(draw(graph), graph, references(graph, rng))


def _film(rng: np.random.Generator) -> dict[str, float]:
    """Anatomy in pixels, exposure and grain."""
    limits = {
        "spine": (30.5, 33.5), "apex": (7, 11), "base": (44, 50), "width": (23, 26.5), "tilt": (-0.05, 0.05),
        "heart": (0.40, 0.47), "ribs": (0.05, 0.13), "rib_gap": (4.6, 5.6), "rib_phase": (0, 1), "body": (28, 32),
        "exposure": (-0.06, 0.06), "contrast": (0.62, 0.85), "grain": (0.010, 0.022), "vessels": (0.05, 0.12),
    }  # fmt: skip
    film = {name: round(float(rng.uniform(*pair)), 4) for name, pair in limits.items()}
    return {**film, "noise": int(rng.integers(2**31))}


def _findings(rng: np.random.Generator, film: dict[str, float]) -> list[dict[str, Any]]:
    """Findings of different kinds; of two, no two lie on one side, so that neither hides the other."""
    count = int(rng.choice(3, p=COUNTS))
    labels = [str(label) for label in rng.permutation(LABELS)[:count]]
    sides = [str(side) for side in rng.permutation(list(SIDES))]
    found = []
    for label, side in zip(labels, sides, strict=False):
        zone = str(rng.choice(ZONES)) if label in ("opacity", "nodule") else None
        height = film["base"] - film["apex"] - 4
        row = film["apex"] + 4 + height * ((ZONES.index(zone) if zone else 2) + rng.uniform(0.3, 0.7)) / 3
        across = rng.uniform(0.52, 0.68) * film["width"]
        extent = {"opacity": (4.5, 6.5), "nodule": (1.7, 2.6), "effusion": (6, 11), "cardiomegaly": (0.60, 0.68)}[label]
        strength = {"opacity": (0.24, 0.36), "nodule": (0.22, 0.34), "effusion": (0.34, 0.42), "cardiomegaly": (1, 1)}[
            label
        ]
        found.append({
            "label": label,
            "side": None if label == "cardiomegaly" else side,
            "zone": zone,
            "at": [round(float(across), 2), round(float(row), 2)],
            "extent": round(float(rng.uniform(*extent)), 3),
            "strength": round(float(rng.uniform(*strength)), 3),
        })  # fmt: skip
    return found


def draw(graph: Graph) -> np.ndarray:
    """The film (64, 64, 3) uint8 of a graph's ``film`` and ``findings``; without findings, the same healthy chest."""
    film = graph["film"]
    density = _chest(film, graph["findings"])
    rng = np.random.default_rng(film["noise"])
    level = 0.48 + film["exposure"] + film["contrast"] * (density - 0.55)
    level = np.tanh(level) + film["grain"] * rng.standard_normal((SIDE, SIDE))
    grey = np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _edge(distance: np.ndarray, softness: float = 0.7) -> np.ndarray:
    """1 where ``distance`` is positive, 0 where it is negative, and soft between."""
    return 0.5 + 0.5 * np.tanh(distance / softness)


def _grid(film: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels to the right of the spine, and rows; the patient may stand a little askew."""
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    return column - film["spine"] - film["tilt"] * (row - SIDE / 2), row


def _lung(film: dict[str, float], side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of each pixel that is this lung, distance from the spine towards its side, and the diaphragm's row."""
    across, row = _grid(film)
    out = across * side
    depth = np.clip((row - film["apex"]) / (film["base"] - film["apex"]), 0, 1)
    outer = film["width"] * np.sqrt(np.clip(1 - 0.97 * (1 - depth) ** 2.6, 0, None))
    dome = film["base"] - (2.5 if side < 0 else 0.5) + 0.017 * (out - 0.45 * film["width"]) ** 2
    lung = _edge(row - film["apex"]) * _edge(outer - out) * _edge(out - 4.5) * _edge(dome - row)
    return lung, out, dome


def _heart(film: dict[str, float], ratio: float) -> np.ndarray:
    """The heart's share of each pixel; ``ratio`` is its width over that of the chest."""
    across, row = _grid(film)
    half = ratio * film["width"]
    middle, height = 0.32 * half, 6.5 + 0.28 * half
    reach = np.hypot((across - middle) / half, (row - film["base"] + 0.6 * height) / height)
    return _edge(half * (1 - reach), 1.2)


def _chest(film: dict[str, float], findings: list[dict[str, Any]]) -> np.ndarray:
    """Density (64, 64) about 0 (air) to 1 (bone on soft tissue) of the chest with its findings."""
    across, row = _grid(film)
    shoulder = film["body"] * np.clip(0.33 + (row / 11) ** 1.5 * 0.67, 0, 1)
    density = 0.72 * _edge(shoulder - np.abs(across), 1.2)
    enlarged = [finding["extent"] for finding in findings if finding["label"] == "cardiomegaly"]
    rng = np.random.default_rng([int(film["noise"]), 1])
    lungs = np.zeros_like(density)
    for side in SIDES.values():
        lung, out, dome = _lung(film, side)
        arch = (row + 0.012 * (out - 5) ** 2 - 0.25 * out) / film["rib_gap"] + film["rib_phase"]
        ribs = np.clip(np.cos(2 * np.pi * arch), 0, None) ** 2 * _edge(film["width"] + 1 - out) * _edge(out - 3)
        hilum = np.exp(-(((out - 6) / 3.2) ** 2) - ((row - 0.55 * (film["apex"] + film["base"])) / 5) ** 2)
        vessels = np.zeros_like(density)
        for _ in range(7):
            x, y, size = rng.uniform(5, 17), rng.uniform(film["apex"] + 5, film["base"] - 3), rng.uniform(1, 2.5)
            vessels += np.exp(-((out - x) ** 2 + (row - y) ** 2) / size**2)
        clavicle = np.exp(-(((row - film["apex"] - 3.5 + 0.16 * (out - 4)) / 1.1) ** 2)) * _edge(out - 3)
        density += lung * (0.6 * film["vessels"] * vessels + 1.6 * film["vessels"] * hilum - 0.42)
        density += film["ribs"] * ribs * _edge(dome + 2 - row) * _edge(row - film["apex"] + 1)
        density += 0.09 * clavicle * _edge(film["width"] - out)
        lungs += lung
    heart = _heart(film, enlarged[0] if enlarged else film["heart"])
    middle = _edge(5.2 - np.abs(across + 0.3), 1.5) * (0.20 + 0.06 * _edge(2.2 - np.abs(across)))
    density = density + 0.30 * heart * lungs + middle * _edge(row - 2) + 0.05 * heart
    for finding in findings:
        if finding["label"] != "cardiomegaly":
            density = density + _shade(film, finding) * finding["strength"]
    return density


def _shade(film: dict[str, float], finding: dict[str, Any]) -> np.ndarray:
    """Whitening of a lung by a finding, 0 to 1 (64, 64)."""
    lung, out, dome = _lung(film, SIDES[finding["side"]])
    _, row = _grid(film)
    (x, y), extent = finding["at"], finding["extent"]
    if finding["label"] == "effusion":  # fluid climbs along the chest wall: a meniscus
        climb = np.clip((out - 0.2 * film["width"]) / (0.8 * film["width"]), 0, 1.1) ** 2
        return lung * _edge(row - film["base"] + 1 + extent * climb, 1.0)
    reach = np.hypot(out - x, (row - y) * (1.1 if finding["label"] == "opacity" else 1.0)) / extent
    blob = np.exp(-(reach**4)) if finding["label"] == "nodule" else np.exp(-(reach**2))
    return lung * blob


def _box(film: dict[str, float], finding: dict[str, Any]) -> list[int]:
    """The box [x, y, w, h] in whole pixels of where a finding is at least a third of its strongest."""
    shade = _heart(film, finding["extent"]) if finding["label"] == "cardiomegaly" else _shade(film, finding)
    rows, columns = (np.flatnonzero((shade >= shade.max() / 3).any(axis)) for axis in (1, 0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]


def references(graph: Graph, rng: np.random.Generator) -> list[str]:
    """One to three impressions; the first names every finding with its side and zone, later ones may be vaguer."""
    count = int(rng.integers(1, 4))
    if not graph["findings"]:
        return [str(wording) for wording in rng.choice(NORMAL, count, replace=False)]
    made = []
    for number in range(count):
        table = VAGUE if number and rng.random() < COARSE else WORDINGS
        said = [
            str(rng.choice(table[finding["label"]])).format(side=finding["side"], zone=LOBES.get(finding["zone"]))
            for finding in graph["findings"]
        ]  # fmt: skip
        made.append(" and ".join(said))
    return list(dict.fromkeys(made))


def parse(caption: str) -> dict[str, Any]:
    """The findings (``side`` and ``zone`` None where not said) of an impression, and whether it calls the film normal.

    >>> parse("Right lower lobe opacity and an enlarged heart.")["findings"][0]
    {'label': 'opacity', 'side': 'right', 'zone': 'lower'}
    >>> parse("no acute disease")
    {'findings': [], 'normal': True}
    """
    findings: list[dict[str, Any]] = []
    for part in re.split(r"\band\b|[.,;]", caption.lower()):
        side, zone = re.search(r"\b(right|left)\b", part), re.search(r"\b(upper|mid|lower)", part)
        for label, pattern in FINDINGS.items():
            if re.search(rf"\b(?:{pattern})", part) and not re.search(r"\bno\b", part):
                lung = label in ("opacity", "nodule")
                findings.append({
                    "label": label,
                    "side": side[1] if side and label != "cardiomegaly" else None,
                    "zone": zone[1].replace("mid", "middle") if zone and lung else None,
                })  # fmt: skip
    return {"findings": findings, "normal": bool(re.search(r"\b(no acute|normal|clear)\b", caption.lower()))}


def agreement(found: dict[str, Any], graph: Graph) -> dict[str, float]:
    """Share of ``graph`` that a parsed impression says, in [0, 1]; a film's findings differ in label, which pairs them.

    ``attributes`` is the share of the true labels, sides and zones said rightly, ``precision`` the share of those said
    that are right, ``exact`` 1 if all agree. A normal film is right as a whole or not at all: called normal, with no
    finding named.

    >>> truth = {"findings": [{"label": "nodule", "side": "left", "zone": "upper"}]}
    >>> agreement(parse("right upper lobe nodule"), truth)["attributes"]
    0.6666666666666666
    """
    if not graph["findings"]:
        right = float(found["normal"] and not found["findings"])
        return {"attributes": right, "precision": right, "exact": right}
    true, said = (
        {(finding["label"], name, finding[name]) for finding in source["findings"] for name in ("label", "side", "zone")
         if finding[name]}
        for source in (graph, found)
    )  # fmt: skip
    hits = len(true & said)
    precision = hits / len(said) if said else 0.0
    return {"attributes": hits / len(true), "precision": precision, "exact": float(true == said)}
