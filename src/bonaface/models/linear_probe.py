"""A linear classifier on frozen features, the reference that every trained network must beat; and fine-tuning from it.

Source: linear probing, as A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang compare it with fine-tuning, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022, https://arxiv.org/abs/2202.10054.

Weights: ImageNet weights of the backbone only; see bonaface.models.backbones for their sources and licences.

Differs from the paper: the features are the mean and the spread over positions of every channel at strides 8, 16 and
32, not the last layer's pooled mean alone (the spread says how much texture there is); the classifier is strongly
regularised and its classes are balanced; it may read several crops of one face, the views; and what moves a picture's
features between the passes of training can be held down.

With several views the logit is the sum of those of the views that lie in the picture. A view that is mirrored over the
picture's border by more than its limit is left out: on pictures that are cut to the face, a wide crop is mostly
mirror image. So the solver is shown every picture once with every choice of views, as if views were dropped at random,
and every choice has an offset of its own.

A picture that is shown in several passes, as it is and in other light, should get the same score in all of them. So the
weights are held down most in the directions in which a picture's features move from pass to pass (`invariance`).
Source: A. O. Hatch, S. Kajarekar, A. Stolcke, "Within-class covariance normalization for SVM-based speaker
recognition", Interspeech 2006, who do so with the recordings of a speaker.

With all views a score of 0.5 is where the errors on dev are equal. For each view that is left out at most two thirds
as many of dev's attacks have 0.5 or more: there is one cue less, and who cuts a picture to the face shall not gain by
it.
"""

from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from bonaface.core.errors import BonafaceError, InputError
from bonaface.metrics.thresholds import eer_threshold, sweep
from bonaface.models.base import (
    Features,
    FeatureSet,
    GradientModel,
    PadModel,
    SolverModel,
    Targets,
    standardisation,
)
from bonaface.models.layers import spread
from bonaface.models.preset import Augment, Preset
from bonaface.models.record import Output
from bonaface.models.registry import register

_FEWER = 1.5  # so many times fewer of dev's attacks pass for each view left out (benchmarks/transfer.md)
# C and invariance of the preset `views`, with which pixel-wise networks start, too (training/start.py).
STRENGTH, INVARIANCE = 2e-3, 100.0
_ITERATIONS = 3000
_TOLERANCE = 1e-7  # of the objective's gradient, per picture

_Views = Annotated[
    tuple[str, ...],
    Meta(
        description="crops of one face that are read together, the first of which is always used; empty: the "
        "preset's crop alone."
    ),
]
_Limits = Annotated[
    tuple[float, ...],
    Meta(
        description="of each view but the first, the share, in [0, 1], that may lie outside the picture and be "
        "mirrored; empty: 0.4 of each."
    ),
]


