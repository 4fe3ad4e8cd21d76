"""Adapters under the Protocols of their roles: mypy refuses one that does not fit. Nothing runs here.

:mod:`tests.models.adapters.test_protocols` holds the names to those of the catalogue.
"""

from __future__ import annotations

from models.adapters.roles import Captioner, Chat, Detector, Embedder, Encoder, Inpainter, Painter, Tagger, Trainer
from models.captioners import audio, blip, edited, lp_music_caps, prompted
from models.chat import causal_lm, llava, llava_onevision, openai_compatible, qwen2_5_vl, qwen2_vl, seq2seq_lm
from models.detectors import owlv2, sam
from models.detectors import scenes as detected
from models.embedders import sbert, simcse
from models.encoders import vit
from models.inpainters import classical, controlnet, stable_diffusion, stable_diffusion_3
from models.measures import PictureMeasure
from models.measures.benchmarks import Benchmark, choices, counts, pope
from models.measures.captions import (
    amber,
    chair,
    clipscore,
    composed,
    grounding,
    lengths,
    lexical,
    own,
    semantic,
    words,
)
from models.measures.captions.candidates import CaptionMeasure
from models.measures.judged import JudgedMeasure, capture, comprecap, faithscore, questions, reconstruction
from models.measures.pictures import clap, perceptual, pixel
from models.measures.prompted import PaintingJudge, compbench, graphs, scenes, vqascore
from models.painters import pipelines
from models.recaptioners import Recaptioner, edits, fusing, laclip, rico, scalecap, self_loop, sharegpt4v
from models.taggers import token_classification
from models.trainers import dpo, lora, pretrain

INPAINTERS: dict[str, type[Inpainter]] = {
    "identity": classical.Identity,
    "telea": classical.Telea,
    "navier-stokes": classical.NavierStokes,
    "biharmonic": classical.Biharmonic,
    "stable-diffusion": stable_diffusion.StableDiffusion,
    "stable-diffusion-controlnet": controlnet.StableDiffusionControlNet,
    "stable-diffusion-3": stable_diffusion_3.StableDiffusion3,
}
PAINTERS: dict[str, type[Painter]] = {
    "stable-diffusion": pipelines.StableDiffusion,
    "stable-diffusion-xl": pipelines.StableDiffusionXl,
    "stable-diffusion-3": pipelines.StableDiffusion3,
    "flux": pipelines.Flux,
    "pixart-alpha": pipelines.PixArtAlpha,
}
CHAT: dict[str, type[Chat]] = {
    "llava": llava.Llava,
    "llava-onevision": llava_onevision.LlavaOnevision,
    "qwen2-vl": qwen2_vl.Qwen2Vl,
    "qwen2.5-vl": qwen2_5_vl.Qwen25Vl,
    "causal-lm": causal_lm.CausalLm,
    "seq2seq-lm": seq2seq_lm.Seq2SeqLm,
    "openai-compatible": openai_compatible.OpenAICompatible,
}
CAPTIONERS: dict[str, type[Captioner]] = {
    "blip": blip.Blip,
    "llava": prompted.Llava,
    "llava-onevision": prompted.LlavaOnevision,
    "qwen2-vl": prompted.Qwen2Vl,
    "qwen2.5-vl": prompted.Qwen25Vl,
    "openai-compatible": prompted.OpenAICompatible,
    "speech-seq2seq": audio.SpeechSeq2Seq,
    "lp-music-caps": lp_music_caps.LpMusicCaps,
    "edited-truth": edited.EditedTruth,
}
RECAPTIONERS: dict[str, type[Recaptioner]] = {
    "rico": rico.Rico,
    "scalecap": scalecap.ScaleCap,
    "laclip": laclip.LaClip,
    "veclip": fusing.VeClip,
    "capsfusion": fusing.CapsFusion,
    "sharegpt4v": sharegpt4v.ShareGpt4v,
    "self-loop": self_loop.SelfLoop,
    "edits": edits.Edits,
}
TRAINERS: dict[str, type[Trainer]] = {
    "lora": lora.Lora,
    "dpo": dpo.Dpo,
    "pretrain": pretrain.Pretrain,
}
ENCODERS: dict[str, type[Encoder]] = {
    "vit": vit.Vit,
}
DETECTORS: dict[str, type[Detector]] = {
    "owlv2": owlv2.Owlv2,
    "sam": sam.Sam,
    "scenes": detected.Scenes,
}
EMBEDDERS: dict[str, type[Embedder]] = {
    "sbert": sbert.Sbert,
    "simcse-sup": simcse.SupervisedSimcse,
    "simcse-unsup": simcse.UnsupervisedSimcse,
}
TAGGERS: dict[str, type[Tagger]] = {
    "token-classification": token_classification.TokenClassification,
}
PICTURE_MEASURES: dict[str, type[PictureMeasure]] = {
    "pixel": pixel.Pixel,
    "lpips": perceptual.Lpips,
    "clap": clap.Clap,
}
CAPTION_MEASURES: dict[str, type[CaptionMeasure]] = {
    "lexical": lexical.Lexical,
    "semantic": semantic.Semantic,
    "own-caption": own.Own,
    "clipscore": clipscore.ClipScore,
    "clip-cosine": clipscore.ClipCosine,
    "lengths": lengths.Lengths,
    "sentences": composed.Sentences,
    "grounding": grounding.Grounding,
    "words": words.Words,
    "chair": chair.Chair,
    "amber": amber.Amber,
}
JUDGED_MEASURES: dict[str, type[JudgedMeasure]] = {
    "caption-qa": questions.CaptionQa,
    "capsbench": questions.CapsBench,
    "capeval": questions.CapEval,
    "faithscore": faithscore.FaithScore,
    "capture": capture.Capture,
    "comprecap": comprecap.CompreCap,
    "reconstruction": reconstruction.Reconstruction,
}
BENCHMARKS: dict[str, type[Benchmark]] = {
    "pope": pope.Pope,
    "counts": counts.Counts,
    "caption-qa": choices.CaptionQa,
    "prism": choices.Prism,
}
PAINTING_JUDGES: dict[str, type[PaintingJudge]] = {
    "dependency-graph": graphs.DependencyGraph,
    "vqascore": vqascore.VqaScore,
    "attribute-binding": compbench.AttributeBinding,
    "spatial-2d": compbench.Spatial2D,
    "non-spatial": compbench.NonSpatial,
    "complex": compbench.Complex,
    "scenes": scenes.Scenes,
}
