"""Catalogue of adapters by role and name; makes one from an entry of ``params.yaml``.

A role is a folder of :mod:`models`, or of its measures. Importing this module imports no adapter, and making one
imports no heavy library.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from models.adapters.settings import unknown, validated

CATALOGUE: dict[str, dict[str, str]] = {
    "inpainters": {
        "identity": "models.inpainters.classical:Identity",
        "telea": "models.inpainters.classical:Telea",
        "navier-stokes": "models.inpainters.classical:NavierStokes",
        "biharmonic": "models.inpainters.classical:Biharmonic",
        "stable-diffusion": "models.inpainters.stable_diffusion:StableDiffusion",
        "stable-diffusion-controlnet": "models.inpainters.controlnet:StableDiffusionControlNet",
        "stable-diffusion-3": "models.inpainters.stable_diffusion_3:StableDiffusion3",
    },
    "painters": {
        "stable-diffusion": "models.painters.pipelines:StableDiffusion",
        "stable-diffusion-xl": "models.painters.pipelines:StableDiffusionXl",
        "stable-diffusion-3": "models.painters.pipelines:StableDiffusion3",
        "flux": "models.painters.pipelines:Flux",
        "pixart-alpha": "models.painters.pipelines:PixArtAlpha",
    },
    "chat": {
        "llava": "models.chat.llava:Llava",
        "llava-onevision": "models.chat.llava_onevision:LlavaOnevision",
        "qwen2-vl": "models.chat.qwen2_vl:Qwen2Vl",
        "qwen2.5-vl": "models.chat.qwen2_5_vl:Qwen25Vl",
        "causal-lm": "models.chat.causal_lm:CausalLm",
        "seq2seq-lm": "models.chat.seq2seq_lm:Seq2SeqLm",
        "openai-compatible": "models.chat.openai_compatible:OpenAICompatible",
    },
    "captioners": {
        "blip": "models.captioners.blip:Blip",
        "llava": "models.captioners.prompted:Llava",
        "llava-onevision": "models.captioners.prompted:LlavaOnevision",
        "qwen2-vl": "models.captioners.prompted:Qwen2Vl",
        "qwen2.5-vl": "models.captioners.prompted:Qwen25Vl",
        "openai-compatible": "models.captioners.prompted:OpenAICompatible",
        "speech-seq2seq": "models.captioners.audio:SpeechSeq2Seq",
        "lp-music-caps": "models.captioners.lp_music_caps:LpMusicCaps",
        "edited-truth": "models.captioners.edited:EditedTruth",
    },
    "trainers": {
        "lora": "models.trainers.lora:Lora",
        "dpo": "models.trainers.dpo:Dpo",
        "pretrain": "models.trainers.pretrain:Pretrain",
    },
    "recaptioners": {
        "rico": "models.recaptioners.rico:Rico",
        "scalecap": "models.recaptioners.scalecap:ScaleCap",
        "laclip": "models.recaptioners.laclip:LaClip",
        "veclip": "models.recaptioners.fusing:VeClip",
        "capsfusion": "models.recaptioners.fusing:CapsFusion",
        "sharegpt4v": "models.recaptioners.sharegpt4v:ShareGpt4v",
        "self-loop": "models.recaptioners.self_loop:SelfLoop",
        "edits": "models.recaptioners.edits:Edits",
    },
    "encoders": {
        "vit": "models.encoders.vit:Vit",
    },
    "detectors": {
        "owlv2": "models.detectors.owlv2:Owlv2",
        "sam": "models.detectors.sam:Sam",
        "scenes": "models.detectors.scenes:Scenes",
    },
    "embedders": {
        "sbert": "models.embedders.sbert:Sbert",
        "simcse-sup": "models.embedders.simcse:SupervisedSimcse",
        "simcse-unsup": "models.embedders.simcse:UnsupervisedSimcse",
    },
    "taggers": {
        "token-classification": "models.taggers.token_classification:TokenClassification",
    },
    "prompted": {
        "dependency-graph": "models.measures.prompted.graphs:DependencyGraph",
        "vqascore": "models.measures.prompted.vqascore:VqaScore",
        "attribute-binding": "models.measures.prompted.compbench:AttributeBinding",
        "spatial-2d": "models.measures.prompted.compbench:Spatial2D",
        "non-spatial": "models.measures.prompted.compbench:NonSpatial",
        "complex": "models.measures.prompted.compbench:Complex",
        "scenes": "models.measures.prompted.scenes:Scenes",
    },
    "benchmarks": {
        "pope": "models.measures.benchmarks.pope:Pope",
        "counts": "models.measures.benchmarks.counts:Counts",
        "caption-qa": "models.measures.benchmarks.choices:CaptionQa",
        "prism": "models.measures.benchmarks.choices:Prism",
    },
    "measures": {
        "pixel": "models.measures.pictures.pixel:Pixel",
        "lpips": "models.measures.pictures.perceptual:Lpips",
        "clap": "models.measures.pictures.clap:Clap",
        "lexical": "models.measures.captions.lexical:Lexical",
        "semantic": "models.measures.captions.semantic:Semantic",
        "own-caption": "models.measures.captions.own:Own",
        "clipscore": "models.measures.captions.clipscore:ClipScore",
        "clip-cosine": "models.measures.captions.clipscore:ClipCosine",
        "grounding": "models.measures.captions.grounding:Grounding",
        "words": "models.measures.captions.words:Words",
        "sentences": "models.measures.captions.composed:Sentences",
        "lengths": "models.measures.captions.lengths:Lengths",
        "chair": "models.measures.captions.chair:Chair",
        "amber": "models.measures.captions.amber:Amber",
        "caption-qa": "models.measures.judged.questions:CaptionQa",
        "capsbench": "models.measures.judged.questions:CapsBench",
        "capeval": "models.measures.judged.questions:CapEval",
        "faithscore": "models.measures.judged.faithscore:FaithScore",
        "capture": "models.measures.judged.capture:Capture",
        "comprecap": "models.measures.judged.comprecap:CompreCap",
        "reconstruction": "models.measures.judged.reconstruction:Reconstruction",
    },
}
"""Role -> adapter -> "module:class"."""


def build(role: str, name: str, settings: Mapping[str, Any]) -> Any:
    """Make the adapter of the entry ``name``, not loaded.

    ``settings`` is the entry: ``adapter`` names the class in :data:`CATALOGUE`, everything else is checked by that
    class's ``Settings``.

    Raises
    ------
    ValueError
        One sentence about the first thing that is wrong: an adapter or parameter that does not exist (with the nearest
        that does), a parameter that is missing, or a value that is not allowed.

    >>> build("inpainters", "mine", {"adapter": "telea", "radius": 5}).settings.radius
    5.0
    >>> build("inpainters", "mine", {"adapter": "telae"})
    Traceback (most recent call last):
        ...
    ValueError: There is no adapter for inpainters (entry mine) "telae"; did you mean "telea"? \
