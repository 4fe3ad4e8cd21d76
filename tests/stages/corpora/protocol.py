"""Corpora under their Protocol: mypy refuses one that does not fit. Nothing runs here.

:mod:`tests.stages.corpora.test_sources` holds the names to those of the catalogue.
"""

from __future__ import annotations

from stages.corpora import (
    Corpus,
    amber,
    capeval,
    capsbench,
    coco,
    comprecap,
    dci,
    detailcaps,
    flickr30k_entities,
    folder,
    generated,
    gtzan,
    indiana,
    pope,
    refcocog,
    rocov2,
    truce,
)

CORPORA: dict[str, type[Corpus]] = {
    "scenes": generated.Scenes,
    "referring": generated.Referring,
    "series": generated.Series,
    "radiographs": generated.Radiographs,
    "spectrograms": generated.Spectrograms,
    "truce": truce.Truce,
    "coco": coco.Coco,
    "flickr30k-entities": flickr30k_entities.Flickr30kEntities,
    "refcocog": refcocog.RefCocoG,
    "rocov2": rocov2.RocoV2,
    "indiana": indiana.Indiana,
    "dci": dci.Dci,
    "amber": amber.Amber,
    "capeval": capeval.CapEval,
    "capsbench": capsbench.CapsBench,
    "comprecap": comprecap.CompreCap,
    "detailcaps": detailcaps.DetailCaps,
    "pope": pope.Pope,
    "gtzan": gtzan.Gtzan,
    "folder": folder.Folder,
}
