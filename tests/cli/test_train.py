import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError
from bonaface.core.files import write_json
from bonaface.training import fit
from bonaface.training.settings import RunSettings, choose_preset

ARGUMENTS = ["train", "deep-pix-bis", "--protocol", "split"]


def test_the_store_may_lie_at_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(fit, "train", lambda settings, *_, **__: asked.append(settings.store))
    done = CliRunner().invoke(
        app, [*ARGUMENTS, "--data", "memory://bucket/store", "--out", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    assert asked == ["memory://bucket/store"]


@pytest.mark.parametrize("boxes", [True, False])
def test_warns_that_boxes_of_the_set_differ_from_check(
    boxes: bool, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "train", lambda *_, **__: tmp_path / "bundle")
    other = shutil.copytree(store, tmp_path / "store")
    description = json.loads((other / "store.json").read_text())
    description["settings"]["boxes"] = boxes
    del description["checksum"], description["checksums"]
    (other / "store.json").write_text(json.dumps(description))
    done = CliRunner().invoke(app, [*ARGUMENTS, "--data", str(other), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert ("check finds faces with the detector" in done.output) == boxes


def test_resume_elsewhere_names_the_folder_of_a_relative_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings(choose_preset("bi-fas", None, {}), "stores/mine", "split")
    write_json(tmp_path / fit.RUN, {"settings": settings.as_dict()})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"stores/mine: .* relative to the folder where the run was begun"):
        CliRunner().invoke(app, ["train", "--resume", "--out", str(tmp_path)], catch_exceptions=False)
