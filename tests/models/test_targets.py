"""Targets by name: what a builder makes of one crop."""

from collections.abc import Iterator

import numpy as np
import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.core.records import Presentation
from bonaface.datasets.table import PresentationTable
from bonaface.models import targets
from bonaface.models.face_surface import face_surface
from bonaface.models.targets import Shown, register_target, target_builders, target_names

ROWS = (
    Presentation("a", "a.png", 1, device="phone"),
    Presentation("b", "b.png", 0, "screen", device="tablet"),
    Presentation("c", "c.png", 0, "print", device="phone"),
)
TABLE = PresentationTable("folder", ROWS)


def shown(row: Presentation, label: int | None = None, species: str | None = None) -> Shown:
    crop = np.full((4, 4, 3), 51, np.uint8)
    return Shown(
        row,
        row.label if label is None else label,
        row.species if species is None else species,
        crop,
        np.zeros((5, 2), np.float32),
    )


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(targets._makers)
    yield
    targets._makers.clear()
    targets._makers.update(before)


def test_labels_species_and_domains_are_numbered_over_the_whole_table() -> None:
    built = target_builders(["label", "species", "domain"], TABLE)
    values = {name: [build(shown(row)) for row in ROWS] for name, build in built.items()}
    assert values == {"label": [1.0, 0.0, 0.0], "species": [0, 2, 1], "domain": [0, 1, 0]}


def test_a_simulated_attack_has_a_species_of_its_own() -> None:
    built = target_builders(["label", "species"], TABLE)
    simulated = shown(ROWS[0], 0, targets.SIMULATED_ATTACK)
    assert (built["label"](simulated), built["species"](simulated)) == (0.0, 3)


def test_the_depth_of_a_face_is_that_under_the_landmarks_of_the_crop() -> None:
    landmarks = np.array([[36, 42], [64, 42], [50, 58], [39, 74], [61, 74]], np.float32)
    seen = Shown(ROWS[1], 0, "screen", np.zeros((100, 100, 3), np.uint8), landmarks)
    depth = target_builders(["face_depth"], TABLE)["face_depth"](seen)
    np.testing.assert_array_equal(depth, face_surface(landmarks, 100))


def test_unknown_target_lists_the_known(registry: None) -> None:
    register_target("red", lambda table: lambda shown: shown.crop[..., 0].mean() / 255)
    assert target_builders(["red"], TABLE)["red"](shown(ROWS[0])) == pytest.approx(0.2)
    assert target_names() == ("domain", "face_depth", "label", "red", "species")
    with pytest.raises(
        UnknownNameError, match=r"target 'depth'.*Known: domain, face_depth, label, red, species"
    ):
        target_builders(["label", "depth"], TABLE)
