"""The base classes of models: features, head, a part for inference, and one of two ways to learn.

A `GradientModel` has a loss and learns by gradient steps. A `SolverModel` computes features once and sets the weights
of its head by a solver over them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bonaface.core.errors import InputError, ModelFileError
from bonaface.models.backbones import Backbone, create_backbone
from bonaface.models.record import Output

Features = dict[str, Tensor]
Targets = Mapping[str, Tensor]


class PadModel(nn.Module, ABC):
    """A network for presentation attack detection, for square pictures of one size, over a backbone or without one.

    A model is one of its two subclasses, `GradientModel` or `SolverModel`. A model without `strides` has no backbone:
    it gets the name "" for one, and sets `mean` and `std` itself where it wants others than 0.5.

    Attributes:
        name: the model's name in the registry.
        strides: of the feature levels that it takes from its backbone, rising; empty: it has no backbone.
        backbone: the backbone, where there is one.
        input_size: side of the input in pixels.
        mean, std: the normalisation of R, G, B in [0, 1]: the mean is taken off, then it is divided by std.
        score_names: names of the scores, the default one first.
        map_names: names of the per-pixel maps, finest first.
        training_parts: modules that only the loss needs; `inference_state_dict` leaves them out.
        sized_tensors: of which a solver sets the first dimension; loaded weights bring their own.
        views: crops of a face that it reads together, which a model with an option of that name sets; empty: one,
            whichever the preset says.
        lacks: options of other networks that make no sense here, each with the reason.
    """

    name: ClassVar[str]
    strides: ClassVar[tuple[int, ...]] = ()
    score_names: ClassVar[tuple[str, ...]]
    training_parts: tuple[str, ...] = ()
    sized_tensors: ClassVar[tuple[str, ...]] = ()
    map_names: tuple[str, ...]
    views: tuple[str, ...] = ()
    lacks: ClassVar[Mapping[str, str]] = {}
    backbone: Backbone
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __init__(self, backbone: str, size: int, pretrained: bool) -> None:
        super().__init__()
        if self.strides:
            coarsest = self.strides[-1]
            if size < coarsest or size % coarsest:
                raise InputError(
                    f"size must be a multiple of {coarsest}, the stride of the deepest level that {self.name} takes "
                    f"from its backbone, got {size}"
                )
            self.backbone = create_backbone(backbone, self.strides, size, pretrained)
            self.mean, self.std = self.backbone.mean, self.backbone.std
        elif backbone:
            raise InputError(f"{self.name} has no backbone, got {backbone}; leave out --backbone")
        self.input_size = size

    @property
    def backbones(self) -> list[nn.Module]:
        """Return the parts whose weights were learned elsewhere: its backbone, or none."""
        return [self.backbone] if self.strides else []

    @abstractmethod
    def forward_features(self, images: Tensor) -> Features:
        """Return features by name, each (B, C, h, w), of normalised images (B, 3, input_size, input_size).

        Of a model with V views: of images (B, V, 3, input_size, input_size).
        """

    @abstractmethod
    def forward_head(self, features: Features) -> Output:
        """Return scores, maps and what the loss needs, from the features.

        A model with V views finds "shares" (B, V) among them, the mirrored share of each view in [0, 1].
        """

    def forward(self, images: Tensor, shares: Tensor | None = None) -> Output:
        """Return the network's output for normalised RGB `images` (B, 3, input_size, input_size).

        Args:
            images: (B, V, 3, input_size, input_size) for a model with V views, V > 1.
            shares: (B, V) float32, the mirrored share of each view; a model with one view does not look at it.
        """
        several = (len(self.views),) if len(self.views) > 1 else ()
        expected = (*several, 3, self.input_size, self.input_size)
        if tuple(images.shape[1:]) != expected:
            raise InputError(
                f"{self.name} was built for images (B, {', '.join(map(str, expected))}), "
                f"got {tuple(images.shape)}; resize them or build the model with another size"
            )
        features = self.forward_features(images)
        if several:
            if shares is None:
                raise InputError(
                    f"{self.name} reads several crops of a face and needs the mirrored share of each"
                )
            features = {**features, "shares": shares}
        return self.forward_head(features)

    def learned_attention(self) -> dict[str, Tensor]:
        """Return how much each position of a map weighs in the loss, where that is learned: name -> (h, w), sum 1."""
        return {}

    @property
    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs of `inference_module`, in its order: the scores, then the maps."""
        return self.score_names + self.map_names

    def inference_module(self) -> "InferenceModule":
        """Return a copy in eval mode without the training parts that returns plain tensors, for export and serving."""
        module = InferenceModule(deepcopy(self).drop_training_parts())
        return module.eval()

    def drop_training_parts(self) -> Self:
        """Remove the modules that only the loss needs (for good) and return the model."""
        for part in self.training_parts:
            setattr(self, part, None)
        return self

    def inference_state_dict(self) -> dict[str, Tensor]:
        """Return the weights without the training parts: contiguous, detached, on the CPU, ready for safetensors.

        The attention tensor of A-DeepPixBiS belongs to them although no score needs it: it is a result that
        paper 1 shows.
        """
        return {
            key: value.detach().cpu().contiguous()
            for key, value in self.state_dict().items()
            if not self._is_training_part(key)
        }

    def load_inference_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load what `inference_state_dict` gave and remove the training parts, which it does not hold.

        Raises:
            ModelFileError: names or shapes of the weights are not this model's.
        """
        own = self.inference_state_dict()
        wrong = sorted(own.keys() ^ state.keys())
        wrong += [key for key in own.keys() & state.keys() if not self._fits(key, own[key], state[key])]
        if wrong:
            raise ModelFileError(
                f"the weights do not fit {self.described()}: {len(wrong)} tensors are missing, unknown or of another "
                f"shape, the first is {wrong[0]!r}; build the model with the settings that it was trained with"
            )
        self.drop_training_parts()
        self.load_state_dict(dict(state))

    def described(self) -> str:
        """Return the model, its backbone and its size in words."""
        over = f" over {self.backbone.name}" if self.strides else ""
        return f"{self.name}{over} at {self.input_size} px"

    def _fits(self, key: str, own: Tensor, given: Tensor) -> bool:
        """Return whether a tensor that is given can take the place of the model's own."""
        sized = key in self.sized_tensors
        return own.ndim == given.ndim and own.shape[sized:] == given.shape[sized:]

    def _is_training_part(self, key: str) -> bool:
        return key.split(".")[0] in self.training_parts


