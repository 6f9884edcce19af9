"""Begin a training with the weights of a bundle (fine-tuning)."""

from pathlib import Path

from msgspec import Struct
from safetensors.torch import load_file

from bonaface.core.errors import InputError
from bonaface.core.files import sha256
from bonaface.inference.bundle import CARD, Bundle
from bonaface.models.base import GradientModel, PadModel


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


def load_initial(network: PadModel, initial: Initial) -> None:
    """Set the weights of `network` to those of the bundle; parts that only training needs stay as they are.

    Raises:
        ModelFileError: the bundle was altered, or holds no weights for torch.
        InputError: it is another one than the run began with, its network differs, or `network` is fitted by a solver.
    """
    if not isinstance(network, GradientModel):
        raise InputError(
            f"{network.name} is fitted by a solver, which begins with no weights; leave out --from"
        )
    bundle = Bundle.open(initial.bundle)
    if sha256(bundle.path / CARD) != initial.digest:
        raise InputError(
            f"{bundle.path}: this is another bundle than the one that the run was to begin with; put that one back, or "
            "start a new run"
        )
    state, own = load_file(bundle.weights), network.inference_state_dict()
    wrong = sorted(own.keys() ^ state.keys())
    wrong += sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if wrong or bundle.card.model != network.name:
        card = bundle.card
        theirs = f"{card.model} over {card.backbone or 'no backbone'} at {card.input_size} px"
        differ = f", {len(wrong)} tensors differ, the first is {wrong[0]!r}" if wrong else ""
        raise InputError(
            f"{bundle.path} holds {theirs}, and this run trains {network.described()}{differ}; train the same network, "
            "with the backbone, size and options that it has there"
        )
    network.load_state_dict({**network.state_dict(), **state})
