"""Random checkpoints of the true classes, small: Whisper's, and a file in the layout of LP-MusicCaps' authors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartTokenizer,
    GenerationMixin,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.audio_utils import mel_filter_bank
from transformers.modeling_outputs import BaseModelOutput

from models.captioners.audio import Listener, SpeechSeq2Seq
from models.captioners.lp_music_caps import LpMusicCaps
from models.media.audio import Spectrogram, waveform_at

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Spectrogram(rate=8000, duration=1280, step=80, window=160, padding=1, bins=16, high=4000)
WORDS = [a + b for a in "bdfklm" for b in "aeiou"]
MARKS = ["<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]


def words(first: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-pair vocabulary and its merges."""
    pieces = [*first, "Ġ", *"abdefiklmou", *WORDS, *(f"Ġ{word}" for word in WORDS)]
    merges = [*((word[0], word[1]) for word in WORDS), *(("Ġ", word) for word in WORDS)]
    return {piece: number for number, piece in enumerate(pieces)}, merges


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("whisper")
    vocabulary, merges = words(["<|endoftext|>", *MARKS])
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": MARKS})
    extractor = WhisperFeatureExtractor(feature_size=16, hop_length=320, chunk_length=2)
    WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    config = WhisperConfig(
        vocab_size=len(tokenizer), num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        max_source_positions=50, max_target_positions=14, init_std=0.6, decoder_start_token_id=1, bos_token_id=0,
        eos_token_id=0, pad_token_id=0, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        WhisperForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


class Encoder(nn.Module):
    """The layers before BART as LP-MusicCaps names them; torchaudio's two modules are their buffers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mel_encoder = nn.Module()
        self.mel_encoder.spec_fn, self.mel_encoder.mel_scale = nn.Module(), nn.Module()
        self.mel_encoder.spec_fn.register_buffer("window", torch.hann_window(1024))
        filters = torch.from_numpy(mel_filter_bank(513, 16, 0, 8000, 16_000)).float()
        self.mel_encoder.mel_scale.register_buffer("fb", filters)
        self.conv1 = nn.Conv1d(16, width, 3, padding=1)
        self.conv_stack = nn.ModuleList(nn.Conv1d(width, width, 3, 2, 1) for _ in range(5))
        self.register_buffer("positional_embedding", 0.1 * torch.randn(32, width))
        for layer in (self.conv1, *self.conv_stack):
            nn.init.normal_(layer.weight, std=0.3)

    def forward(self, sound: np.ndarray) -> torch.Tensor:
        """Written from the paper's code, frame by frame in NumPy."""
        filled = np.pad(np.pad(sound, (0, 160_000 - len(sound))), 512, mode="reflect")
        frames = np.stack([filled[start : start + 1024] for start in range(0, 160_001, 160)])
        real = np.fft.rfft(frames * np.hanning(1025)[:-1]).real
        mels = 10 * np.log10(np.maximum(real**2 @ self.mel_encoder.mel_scale.fb.numpy(), 1e-10))
        states = nn.functional.gelu(self.conv1(torch.from_numpy(mels.T[None]).float()))
        for layer in self.conv_stack:
            states = nn.functional.gelu(layer(states))
        return states.transpose(1, 2) + self.positional_embedding


@pytest.fixture(scope="module")
def authors(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, dict[str, str]]:
    """LP-MusicCaps' two halves with random weights, and where they lie as its authors' file."""
    folder = tmp_path_factory.mktemp("lp-music-caps")
    vocabulary, merges = words(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    BartTokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder / "bart")
    config = BartConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=40, init_std=0.6,
    )  # fmt: skip
    config.save_pretrained(folder / "bart")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.ModuleDict({"audio_encoder": Encoder(16), "bart": BartForConditionalGeneration(config)}).eval()
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, folder / "transfer.pth")
    return model, {"checkpoint": str(folder / "transfer.pth"), "bart": str(folder / "bart")}


def made(kind: type[Listener], **settings) -> Listener:
    listener = kind(kind.Settings(spectrogram=SMALL, **({"max_tokens": 8, "micro_batch": 4} | settings)))
    listener.load()
    return listener


@pytest.fixture(scope="module", params=["whisper", "lp-music-caps"])
def known(request: pytest.FixtureRequest) -> tuple[type[Listener], dict[str, str]]:
    if request.param == "whisper":
        return SpeechSeq2Seq, {"checkpoint": request.getfixturevalue("whisper")}
    return LpMusicCaps, request.getfixturevalue("authors")[1]


