from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.explain import explain as module
from bonaface.explain.explain import explain
from bonaface.explain.run import TrainedRun
from bonaface.store.crop_store import CropStore


class Counted(TrainedRun):
    """A run that counts the pictures which its network looks at."""

    seen = 0

    @classmethod
    def of(cls, path: Path) -> "Counted":
        run = cls.open(path)
        forward = run.network.forward_features

        def counting(images: Any) -> Any:
            cls.seen += len(images)
            return forward(images)

        cls.seen = 0
        object.__setattr__(run.network, "forward_features", counting)
        return run


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "index.html"}


def left_out(entries: Sequence[Any]) -> set[str]:
    return {entry.name for entry in entries if entry.left_out}


def test_goes_on_where_it_was_stopped(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, counted, out = CropStore.open(store), Counted.of(run), tmp_path / "out"

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "spectra_figure", killed)
        with pytest.raises(KeyboardInterrupt):
            explain(counted, opened, out)
    assert Counted.seen == 8
    before = times(out)
    assert {"samples.png", "samples.svg", "samples.npz", "crops.png"} <= set(before)
    assert "spectra.png" not in before
    steps: list[tuple[int, int]] = []
    entries = explain(counted, opened, out, progress=lambda *step: steps.append(step))
    assert [entry.name for entry in entries] == [
        *("samples", "attention", "crops", "spectra", "levels", "grad-cam", "t-sne", "no-face")
    ]
    assert {"attention", "t-sne", "no-face"} <= left_out(entries)
    assert steps[-1][0] == steps[-1][1]
    with np.load(out / "grad-cam.npz") as arrays:
        errors = sum(len(arrays[name]) for name in arrays.files if name.startswith("cam_"))
    assert Counted.seen == 8 + 1 + errors  # one picture tells the levels' names
    after = times(out)
    assert all(after[name] == before[name] for name in before if name.startswith(("samples", "crops")))
    assert not list(out.glob("outputs-*"))
    page = (out / "index.html").read_text()
    assert explain(counted, opened, out) == entries
    assert times(out) == after
    assert Counted.seen == 9 + errors
    assert (out / "index.html").read_text() == page


def test_what_was_made_of_something_else_is_made_anew(run: Path, store: Path, tmp_path: Path) -> None:
    opened, counted, out = CropStore.open(store), Counted.of(run), tmp_path / "out"
    explain(counted, opened, out, samples=4)
    with np.load(out / "samples.npz") as arrays:
        assert len(arrays["scores"]) == 4
    before = times(out)
    explain(counted, opened, out, samples=4, layer="backbone.network.blocks.2", versus=counted)
    after = times(out)
    assert {name for name in before if after[name] != before[name]} <= {
        "explain.json",
        *(f"grad-cam.{kind}" for kind in ("png", "svg", "npz")),
    }
    entries = explain(counted, opened, out, samples=8)
    with np.load(out / "samples.npz") as arrays:
        assert len(arrays["scores"]) == 8
    (out / "levels.svg").unlink()
    assert explain(counted, opened, out, samples=8) == entries
    assert (out / "levels.svg").is_file()
    record = out / "explain.json"
    record.write_text(record.read_text().replace("crops", "props"))
    with pytest.raises(InputError, match=r"explain.json: the file is damaged.* delete it"):
        explain(counted, opened, out, samples=8)
