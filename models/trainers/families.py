"""What each family of text-to-image models learns to predict: the error of one noisy latent, as its authors train it.

``u`` in [0, 1) is when: the share of the schedule, 0 its first moment. It indexes the moments of the scheduler that the
checkpoint holds as it is made: flow matching's sigmas are shifted there once, and ``set_timesteps`` would shift them
again (diffusers#13243).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

Texts = Mapping[str, "Tensor"]
"""What a painter's ``encode`` gives of texts, side by side."""

Density = Literal["uniform", "logit_normal"]

ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")
JOINT = (*(f"attn.{name}" for name in ATTENTION), "attn.add_k_proj", "attn.add_q_proj", "attn.add_v_proj",
         "attn.to_add_out")  # fmt: skip
FORWARD = ("ff.net.0.proj", "ff.net.2")


class Family(ABC):
    """``denoiser`` and ``scheduler`` are a checkpoint's; ``side`` are the pixels of a picture's side.

    ``gamma`` is min-SNR's (Hang et al. 2023), ``guidance`` the number that a distilled model reads.
    """

    TARGETS: ClassVar[tuple[str, ...]]
    """The layers that get adapters, as diffusers' own examples of the family choose them."""
    DENSITY: ClassVar[Density] = "uniform"
    """How often which moments are learnt."""

    def __init__(self, denoiser: Any, scheduler: Any, side: int, gamma: float | None, guidance: float) -> None:
        self.denoiser, self.config, self.side = denoiser, denoiser.config, side
        self.gamma, self.guidance = gamma, guidance
        self.dtype = denoiser.dtype
        self.schedule = self.made(scheduler)

    def made(self, scheduler: Any) -> Any:
        """The schedule that is trained on."""
        return scheduler

    @abstractmethod
    def errors(self, clean: Tensor, noise: Tensor, u: Tensor, texts: Texts) -> Tensor:
        """The weighted mean squared error of each latent: (N,) of (N, C, h, w) and (N,)."""


class Noise(Family):
    """Denoising diffusion: predicts the noise, or v (Salimans & Ho 2022), as the checkpoint's scheduler says."""

    TARGETS: ClassVar[tuple[str, ...]] = ATTENTION

    def made(self, scheduler: Any) -> Any:
        from diffusers import DDPMScheduler

        schedule = DDPMScheduler.from_config(scheduler.config)
        if schedule.config.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(
                f"the checkpoint predicts {schedule.config.prediction_type!r}, which is not trained here: take one "
                "that predicts epsilon or v_prediction"
            )
        return schedule

    def errors(self, clean: Tensor, noise: Tensor, u: Tensor, texts: Texts) -> Tensor:
        times = (u * self.schedule.config.num_train_timesteps).long()
        noisy = self.schedule.add_noise(clean, noise, times)
        velocity = self.schedule.config.prediction_type == "v_prediction"
        wanted = self.schedule.get_velocity(clean, noise, times) if velocity else noise
        found = self.predicted(noisy.to(self.dtype), times, texts).float()
        return ((found - wanted) ** 2).flatten(1).mean(1) * self.weights(times, velocity)

    def weights(self, times: Tensor, velocity: bool) -> Tensor | float:
        """min(snr, gamma) / snr, of v / (snr + 1), which equals the same weight of the error of the picture."""
        from diffusers.training_utils import compute_snr

        if self.gamma is None:
            return 1.0
        snr = compute_snr(self.schedule, times)
        return snr.clamp(max=self.gamma) / (snr + velocity)

    def predicted(self, noisy: Tensor, times: Tensor, texts: Texts) -> Tensor:
        found: Tensor = self.denoiser(noisy, times, texts["prompt_embeds"], return_dict=False)[0]
        return found


class StableDiffusionXl(Noise):
    """Also reads the size that a picture had, and which part of it is seen: the whole, at the size it is learnt at."""

    def predicted(self, noisy: Tensor, times: Tensor, texts: Texts) -> Tensor:
        sizes = noisy.new_tensor([self.side, self.side, 0, 0, self.side, self.side]).expand(len(noisy), 6)
        conditions = {"text_embeds": texts["pooled_prompt_embeds"], "time_ids": sizes}
        found: Tensor = self.denoiser(
            noisy, times, texts["prompt_embeds"], added_cond_kwargs=conditions, return_dict=False
        )[0]
        return found