def spectrograms(count: int) -> list[np.ndarray]:
    """Coarse ones, so that they sound different."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    return [np.kron(one, np.ones((4, 4, 3), np.uint8)) for one in coarse]


def say(listener: Listener, pictures: list[np.ndarray], seeds: list[int] | None = None) -> list[list[str]]:
    return listener.caption(pictures, [""] * len(pictures), seeds or [0] * len(pictures))


@pytest.mark.parametrize("sample", [False, True], ids=["beams", "sampled"])
def test_the_batch_makes_no_difference(known, sample):
    kind, where = known
    listener, some = made(kind, sample=sample, **where), spectrograms(6)
    seeds = list(range(6))
    captions = say(listener, some, seeds)
    assert len({tuple(texts) for texts in captions}) > 4, "sounds must differ for this test to mean something"
    assert [say(listener, [one], [seed])[0] for one, seed in zip(some, seeds, strict=True)] == captions
    assert say(listener, some[::-1], seeds[::-1]) == captions[::-1]
    assert say(listener, []) == []


def test_candidates_are_different_and_plain_words(known):
    kind, where = known
    for texts in say(made(kind, **where), spectrograms(3)):
        assert len(texts) == len(set(texts)) == 3
        assert all(text == text.strip() and not {"<", "|"} & set(text) for text in texts)


def test_seeds_matter_to_samples_only(known):
    kind, where = known
    one, sampler, searcher = spectrograms(1), made(kind, sample=True, **where), made(kind, **where)
    assert say(sampler, one, [1]) != say(sampler, one, [2])
    assert say(searcher, one, [1]) == say(searcher, one, [2])


def test_whisper_called_by_hand_says_the_same(whisper):
    """Witness: the encoder, then a greedy loop over the decoder's logits, word by word."""
    model = WhisperForConditionalGeneration.from_pretrained(whisper)
    processor = WhisperProcessor.from_pretrained(whisper)
    one = spectrograms(1)
    mels = processor.feature_extractor(waveform_at(one[0], SMALL, 16_000), sampling_rate=16_000, return_tensors="pt")
    beginning = processor.tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>"])
    ids = torch.tensor([[*beginning, *processor.tokenizer("ba", add_special_tokens=False)["input_ids"]]])
    length = ids.shape[1]
    with torch.no_grad():
        for _ in range(8):
            logits = model(input_features=mels["input_features"], decoder_input_ids=ids).logits
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
            if ids[0, -1] == model.config.eos_token_id:
                break
    wanted = processor.tokenizer.decode(ids[0, length:], skip_special_tokens=True).strip()
    assert say(made(SpeechSeq2Seq, checkpoint=whisper, prefix="ba", beams=1, candidates=1), one) == [[wanted]]


def test_lp_music_caps_by_its_authors_recipe_says_the_same(authors):
    """Witness: the module above, BART's own ``generate`` behind it."""
    model, where = authors
    listener, one = made(LpMusicCaps, beams=4, micro_batch=1, **where), spectrograms(1)
    with torch.no_grad():
        embedded = model["audio_encoder"](waveform_at(one[0], SMALL, 16_000))
        state = model["bart"].model.encoder(inputs_embeds=embedded).last_hidden_state
        ids = GenerationMixin.generate(
            model["bart"], encoder_outputs=BaseModelOutput(state), num_beams=4, num_return_sequences=3,
            max_new_tokens=8, forced_eos_token_id=None, early_stopping=False,
        )  # fmt: skip
    texts = BartTokenizer.from_pretrained(where["bart"]).batch_decode(ids, skip_special_tokens=True)
    assert say(listener, one) == [[text.strip() for text in texts]]


def test_identity_needs_no_loading_and_names_what_matters(known):
    kind, where = known
    plain = kind(kind.Settings(**where)).identity()
    assert plain["checkpoint"].startswith("sha256:") and where["checkpoint"] not in str(plain)
    changes = [{"beams": 5}, {"candidates": 2}, {"max_tokens": 9}, {"length_penalty": 0.0}, {"dtype": "float16"},
               {"micro_batch": 4}, {"sample": True}, {"spectrogram": SMALL}]  # fmt: skip
    if kind is SpeechSeq2Seq:
        changes.append({"prefix": "ba"})
    identities = [kind(kind.Settings(**where, **change)).identity() for change in changes]
    assert all(identity != plain for identity in identities)
    assert kind(kind.Settings(**where, temperature=0.5)).identity() == plain
    json.dumps(identities)


def test_loading_and_captioning_print_nothing(known, capfd, caplog):
    kind, where = known
    say(made(kind, **where), spectrograms(1))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_picture_of_another_size_is_refused(known):
    kind, where = known
    with pytest.raises(ValueError, match="16 x 16 pixels was expected, got"):
        say(made(kind, **where), [np.zeros((16, 20, 3), np.uint8)])


def test_checkpoints_of_another_architecture_are_named(checkpoint, authors, whisper, tmp_path):
    """The fixture ``checkpoint`` is a BLIP."""
    model, where = authors
    with pytest.raises(ValueError, match="is of type 'blip', not an encoder-decoder from sound to text"):
        made(SpeechSeq2Seq, checkpoint=checkpoint)
    with pytest.raises(ValueError, match="is of type 'whisper': LP-MusicCaps needs its BART"):
        made(LpMusicCaps, **where | {"bart": whisper})
    torch.save({"state_dict": model["bart"].state_dict()}, tmp_path / "bart.pth")
    with pytest.raises(ValueError, match=r"not a file of LP-MusicCaps: it has no 'audio_encoder\..*take its transfer"):
        made(LpMusicCaps, **where | {"checkpoint": str(tmp_path / "bart.pth")})
    (tmp_path / "text.pth").write_text("no tensors")
    with pytest.raises(ValueError, match="text.pth' is not a file of PyTorch tensors"):
        made(LpMusicCaps, **where | {"checkpoint": str(tmp_path / "text.pth")})
    state = model.state_dict()
    del state["bart.model.decoder.layers.0.fc1.weight"]
    torch.save({"state_dict": state}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match="is not of the BART .*fc1.weight"):
        made(LpMusicCaps, **where | {"checkpoint": str(tmp_path / "part.pth")})


def test_more_tokens_than_positions_are_refused(whisper, authors):
    made(SpeechSeq2Seq, checkpoint=whisper, max_tokens=12)
    with pytest.raises(ValueError, match="max_tokens is 13, but behind a beginning of 2 tokens .* only 12 positions"):
        made(SpeechSeq2Seq, checkpoint=whisper, max_tokens=13)
    with pytest.raises(ValueError, match="max_tokens is 40, but BART has only 40 positions"):
        made(LpMusicCaps, max_tokens=40, **authors[1])


def test_missing_files_are_named(tmp_path, authors):
    missing = str(tmp_path / Path("nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made(SpeechSeq2Seq, checkpoint=missing)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made(LpMusicCaps, **authors[1] | {"checkpoint": missing})
