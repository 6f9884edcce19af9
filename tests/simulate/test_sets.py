import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import write_bytes
from bonaface.datasets.registry import open_dataset
from bonaface.face.detect import Detector
from bonaface.jobs.local import run_jobs
from bonaface.media.video import read_frames
from bonaface.simulate import MARK, sets
from bonaface.simulate.faces import SEEN, find_faces
from bonaface.simulate.sets import Plan, SetWriter, begin, people, total_files

SMALL = Plan("folder", persons=2, frames=2, size=(96, 96))
OULU = Plan("oulu-npu", persons=3, phones=1, sessions=1, frames=2, size=(64, 96))


def write(root: Path, plan: Plan, workers: int = 1) -> list[int]:
    begin(root, plan)
    ticks: list[int] = []
    run_jobs(SetWriter(root, plan), people(plan), workers, ticks.append)
    return ticks


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "small"
    ticks = write(root, SMALL)
    assert ticks[-1] == total_files(SMALL) == 8
    return root


@pytest.fixture(scope="module")
def oulu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "oulu"
    write(root, OULU)
    return root


def test_a_simulated_folder_set_is_read_as_the_original(small: Path) -> None:
    table = open_dataset("folder").read(small)
    assert sorted(row.label for row in table.rows) == [0] * 4 + [1] * 4
    assert {row.subject for row in table.rows} == {"person-001", "person-002"}
    assert all(row.species.split("-")[0] in ("print", "display") for row in table.rows if not row.label)
    for row in table.rows:
        assert picture(small / row.path).shape == (96, 96, 3)


def test_a_simulated_oulu_set_is_read_as_the_original(oulu: Path) -> None:
    dataset = open_dataset("oulu-npu")
    table = dataset.read(oulu)
    assert sorted(row.sample_id for row in table.rows) == [
        f"1_1_{user}_{file}" for user in ("01", "21", "36") for file in range(1, 6)
    ]
    boxes = dataset.boxes(oulu, table.rows[0])
    assert len(boxes) == 2
    x0, y0, x1, y1 = boxes[0]
    assert 0 < (x0 + x1) / 2 < 64
    assert 0 < (y0 + y1) / 2 < 96


