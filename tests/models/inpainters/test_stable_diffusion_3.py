from __future__ import annotations

import numpy as np
import pytest
import torch

from models.inpainters.stable_diffusion_3 import StableDiffusion3

pytestmark = pytest.mark.usefixtures("one_thread")


def painter(checkpoint: str, **settings) -> StableDiffusion3:
    chosen = {"steps": 2, "strength": 1.0, "max_sequence_length": 4} | settings
    made = StableDiffusion3(StableDiffusion3.Settings(checkpoint=checkpoint, **chosen))
    made.load()
    return made


def test_by_default_it_starts_from_the_degraded_picture():
    """Appendix D: the strength is reduced for SD 3, and guidance stays on the plateau of 7.0 to 7.5."""
    settings = StableDiffusion3.Settings(checkpoint="x")
    assert settings.strength < 1 and StableDiffusion3(settings).sees_hole
    assert 7.0 <= settings.guidance <= 7.5


@torch.no_grad()
def test_a_prompt_is_both_clips_side_by_side_and_then_zeros(make_checkpoint):
    """By hand, as the paper has it (Esser et al. 2024, figure 2): penultimate states, padded to one width."""
    inpainter = painter(make_checkpoint("stable-diffusion-3", 33))
    pipeline = inpainter._pipeline
    ids = pipeline.tokenizer("a star", padding="max_length", max_length=16, return_tensors="pt").input_ids
    both = [clip(ids, output_hidden_states=True) for clip in (pipeline.text_encoder, pipeline.text_encoder_2)]
    encoded = inpainter._encode("a star")
    tokens = encoded["prompt_embeds"][0]
    assert tokens.shape == (16 + 4, 40)
    assert torch.equal(tokens[:16, :32], torch.cat([one.hidden_states[-2][0] for one in both], -1))
    assert not tokens[:16, 32:].any() and not tokens[16:].any()
    assert torch.equal(encoded["pooled_prompt_embeds"], torch.cat([one.text_embeds for one in both], -1))


def test_t5_has_a_say_unless_it_is_left_out(make_checkpoint, pictures):
    checkpoint = make_checkpoint("stable-diffusion-3", 33, t5=True)
    three, two = painter(checkpoint), painter(checkpoint, t5=False)
    assert two._pipeline.text_encoder_3 is None
    assert three.identity() != two.identity()
    heard = three._encode("a star")["prompt_embeds"], two._encode("a star")["prompt_embeds"]
    assert torch.equal(heard[0][:, :16], heard[1][:, :16])
    assert heard[0][:, 16:].any() and not heard[1][:, 16:].any()
    (picture,), (mask,) = pictures(1)
    assert not np.array_equal(*(one.inpaint([picture], [mask], ["a star"], [0])[0] for one in (three, two)))


def test_t5_reads_on_where_the_clips_have_stopped(make_checkpoint, caplog):
    inpainter = painter(make_checkpoint("stable-diffusion-3", 33, t5=True), max_sequence_length=60)
    one, two = inpainter._encode("x " * 20 + "star"), inpainter._encode("x " * 20 + "moon")
    assert torch.equal(one["prompt_embeds"][:, :16], two["prompt_embeds"][:, :16])
    assert not torch.equal(one["prompt_embeds"][:, 16:], two["prompt_embeds"][:, 16:])
    assert not caplog.records


def test_the_key_holds_how_many_tokens_there_are(make_checkpoint):
    checkpoint = make_checkpoint("stable-diffusion-3", 33)
    assert painter(checkpoint).identity() != painter(checkpoint, max_sequence_length=5).identity()


def test_the_shift_of_the_autoencoder_is_undone(make_checkpoint, pictures):
    """Witness: latents that the pipeline hands out, decoded as SD 3's text-to-image pipeline does."""
    inpainter = painter(make_checkpoint("stable-diffusion-3", 33, shift=0.5), micro_batch=1, guidance=1)
    (picture,), (mask,) = pictures(1)
    (result,) = inpainter.inpaint([picture], [mask], ["x"], [0])
    pipeline = inpainter._pipeline
    picture, mask = (torch.from_numpy(one.astype(np.float32)) for one in (picture.transpose(2, 0, 1)[None] / 255, mask))
    with torch.no_grad():
        latents = pipeline(
            "x", image=picture, mask_image=mask[None, None], height=16, width=16, strength=1.0, num_inference_steps=2,
            guidance_scale=1, max_sequence_length=4, generator=torch.Generator().manual_seed(0), output_type="latent",
        ).images  # fmt: skip
        expected = pipeline.vae.decode(latents / 1.5 + 0.5).sample[0] / 2 + 0.5
    assert np.array_equal(result, np.rint(expected.clamp(0, 1).permute(1, 2, 0).numpy() * 255))


def test_a_transformer_of_neither_kind_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match="17 input channels, neither of 33 .* nor of 16 "):
        painter(make_checkpoint("stable-diffusion-3", 17))


def test_a_pipeline_of_another_architecture_is_refused(make_checkpoint):
    with pytest.raises(ValueError, match="is a StableDiffusionInpaintPipeline without a transformer of class SD3"):
        painter(make_checkpoint("stable-diffusion", 9))
