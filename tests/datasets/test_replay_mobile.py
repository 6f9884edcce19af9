from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.datasets import replay_mobile
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.table import PresentationTable

# Costa-Pazo et al. 2016, as the released files have it: (bona fide, attack) of train, dev, test
COUNTS = {
    "grandtest": ((120, 192), (160, 256), (110, 192)),
    "print": ((120, 96), (160, 128), (110, 96)),
    "mattescreen": ((120, 96), (160, 128), (110, 96)),
}


@pytest.fixture(scope="module")
def table(complete: Callable[[str], Path]) -> PresentationTable:
    return replay_mobile.read(complete("replay-mobile"))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_every_protocol(table: PresentationTable, name: str) -> None:
    protocol = find_protocol(replay_mobile.DATASET.protocols, name)
    split = split_rows(table, protocol)
    parts = (split.train, split.dev, split.test)
    assert tuple(table.counts(part) for part in parts) == COUNTS[name]
    assert (protocol.counts.train, protocol.counts.dev, protocol.counts.test) == COUNTS[name]
    clients = [{table.rows[i].subject for i in part} for part in parts]
    assert [len(part) for part in clients] == [12, 16, 12]
    assert len(set.union(*clients)) == 40
    if name != "grandtest":
        instruments = {
            part.split("_")[3] for i in sum(parts, ()) if (part := table.rows[i].path).count("attack")
        }
        assert instruments == {name}


def test_the_complete_set(table: PresentationTable) -> None:
    assert len(table) == 1030  # 390 bona fide and 640 attacks; enrolment is left out
    assert table.notes == ()
    assert Counter(row.species for row in table.rows) == {
        "": 390, "print-fixed": 160, "print-hand": 160, "display-photo": 160, "display-video": 160,
    }  # fmt: skip
    without = {row.subject for row in table.rows} - {row.subject for row in table.rows if row.label}
    assert without == {"009"}


def test_a_row(table: PresentationTable) -> None:
    path = "devel/attack/attack_client005_session01_mattescreen_fixed_tablet_video_lightoff.mov"
    row = next(row for row in table.rows if row.path == path)
    assert (row.sample_id, row.label, row.species, row.subject, row.session, row.device, row.split) == (
        path, 0, "display-video", "005", "01", "tablet", "dev",
    )  # fmt: skip


def test_notes_name_missing_and_unexpected_files(tmp_path: Path) -> None:
    real = tmp_path / "train" / "real"
    real.mkdir(parents=True)
    (real / "client001_session02_authenticate_mobile_adverse.mov").touch()
    (real / "client002_session02_authenticate_mobile_adverse.mov").touch()  # a test client
    (real / "client001_session02_authenticate_phone_adverse.mov").touch()
    table = replay_mobile.read(tmp_path)
    notes = "\n".join(table.notes)
    assert [row.subject for row in table.rows] == ["001"]
    assert "_authenticate_mobile_adverse.mov): train/real/client001_session02_authenticate_phone" in notes
    assert (
        "1029 files are missing: train/real/client001_session02_authenticate_mobile_controlled.mov" in notes
    )
    assert "the folder test/attack is not there" in notes


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folders train/real, train/attack"):
        replay_mobile.read(tmp_path)


def test_boxes(tmp_path: Path, table: PresentationTable) -> None:
    row = next(row for row in table.rows if row.label == 1)
    path = tmp_path / "faceloc" / "rect" / Path(row.path).with_suffix(".face")
    path.parent.mkdir(parents=True)
    path.write_text("0 10 20 100 120\n1 0 0 0 0\n5 11 21 100 120\n")
    assert replay_mobile.boxes(tmp_path, row) == {0: (10, 20, 110, 140), 5: (11, 21, 111, 141)}


@given(
    folder=st.sampled_from(("train", "devel", "test")),
    client=st.integers(0, 999),
    device=st.sampled_from(("mobile", "tablet")),
    instrument=st.sampled_from(("print_fixed", "print_hand", "mattescreen_fixed", "mattescreen_hand")),
    shown=st.sampled_from(("photo", "video")),
    light=st.sampled_from(("on", "off")),
)
def test_parses_names_of_attacks(
    folder: str, client: int, device: str, instrument: str, shown: str, light: str
) -> None:
    path = (
        f"{folder}/attack/attack_client{client:03d}_session01_{instrument}_{device}_{shown}_light{light}.mov"
    )
    row = replay_mobile.parse(path)
    if instrument == "mattescreen_hand" or (instrument.startswith("print") and shown == "video"):
        assert row is None
    else:
        assert row is not None
        assert (row.label, row.subject, row.device) == (0, f"{client:03d}", device)
        assert row.species.startswith("print" if instrument.startswith("print") else "display")


@given(st.text())
def test_names_of_another_form_give_no_row(name: str) -> None:
    assert replay_mobile.parse(name) is None
    assert replay_mobile.parse(f"train/real/{name}.mov") is None
