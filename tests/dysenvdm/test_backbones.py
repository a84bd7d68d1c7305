"""Backbones: what is computed another way computes the same."""

import torch

from dysenvdm.backbones import build_unet, flatten_temporal_convolutions


def test_flat_convolutions_over_time_answer_as_the_three_dimensional_ones() -> None:
    torch.manual_seed(0)
    unet = build_unet("micro").eval()
    for parameter in unet.parameters():  # some start at zero and would hide a difference
        torch.nn.init.normal_(parameter, std=0.05)
    latents, text = torch.randn(2, 4, 5, 8, 8), torch.randn(2, 3, 384)
    with torch.no_grad():
        whole = unet(latents, 500, encoder_hidden_states=text).sample
        flatten_temporal_convolutions(unet)
        flat = unet(latents, 500, encoder_hidden_states=text).sample
        still = unet(latents[:, :, :1], 500, encoder_hidden_states=text).sample
    assert whole.std() > 0
    assert torch.allclose(flat, whole, atol=1e-5)
    assert still.shape == (2, 4, 1, 8, 8)