class Probe(PadModel):
    """A linear function of the mean and the spread of every channel of a backbone, for each view of a face.

    Score: `linear`, sigmoid of the logit. A view's map is the sigmoid of what each position adds to the view's logit,
    its levels added up: the mean of a view's map before the sigmoid is its logit.
    """

    strides = (8, 16, 32)
    score_names = ("linear",)

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        views: _Views = (),
        mirrored_limits: _Limits = (),
    ) -> None:
        """Build the network.

        Args:
            backbone: name of a backbone with levels of stride 8, 16 and 32.
            size: side of the input, a multiple of 32.
            pretrained: load the backbone's ImageNet weights.

        Raises:
            InputError: limits outside their range, or not one for each view after the first.
        """
        if not all(0 <= limit <= 1 for limit in mirrored_limits):
            raise InputError(f"mirrored_limits must be shares between 0 and 1, got {list(mirrored_limits)}")
        further = max(len(views) - 1, 0)
        if len(mirrored_limits) not in (0, further):
            raise InputError(
                f"mirrored_limits must have one share for each view after the first, here {further}, got "
                f"{len(mirrored_limits)}; set them as well, or --set mirrored_limits=[] for 0.4 of each"
            )
        super().__init__(backbone, size, pretrained)
        self.mirrored_limits = tuple(mirrored_limits) or (0.4,) * further
        self.views = tuple(views)
        count = max(len(views), 1)
        self.map_names = self.views if len(views) > 1 else ("view",)
        width = 2 * sum(self.backbone.channels)
        self.center: Tensor
        self.scale: Tensor
        self.offsets: Tensor
        self.register_buffer("center", torch.zeros(count, width))
        self.register_buffer("scale", torch.ones(count, width))
        self.register_buffer("offsets", torch.zeros(2**count))  # of each choice of views, view v being bit v
        self.weight = nn.Parameter(torch.randn(count, width) / width**0.5)

    def forward_features(self, images: Tensor) -> Features:
        """Return the backbone's levels: "stride8" (B, C, size/8, size/8), "stride16" and "stride32".

        With V views they are those of (B * V) crops, the views of a picture one after another.
        """
        crops = images.flatten(0, 1) if images.ndim == 5 else images
        levels = zip(self.strides, self.backbone(crops), strict=True)
        return {f"stride{stride}": level for stride, level in levels}

    def forward_head(self, features: Features) -> Output:
        """Return the logistic regression's score, and what each position of each view adds to its logit.

        Args:
            features: see `forward_features`; with V views "shares" (B, V) as well.
        """
        shares = features.get("shares")
        levels = [features[f"stride{stride}"].float() for stride in self.strides]
        statistics = self._by_view(_statistics(levels))  # (B, V, F)
        logit = self._logit(statistics, shares)  # (B,)
        pixels = self._pixel_logits(levels)  # (B, V, h, w)
        maps = {name: pixels[:, view] for view, name in enumerate(self.map_names)}
        return Output(
            scores={"linear": torch.sigmoid(logit)},
            maps={name: torch.sigmoid(values) for name, values in maps.items()},
            logits={"linear": logit, **{f"map {name}": values for name, values in maps.items()}},
            embeddings={"statistics": statistics.flatten(1)},
        )

    def _parts(self, statistics: Tensor) -> Tensor:
        """Return what each view adds to the logit, (B, V), of `statistics` (B, V, F)."""
        return ((statistics - self.center) / self.scale * self.weight).sum(2)

    def _by_view(self, values: Tensor) -> Tensor:
        """Return (B * V, ...) as (B, V, ...)."""
        return values.reshape(-1, len(self.weight), *values.shape[1:])

    def _logit(self, statistics: Tensor, shares: Tensor | None) -> Tensor:
        parts = self._parts(statistics)
        used = torch.ones_like(parts)
        if shares is not None and len(self.weight) > 1:
            inside = (shares[:, 1:] <= shares.new_tensor(self.mirrored_limits)).to(parts)
            used = torch.cat([used[:, :1], inside], 1)
        bits = 2 ** torch.arange(len(self.weight), device=parts.device)
        return (parts * used).sum(1) + self.offsets[(used.long() * bits).sum(1)]

    def _pixel_logits(self, levels: list[Tensor]) -> Tensor:
        """Return what each position adds to its view's logit, at the finest level's size: (B, V, h, w).

        The mean over positions of w1 x + w2 (x - mean)^2 / spread is w1 mean + w2 spread, a level's part of the logit.
        """
        views = len(self.weight)
        slopes = self.weight / self.scale  # (V, F)
        total = -(slopes * self.center).sum(1)[None, :, None, None]
        if views == 1:
            total = total + self.offsets[-1]
        ends = np.cumsum([0, *(2 * channels for channels in self.backbone.channels)]).tolist()
        for level, (first, last) in zip(levels, pairwise(ends), strict=True):
            of_mean, of_spread = slopes[:, first:last].reshape(views, 2, -1, 1, 1).unbind(1)  # (V, C, 1, 1)
            x = self._by_view(level)  # (B, V, C, h, w)
            away = x - x.mean((3, 4), keepdim=True)
            deviation = self._by_view(spread(level))[..., None, None]
            added = (of_mean * x + of_spread * away.square() / deviation).sum(2)  # (B, V, h, w)
            # Nearest neighbours keep the mean, for every level's side divides the finest one's.
            total = total + interpolate(added, size=levels[0].shape[2:], mode="nearest")
        return total


