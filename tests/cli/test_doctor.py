import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli.doctor import doctor
from bonaface.core.errors import InputError, UnknownNameError
from bonaface.datasets.registry import dataset_names
from bonaface.testing import make_layout

app = typer.Typer()
app.command()(doctor)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout("folder", tmp_path_factory.mktemp("doctor") / "mine")


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout("replay-mobile", tmp_path_factory.mktemp("doctor") / "phone")


def test_names_are_no_markup(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    for name in ("[/x]", "cam [bold]"):
        (tmp_path / "set.csv").write_text(f"path,label,species,subject,device\na.png,1,,1,{name}\n")
        _, text = run("folder", tmp_path / "set.csv")
        assert f"\n{name} " in text


def test_a_url_is_refused() -> None:
    with pytest.raises(InputError, match=r"memory://set: doctor examines a folder of this machine; copy"):
        run("folder", "memory://set")


def test_complete_copy_has_no_findings(mine: Path) -> None:
    code, text = run("folder", mine, "--detect", 3)
    assert code == 0
    assert ["all", "20", "20", "10"] in [line.split() for line in text.splitlines()]
    assert "10 h264 320 x 240" in text
    assert "faces, any device: 3 upright" in text
    assert f"folder: nothing is wrong with {mine}" in text


def test_findings_are_listed_with_exit_code_1(phone: Path) -> None:
    code, text = run("replay-mobile", phone, "--detect", 8)
    assert code == 1
    assert "- 884 files are missing: train/real/client008_session02_authenticate_mobile_adverse.mov, " in text
    assert "73 h264 144 x 256, turned 270" in text
    assert "faces, mobile: 4 to turn by 90 degrees" in text
    assert "files with face boxes of the set: 146" in text
    assert "of their union (median of 8)" in text


def test_quick_check_opens_no_file(phone: Path) -> None:
    code, text = run("replay-mobile", phone, "--quick")
    assert code == 1
    assert "h264" not in text
    assert "884 files are missing" in text


def test_json_has_the_whole_report(phone: Path) -> None:
    code, text = run("replay-mobile", phone, "--quick", "--json")
    report = json.loads(text)
    assert code == 1
    assert len(report["missing"]) == 884
    assert report["parts"][0] == {"split": "train", "bona_fide": 20, "attacks": 32, "subjects": 2}
    assert report["findings"][0]["text"].startswith("884 files are missing")


def test_misuse(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown data set 'oulu'"):
        run("oulu", tmp_path)
    with pytest.raises(InputError, match="expected the folders"):
        run("oulu-npu", tmp_path)


@pytest.mark.parametrize("dataset", dataset_names())
def test_rejects_a_missing_folder(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: there is no such folder or file"):
        run(dataset, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"nowhere\.csv: there is no such folder or file"):
        run("folder", tmp_path / "nowhere.csv")


def test_missing_subjects_are_a_finding_until_a_pattern_is_given(tmp_path: Path) -> None:
    for person in range(10):
        for kind in ("bonafide", "attack/print-1"):
            (tmp_path / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / kind / f"p{person}_1.jpg").touch()
    code, text = run("folder", tmp_path, "--quick")
    assert code == 1
    assert "- 20 of 20 presentations name no subject (bonafide/p0_1.jpg, " in text
    assert "bonaface prepare --subject-pattern" in text
    code, text = run("folder", tmp_path, "--quick", "--subject-pattern", "/(p[0-9]+)_")
    assert code == 0
    assert ["all", "10", "10", "10"] in [line.split() for line in text.splitlines()]
