"""The record that every network returns, in training and in evaluation."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Output:
    """The output of a network for B pictures, for losses, scorers and explanations; it needs no label.

    Attributes:
        scores: name -> (B,) float32 in [0, 1], higher for bona fide; the default score comes first.
        maps: name -> (B, h, w) float32 in [0, 1], each pixel's probability of being bona fide.
        logits: name -> what the loss needs before the sigmoid: logits or raw cosines.
        embeddings: name -> (B, D) or (B, C, h, w) features of the picture.
        auxiliary: name -> the outputs of branches that exist for training only (the spectra of Bi-FAS-S);
            empty in eval mode.
    """

    scores: dict[str, Tensor]
    maps: dict[str, Tensor]
    logits: dict[str, Tensor]
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