Known: biharmonic, identity, navier-stokes, stable-diffusion, stable-diffusion-3, stable-diffusion-controlnet, telea.
    """
    if role not in CATALOGUE:
        raise ValueError(unknown("role", role, CATALOGUE))
    given = dict(settings)
    adapter = given.pop("adapter", None)
    known = CATALOGUE[role]
    if adapter is None:
        raise ValueError(f"Entry {name} names no adapter: set `adapter` to one of {', '.join(known)}.")
    if not isinstance(adapter, str) or adapter not in known:
        raise ValueError(unknown(f"adapter for {role} (entry {name})", adapter, known))
    kind = target(role, adapter)
    return kind(validated(f"{adapter} (entry {name})", kind.Settings, given))


def target(role: str, adapter: str) -> type[Any]:
    """The class behind a name of the catalogue.

    >>> target("captioners", "blip").__name__
    'Blip'
    """
    module, _, name = CATALOGUE[role][adapter].partition(":")
    return getattr(importlib.import_module(module), name)


def roles_of(role: str, adapter: Any) -> Mapping[str, str]:
    """The roles of models that an adapter asks, each with the role of the catalogue whose models can play it.

    An adapter that asks nobody has none; nor has one that there is not.
    """
    known = isinstance(adapter, str) and adapter in CATALOGUE[role]
    return getattr(target(role, adapter), "ROLES", {}) if known else {}
