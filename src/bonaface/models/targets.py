"""Build the targets of a loss by name, in the loader, for each crop that is shown.

A model names the targets that its loss reads (`GradientModel.targets`). A model's own file may add one:

    register_target("hue", lambda table: lambda shown: shown.crop[..., 0].mean() / 255)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import UnknownNameError
from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable
from bonaface.models.face_surface import face_surface

SIMULATED_ATTACK = "simulated"


@dataclass(frozen=True)
class Shown:
    """One crop as the network gets it.

    Attributes:
        presentation: the row of the data set's table that it comes from.
        label: 1 for bona fide, 0 for an attack; 0 too where a bona fide picture is shown as a simulated attack.
        species: of the attack, "simulated" for such a picture, "" for bona fide.
        crop: (H, W, 3) uint8 RGB, augmented; (V, H, W, 3) of a network that reads V crops of a face, V > 1.
        landmarks: (5, 2) float32, x and y in pixels of `crop`, of the first of several: the eye on the picture's left,
            the one on its right, nose, the left and the right corner of the mouth. They may lie outside.
        shares: (V,) float32, the share of each crop that is mirrored.
    """

    presentation: Presentation
    label: int
    species: str
    crop: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    shares: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))


Target = float | NDArray[np.float32]  # whole numbers become int64, all others float32
TargetBuilder = Callable[[Shown], Target]

_makers: dict[str, Callable[[PresentationTable], TargetBuilder]] = {}


def register_target(name: str, make: Callable[[PresentationTable], TargetBuilder]) -> None:
    """Make a target known by name: `make` gets the data set's table and returns the builder of one crop's target."""
    _makers[name] = make


def target_names() -> tuple[str, ...]:
    """Return the names of all targets, sorted."""
    return tuple(sorted(_makers))


def target_builders(names: Sequence[str], table: PresentationTable) -> Mapping[str, TargetBuilder]:
    """Return the builder of each of `names` for crops of `table`'s presentations.

    Raises:
        UnknownNameError: there is no such target.
    """
    for name in names:
        if name not in _makers:
            raise UnknownNameError("target", name, target_names())
    return {name: _makers[name](table) for name in names}


def _label(_: PresentationTable) -> TargetBuilder:
    """Return a builder of 1.0 for bona fide and 0.0 for an attack."""
    return lambda shown: float(shown.label)


def _species(table: PresentationTable) -> TargetBuilder:
    """Return a builder of 0 for bona fide, 1 to S for the table's S species as sorted, S + 1 for simulated attacks."""
    names = sorted({row.species for row in table.rows if row.species})
    codes = {"": 0, **{name: number for number, name in enumerate(names, 1)}}
    return lambda shown: codes.get(shown.species, len(names) + 1)


def _domain(table: PresentationTable) -> TargetBuilder:
    """Return a builder of the number of the presentation's capture device, of the table's in sorted order."""
    codes = {name: number for number, name in enumerate(sorted({row.device for row in table.rows}))}
    return lambda shown: codes[shown.presentation.device]


def _face_depth(_: PresentationTable) -> TargetBuilder:
    """Return a builder of a generic face's depth under the crop's landmarks (32, 32), also where it is an attack."""
    return lambda shown: face_surface(shown.landmarks, shown.crop.shape[-2])


register_target("label", _label)
register_target("species", _species)
register_target("domain", _domain)
register_target("face_depth", _face_depth)
