import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.datasets.doctor import DoctorReport, examine
from bonaface.datasets.reader import make_row
from bonaface.datasets.registry import open_dataset
from bonaface.datasets.table import PresentationTable
from bonaface.simulate.sets import Plan, SetWriter, begin, people
from bonaface.testing import make_layout
from bonaface.testing.clips import encode_clip


@pytest.fixture(scope="module")
def casia(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two subjects per split of CASIA-FASD."""
    return make_layout("casia-fasd", tmp_path_factory.mktemp("doctor") / "casia-fasd")


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two clients per split of Replay-Mobile, with boxes; the phone's videos lie on their side."""
    return make_layout("replay-mobile", tmp_path_factory.mktemp("doctor") / "replay-mobile")


def texts(report: DoctorReport) -> str:
    return "\n".join(map(str, report.findings))


def test_a_complete_set_has_no_findings(tmp_path: Path) -> None:
    root = make_layout("folder", tmp_path / "mine")
    seen: list[tuple[int, int]] = []
    report = examine(
        open_dataset("folder"), root, detect=4, workers=2, progress=lambda *done: seen.append(done)
    )
    assert report.findings == ()
    assert [(part.split, part.bona_fide, part.attacks, part.subjects) for part in report.parts] == [
        ("", 20, 20, 10)
    ]
    (files,) = report.files
    assert files.readable == 40
    assert files.shapes == {"picture 320 x 240": 20, "h264 320 x 240": 10, "vp9 320 x 240": 10}
    assert seen == [(i, 40) for i in range(1, 41)]
    assert report.detections is not None
    assert (report.detections.looked_at, report.detections.turns) == (4, {"": {0: 4}})
    assert json.loads(json.dumps(report.as_dict()))["missing"] == []


def test_a_complete_layout_misses_nothing(complete: Callable[[str], Path]) -> None:
    root, oulu = complete("oulu-npu"), open_dataset("oulu-npu")
    report = examine(oulu, root, open_files=False)
    assert report.findings == ()
    assert report.missing == ()
    assert [(part.split, part.bona_fide, part.attacks, part.subjects) for part in report.parts] == [
        ("train", 360, 1440, 20), ("dev", 270, 1080, 15), ("test", 360, 1440, 20),
    ]  # fmt: skip


def test_a_missing_row_is_named_with_the_protocols_that_have_it(complete: Callable[[str], Path]) -> None:
    oulu = open_dataset("oulu-npu")
    rows = oulu.read(complete("oulu-npu")).rows
    left = tuple(row for row in rows if row.sample_id != "6_3_55_5")
    lacking = replace(oulu, read=lambda root: PresentationTable("oulu-npu", left))
    report = examine(lacking, complete("oulu-npu"), open_files=False)
    assert report.missing == ("Test_files/6_3_55_5.avi",)
    text = texts(report)
    assert (
        "oulu-npu/1: test has 120 bona fide and 479 attack presentations, and 120 and 480 are published"
        in text
    )
    assert "oulu-npu/3, fold 6: test has 60 bona fide and 239 attack" in text
    assert "oulu-npu/3, fold 1" not in text


def test_counts_where_dev_is_carved_from_train(casia: Path) -> None:
    text = texts(examine(open_dataset("casia-fasd"), casia, open_files=False))
    assert (
        "casia-fasd/overall: train has 6 bona fide and 18 attack presentations, and 60 and 180 are published"
        in text
    )


def test_every_missing_file_is_named(casia: Path) -> None:
    report = examine(open_dataset("casia-fasd"), casia, open_files=False)
    assert len(report.missing) == 600 - 48
    assert "test_release/30/HR_4.avi" in report.missing
    assert report.files == ()


def test_broken_and_short_videos_are_named(casia: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(casia, root)
    whole = encode_clip([np.full((96, 96, 3), i, np.uint8) for i in range(0, 200, 4)], ".avi", codec="mjpeg")
    (root / "train_release/1/1.avi").write_bytes(b"")
    (root / "train_release/1/2.avi").write_bytes(b"")
    (root / "train_release/2/3.avi").write_bytes(b"not a video" * 100)
    (root / "test_release/1/4.avi").write_bytes(whole[: len(whole) * 3 // 4])
    report = examine(open_dataset("casia-fasd"), root, workers=1)
    assert (
        "expected a video, but the file is empty (0 bytes); copy it again: "
        "train_release/1/1.avi, train_release/1/2.avi" in texts(report)
    )
    assert ": train_release/2/3.avi" in texts(report)
    assert "it says that it has 50 frames and has " in texts(report)
    assert "test_release/1/4.avi" in texts(report)
    assert sum(files.readable for files in report.files) == 48 - 3
    assert {files.device for files in report.files} == {"low-quality", "normal-quality", "high-quality"}


def test_files_of_another_cameras_proportion_are_named(casia: Path, tmp_path: Path) -> None:
    root = shutil.copytree(casia, tmp_path / "set")
    assert "proportion" not in texts(examine(open_dataset("casia-fasd"), root, workers=1))
    one, two = root / "train_release/1/1.avi", root / "train_release/1/2.avi"
    one.rename(root / "other.avi")
    two.rename(one)
    (root / "other.avi").rename(two)
    text = texts(examine(open_dataset("casia-fasd"), root, workers=1))
    assert (
        "not in the proportion of the camera that the name says (low-quality: 480 x 640): "
        "train_release/1/2.avi (256 x 192)" in text
    )
    assert "(normal-quality: 640 x 480): train_release/1/1.avi (192 x 256)" in text


def test_subjects_in_two_splits_are_named() -> None:
    rows = [
        make_row(f"{s}/{i}", species, subject=f"{i}", split=s)
        for s in ("train", "test")
        for i in range(6)
        for species in ("",)
    ]
    rows += [
        make_row(f"{s}/{i}a", "print-1", subject=f"{i}", split=s) for s in ("train", "test") for i in range(6)
    ]
    leaking = replace(
        open_dataset("casia-fasd"),
        read=lambda root: PresentationTable("casia-fasd", tuple(rows)),
        expected=None,
    )
    assert "casia-fasd/overall: subjects in both train and test: " in texts(
        examine(leaking, Path(), open_files=False)
    )


def test_rotation_by_device_and_boxes(phone: Path) -> None:
    report = examine(open_dataset("replay-mobile"), phone, detect=8)
    shapes = {files.device: dict(files.shapes) for files in report.files}
    assert shapes == {"mobile": {"h264 256 x 144": 73}, "tablet": {"h264 144 x 256, turned 270": 73}}
    assert report.with_boxes == 146
    assert report.detections is not None
    assert {device: set(turns) for device, turns in report.detections.turns.items()} == {
        "mobile": {90},
        "tablet": {0},
    }
    assert report.detections.compared == 8
    assert report.detections.agreement is not None
    assert report.detections.agreement > 0.5
    assert "box" not in texts(report)
    assert "lies" not in texts(report)


def test_reports_turned_faces_of_a_set_that_is_not_turned(phone: Path) -> None:
    dataset = replace(open_dataset("replay-mobile"), find_turn=False)
    text = texts(examine(dataset, phone, detect=8))
    assert (
        "the face lies in 4 of the files looked at, and the set's face boxes are taken as of files that stand"
        in text
    )
    without = replace(dataset, boxes=None)  # then nothing is wrong: what lies is turned
    assert "lies" not in texts(examine(without, phone, detect=8))


def test_boxes_outside_the_picture_are_named(phone: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(phone, root)
    boxes = root / "faceloc" / "rect" / "train" / "real"
    names = [
        f"client001_session02_authenticate_tablet_{light}"
        for light in ("adverse", "controlled", "diffuse", "direct")
    ]
    (boxes / f"{names[0]}.face").write_text("0 500 500 80 100\n")  # outside both 144 x 256 and 256 x 144
    (boxes / f"{names[1]}.face").write_text("3 32 56 80 100\n")  # of frame 3 of 0 to 2
    (boxes / f"{names[2]}.face").write_text("0 1 x\n")
    (boxes / f"{names[3]}.face").unlink()
    for path in (root / "faceloc" / "rect" / "test").rglob("*.face"):
        path.write_text("1 0 0 40 50\n")  # in the picture's corner
    text = texts(examine(open_dataset("replay-mobile"), root, detect=146))
    assert f"face boxes outside the picture: train/real/{names[0]}.mov" in text
    assert f"face boxes of more frames than the video has: train/real/{names[1]}.mov" in text
    assert f"{names[2]}.face, line 1: expected at least 5 numbers, got '0 1 x'" in text
    assert f"without face boxes: train/real/{names[2]}.mov, train/real/{names[3]}.mov" in text
    assert "the set's face box is not where the detector finds the face: test/attack/" in text


def test_boxes_may_be_left_out_altogether(phone: Path, tmp_path: Path) -> None:
    shutil.copytree(phone, tmp_path / "set", ignore=shutil.ignore_patterns("*.face"))
    report = examine(open_dataset("replay-mobile"), tmp_path / "set")
    assert report.with_boxes == 0
    assert "box" not in texts(report)


def test_files_that_no_face_can_be_looked_for_in_are_named(tmp_path: Path) -> None:
    root = make_layout("folder", tmp_path / "mine")
    (root / "bonafide/person-3/clip.mp4").write_bytes(b"no video")
    report = examine(open_dataset("folder"), root, open_files=False, detect=100)
    assert texts(report) == "files that can't be read: bonafide/person-3/clip.mp4"
    assert texts(examine(open_dataset("folder"), root, detect=100)).count("person-3") == 1


def test_files_without_a_face_are_named(tmp_path: Path) -> None:
    root = make_layout("folder", tmp_path / "mine")
    wall = encode_clip([np.full((240, 320, 3), 120, np.uint8)] * 3, ".mp4")
    (root / "bonafide/person-3/clip.mp4").write_bytes(wall)
    report = examine(open_dataset("folder"), root, detect=100)
    assert texts(report) == "no face was found: bonafide/person-3/clip.mp4"
    assert report.detections is not None
    assert report.detections.turns == {"": {-1: 1, 0: 39}}
    assert report.detections.agreement is None


def test_a_simulated_set_is_noted_and_what_it_lacks_is_found(tmp_path: Path) -> None:
    plan = Plan("folder", persons=5, frames=1, size=(96, 64))
    begin(tmp_path, plan)
    for person in people(plan):
        SetWriter(tmp_path, plan)(person, lambda _: None)
    report = examine(open_dataset("folder"), tmp_path)
    assert not report.findings
    assert report.notes == ("simulated: 10 of 10 presentations",)
    next(tmp_path.rglob("*.png")).unlink()
    report = examine(open_dataset("folder"), tmp_path)
    assert not report.notes
    assert report.missing == ()
    assert str(report.findings[0]).startswith(
        "simulated: 9 of 10 presentations; run the same bonaface simulate"
    )


def test_a_whole_simulated_set_is_not_held_to_the_originals_numbers(tmp_path: Path) -> None:
    plan = Plan("oulu-npu", persons=3, phones=1, frames=1, size=(64, 96))
    begin(tmp_path, plan)
    for person in people(plan):
        SetWriter(tmp_path, plan)(person, lambda _: None)
    report = examine(open_dataset("oulu-npu"), tmp_path)
    assert not [str(problem) for problem in report.findings if "published" in str(problem)]
    assert report.missing == ()
    next(tmp_path.rglob("*.avi")).unlink()
    assert examine(open_dataset("oulu-npu"), tmp_path).missing == ()  # the plan has others than the original


def test_a_folder_without_splits_of_its_own_lacks_none(tmp_path: Path) -> None:
    rows = "".join(f"{n}a.jpg,1,,p{n}\n{n}b.jpg,0,print,p{n}\n" for n in range(10))
    (tmp_path / "t.csv").write_text("path,label,species,subject\n" + rows)
    assert not examine(open_dataset("folder"), tmp_path / "t.csv", open_files=False).findings
    rows = rows.replace("\n", ",train\n")
    (tmp_path / "t.csv").write_text("path,label,species,subject,split\n" + rows)
    (problem,) = examine(open_dataset("folder"), tmp_path / "t.csv", open_files=False).findings
    assert str(problem).startswith("folder/given: no row of the table is in dev and test")


def test_rejects_another_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folders"):
        examine(open_dataset("oulu-npu"), tmp_path)


def test_findings_of_several_folds_are_reported_once_with_their_number() -> None:
    rows = [
        make_row(f"{i}", species, subject=f"{i}", device="1") for i, species in enumerate(("", "print-1") * 3)
    ]
    dataset = replace(
        open_dataset("oulu-npu"),
        read=lambda root: PresentationTable("oulu-npu", tuple(rows)),
        expected=None,
        boxes=None,
    )
    lines = texts(examine(dataset, Path(), open_files=False)).splitlines()
    (third,) = (line for line in lines if line.startswith("oulu-npu/3"))
    assert third.startswith("oulu-npu/3, fold 1: ")
    assert third.endswith(" (and 5 more like it)")
