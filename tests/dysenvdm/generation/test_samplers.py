"""Schedulers by name: they agree when there are many steps, and outputs and clean latents translate into each other."""

from __future__ import annotations

import pytest
import torch

from dysenvdm.generation.samplers import SCHEDULERS, clean_estimate, new_sampler, output_for

WARNING = "ignore:__array__ implementation doesn't accept a copy keyword"  # diffusers' schedulers


@pytest.mark.filterwarnings(WARNING)
def test_all_schedulers_come_to_the_same_video_when_there_are_many_steps(last_latents) -> None:
    """On a real network, to within a fraction of what one of them still changes between few steps and many."""
    ends = {name: last_latents(scheduler=name, num_inference_steps=50, seeds=[2]) for name in SCHEDULERS}
    few = last_latents(scheduler="ddim", num_inference_steps=4, seeds=[2])
    moved = (few - ends["ddim"]).abs().mean()
    for name, end in ends.items():
        assert (end - ends["unipc"]).abs().mean() < 0.35 * moved, name


@pytest.mark.filterwarnings(WARNING)
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_known_end_is_reached_whatever_the_network_predicts(pipeline, name: str, prediction: str) -> None:
    own = type(pipeline.scheduler).from_config(
        pipeline.scheduler.config, prediction_type=prediction, rescale_betas_zero_snr=prediction != "epsilon"
    )
    sampler = new_sampler(own, name)
    sampler.set_timesteps(8)  # a divisor of 1000: else diffusers' DDIM leaves some noise
    generator = torch.Generator().manual_seed(0)
    clean, latents = (torch.randn(1, 4, 2, 3, 3, generator=generator) for _ in range(2))
    for timestep in sampler.timesteps:
        output = output_for(sampler, clean, latents, timestep)
        torch.testing.assert_close(clean_estimate(sampler, output, latents, timestep), clean, atol=1e-3, rtol=1e-3)
        latents = sampler.step(output, timestep, latents, return_dict=False)[0]
    torch.testing.assert_close(latents, clean, atol=2e-3, rtol=2e-3)
