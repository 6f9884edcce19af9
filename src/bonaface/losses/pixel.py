"""Binary cross-entropy with the picture's label at every pixel."""

from torch import Tensor
from torch.nn import functional


def pixel_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Return BCE of sigmoid(logits) against the picture's label, one value for each logit.

    The label stands at every position (A-DeepPixBiS, eq. 8 and the summand of eq. 14). Nothing is reduced, so
    that the caller takes the mean (eq. 14) or a weighted sum (eq. 17). Computed in float32.

    Args:
        logits: (B, ...), any real number.
        labels: (B,) of {0, 1}, float or integer; 1 is bona fide.

    Returns:
        (B, ...) float32, each value >= 0.
    """
    logits = logits.float()
    return functional.binary_cross_entropy_with_logits(logits, spread(labels, logits), reduction="none")


def spread(labels: Tensor, like: Tensor) -> Tensor:
    """Expand the labels (B,) to float32 of `like`'s shape (B, ...): the same value at every position."""
    return labels.float().view(-1, *[1] * (like.ndim - 1)).expand(like.shape)
