"""Open a finished run with its best checkpoint, which has the training parts that its bundle lacks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bonaface.core.errors import InputError
from bonaface.core.files import checksum_of, sha256
from bonaface.inference.bundle import CARD, Bundle, BundleCard
from bonaface.models.base import PadModel, SolverModel
from bonaface.models.registry import create_model
from bonaface.training.checkpoint_saver import BEST
from bonaface.training.fit import RUN
from bonaface.training.settings import RunSettings, read_settings
from bonaface.training.weights import load_weights


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: settings, the network with its best weights (eval mode, on the CPU), its bundle's card."""

    path: Path
    settings: RunSettings
    network: PadModel
    card: BundleCard

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the run in the folder `path`. Nothing is fetched from a hub.

        Raises:
            InputError: there is no run.
            ModelFileError: the run is not finished, or a file of it is missing or damaged.
        """
        if not (path / RUN).is_file():
            raise InputError(
                f"{path}: expected the folder of a training run, with its {RUN}; a bundle alone lacks what only "
                "training needs"
            )
        settings = read_settings(path / RUN)
        card = Bundle.open(path).card
        preset = settings.preset
        network = create_model(
            preset.model, backbone=preset.backbone, size=preset.size, pretrained=False, **preset.options
        )
        weights = load_weights(path / BEST)
        if isinstance(network, SolverModel):
            network.load_inference_state_dict(weights)
        else:
            network.load_state_dict(weights)
        return cls(path, settings, network.eval(), card)

    @property
    def threshold(self) -> float:
        """Return the run's own threshold of the default score, for single frames."""
        return self.card.threshold(self.card.default_output, "frame")

    @property
    def digest(self) -> str:
        """Return the SHA-256 of what decides its figures: settings, best weights and the bundle's thresholds."""
        files = (RUN, BEST, f"bundle/{CARD}")
        return checksum_of([sha256(self.path / name) for name in files])