class LinearProbe(Probe, SolverModel):
    """Logistic regression over the mean and the spread of every channel of a frozen backbone."""

    name = "linear-probe"

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        strength: Annotated[
            float,
            Meta(
                description="C of the logistic regression, above 0: the smaller, the stronger is the regularisation."
            ),
        ] = 1e-3,
        views: _Views = (),
        invariance: Annotated[
            float,
            Meta(
                description="how much more the directions cost in which a picture moves between passes, 0 or more; 0 "
                "treats all alike."
            ),
        ] = 0.0,
        mirrored_limits: _Limits = (),
    ) -> None:
        """Build the network; backbone, size and pretrained are those of `Probe`.

        Raises:
            InputError: an option outside its range, or limits that are not one for each view after the first.
        """
        if not strength > 0:
            raise InputError(f"strength must be above 0, got {strength}; 0.001 is the default")
        if not invariance >= 0:
            raise InputError(f"invariance must be 0 or more, got {invariance}; 0 treats all directions alike")
        super().__init__(backbone, size, pretrained, views=views, mirrored_limits=mirrored_limits)
        self.strength, self.invariance = strength, invariance
        self.passes = 2 if invariance else 1

    def features(self, images: Tensor) -> Tensor:
        """Return mean and spread of each channel, level by level: (B, V, F) float32, F = 944 for efficientnet-lite0."""
        levels = [level.float() for level in self.forward_features(images).values()]
        return self._by_view(_statistics(levels))

    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:
        """Standardise the features of `train`, solve the logistic regression, and set the offsets on `dev`.

        The classes weigh the same. With one view the offset is the regression's own; with several, see the module.

        Raises:
            InputError: `invariance` is above 0, and no picture is shown twice.
            BonafaceError: the solver does not converge.
        """
        values = train.features.astype(np.float64)  # (N, V, F)
        center, scale = standardisation(values)
        choices = _choices(values.shape[1])
        standard = (values - center) / scale
        bases = steady_bases(standard, train.pictures, self.invariance) if self.invariance else None
        weight, bias = solve_logistic(standard, train.labels, choices, self.strength, bases)
        for name, value in {"center": center, "scale": scale, "weight": weight}.items():
            getattr(self, name).data.copy_(torch.as_tensor(value))
        offsets = np.full(2 ** values.shape[1], bias)
        if len(choices) > 1:
            parts = ((dev.features - center) / scale * weight).sum(2)  # (N, V)
            everything = parts.sum(1)
            balanced = eer_threshold(dev.labels, everything)
            share = float((everything[dev.labels == 0] >= balanced).mean())
            for choice in choices:
                threshold = balanced
                if not choice.all():
                    curve = sweep(dev.labels, parts @ choice)
                    accepted = share / _FEWER ** (len(choice) - choice.sum())
                    threshold = float(curve.thresholds[np.flatnonzero(curve.apcer <= accepted)[0]])
                offsets[int(choice @ 2 ** np.arange(len(choice)))] = -threshold
        self.offsets.data.copy_(torch.as_tensor(offsets))

    def check_passes(self, epochs: int) -> None:
        """Raise `InputError` where there are no passes to compare."""
        if epochs < self.passes:
            raise InputError(
                f"{self.name} with these options compares a picture's passes and needs epochs={self.passes} or "
                f"more, got {epochs}; take more epochs, or --set invariance=0"
            )

    def predict(self, features: Tensor, shares: Tensor | None = None) -> Tensor:
        """Return the score (B,) of kept features (B, V, F); with V views `shares` (B, V) say which are used."""
        return torch.sigmoid(self._logit(features, shares))


