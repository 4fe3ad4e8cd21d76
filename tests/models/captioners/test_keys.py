"""Identities and keys of captioners, written down: what is in somebody's registry is recalled as long as these hold.

They were computed by commit 23a778a, when the captioners that take instructions were no prompts over chat models yet:
``identity`` is that of ``stages.engine.entries.Adapted``, and the key that of an item of kind ``caption`` whose picture
has the digest ``"ab" * 32`` and whose prompt is "Describe the image.".
"""

from __future__ import annotations

import pytest

from registry.store.keys import item_key
from stages.engine.entries import Adapted

BEAMS = {"candidates": 3, "max_tokens": 40, "length_penalty": 1.0, "dtype": "float32", "micro_batch": 8}
SPECTROGRAM = {"rate": 44100, "duration": 5120, "step": 10, "window": 100, "padding": 4, "bins": 512, "low": 0,
               "high": 10000, "power": 0.25}  # fmt: skip
COMMIT = "cc594898137f460bfe9f0759e9844b3ce807cfb5"
BIG = {"adapter": "qwen2.5-vl", "checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct", "revision": COMMIT, "dtype": "bfloat16",
       "attention": "eager", "max_pixels": 1003520, "micro_batch": 1, "sample": True, "candidates": 5,
       "temperature": 0.7, "top_p": 0.8, "max_tokens": 512}  # fmt: skip
POCKET = "models/pocket/weights/"
LLAVA = "sha256:a1da9a10a1df74db4bf5e0fb8e74d01e777b7668199f937386559427c02a9988"
QWEN = "sha256:a210be8c96fdbd9388c7e941bc95f4c0fff85679791b1d7a0704969ad5c250bc"
BLIP = "sha256:87e6b1cad57a1c4f8b7b6ae8879f28d8d4b819ebd870e8800c8b6b6fd8a2d962"


@pytest.mark.parametrize(
    ("entry", "identity", "key"),
    [
        ({"adapter": "llava-onevision", "checkpoint": POCKET + "llava-onevision", "beams": 3},
         {"checkpoint": LLAVA, "beams": 3, "attention": "sdpa", **BEAMS},
         "01674b0f1c38a1b6f0f651af66e8ec6d73ebd6129e3f2fc30a6cd269bb7e59af"),
        ({"adapter": "qwen2.5-vl", "checkpoint": POCKET + "qwen2.5-vl", "beams": 3},
         {"checkpoint": QWEN, "beams": 3, "attention": "sdpa", "min_pixels": None, "max_pixels": None, **BEAMS},
         "2ce7b058ba0637bf8b8bb41fe675407723dc5dd058b3e73dfcc30d659f1478f5"),
        ({**BIG, "prompt": "What is it?"},
         {**{name: value for name, value in BIG.items() if name != "adapter"}, "min_pixels": None},
         "007cb89c48c87b22a6a265bcceb8ac42e05714d13713e393d51a8550ff70ed5a"),
        ({"adapter": "openai-compatible", "endpoint": "http://localhost:8000/v1",
          "model": "Qwen/Qwen2.5-VL-7B-Instruct", "revision": "cc59489, bf16"},
         {"checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct", "candidates": 3, "max_tokens": 128, "sample": True,
          "temperature": 1.0, "top_p": 0.9, "revision": "cc59489, bf16", "extra": {}},
         "0afd3f210c2f75df88b201d41babd7c713f68fd4d46dca1704f78995a9079178"),
        ({"adapter": "openai-compatible", "endpoint": "https://api.example.com/v1", "model": "big",
          "revision": "2026-01", "served_as": "b", "sample": False, "beams": 1, "candidates": 1,
          "extra": {"top_k": 5}},
         {"checkpoint": "big", "candidates": 1, "max_tokens": 128, "revision": "2026-01", "extra": {"top_k": 5}},
         "84cbf726a17de3b31daff6604467b5493d55a0d545e6d7832d1c50d068040a26"),
        ({"adapter": "blip", "checkpoint": POCKET + "blip", "beams": 3},
         {"checkpoint": BLIP, "beams": 3, **BEAMS},
         "03a6c7ddfbf4aca2f70910125b2cd4c6bcad6eaf04fc98dff939ad3b7d0b4295"),
        ({"adapter": "speech-seq2seq", "checkpoint": "someone/whisper-captioner", "revision": "0123456789abcdef",
          "prefix": "clotho > caption: "},
         {"checkpoint": "someone/whisper-captioner", "revision": "0123456789abcdef", "beams": 6, **BEAMS,
          "spectrogram": SPECTROGRAM, "prefix": "clotho > caption: "},
         "e755495c724a6bd1f5c2b0fe2dbdcf8d97b5c5c6d2c81d71817324b93f06afab"),
        ({"adapter": "lp-music-caps", "checkpoint": POCKET + "blip", "bart": "facebook/bart-base",
          "bart_revision": "aadd2ab"},
         {"checkpoint": BLIP, "beams": 6, **BEAMS, "spectrogram": SPECTROGRAM,
          "bart": {"checkpoint": "facebook/bart-base", "revision": "aadd2ab"}},
         "a7753b15d9f4dd52d9b5e9cc97c79a9439ef288889b0bc617be5fa21a4676dea"),
    ],
)  # fmt: skip
def test_identities_and_keys_are_those_of_commit_23a778a(entry, identity, key):
    adapted = Adapted("mine", entry, "captioners")
    assert adapted.identity == {"adapter": entry["adapter"], "version": 1, **identity}
    parts = {"picture": "ab" * 32, "prompt": "Describe the image.", "model": adapted.identity}
    assert item_key("caption", parts) == key
