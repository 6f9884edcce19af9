"""What every network promises: features, head, loss, and a part of it that is enough to predict."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import ClassVar, Self

from torch import Tensor, nn

from bonaface.core.errors import InputError, ModelFileError
from bonaface.models.backbones import create_backbone
from bonaface.models.record import Output

Features = dict[str, Tensor]


class PadModel(nn.Module, ABC):
    """A network for presentation attack detection over a backbone, for square pictures of one size.

    Attributes:
        name: the model's name in the registry.
        strides: of the feature levels that it takes from its backbone, rising.
        input_size: side of the input in pixels.
        mean, std: the backbone's normalisation of RGB in [0, 1].
        score_names: names of the scores, the default one first.
        map_names: names of the per-pixel maps, finest first.
        training_parts: modules that only the loss needs; `inference_state_dict` leaves them out.
    """

    name: ClassVar[str]
    strides: ClassVar[tuple[int, ...]]
    score_names: ClassVar[tuple[str, ...]]
    training_parts: ClassVar[tuple[str, ...]] = ()
    map_names: tuple[str, ...]

    def __init__(self, backbone: str, size: int, pretrained: bool) -> None:
        super().__init__()
        coarsest = self.strides[-1]
        if size < coarsest or size % coarsest:
            raise InputError(
                f"size must be a multiple of {coarsest}, the stride of the deepest level that {self.name} takes "
                f"from its backbone, got {size}"
            )
        self.backbone = create_backbone(backbone, self.strides, size, pretrained)
        self.input_size = size

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of R, G, B in [0, 1] that the backbone expects to be taken off."""
        return self.backbone.mean

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of R, G, B in [0, 1] that the backbone expects to be divided by."""
        return self.backbone.std

    @abstractmethod
    def forward_features(self, images: Tensor) -> Features:
        """Features by name, each (B, C, h, w), of normalised images (B, 3, input_size, input_size)."""

    @abstractmethod
    def forward_head(self, features: Features) -> Output:
        """Scores, maps and what the loss needs, from the features."""

    @abstractmethod
    def loss(self, output: Output, labels: Tensor, images: Tensor) -> dict[str, Tensor]:
        """The loss of a batch, the mean over its pictures: "total" and each of its terms (scalars, float32).

        Args:
            output: what `forward` made of `images`.
            labels: (B,) of {0, 1}, float or integer; 1 is bona fide.
            images: (B, 3, H, W), as given to `forward`.
        """

    def forward(self, images: Tensor) -> Output:
        """The network's output for normalised RGB `images` (B, 3, input_size, input_size)."""
        expected = (3, self.input_size, self.input_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise InputError(
                f"{self.name} was built for images (B, {', '.join(map(str, expected))}), "
                f"got {tuple(images.shape)}; resize them or build the model with another size"
            )
        return self.forward_head(self.forward_features(images))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what `inference_module` returns, in its order: the scores, then the maps."""
        return self.score_names + self.map_names

    def inference_module(self) -> "InferenceModule":
        """A copy in eval mode without the training parts that returns plain tensors, for export and serving."""
        module = InferenceModule(deepcopy(self).drop_training_parts())
        return module.eval()

    def drop_training_parts(self) -> Self:
        """Remove the modules that only the loss needs (for good); returns the model."""
        for part in self.training_parts:
            setattr(self, part, None)
        return self

    def inference_state_dict(self) -> dict[str, Tensor]:
        """The weights without the training parts: contiguous, detached, on the CPU, ready for safetensors.

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
        wrong += [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
        if wrong:
            raise ModelFileError(
                f"the weights do not fit {self.name} over {self.backbone.name} at {self.input_size} px: "
                f"{len(wrong)} tensors are missing, unknown or of another shape, the first is {wrong[0]!r}; "
                "build the model with the settings that it was trained with"
            )
        self.drop_training_parts()
        self.load_state_dict(dict(state))

    def _is_training_part(self, key: str) -> bool:
        return key.split(".")[0] in self.training_parts


class InferenceModule(nn.Module):
    """A model whose forward returns a plain tuple, in the order of `output_names`: scores (B,), maps (B, h, w)."""

    def __init__(self, model: PadModel) -> None:
        super().__init__()
        self.model = model
        self.output_names = model.output_names

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Scores and maps of normalised RGB `images` (B, 3, H, W)."""
        output = self.model(images)
        return (*output.scores.values(), *output.maps.values())
