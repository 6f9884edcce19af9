"""Begin a training with the weights of a bundle: fine-tuning, or a solver over the features of another training.

The weights may be the mean of several bundles', a "model soup" (Wortsman et al., ICML 2022, uniform soup).
"""

from pathlib import Path

import torch
from msgspec import Struct
from safetensors.torch import load
from torch import Tensor

from bonaface.core.errors import InputError, ModelFileError
from bonaface.core.files import sha256
from bonaface.inference.bundle import CARD, WEIGHTS, Bundle
from bonaface.models.base import GradientModel, PadModel, SolverModel


class Initial(Struct, frozen=True, forbid_unknown_fields=True):
    """The bundle whose weights a run begins with: where it lies, and the SHA-256 of its description."""

    bundle: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> "Initial":
        """Return the bundle at `path`, a bundle or a run with one, as the beginning of a run.

        Raises:
            ModelFileError: there is no bundle, or it was altered.
        """
        folder = Bundle.open(path).path.resolve()
        return cls(str(folder), sha256(folder / CARD))

    def open(self) -> Bundle:
        """Open the bundle.

        Raises:
            ModelFileError: there is none any more, or it was altered.
            InputError: it is another one than the run began with.
        """
        bundle = Bundle.open(self.bundle)
        if sha256(bundle.path / CARD) != self.digest:
            raise InputError(
                f"{bundle.path}: this is another bundle than the one that the run began with; put that one back, or "
                "start a new run"
            )
        return bundle


def load_initial(network: PadModel, *initials: Initial) -> None:
    """Set the weights of `network` to those of the bundle; parts that only training needs stay as they are.

    Of several bundles it takes the mean. That is a network only where they began with the same weights, as two
    fine-tunings of one network do. A network that is fitted by a solver takes the backbone's weights alone, since its
    solver sets the others.

    Raises:
        ModelFileError: a bundle was altered, or holds no weights for torch.
        InputError: it is another one than the run began with, its network differs, or there is no backbone to set.
    """
    if isinstance(network, SolverModel) and not network.strides:
        raise InputError(
            f"{network.name} is fitted by a solver and has no backbone whose weights it could begin with; leave out "
            "--from"
        )
    states = [_weights(network, initial) for initial in initials]
    mean = {key: _mean([state[key] for state in states]) for key in states[0]}
    network.load_state_dict({**network.state_dict(), **mean})


def _mean(tensors: list[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape; of whole numbers, as of batches seen, the first."""
    if len(tensors) == 1 or not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)


def _weights(network: PadModel, initial: Initial) -> dict[str, Tensor]:
    """Return the weights that `network` takes from the bundle."""
    bundle = initial.open()
    if not bundle.holds(WEIGHTS):
        raise ModelFileError(
            f"{bundle.path}: this bundle has no weights for torch, {WEIGHTS}, so that no training can begin with it; "
            "take a run, or a bundle of one"
        )
    state, own = load(bundle.weights.read_bytes()), network.inference_state_dict()
    known = bundle.card.model == network.name
    if isinstance(network, GradientModel):
        known |= bundle.card.model in network.begins_with
    else:
        state, own = _of_backbone(state), _of_backbone(own)
        known |= bundle.card.backbone == network.backbone.name
    wrong = sorted(own.keys() ^ state.keys())
    wrong += sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if wrong or not known:
        card = bundle.card
        theirs = f"{card.model} over {card.backbone or 'no backbone'} at {card.input_size} px"
        differ = f", {len(wrong)} tensors differ, the first is {wrong[0]!r}" if wrong else ""
        raise InputError(
            f"{bundle.path} holds {theirs}, and this run trains {network.described()}{differ}; train the same network, "
            "with the backbone, size and options that it has there"
        )
    return state


def _of_backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.startswith("backbone.")}
