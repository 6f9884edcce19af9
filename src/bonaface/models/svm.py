"""Support vector machines over features that are computed in the network's own graph."""

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn

from bonaface.core.errors import InputError
from bonaface.models.base import FeatureSet, standardisation
from bonaface.models.descriptor import DescriptorModel

_SIZED = ("support", "weights")  # by as many rows as the solver needs


class KernelSvm(nn.Module):
    """A support vector machine with an RBF kernel over standardised features (Cortes & Vapnik, 1995).

    The number of support vectors is the solver's: loaded weights bring theirs.

    Args:
        width: features of a picture.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.center: Tensor
        self.scale: Tensor
        self.support: Tensor
        self.weights: Tensor
        self.gamma: Tensor
        self.bias: Tensor
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("support", torch.randn(2, width))
        self.register_buffer("weights", torch.tensor([1.0, -1.0]))
        self.register_buffer("gamma", torch.tensor(1 / width))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Return the decision value (B,) of features (B, F): above 0 for bona fide, 1 and -1 at the margins."""
        # In double precision, because the squares nearly cancel; mixed precision leaves it alone.
        values = ((features - self.center) / self.scale).double()
        support = self.support.double()
        squares = (values * values).sum(1, keepdim=True) + (support * support).sum(1)
        distances = (squares - 2 * values @ support.T).clamp_min(0)  # (B, M), squared
        kernel = torch.exp(-self.gamma.double() * distances)
        return (kernel @ self.weights.double() + self.bias.double()).float()

    def fit(self, values: NDArray[np.float64], labels: NDArray[np.int64], cost: float, gamma: float) -> None:
        """Standardise `values` (N, F) and solve the machine; the classes weigh the same.

        It is scikit-learn's ``SVC(C=cost, gamma=gamma, class_weight="balanced")``.

        Args:
            labels: (N,) of {0, 1}.
            gamma: of the kernel; 0 takes 1 / F.
        """
        from sklearn.svm import SVC  # it takes a while to load, and only training solves

        center, scale = standardisation(values)
        gamma = gamma or 1 / values.shape[1]
        solved = SVC(C=cost, gamma=gamma, class_weight="balanced", cache_size=500)
        solved.fit((values - center) / scale, labels)
        found = {
            "center": center,
            "scale": scale,
            "support": solved.support_vectors_,
            "weights": solved.dual_coef_[0],
            "gamma": np.array(gamma),
            "bias": solved.intercept_[0],
        }
        for name, value in found.items():
            setattr(self, name, torch.as_tensor(value, dtype=torch.float32))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in _SIZED:
            given = state_dict.get(prefix + name)
            if given is not None and given.shape[1:] == getattr(self, name).shape[1:]:
                setattr(self, name, getattr(self, name).new_empty(given.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


class SvmModel(DescriptorModel):
    """A support vector machine over features of one crop; a subclass computes the features.

    Score: `svm`, the sigmoid of the decision value: 0.5 at the machine's own border. It is no probability.

    Attributes:
        width: features of a picture.
        least_size: pixels that a side of the input must have.
    """

    score_names = ("svm",)
    sized_tensors = tuple(f"svm.{name}" for name in _SIZED)
    width: ClassVar[int]
    least_size: ClassVar[int]

    def __init__(
        self,
        backbone: str,
        size: int,
        pretrained: bool = True,
        *,
        cost: Annotated[
            float, Meta(description="C of the support vector machine, above 0: the larger, the fewer errors.")
        ] = 1.0,
        gamma: Annotated[
            float,
            Meta(description="gamma of the RBF kernel over standardised features; 0: one over their number."),
        ] = 0.0,
    ) -> None:
        """Build the model.

        Args:
            backbone: must be empty.
            size: side of the input, at least `least_size`.
            pretrained: has no meaning here.
        """
        if not cost > 0:
            raise InputError(f"cost must be above 0, got {cost}; 1 is the default")
        if not gamma >= 0:
            raise InputError(f"gamma must be above 0, or 0 for one over the number of features, got {gamma}")
        if size < self.least_size:
            raise InputError(f"{self.name} needs pictures of at least {self.least_size} px, got {size}")
        super().__init__(backbone, size, pretrained)
        self.cost, self.gamma = cost, gamma
        self.svm = KernelSvm(self.width)

    def logit(self, values: Tensor) -> Tensor:
        """Return the machine's decision value (B,) of features (B, width)."""
        decision: Tensor = self.svm(values)
        return decision

    def fit(self, train: FeatureSet, dev: FeatureSet) -> None:  # noqa: ARG002
        """Solve the machine on `train`."""
        self.svm.fit(train.features.astype(np.float64), train.labels, self.cost, self.gamma)
