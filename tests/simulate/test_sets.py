import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.core.files import write_bytes
from bonaface.datasets.registry import open_dataset
from bonaface.jobs.local import run_jobs
from bonaface.simulate import MARK
from bonaface.simulate.sets import Plan, SetWriter, begin, find_faces, people, total_files
from bonaface.testing.portrait import drawn_portrait

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


def test_a_folder_is_read_as_one(small: Path) -> None:
    table = open_dataset("folder").read(small)
    assert sorted(row.label for row in table.rows) == [0] * 4 + [1] * 4
    assert {row.subject for row in table.rows} == {"person-001", "person-002"}
    assert all(row.species.split("-")[0] in ("print", "display") for row in table.rows if not row.label)
    for row in table.rows:
        assert picture(small / row.path).shape == (96, 96, 3)


def test_an_oulu_set_is_read_as_one(oulu: Path) -> None:
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


def test_the_eyes_are_where_the_file_says(oulu: Path) -> None:
    """In a bona fide video of decent size the dark of the pupils lies at the marks: see test_studio for exactness."""
    text = (oulu / "Train_files" / "1_1_01_1.txt").read_text().splitlines()
    assert len(text) == 2
    frame, x_right, y_right, x_left, y_left = map(int, text[0].split(","))
    assert frame == 0
    assert x_right < x_left  # the person's right eye is left in the picture
    assert abs(y_right - y_left) < 8


def test_two_workers_write_the_same_bytes(small: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", SMALL, workers=2)
    assert contents(tmp_path / "again") == contents(small)


def test_another_seed_writes_others(small: Path, tmp_path: Path) -> None:
    plan = Plan("folder", persons=1, frames=1, size=(96, 96), seed=1)
    write(tmp_path / "other", plan)
    for path, data in contents(tmp_path / "other").items():
        assert contents(small).get(path) != data


def test_what_is_there_is_left_alone_and_what_is_not_is_made_the_same(small: Path, tmp_path: Path) -> None:
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


def test_a_run_that_is_killed_goes_on(oulu: Path, tmp_path: Path) -> None:
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


def test_a_damaged_description_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("{")
    with pytest.raises(InputError, match="expected the settings of a simulated set"):
        begin(tmp_path, SMALL)


def test_other_settings_are_refused(small: Path) -> None:
    with pytest.raises(InputError, match="other settings"):
        begin(small, Plan("folder", persons=2, frames=3, size=(96, 96)))
    assert "simulated" in json.loads((small / MARK).read_text())["what"]


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


def test_a_folder_of_somebodys_is_not_touched(tmp_path: Path) -> None:
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
def test_a_plan_that_cannot_be(
    arguments: dict[Any, Any], error: type[InputError] | type[UnknownNameError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Plan(**{"layout": "oulu-npu", **arguments})


@pytest.mark.parametrize(
    ("plan", "total"),
    [(Plan("oulu-npu"), 4950), (Plan("replay-mobile"), 1030), (Plan("oulu-npu", 3, 2, 2), 60)],
)
def test_how_many_files(plan: Plan, total: int) -> None:
    assert total_files(plan) == total


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(drawn_portrait(256, number)).save(folder / f"{number}.png")
    Image.new("RGB", (256, 256), (90, 120, 90)).save(folder / "nobody.png")
    (folder / "broken.jpg").write_text("no picture")
    return folder


def test_faces_are_chosen_by_the_seed_and_those_without_one_left_out(faces: Path) -> None:
    chosen = find_faces([faces], 4, 0)
    assert sorted(path.name for path in chosen) == ["0.png", "1.png", "2.png", "3.png"]
    assert find_faces([faces], 2, 0) == chosen[:2]
    assert {find_faces([faces], 4, seed) for seed in range(4)} != {chosen}
    with pytest.raises(InputError, match=r"5 persons need .* of 6 pictures only 4 are that: .*--persons"):
        find_faces([faces], 5, 0)


def test_a_set_of_given_faces(faces: Path, tmp_path: Path) -> None:
    plan = Plan("folder", persons=2, frames=1, size=(160, 160), faces=find_faces([faces], 2, 0))
    write(tmp_path / "set", plan)
    table = open_dataset("folder").read(tmp_path / "set")
    assert sorted(row.label for row in table.rows) == [0, 0, 1, 1]
    assert min(picture(tmp_path / "set" / row.path).std() for row in table.rows) > 5
