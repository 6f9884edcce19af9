from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.datasets import replay_attack
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.table import PresentationTable

# Chingovska et al. 2012: bona fide 60, 60, 80 in every protocol, and attacks
ATTACKS = {
    "grandtest": (300, 300, 400),
    "print": (60, 60, 80),
    "mobile": (120, 120, 160),
    "highdef": (120, 120, 160),
    "digitalphoto": (120, 120, 160),
    "photo": (180, 180, 240),
    "video": (120, 120, 160),
}


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return replay_attack.read(complete("replay-attack"))


@pytest.mark.parametrize("name", ATTACKS)
def test_counts_of_every_protocol(table: PresentationTable, name: str) -> None:
    protocol = find_protocol(replay_attack.DATASET.protocols, name)
    split = split_rows(table, protocol)
    wanted = tuple(zip((60, 60, 80), ATTACKS[name], strict=True))
    assert tuple(table.counts(part) for part in (split.train, split.dev, split.test)) == wanted
    assert (protocol.counts.train, protocol.counts.dev, protocol.counts.test) == wanted


@pytest.mark.parametrize(
    ("name", "instruments", "samples"),
    [
        ("print", {"print"}, {"photo"}),
        ("mobile", {"mobile"}, {"photo", "video"}),
        ("highdef", {"highdef"}, {"photo", "video"}),
        ("digitalphoto", {"mobile", "highdef"}, {"photo"}),
        ("photo", {"print", "mobile", "highdef"}, {"photo"}),
        ("video", {"mobile", "highdef"}, {"video"}),
    ],
)
def test_protocols_hold_their_attacks(
    table: PresentationTable, name: str, instruments: set[str], samples: set[str]
) -> None:
    split = split_rows(table, find_protocol(replay_attack.DATASET.protocols, name))
    words = [Path(table.rows[i].path).stem.split("_") for i in split.test if table.rows[i].label == 0]
    assert {word[1] for word in words} == instruments
    assert {word[5] for word in words} == samples


def test_the_complete_set(table: PresentationTable) -> None:
    assert table.counts() == (200, 1000)
    assert table.notes == ()
    clients = {(row.split, row.subject) for row in table.rows}
    assert Counter(split for split, _ in clients) == {"train": 15, "dev": 15, "test": 20}
    assert {row.device for row in table.rows} == {"webcam"}
    row = next(
        row for row in table.rows if "attack_mobile_client001_session01_mobile_video_adverse" in row.path
    )
    assert (row.species, row.subject, row.split) == ("display-mobile-video", "001", "train")


def test_a_client_without_all_videos_is_named(tmp_path: Path) -> None:
    for name in ("real/client001_session01_webcam_authenticate_adverse_1", "attack/hand/attack_print_x"):
        path = tmp_path / "devel" / f"{name}.mov"
        path.parent.mkdir(parents=True)
        path.touch()
    table = replay_attack.read(tmp_path)
    notes = "\n".join(table.notes)
    assert len(table) == 1
    assert "23 files are missing: devel/real/client001_session01_webcam_authenticate_adverse_2.mov" in notes
    assert "_webcam_authenticate_adverse_1.mov): devel/attack/hand/attack_print_x.mov" in notes
    assert "dev has 1 bona fide and 0 attack presentations, and 60 and 300 are published" in notes


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folders train/real"):
        replay_attack.read(tmp_path)


def test_boxes(tmp_path: Path, table: PresentationTable) -> None:
    row = table.rows[0]
    path = tmp_path / "face-locations" / Path(row.path).with_suffix(".face")
    path.parent.mkdir(parents=True)
    path.write_text("0 10 20 100 120\n1 0 0 0 0\n")
    assert replay_attack.boxes(tmp_path, row) == {0: (10, 20, 110, 140)}


@given(
    support=st.sampled_from(("fixed", "hand", "held")),
    instrument=st.sampled_from(("print", "mobile", "highdef", "mask")),
    camera=st.sampled_from(("mobile", "highdef")),
    shown=st.sampled_from(("photo", "video")),
)
def test_parses_names_of_attacks(support: str, instrument: str, camera: str, shown: str) -> None:
    row = replay_attack.parse(
        f"test/attack/{support}/attack_{instrument}_client021_session01_{camera}_{shown}_controlled.mov"
    )
    fits = camera == {"print": "highdef"}.get(instrument, instrument) and (instrument, shown) != (
        "print",
        "video",
    )
    assert (row is not None) == (fits and support != "held")
    assert row is None or (row.label, row.subject, row.split) == (0, "021", "test")


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert replay_attack.parse(name) is None
    assert replay_attack.parse(f"test/attack/hand/attack_{name}.mov") is None