class PixArtAlpha(Noise):
    """The transformer predicts its variance too, which is not trained. ``TARGETS`` are those of Captions4T2I."""

    TARGETS: ClassVar[tuple[str, ...]] = (*ATTENTION, "proj_in", "proj_out", *FORWARD, "proj", "linear", "linear_1",
                                          "linear_2")  # fmt: skip

    def predicted(self, noisy: Tensor, times: Tensor, texts: Texts) -> Tensor:
        conditions: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if self.config.sample_size == 128:  # as the pipeline does it
            conditions["resolution"] = noisy.new_tensor([self.side, self.side]).expand(len(noisy), 2)
            conditions["aspect_ratio"] = noisy.new_ones(len(noisy), 1)
        found: Tensor = self.denoiser(
            noisy, timestep=times, encoder_hidden_states=texts["prompt_embeds"],
            encoder_attention_mask=texts["prompt_attention_mask"], added_cond_kwargs=conditions, return_dict=False,
        )[0]  # fmt: skip
        return found.chunk(2, 1)[0] if self.config.out_channels == 2 * self.config.in_channels else found


class Flow(Family):
    """Rectified flow: predicts noise minus latent at a sigma between them."""

    def errors(self, clean: Tensor, noise: Tensor, u: Tensor, texts: Texts) -> Tensor:
        sigma = self.sigmas(u, clean).to(clean.device)
        level = sigma[:, None, None, None]
        noisy = ((1 - level) * clean + level * noise).to(self.dtype)
        return ((self.predicted(noisy, sigma, texts).float() - (noise - clean)) ** 2).flatten(1).mean(1)

    def sigmas(self, u: Tensor, clean: Tensor) -> Tensor:
        """The sigma at each ``u``; where the scheduler shifts by size when it samples, shifted as it is there."""
        from diffusers.pipelines.flux.pipeline_flux import calculate_shift

        sigmas, config = self.schedule.sigmas, self.schedule.config
        found: Tensor = sigmas[(u.cpu() * len(sigmas)).long()]
        if not config.use_dynamic_shifting:
            return found
        tokens = clean.shape[-2] * clean.shape[-1] // self.patch**2
        sizes = (config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift)
        shifted: Tensor = self.schedule.time_shift(calculate_shift(tokens, *sizes), 1.0, found)
        return shifted

    @property
    @abstractmethod
    def patch(self) -> int:
        """Latents of a token's side."""

    @abstractmethod
    def predicted(self, noisy: Tensor, sigma: Tensor, texts: Texts) -> Tensor:
        """The flow (N, C, h, w)."""


class StableDiffusion3(Flow):
    """Moments are drawn from a normal before the sigmoid (Esser et al. 2024, section 3.1)."""

    TARGETS: ClassVar[tuple[str, ...]] = JOINT
    DENSITY: ClassVar[Density] = "logit_normal"

    @property
    def patch(self) -> int:
        return int(self.config.patch_size)

    def predicted(self, noisy: Tensor, sigma: Tensor, texts: Texts) -> Tensor:
        found: Tensor = self.denoiser(
            hidden_states=noisy, timestep=sigma * self.schedule.config.num_train_timesteps,
            encoder_hidden_states=texts["prompt_embeds"], pooled_projections=texts["pooled_prompt_embeds"],
            return_dict=False,
        )[0]  # fmt: skip
        return found


class Flux(Flow):
    """Latents are packed by two, and the model reads the guidance that it was distilled for."""

    TARGETS: ClassVar[tuple[str, ...]] = (*JOINT, *FORWARD, "ff_context.net.0.proj", "ff_context.net.2")
    patch = 2

    def predicted(self, noisy: Tensor, sigma: Tensor, texts: Texts) -> Tensor:
        from diffusers import FluxPipeline

        count, channels, height, width = noisy.shape
        places = FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, noisy.device, noisy.dtype)
        guidance = noisy.new_full((count,), self.guidance).float() if self.config.guidance_embeds else None
        flow = self.denoiser(
            hidden_states=FluxPipeline._pack_latents(noisy, count, channels, height, width), timestep=sigma,
            guidance=guidance, pooled_projections=texts["pooled_prompt_embeds"],
            encoder_hidden_states=texts["prompt_embeds"], img_ids=places,
            txt_ids=noisy.new_zeros(texts["prompt_embeds"].shape[1], 3), return_dict=False,
        )[0]  # fmt: skip
        found: Tensor = FluxPipeline._unpack_latents(flow, height, width, 1)
        return found


FAMILIES: dict[str, type[Family]] = {
    "StableDiffusionPipeline": Noise,
    "StableDiffusionXLPipeline": StableDiffusionXl,
    "PixArtAlphaPipeline": PixArtAlpha,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
}
"""By the pipeline of their painters."""
