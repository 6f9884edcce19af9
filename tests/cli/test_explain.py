from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import InputError
from bonaface.inference.bundle import Bundle
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore


def explain(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_writes_the_figures_that_a_run_has(run: Path, store: Path, faces_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(run, "--data", store, "--out", out, "--root", faces_root).exit_code == 0
    names = {"samples", "crops", "spectra", "levels", "grad-cam"}
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "index.html",
        "explain.json",
        *(f"{name}.{kind}" for name in names for kind in ("png", "svg", "npz")),
    }
    page = (out / "index.html").read_text()
    assert "attention: deep-pix-bis learns no attention" in page
    for name in names:
        assert f'<img src="{name}.png"' in page
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width > 300
    threshold = Bundle.open(run).card.threshold("feature_map", "frame")
    assert f"threshold {threshold:.3f}" in page
    assert "test of folder/split" in page
    # The scores are those of the bundle in onnxruntime.
    with np.load(out / "samples.npz", allow_pickle=False) as arrays:
        scores = dict(zip(arrays["sample_ids"].tolist(), arrays["scores"].tolist(), strict=True))
    opened, bundle = CropStore.open(store), Bundle.open(run)
    part = ScoredSplit(range(len(opened.presentations)), "test", "split")
    expected = {row.sample_id: row.score for row in score_part(opened, part, bundle.card, OnnxRunner(bundle))}
    assert len(scores) == 8
    assert all(score == pytest.approx(expected[name], abs=1e-4) for name, score in scores.items())


def test_shows_who_has_no_face(run: Path, store: Path, faces_root: Path, tmp_path: Path) -> None:
    """The picture without a face is of person 0, whom all presentations of another set's store include."""
    from bonaface.explain.no_face import no_face_figure

    opened = CropStore.open(store)
    figure = no_face_figure(opened, range(len(opened.presentations)), faces_root)
    assert figure.findings == ("Frames without response: 1 no face.",)
    assert figure.arrays["sample_ids"].tolist() == ["bonafide/person-0/nobody.png"]
    assert np.asarray(figure.drawing.png())[100, 100].tolist() == [90, 120, 90]
    missing = no_face_figure(opened, range(len(opened.presentations)), tmp_path)
    assert "nobody.png" in missing.captions[0]
    assert np.asarray(missing.drawing.png())[60, 60].tolist() == [230, 230, 230]


def test_refuses_what_it_cannot_explain(run: Path, store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--samples must be at least 2"):
        explain(run, "--data", store, "--out", tmp_path / "a", "--samples", 1)
    with pytest.raises(
        InputError, match=r"expected the folder of a training run, with its run.json; a bundle alone"
    ):
        explain(run / "bundle", "--data", store, "--out", tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files; give a new or empty folder"):
        explain(run, "--data", store, "--out", tmp_path / "c")