class LpFt(Probe, GradientModel):
    """The linear probe and its backbone, trained further together by gentle steps: "LP-FT" of Kumar et al.

    It begins where `linear-probe` ends (`bonaface train lp-ft --from RUN`), so that steps on a random head do not
    distort the features. Its loss is the binary cross-entropy, as the mean over every choice of views that has the
    first one, which the solver minimises too.
    """

    name = "lp-ft"
    begins_with = ("linear-probe",)

    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return "label", the mean binary cross-entropy over the choices of views; "total" is the same."""
        parts = self._parts(output.embeddings["statistics"].reshape(len(images), *self.weight.shape))
        choices = torch.as_tensor(_choices(len(self.weight)), dtype=parts.dtype, device=parts.device)
        logits = parts @ choices.T + self.offsets[-1]
        labels = targets["label"].to(logits)[:, None].expand_as(logits)
        loss = binary_cross_entropy_with_logits(logits, labels)
        return {"total": loss, "label": loss}


def steady_bases(
    values: NDArray[np.float64], pictures: NDArray[np.int64], invariance: float
) -> NDArray[np.float64]:
    """Return for each view the matrix B (F, F) by which features are turned so that steady directions are cheap.

    B = (I + invariance W)^(-1/2), W being the covariance of a picture's features around their mean over its passes,
    pooled over all pictures; one that is shown once adds nothing. Weights u of the features times B are weights w = B u
    of the features as they are, and |u|^2 = w' (I + invariance W) w: what moves costs more. Source: Hatch et al.,
    Interspeech 2006, who split the features by principal components instead of adding the identity.

    Args:
        values: (N, V, F) standardised features.
        pictures: (N,) the number of the picture that each row shows.
        invariance: see above.

    Returns:
        (V, F, F), symmetric.

    Raises:
        InputError: no picture is shown twice.
    """
    _, number, shown = np.unique(pictures, return_inverse=True, return_counts=True)
    free = len(values) - len(shown)  # degrees of freedom
    if not free:
        raise InputError(
            "every picture is shown once, so nobody sees what moves between its passes; show each in two or more"
        )
    bases = []
    for view in range(values.shape[1]):
        means = np.zeros((len(shown), values.shape[2]))
        np.add.at(means, number, values[:, view])
        away = values[:, view] - (means / shown[:, None])[number]
        spreads, directions = np.linalg.eigh(away.T @ away / free)
        bases.append(directions / np.sqrt(1.0 + invariance * np.maximum(spreads, 0.0)) @ directions.T)
    return np.stack(bases)


def solve_logistic(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    choices: NDArray[np.float64],
    strength: float,
    bases: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Solve a logistic regression whose logit is the sum over some views, for all choices of views at once.

    It minimises 1/2 |w|^2 + C times the mean over `choices` of the balanced log loss: scikit-learn's
    ``LogisticRegression(C=strength, class_weight="balanced")`` where there is one choice of one view and no bases. With
    bases |w|^2 is that of the weights of the turned features, w' (I + invariance W) w of the weights that are returned.

    Args:
        values: (N, V, F) standardised features.
        labels: (N,) of {0, 1}.
        choices: (M, V) of {0, 1}: which views are summed.
        strength: C.
        bases: (V, F, F) of `steady_bases`.

    Returns:
        The weights (V, F), of the features as given, and the bias, which all choices share.

    Raises:
        BonafaceError: the solver does not converge.
    """
    from scipy.optimize import minimize  # it takes a while to load, and only training solves

    count, views, width = values.shape
    flat = np.ascontiguousarray(values.transpose(1, 0, 2))  # (V, N, F)
    if bases is not None:
        flat = flat @ bases
    sign = np.where(labels == 1, 1.0, -1.0)[:, None]
    weighing = (count / (2.0 * np.bincount(labels, minlength=2)))[labels][:, None] / len(choices)

    def objective(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = parameters[:-1].reshape(views, width), parameters[-1]
        margins = sign * (
            np.stack([flat[v] @ weight[v] for v in range(views)], 1) @ choices.T + bias
        )  # (N, M)
        loss = strength * float((weighing * np.logaddexp(0.0, -margins)).sum())
        slope = -strength * weighing * sign / (1.0 + np.exp(np.clip(margins, -500, 500)))  # (N, M)
        per_view = slope @ choices  # (N, V)
        gradient = np.stack([flat[v].T @ per_view[:, v] for v in range(views)]) + weight
        value = (loss + 0.5 * float((weight**2).sum())) / count
        return value, np.append(gradient.ravel(), slope.sum()) / count

    found = minimize(
        objective,
        np.zeros(views * width + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": _TOLERANCE * strength, "ftol": 0.0, "maxls": 50},
    )
    if found.nit >= _ITERATIONS:
        raise BonafaceError(
            f"the logistic regression found no solution in {_ITERATIONS} steps; "
            f"regularise it more: --set strength={strength / 10:g}"
        )
    weight = found.x[:-1].reshape(views, width)
    return weight if bases is None else np.einsum("vfg,vg->vf", bases, weight), float(found.x[-1])


def _choices(views: int) -> NDArray[np.float64]:
    """Return every choice of views that has the first one: (2^(V-1), V) of {0, 1}."""
    bits = np.arange(2 ** (views - 1))[:, None] >> np.arange(views - 1) & 1
    return np.concatenate([np.ones((len(bits), 1)), bits], 1).astype(np.float64)


def _statistics(levels: list[Tensor]) -> Tensor:
    return torch.cat([part for level in levels for part in (level.mean((2, 3)), spread(level))], 1)


_PAPER = "Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022"
_LINK = "https://arxiv.org/abs/2202.10054"
# Of both presets `views`, since one network begins with the weights of the other.
_THREE, _MIRRORED = ("tight", "square-1.3", "square-2.0"), (0.2, 0.6)
# The second pass is seen in colours exchanged between pictures of both classes, so that light does not tell the class.
_WIDE = Preset(
    "wide",
    "linear-probe",
    "efficientnet-lite0",
    size=224,
    crop="square-1.3",
    balance="none",
    epochs=2,
    augment=Augment(color_transfer=1.0),
)

register(
    LinearProbe,
    paper=_PAPER,
    link=_LINK,
    presets=(
        _WIDE,
        replace(_WIDE, name="wider", crop="square-2.0"),
        replace(_WIDE, name="tight", crop="tight"),
        # Three views of a face: what the model that ships is, with invariance 30 and the backbone of lp-ft.
        replace(
            _WIDE,
            name="views",
            crop="tight",
            options={
                "views": _THREE,
                "strength": STRENGTH,
                "invariance": INVARIANCE,
                "mirrored_limits": _MIRRORED,
            },
        ),
    ),
)

register(
    LpFt,
    paper=_PAPER,
    link=_LINK,
    presets=(
        # Settings chosen by what steers in benchmarks/transfer.md.
        Preset(
            "views",
            "lp-ft",
            "efficientnet-lite0",
            size=224,
            crop="tight",
            lr=1e-5,
            backbone_rate=10.0,
            weight_decay=1e-4,
            optimizer="adamw",
            schedule="cosine",
            warmup=0.06,
            clip=1.0,
            epochs=8,
            batch=48,
            balance="none",
            bn="fixed",
            bn_batches=0,
            jitter=(0.0, 0.0, 0.0, 0.0),
            options={"views": _THREE, "mirrored_limits": _MIRRORED},
            augment=Augment(color_transfer=0.5, camera=0.35),
        ),
    ),
)
