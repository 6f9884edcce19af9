"""Layers that more than one network uses: cosine layers, attention to pixels and their pooling, BiFPN."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bonaface.core.errors import InputError, UnknownNameError

POOLINGS = ("mean", "mean-spread")

# A shorter vector has no reliable direction; the limit also bounds the gradient of the normalisation.
_LEAST_LENGTH = 1e-6
_LEAST_SPREAD = 1e-6  # keeps the gradient of a spread of 0 finite, and what is divided by it


class Cosine(nn.Module):
    """cos(theta) between one learned direction and each vector along dimension 1 (A-DeepPixBiS, sec. IV-C).

    For (B, C, H, W) this is a 1x1 convolution without bias whose filter and whose input are L2-normalised over
    the channels. Every value lies in [-1, 1], also in mixed precision: it is computed in float32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, channels))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the cosines (B, ...) in [-1, 1] of vectors (B, C, ...)."""
        direction = unit(self.weight.float(), dim=1).view(1, -1, *[1] * (vectors.ndim - 2))
        return (unit(vectors.float(), dim=1) * direction).sum(1).clamp(-1.0, 1.0)


def unit(vectors: Tensor, dim: int) -> Tensor:
    """Return `vectors` divided by their L2 norm along `dim`."""
    return functional.normalize(vectors, dim=dim, eps=_LEAST_LENGTH)


def attention_weights(attention: Tensor) -> Tensor:
    """Return softmax of `attention` (h, w) over all positions (A-DeepPixBiS, eq. 16)."""
    return torch.softmax(attention.flatten(), 0).view_as(attention)


def mean_loss(losses: Tensor, attention: Tensor | None) -> Tensor:
    """Return the mean loss of pictures whose pixels have the losses (B, h, w).

    A picture's is the mean of its pixels (A-DeepPixBiS, eq. 14) or, with `attention` (h, w), their sum weighed by
    `attention_weights` (eq. 17).
    """
    if attention is None:
        return losses.mean()
    return (losses * attention_weights(attention)).sum((1, 2)).mean()


def spread(level: Tensor) -> Tensor:
    """Return the standard deviation over positions of (B, C, h, w), not below 1e-6: (B, C)."""
    return level.var((2, 3), correction=0).clamp_min(_LEAST_SPREAD**2).sqrt()


class WithSpread(nn.Module):
    """Put beside each channel x of a level (x - mean)^2 / spread, mean and spread being those over its positions.

    The mean of the second over positions is the spread, so a 1x1 convolution over both gives each pixel
    w1 x + w2 (x - mean)^2 / spread + b, and their mean is w1 mean + w2 spread + b: what `linear-probe` decides by.
    """

    def forward(self, level: Tensor) -> Tensor:
        """Return (B, 2C, h, w) float32 of (B, C, h, w): the channels, then what is put beside them."""
        level = level.float()
        away = level - level.mean((2, 3), keepdim=True)
        return torch.cat([level, away.square() / spread(level)[..., None, None]], 1)


def pixel_head(pooling: str, channels: int, layer: Callable[[int], nn.Module]) -> nn.Module:
    """Return what makes a pixel of each position of a level: `layer` of its channels, or of those with their spread."""
    return layer(channels) if pooling == "mean" else nn.Sequential(WithSpread(), layer(2 * channels))


def pooled(pooling: str, pixels: Tensor, logits: Tensor) -> Tensor:
    """Return a picture's score: the mean of its `pixels` or, for "mean-spread", the sigmoid of their mean logit.

    Args:
        pixels: (B, h, w) in [0, 1], the sigmoid of `logits`.
        logits: (B, h, w).

    Returns:
        (B,) in [0, 1].
    """
    return pixels.mean((1, 2)) if pooling == "mean" else torch.sigmoid(logits.mean((1, 2)))


def check_pooling(pooling: str, depth: str = "") -> None:
    """Refuse a pooling that there is not, or that has nothing to pool.

    Args:
        depth: the setting by which pixels learn a depth; "" where they learn the picture's label.

    Raises:
        UnknownNameError: `pooling` is none of POOLINGS.
        InputError: pixels are depths, not logits.
    """
    if pooling not in POOLINGS:
        raise UnknownNameError("pooling", pooling, POOLINGS)
    if depth and pooling != "mean":
        raise InputError(
            f"pooling={pooling} adds up the logits of the pixels, and with {depth} a pixel is a depth; take "
            "pooling=mean, or let the pixels learn the label"
        )


def xavier(module: nn.Module) -> None:
    """Initialise a convolution or linear layer as Glorot & Bengio (2010), bias zero; for `Module.apply`."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class BiFpn(nn.Module):
    """Bi-directional feature pyramid of EfficientDet-D0 (Tan et al., CVPR 2020, sec. 3).

    Three backbone levels of stride 8, 16, 32 become five pyramid levels of stride 8 ... 128: two more are made
    from the deepest one by 1x1 convolution + BN and max-pooling. Then `repeats` cells, each with a top-down and a
    bottom-up path. The numbers of the levels are 1 (finest) to 5.

    Agrees with `effdet`'s BiFpn of efficientdet_d0, given the same weights.
    """

    LEVELS = 5

    def __init__(
        self, in_channels: Sequence[int], channels: int = 64, repeats: int = 3, coarsest: int = LEVELS
    ) -> None:
        """Build the pyramid.

        Args:
            in_channels: of the three backbone levels, finest first.
            channels: of every pyramid level.
            repeats: number of cells.
            coarsest: the last level whose output anything reads; coarser outputs do not exist.
        """
        super().__init__()
        self.extra = _conv_bn(in_channels[-1], channels)
        first = [*in_channels, *[channels] * (self.LEVELS - len(in_channels))]
        widths = [first] + [[channels] * self.LEVELS] * (repeats - 1)
        last = [self.LEVELS] * (repeats - 1) + [coarsest]
        self.cells = nn.ModuleList(
            _BiFpnCell(width, channels, end) for width, end in zip(widths, last, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Turn three tensors (B, in_channels[i], H/2^i, W/2^i) into the pyramid, level 1 (finest) to `coarsest`."""
        levels = list(features)
        levels.append(_pool(self.extra(levels[-1])))
        while len(levels) < self.LEVELS:
            levels.append(_pool(levels[-1]))
        for cell in self.cells:
            levels = cell(levels)
        return levels


class _BiFpnCell(nn.Module):
    """One top-down and one bottom-up path; an edge from another width has a 1x1 convolution + BN of its own."""

    def __init__(self, in_channels: Sequence[int], channels: int, coarsest: int) -> None:
        super().__init__()
        self.down_lateral = nn.ModuleList(_lateral(width, channels) for width in in_channels[:-1])
        self.down = nn.ModuleList(_Fusion(2, channels) for _ in in_channels[:-1])
        self.up_lateral = nn.ModuleList(_lateral(width, channels) for width in in_channels[1:coarsest])
        top = len(in_channels)
        self.up = nn.ModuleList(
            _Fusion(2 if level == top else 3, channels) for level in range(2, coarsest + 1)
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        middle = [levels[-1]]  # coarsest first while going down
        for i in reversed(range(len(self.down))):
            lateral = self.down_lateral[i](levels[i])
            middle.append(self.down[i]([lateral, _upsample(middle[-1], lateral)]))
        middle.reverse()
        outputs = [middle[0]]
        for i, fuse in enumerate(self.up, start=1):
            inputs = [self.up_lateral[i - 1](levels[i])]
            if i < len(levels) - 1:
                inputs.append(middle[i])
            outputs.append(fuse([*inputs, _pool(outputs[-1])]))
        return outputs


class _Fusion(nn.Module):
    """Fast normalised fusion (EfficientDet, sec. 3.3), then SiLU, depthwise 3x3, pointwise 1x1, BN."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs))
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn = _batch_norm(channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        weights = functional.relu(self.weights)
        weights = (weights / (weights.sum() + 1e-4)).to(inputs[0].dtype)
        fused = inputs[0] * weights[0]
        for i in range(1, len(inputs)):
            fused = fused + inputs[i] * weights[i]
        fused = functional.silu(fused)
        normalised: Tensor = self.bn(self.pointwise(self.depthwise(fused)))
        return normalised


def _lateral(in_channels: int, channels: int) -> nn.Module:
    return nn.Identity() if in_channels == channels else _conv_bn(in_channels, channels)


def _conv_bn(in_channels: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), _batch_norm(channels))


def _batch_norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _pool(tensor: Tensor) -> Tensor:
    return functional.max_pool2d(tensor, 3, stride=2, padding=1)


def _upsample(tensor: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(tensor, size=like.shape[-2:], mode="nearest")
