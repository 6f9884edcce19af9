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
from bonaface.models.backbones import RANDOM
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


def load_initial(network: PadModel, *initials: Initial) -> bool:
    """Set weights of `network` to those of the bundle, and return whether all that inference needs were set.

    A bundle of the same network gives all of them; parts that only training needs stay as they are. A bundle of another
    network over the same backbone gives the backbone alone, and so does any bundle to a network that is fitted by a
    solver, since its solver sets the others. Of several bundles it takes the mean. That is a network only where they
    began with the same weights, as two fine-tunings of one network do.

    Raises:
        ModelFileError: a bundle was altered, or holds no weights for torch.
        InputError: it is another one than the run began with; its backbone differs, or the options of its network; one
            bundle gives the backbone alone and another one all; or there is no backbone to set.
    """
    if isinstance(network, SolverModel) and not network.strides:
        raise InputError(
            f"{network.name} is fitted by a solver and has no backbone whose weights it could begin with; leave out "
            "--from"
        )
    states = [_weights(network, initial) for initial in initials]
    if any(state.keys() != states[0].keys() for state in states):
        held = ", ".join(f"{initial.bundle} holds {initial.open().card.model}" for initial in initials)
        raise InputError(
            f"--from: {held}; of one of them {network.name} takes everything and of another one the backbone alone, so "
            "that they have no mean; take bundles of one network"
        )
    mean = {key: _mean([state[key] for state in states]) for key in states[0]}
    network.load_state_dict({**network.state_dict(), **mean})
    return mean.keys() == network.inference_state_dict().keys()


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
    card, state, own = bundle.card, load(bundle.weights.read_bytes()), network.inference_state_dict()
    model = card.model.partition(":")[0]  # MODEL:BACKBONE is MODEL
    same = isinstance(network, GradientModel) and model in (network.name, *network.begins_with)
    # Equal tensors are not enough: two backbones of one shape may pad or scale in other ways.
    shared = same if not network.strides else card.backbone.removeprefix(RANDOM) == network.backbone.name
    if not same:
        own = _of_backbone(own)
        # A backbone ends at the last level that its network takes, so one may have fewer layers than the other.
        state = {key: value for key, value in _of_backbone(state).items() if key in own}
    wrong = sorted(own.keys() ^ state.keys())
    wrong += sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if shared and not wrong:
        return state
    if same:
        advice = "train it with the backbone, size and options that it has there"
    elif not network.strides or not card.backbone:
        advice = "of another network only the backbone is taken, which both must have; take a bundle of the same one"
    elif not shared:
        advice = "train the same network with that backbone, or another network over it"
    else:
        advice = (
            "the backbone there ends before a level that this network reads, or is made of other layers; take a bundle "
            "of a network that reads as many levels of it"
        )
    theirs = f"{card.model} over {card.backbone or 'no backbone'} at {card.input_size} px"
    differ = f", {len(wrong)} tensors differ, the first is {wrong[0]!r}" if wrong else ""
    raise InputError(
        f"{bundle.path} holds {theirs}, and this run trains {network.described()}{differ}; {advice}"
    )


def _of_backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.startswith("backbone.")}