class GradientModel(PadModel):
    """A model that learns by gradient steps on its own loss.

    Attributes:
        targets: names of what its loss reads (`bonaface.models.targets`).
        begins_with: names of other models whose weights it can begin with, because they have the same tensors.
    """

    targets: ClassVar[tuple[str, ...]] = ("label",)
    begins_with: ClassVar[tuple[str, ...]] = ()

    @property
    def learns_depth(self) -> bool:
        """Return whether its loss, as it is set up, reads the target ``face_depth``, which takes landmarks."""
        return "face_depth" in self.targets

    @abstractmethod
    def loss(self, output: Output, targets: Targets, images: Tensor) -> dict[str, Tensor]:
        """Return the loss of a batch, the mean over its pictures: "total" and each of its terms (scalars, float32).

        Args:
            output: what `forward` made of `images`.
            targets: by name, (B, ...) each; "label" is (B,) of {0, 1}, float or integer, 1 for bona fide.
            images: (B, 3, H, W), as given to `forward`.
        """


@dataclass(frozen=True)
class FeatureSet:
    """The data that a `SolverModel` is fitted on: one row for each crop that was shown.

    Attributes:
        features: (N, ...) float32, what `SolverModel.features` gave of each crop.
        labels: (N,) int64 of {0, 1}; 1 is bona fide.
        subjects: (N,) str, who is shown, or "" where that is not known.
        species: (N,) str, the attack's species; "" for bona fide.
        shares: (N, V) float32, the mirrored share of each view.
        pictures: (N,) int64, the number of the picture that is shown: rows of the same number are one picture, of one
            class, in several passes.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    subjects: NDArray[np.str_]
    species: NDArray[np.str_]
    shares: NDArray[np.float32]
    pictures: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def standardisation(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the spread of each feature of `values` (N, ...): (...) each; a spread of 0 becomes 1."""
    center, scale = values.mean(0), values.std(0)
    scale[scale < 10 * np.finfo(np.float32).eps] = 1.0  # a feature that never differs
    return center, scale


class SolverModel(PadModel):
    """A model whose head is set by a solver over features that are computed once and kept; nothing else learns.

    `forward` gives the same scores as `features` followed by `predict`.

    Attributes:
        passes: epochs that it needs at least.
    """

    passes: int = 1

    def check_passes(self, epochs: int) -> None:
        """Do nothing: one pass is enough, unless a model says that it needs more.

        Raises:
            InputError: the model needs more than `epochs` passes.
        """

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return what is kept of normalised images (B, 3, H, W): (B, ...) float32, the same in every batch."""

    @abstractmethod
    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:
        """Set the weights of the head from the features of `train`; `dev` may choose what `train` can't.

        The same features give the same weights: a stopped run is fitted again.

        Raises:
            BonafaceError: the solver finds no solution.
        """

    @abstractmethod
    def predict(self, features: Tensor, shares: Tensor | None = None) -> Tensor:
        """Return the default score, (B,) float32 in [0, 1], of kept features (B, ...).

        A model with V views gets the mirrored `shares` (B, V) as well.
        """


class InferenceModule(nn.Module):
    """A model whose forward returns a plain tuple, in the order of `output_names`: scores (B,), maps (B, h, w)."""

    def __init__(self, model: PadModel) -> None:
        super().__init__()
        self.model = model
        self.output_names = model.output_names

    def forward(self, images: Tensor, shares: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return scores and maps of normalised RGB `images` (B, 3, H, W), or (B, V, 3, H, W) with `shares` (B, V)."""
        output = self.model(images, shares)
        return (*output.scores.values(), *output.maps.values())