def test_the_eyes_are_where_the_file_says(tmp_path: Path) -> None:
    """The detector finds the eyes of the picture where the file has them."""
    plan = Plan("oulu-npu", persons=3, phones=1, sessions=1, frames=2, size=(270, 480))
    begin(tmp_path, plan)
    writer = SetWriter(tmp_path, plan)

    class Enough(Exception):  # noqa: N818 - of the five videos the bona fide one comes first
        pass

    def stop(_: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        writer(people(plan)[0], stop)
    marks = [
        [int(number) for number in line.split(",")]
        for line in (tmp_path / "Train_files" / "1_1_01_1.txt").read_text().splitlines()
    ]
    frames = list(read_frames(tmp_path / "Train_files" / "1_1_01_1.avi", 2))
    assert [mark[0] for mark in marks] == [index for index, _ in frames] == [0, 1]
    for (_, *numbers), (_, picture) in zip(marks, frames, strict=True):
        right, left = Detector(threads=1).detect(picture)[0].landmarks[:2]
        apart = np.hypot(left[0] - right[0], left[1] - right[1])
        np.testing.assert_allclose(numbers, [*right, *left], atol=0.15 * apart)


def test_two_workers_write_the_same_bytes(small: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", SMALL, workers=2)
    assert contents(tmp_path / "again") == contents(small)


def test_another_seed_writes_other_bytes(small: Path, tmp_path: Path) -> None:
    plan = Plan("folder", persons=1, frames=1, size=(96, 96), seed=1)
    write(tmp_path / "other", plan)
    name = "bonafide/person-001/0001.png"
    one, other = (picture(root / name).astype(float) for root in (small, tmp_path / "other"))
    assert abs(one - other).mean() > 10  # another person before another wall, not the same with other noise


def test_existing_files_are_kept_and_missing_ones_are_made_the_same(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(small, root)
    kept, lost = sorted(root.rglob("*.png"))[:2]
    kept.write_bytes(b"mine")
    lost.unlink()
    (root / "bonafide" / ".0001.png.xyz.part").write_bytes(b"half")
    assert write(root, SMALL)[-1] == 8
    assert kept.read_bytes() == b"mine"
    kept.write_bytes(contents(small)[kept.relative_to(root).as_posix()])
    assert contents(root) == contents(small)


def test_a_killed_run_is_continued(oulu: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bonaface.simulate.sets import *\n"
        "plan = Plan('oulu-npu', persons=3, phones=1, sessions=1, frames=2, size=(64, 96))\n"
        "begin(Path(sys.argv[1]), plan)\n"
        "SetWriter(Path(sys.argv[1]), plan)(people(plan)[0], lambda done: None)\n"
    )
    root = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, str(root)])
    while len(list(root.rglob("*.avi"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    begin(root, OULU)
    SetWriter(root, OULU)(people(OULU)[0], lambda done: None)
    wanted = {path: data for path, data in contents(oulu).items() if path.startswith(("Train", MARK))}
    assert len(wanted) == 11
    assert contents(root) == wanted


def test_a_set_that_filled_the_disk_is_continued_with_the_same_bytes(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_bytes(path, data)
        written.append(path)

    monkeypatch.setattr(sets, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):  # which the program says in a sentence
        write(tmp_path / "set", SMALL)
    pictures = {path: data for path, data in contents(tmp_path / "set").items() if path.endswith(".png")}
    assert len(pictures) == 3
    monkeypatch.undo()
    write(tmp_path / "set", SMALL)
    assert contents(tmp_path / "set") == contents(small)


def test_a_clip_is_the_same_whatever_was_made_before_it(tmp_path: Path) -> None:
    # Attacks in another light start from another photograph, also where the run went on in their midst.
    plan = Plan("replay-mobile", persons=3, frames=1, size=(64, 96))
    whole, rest, person = tmp_path / "whole", tmp_path / "rest", people(plan)[0]
    for root in (whole, rest):
        begin(root, plan)
    SetWriter(whole, plan)(person, lambda done: None)
    made = contents(whole)
    for path, data in made.items():
        if "lighton" in path:
            write_bytes(rest / path, data)
    SetWriter(rest, plan)(person, lambda done: None)
    assert sum("lightoff" in path and path.endswith(".mov") for path in made) == 8
    assert contents(rest) == made


def test_whoever_wears_a_mask_is_another_person(faces: Path) -> None:
    given = Plan("folder", persons=2, frames=1, size=(96, 96), faces=tuple(sorted(faces.rglob("*.png"))))
    assert len(given.faces) > 2
    names = [SetWriter(Path(), given)._wearer(number).name for number in (1, 2)]
    assert names == [given.faces[1].stem, given.faces[0].stem]
    alone = Plan("folder", persons=1, frames=1, size=(96, 96), faces=given.faces[:1])
    assert SetWriter(Path(), alone)._wearer(1).name != given.faces[0].stem


def test_a_damaged_description_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("{")
    with pytest.raises(InputError, match="expected the settings of a simulated set"):
        begin(tmp_path, SMALL)


def test_other_settings_are_refused(small: Path) -> None:
    with pytest.raises(InputError, match="other settings"):
        begin(small, Plan("folder", persons=2, frames=3, size=(96, 96)))
    assert "simulated" in json.loads((small / MARK).read_text())["what"]


def test_software_changes_pictures_of_both_classes_and_the_set_says_so(small: Path, tmp_path: Path) -> None:
    plan = replace(SMALL, persons=8, software=True)
    write(tmp_path / "plain", replace(plan, software=False))
    write(tmp_path / "software", plan)
    plain, changed = contents(tmp_path / "plain"), contents(tmp_path / "software")
    assert plain.keys() == changed.keys()
    for kind in ("bonafide/", "attack/"):
        pictures = [path for path in plain if path.startswith(kind)]
        assert sum(plain[path] != changed[path] for path in pictures) > len(pictures) / 2
    assert json.loads(changed[MARK]) == {**json.loads(plain[MARK]), "software": True}
    with pytest.raises(InputError, match="other settings"):
        begin(tmp_path / "plain", plan)
    assert open_dataset("folder").read(tmp_path / "software").notes[0].startswith("simulated: 32 of 32")
    with pytest.raises(InputError, match="only the layout folder has pictures with software"):
        replace(OULU, software=True)


def test_readers_say_that_a_set_is_simulated_and_how_much_of_it_is_there(oulu: Path, tmp_path: Path) -> None:
    table = open_dataset("oulu-npu").read(oulu)
    assert (table.dataset, table.notes) == ("simulated-oulu-npu", ("simulated: 15 of 15 presentations",))
    assert open_dataset(table.dataset).protocols == open_dataset("oulu-npu").protocols
    shutil.copytree(oulu, tmp_path / "half")
    (tmp_path / "half" / "Train_files" / "1_1_01_2.avi").unlink()
    (note,) = open_dataset("oulu-npu").read(tmp_path / "half").notes
    assert note == "simulated: 14 of 15 presentations; run the same bonaface simulate again for the other 1"
    (tmp_path / "half" / MARK).write_text("{}")
    with pytest.raises(InputError, match="expected the settings of a simulated set"):
        open_dataset("oulu-npu").read(tmp_path / "half")
    (tmp_path / "half" / MARK).unlink()
    assert open_dataset("oulu-npu").read(tmp_path / "half").dataset == "oulu-npu"


def test_rejects_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        begin(tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layout": "oulu"}, UnknownNameError, "oulu-npu"),
        ({"phones": 7}, InputError, "phones must be between 1 and 6, got 7"),
        ({"sessions": 0}, InputError, "sessions"),
        ({"frames": 0}, InputError, "frames"),
        ({"size": (101, 96)}, InputError, "even"),
        ({"size": (32, 32)}, InputError, "at least 64"),
        ({"seed": -1}, InputError, "negative"),
        ({"persons": 2}, InputError, "3 to 55"),
        ({"layout": "folder", "phones": 2}, InputError, "leave them out for folder"),
        ({"persons": 3, "faces": (Path("a.jpg"),)}, InputError, "only 1 faces"),
    ],
)
def test_rejects_impossible_plans(
    arguments: dict[Any, Any], error: type[InputError] | type[UnknownNameError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Plan(**{"layout": "oulu-npu", **arguments})


@pytest.mark.parametrize(
    ("plan", "total"),
    [(Plan("oulu-npu"), 4950), (Plan("replay-mobile"), 1030), (Plan("oulu-npu", 3, 2, 2), 60)],
)
def test_total_files_of_a_plan(plan: Plan, total: int) -> None:
    assert total_files(plan) == total


def test_a_set_of_given_faces(faces: Path, tmp_path: Path) -> None:
    plan = Plan("folder", persons=2, frames=1, size=(160, 160), faces=find_faces([faces], 2, 0))
    write(tmp_path / "set", plan)
    table = open_dataset("folder").read(tmp_path / "set")
    assert sorted(row.label for row in table.rows) == [0, 0, 1, 1]
    assert min(picture(tmp_path / "set" / row.path).std() for row in table.rows) > 5


def test_a_folder_that_holds_only_the_file_of_known_faces_is_accepted(faces: Path, tmp_path: Path) -> None:
    plan = Plan(
        "folder",
        persons=2,
        frames=1,
        size=(96, 96),
        faces=find_faces([faces], 2, 0, seen=tmp_path / "set" / SEEN),
    )
    begin(tmp_path / "set", plan)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == sorted([SEEN, MARK])
