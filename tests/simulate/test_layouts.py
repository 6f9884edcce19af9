from pathlib import Path

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.datasets.protocols import split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.simulate import layouts
from bonaface.simulate.display import Display
from bonaface.simulate.printer import Printer


def oulu_root(root: Path, count: int, phones: int = 6, sessions: int = 3) -> Path:
    people = layouts.oulu_people(count)
    for person in people:
        for clip in layouts.oulu_clips(person, phones, sessions):
            for name in (clip.path, clip.marks_path):
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).touch()
    for path, text in layouts.oulu_lists():
        (root / path).parent.mkdir(exist_ok=True, parents=True)
        (root / path).write_text(text)
    return root


def test_all_of_oulu_npu_is_what_the_reader_expects(tmp_path: Path) -> None:
    """Names, splits, species and the protocol lists, which the reader compares with the published protocols."""
    dataset = open_dataset("oulu-npu")
    table = dataset.read(oulu_root(tmp_path, 55))
    assert len(table.rows) == 4950
    for protocol in dataset.protocols:
        for fold in protocol.folds:
            split = split_rows(table, protocol, fold)
            for name in ("train", "dev", "test"):
                labels = [table.rows[i].label for i in getattr(split, name)]
                assert (sum(labels), len(labels) - sum(labels)) == getattr(protocol.counts, name)


def test_an_oulu_list_has_its_forms(tmp_path: Path) -> None:
    lists = dict(layouts.oulu_lists())
    assert len(lists) == 3 * 14
    assert lists["Protocols/Protocol_1/Train.txt"].splitlines()[:5] == [
        "+1,1_1_01_1",
        "-1,1_1_01_2",
        "-1,1_1_01_3",
        "-2,1_1_01_4",
        "-2,1_1_01_5",
    ]
    last = lists["Protocols/Protocol_4/Test_6.txt"].splitlines()
    assert last[:3] == ["+1,6_3_36_1", "-1,6_3_36_3", "-2,6_3_36_5"]
    assert len(last) == 60


def test_each_file_digit_is_its_instrument() -> None:
    clips = {clip.path[-5]: clip.take for clip in layouts.oulu_clips(layouts.Person(1, "Train"), 1, 1)}
    assert clips["1"].instrument is None
    assert [clips[d].instrument.name for d in "2345"] == ["printer-1", "printer-2", "display-1", "display-2"]


def test_all_of_replay_mobile_is_what_the_reader_expects(tmp_path: Path) -> None:
    for person in layouts.replay_people(40):
        for clip in layouts.replay_clips(person):
            (tmp_path / clip.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / clip.path).touch()
            assert clip.marks_path == f"faceloc/rect/{clip.path.removesuffix('.mov')}.face"
    dataset = open_dataset("replay-mobile")
    table = dataset.read(tmp_path)
    assert len(table.rows) == 1030
    assert sorted(row.path for row in table.rows) == sorted(dataset.expected(tmp_path))
    species = {row.species for row in table.rows}
    assert species == {"", "print-fixed", "print-hand", "display-photo", "display-video"}


def test_replay_attacks_are_what_their_names_say() -> None:
    for clip in layouts.replay_clips(layouts.Person(1, "train")):
        name, take = clip.path, clip.take
        assert ("/attack/" in name) == (take.instrument is not None)
        assert ("_print_" in name) == isinstance(take.instrument, Printer)
        assert ("_mattescreen_" in name) == isinstance(take.instrument, Display)
        assert ("_video_" in name) == take.replay
        if "_print_hand_" in name:
            assert take.hands == 1.0
        assert ("_mobile_" in name) == (take.camera.name == "mobile")


@pytest.mark.parametrize(
    ("count", "parts"), [(3, (1, 1, 1)), (6, (2, 2, 2)), (11, (4, 3, 4)), (55, (20, 15, 20))]
)
def test_people_are_shared_out_as_in_the_set(count: int, parts: tuple[int, int, int]) -> None:
    people = layouts.oulu_people(count)
    assert tuple(sum(p.part == part for p in people) for part in ("Train", "Dev", "Test")) == parts
    assert {p.number for p in people if p.part == "Dev"} == set(range(21, 21 + parts[1]))


@pytest.mark.parametrize("count", range(3, 56))
def test_every_number_of_people_is_possible(count: int) -> None:
    assert len(layouts.oulu_people(count)) == count
    if count <= 40:
        assert len({p.number for p in layouts.replay_people(count)}) == count


def test_too_few_or_too_many_people() -> None:
    for count in (2, 56):
        with pytest.raises(InputError, match=f"3 to 55 persons, got {count}"):
            layouts.oulu_people(count)


def test_marks_are_lines_that_the_readers_read(tmp_path: Path) -> None:
    marks = np.array([[100.4, 200.0], [160.0, 201.6], [130.0, 240.0], [105.0, 270.0], [155.0, 270.0]])
    assert layouts.oulu_marks([marks, marks + 1]) == "0,100,200,160,202\n1,101,201,161,203\n"
    boxes = {}
    for name, text, path in (
        ("oulu-npu", layouts.oulu_marks([marks]), "Train_files/1_1_01_1.avi"),
        (
            "replay-mobile",
            layouts.replay_marks([marks]),
            "train/real/client001_session02_authenticate_mobile_adverse.mov",
        ),
    ):
        beside = f"faceloc/rect/{path[:-4]}.face" if name == "replay-mobile" else f"{path[:-4]}.txt"
        for file in (path, beside):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text)
        dataset = open_dataset(name)
        (row,) = (row for row in dataset.read(tmp_path).rows if row.path == path)
        boxes[name] = dataset.boxes(tmp_path, row)[0]
    assert boxes["oulu-npu"] == pytest.approx(boxes["replay-mobile"], abs=2)
