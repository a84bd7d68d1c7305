"""I3D, the two-stream network's RGB half with Inception-v1 modules. Source: Carreira and Zisserman 2017.

Parameters are named as in the public PyTorch conversion of DeepMind's Kinetics-400 weights (rgb_imagenet.pt).
Letters: ``b`` clip, ``c`` channels, ``f`` frame, ``h w`` pixels.
"""

from __future__ import annotations

from torch import Tensor, cat, nn
from torch.nn import functional as F

CLASSES = 400
SIZE = 224
LEAST_FRAMES = 9
"""Fewer leave nothing for the last pooling over time."""


def _padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around (b c f h w) as TensorFlow's SAME padding puts them, the odd one last."""
    pads: list[int] = []
    for length, size, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(size - (length % step or step), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class _Unit(nn.Module):
    """Convolution, batch norm, ReLU; the last one of the network has neither norm nor ReLU."""

    def __init__(self, into: int, out: int, kernel: int = 1, stride: int = 1, *, logits: bool = False) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(into, out, kernel, stride, bias=logits)
        if not logits:
            self.bn = nn.BatchNorm3d(out, eps=1e-3)
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(_padded(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.logits else F.relu(self.bn(x))


class _Pool(nn.Module):
    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_padded(x, self.kernel, self.stride), self.kernel, self.stride)


class _Mixed(nn.Module):
    """Inception-v1's four branches; ``widths`` in the order of the names below."""

    def __init__(self, into: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = _Unit(into, widths[0])
        self.b1a, self.b1b = _Unit(into, widths[1]), _Unit(widths[1], widths[2], 3)
        self.b2a, self.b2b = _Unit(into, widths[3]), _Unit(widths[3], widths[4], 3)
        self.b3a, self.b3b = _Pool((3, 3, 3), (1, 1, 1)), _Unit(into, widths[5])

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], dim=1)


class I3D(nn.Sequential):
    """Clips to the logits of Kinetics-400."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": _Unit(3, 64, 7, 2),
            "MaxPool3d_2a_3x3": _Pool((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": _Unit(64, 64),
            "Conv3d_2c_3x3": _Unit(64, 192, 3),
            "MaxPool3d_3a_3x3": _Pool((1, 3, 3), (1, 2, 2)),
            "Mixed_3b": _Mixed(192, (64, 96, 128, 16, 32, 32)),
            "Mixed_3c": _Mixed(256, (128, 128, 192, 32, 96, 64)),
            "MaxPool3d_4a_3x3": _Pool((3, 3, 3), (2, 2, 2)),
            "Mixed_4b": _Mixed(480, (192, 96, 208, 16, 48, 64)),
            "Mixed_4c": _Mixed(512, (160, 112, 224, 24, 64, 64)),
            "Mixed_4d": _Mixed(512, (128, 128, 256, 24, 64, 64)),
            "Mixed_4e": _Mixed(512, (112, 144, 288, 32, 64, 64)),
            "Mixed_4f": _Mixed(528, (256, 160, 320, 32, 128, 128)),
            "MaxPool3d_5a_2x2": _Pool((2, 2, 2), (2, 2, 2)),
            "Mixed_5b": _Mixed(832, (256, 160, 320, 32, 128, 128)),
            "Mixed_5c": _Mixed(832, (384, 192, 384, 48, 128, 128)),
            "pool": nn.AvgPool3d((2, 7, 7), 1),
            "logits": _Unit(1024, CLASSES, logits=True),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (b 3 f 224 224) in [-1, 1], f at least 9, to logits (b 400), the mean over time."""
        logits: Tensor = super().forward(clips)
        return logits.mean(dim=(2, 3, 4))
