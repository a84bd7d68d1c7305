"""Inception-v3 as the Fréchet inception distance has it: TensorFlow's weights of 2015, poolings as they were there.

Parameters are named as in the public PyTorch conversion (pt_inception-2015-12-05). Average poolings do not count the
padding, and the last module's pools by the maximum. Sources: Szegedy et al. 2016; Heusel et al. 2017.
Letters: ``b`` picture, ``c`` channels, ``h w`` pixels, ``d`` features.
"""

from __future__ import annotations

from torch import Tensor, cat, nn
from torch.nn import functional as F

_Size = int | tuple[int, int]
FEATURES = 2048
SIZE = 299


class _Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _A(nn.Module):
    def __init__(self, into: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(into, 64)
        self.branch5x5_1, self.branch5x5_2 = _Conv(into, 48), _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(into, 64)
        self.branch3x3dbl_2, self.branch3x3dbl_3 = _Conv(64, 96, 3, padding=1), _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(into, pooled)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], dim=1)


class _B(nn.Module):
    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(into, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 64), _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], dim=1)


def _wide(into: int, out: int) -> _Conv:
    return _Conv(into, out, (1, 7), padding=(0, 3))


def _tall(into: int, out: int) -> _Conv:
    return _Conv(into, out, (7, 1), padding=(3, 0))


class _C(nn.Module):
    def __init__(self, into: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(into, 192)
        self.branch7x7_1, self.branch7x7_2 = _Conv(into, width), _wide(width, width)
        self.branch7x7_3 = _tall(width, 192)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = _Conv(into, width), _tall(width, width)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _wide(width, width), _tall(width, width)
        self.branch7x7dbl_5 = _wide(width, 192)
        self.branch_pool = _Conv(into, 192)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], dim=1)


class _D(nn.Module):
    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(into, 192), _Conv(192, 320, 3, 2)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(into, 192), _Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3, self.branch7x7x3_4 = _Conv(192, 192, (7, 1), padding=(3, 0)), _Conv(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, 2)], dim=1)


class _E(nn.Module):
    """``largest``: its pooling takes the maximum, as that of the last module does."""

    def __init__(self, into: int, *, largest: bool) -> None:
        super().__init__()
        self.largest = largest
        self.branch1x1, self.branch3x3_1 = _Conv(into, 320), _Conv(into, 384)
        self.branch3x3_2a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 448), _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = _Conv(into, 192)

    def forward(self, x: Tensor) -> Tensor:
        three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        pooled = F.max_pool2d(x, 3, 1, 1) if self.largest else _average(x)
        return cat([*parts, self.branch_pool(pooled)], dim=1)


class Inception(nn.Sequential):
    """Pictures to the features before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {
            "Conv2d_1a_3x3": _Conv(3, 32, 3, 2),
            "Conv2d_2a_3x3": _Conv(32, 32, 3),
            "Conv2d_2b_3x3": _Conv(32, 64, 3, padding=1),
            "pool1": nn.MaxPool2d(3, 2),
            "Conv2d_3b_1x1": _Conv(64, 80),
            "Conv2d_4a_3x3": _Conv(80, 192, 3),
            "pool2": nn.MaxPool2d(3, 2),
            "Mixed_5b": _A(192, 32),
            "Mixed_5c": _A(256, 64),
            "Mixed_5d": _A(288, 64),
            "Mixed_6a": _B(288),
            "Mixed_6b": _C(768, 128),
            "Mixed_6c": _C(768, 160),
            "Mixed_6d": _C(768, 160),
            "Mixed_6e": _C(768, 192),
            "Mixed_7a": _D(768),
            "Mixed_7b": _E(1280, largest=False),
            "Mixed_7c": _E(2048, largest=True),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (b 3 299 299) in [-1, 1] to features (b 2048)."""
        features: Tensor = super().forward(pictures)
        return features.mean(dim=(2, 3))
