"""C3D, fine-tuned on UCF-101, with the mean clip that its inputs are freed of. Source: Tran et al. 2015.

This is the network of the video inception score (Saito et al. 2017, TGAN), whose released file is a NumPy archive.
Poolings round up, as Caffe's do, for which the weights were trained.
Letters: ``b`` clip, ``c`` channels, ``f`` frame, ``h w`` pixels.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 101
FRAMES = 16
SIZE = 112

CONVOLUTIONS = {
    "conv1a": (3, 64), "conv2a": (64, 128), "conv3a": (128, 256), "conv3b": (256, 256),
    "conv4a": (256, 512), "conv4b": (512, 512), "conv5a": (512, 512), "conv5b": (512, 512),
}  # fmt: skip
POOLED = {"conv1a": (1, 2, 2), "conv2a": (2, 2, 2), "conv3b": (2, 2, 2), "conv4b": (2, 2, 2), "conv5b": (2, 2, 2)}
"""After these layers, by so much."""


class C3D(nn.Module):
    """Clips of 16 frames to the logits of UCF-101."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, (into, out) in CONVOLUTIONS.items():
            self.add_module(name, nn.Conv3d(into, out, 3, padding=1))
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, CLASSES)
        self.register_buffer("mean", torch.zeros(3, FRAMES, SIZE, SIZE))

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (b 3 16 h w), RGB in [-1, 1], of any size, to logits (b 101)."""
        b = len(clips)
        frames = rearrange(clips.flip(1) * 128 + 128, "b c f h w -> (b f) c h w")  # the weights know blue first
        frames = F.interpolate(frames, (SIZE, SIZE), mode="bilinear", align_corners=True)
        x = rearrange(frames, "(b f) c h w -> b c f h w", b=b) - self.mean
        for name in CONVOLUTIONS:
            x = F.relu(self.get_submodule(name)(x))
            if name in POOLED:
                x = F.max_pool3d(x, POOLED[name], ceil_mode=True)
        x = F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))
        logits: Tensor = self.fc8(x)
        return logits
