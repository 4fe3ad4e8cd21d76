"""Checkpoints of random weights: the real architectures, tiny, in transformers' layout."""

from __future__ import annotations

import contextlib
import json
import string
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.chat import batches, client, pacing
from tests.chat import CHAT, LETTERS, TEXT_CHAT, chat_tokenizer


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no proxy of whoever runs the tests."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For networks this small a second thread is only waited for."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pictures of 32 × 32 pixels, 30 words, 12 positions; weights so large that pictures get captions of their own."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    words = [a + b for a in "bdfklm" for b in "aeiou"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *words])}
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**layers, "vocab_size": len(vocabulary), "max_position_embeddings": 12, "bos_token_id": 5,
            "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0, "initializer_range": 0.5}  # fmt: skip
    vision = {**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.5}
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, initializer_range=0.5))
    folder = tmp_path_factory.mktemp("blip")
    model.save_pretrained(folder)
    BlipProcessor(
        BlipImageProcessor(size={"height": 32, "width": 32}),
        BertTokenizer(vocabulary, bos_token="[DEC]", model_max_length=12),
    ).save_pretrained(folder)
    return str(folder)


WORDS = (*LETTERS, *string.punctuation, *(a + b for a in "bdfklm" for b in "aeiou"))
"""Letters, and 30 syllables."""

DECODER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
           "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": None, "pad_token_id": 0,
           "eos_token_id": 2}  # fmt: skip


def save(model: Any, processor: Any, folder: Path) -> str:
    """With weights twice as large as they are drawn, so that pictures and prompts get replies of their own."""
    import torch

    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def llava_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tower for 32 x 32 pixels, and up to two tiles of them: a square picture is 16 + 4 x (4 + 1) tokens."""
    import torch
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    tokenizer = chat_tokenizer(["<image>", "<video>"], WORDS)
    size, grids = {"height": 32, "width": 32}, [[32, 32], [32, 64], [64, 32]]
    torch.manual_seed(0)
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **DECODER, "vocab_size": len(tokenizer), "initializer_range": 0.3},
        vision_config={"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48,
                       "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
                       "vision_use_head": False},
        image_token_index=3, video_token_index=4, image_grid_pinpoints=grids,
    )  # fmt: skip
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=grids),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=CHAT.replace("IMAGE", "'<image>'"),
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    return save(model, processor, tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="session")
def qwen_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Patches of 4 pixels, four of them a token; the first layer looks within windows of 16 pixels."""
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = chat_tokenizer(["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"], WORDS)
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(
        text_config={**DECODER, "vocab_size": len(tokenizer), "initializer_range": 0.3,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}},
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4,
                       "spatial_merge_size": 2, "window_size": 16, "out_hidden_size": 32, "fullatt_block_indexes": [1],
                       "initializer_range": 0.3},
        vision_start_token_id=3, vision_end_token_id=4, image_token_id=5, video_token_id=6,
    )  # fmt: skip
    sizes = {"patch_size": 4, "merge_size": 2, "min_pixels": 16 * 16, "max_pixels": 64 * 64}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        tokenizer,
        Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT.replace("IMAGE", "'<|vision_start|><|image_pad|><|vision_end|>'"),
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    return save(model, processor, tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def llava_15_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP for 32 x 32 pixels of which the last layer but one is read, without its CLS: 16 tokens a picture."""
    import torch
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = chat_tokenizer(["<image>"], WORDS)
    torch.manual_seed(0)
    config = LlavaConfig(
        text_config={"model_type": "llama", **DECODER, "vocab_size": len(tokenizer), "initializer_range": 0.3},
        vision_config={"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48,
                       "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        image_token_index=3, image_seq_length=16,
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(
        CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "'<image>'"),
    )
    return save(LlavaForConditionalGeneration(config), processor, tmp_path_factory.mktemp("llava-1.5"))


@pytest.fixture(scope="session")
def qwen_2_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Patches of 4 pixels, four of them a token."""
    import torch
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = chat_tokenizer(["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"], WORDS)
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        text_config={**DECODER, "vocab_size": len(tokenizer), "initializer_range": 0.3,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2, "num_heads": 2, "patch_size": 4,
                       "spatial_merge_size": 2, "initializer_range": 0.3},
        vision_start_token_id=3, vision_end_token_id=4, image_token_id=5, video_token_id=6,
    )  # fmt: skip
    sizes = {"patch_size": 4, "merge_size": 2, "min_pixels": 16 * 16, "max_pixels": 64 * 64}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        tokenizer,
        Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT.replace("IMAGE", "'<|vision_start|><|image_pad|><|vision_end|>'"),
    )
    return save(Qwen2VLForConditionalGeneration(config), processor, tmp_path_factory.mktemp("qwen2-vl"))


@pytest.fixture(scope="session")
def causal_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A language model without eyes."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = chat_tokenizer([], WORDS)
    tokenizer.chat_template = TEXT_CHAT
    torch.manual_seed(0)
    config = Qwen2Config(**DECODER, vocab_size=len(tokenizer), initializer_range=0.3)
    return save(Qwen2ForCausalLM(config), tokenizer, tmp_path_factory.mktemp("causal"))


@pytest.fixture
def pictures() -> Callable[..., list[np.ndarray]]:
    """Makes ``count`` noisy pictures of one size."""

    def make(count: int, height: int = 32, width: int = 32) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        return [np.resize(np.kron(one, np.ones((8, 8, 1), np.uint8)), (height, width, 3)) for one in coarse]

    return make


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses between requests, which pass at once."""
    made: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(made), time=time.time, sleep=made.append)
    for module in (client, pacing, batches):
        monkeypatch.setattr(module, "time", clock)
    yield made
    pacing.pace_of.cache_clear()  # they would be waited for by the clock on the wall


Answer = Callable[[dict, int], tuple[int, Any] | tuple[int, Any, dict[str, str]] | None]


@pytest.fixture
def server() -> Iterator[Callable[[Answer], SimpleNamespace]]:
    """Makes servers: ``answer(body, n)`` is told the request and how many came before, and gives status, body (JSON, or
    text as it is) and headers, or None to hang up. What was asked is kept in ``requests`` and ``keys``."""
    running: list[ThreadingHTTPServer] = []

    def make(answer: Answer, models: list[str] | None = None) -> SimpleNamespace:
        seen = SimpleNamespace(requests=[], keys=[])
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(*((200, {"data": [{"id": name} for name in models]}) if models else (404, "nothing here")))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    seen.requests.append(body)
                    seen.keys.append(self.headers["authorization"])
                    count = len(seen.requests) - 1
                if said := answer(body, count):
                    self.reply(*said)

            def reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                for name, value in ({"content-length": str(len(data))} | (headers or {})).items():
                    self.send_header(name, value)
                with contextlib.suppress(ConnectionError):  # who has stopped waiting has hung up
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(made)
        seen.endpoint = f"http://127.0.0.1:{made.server_address[1]}/v1"
        return seen

    yield make
    for made in running:
        made.shutdown()
        made.server_close()
