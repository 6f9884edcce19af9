"""The page of a run: what it shows is read back off the page and compared with the run's own files."""

import base64
import csv
import re
import shutil
from collections.abc import Callable
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bonaface.evaluation.operating_point import OF_SIMULATED
from bonaface.inference.bundle import Bundle
from bonaface.models.preset import Augment
from bonaface.store.crop_store import CropStore
from bonaface.training import fit, page
from bonaface.training.bundling import DEV_SCORES
from bonaface.training.data import PadData
from bonaface.training.fit import train
from bonaface.training.page import PAGE, examples, write_page
from bonaface.training.settings import RunSettings, choose_preset, flat, read_settings


class Shown(NamedTuple):
    caption: str
    pixels: NDArray[np.uint8]


def galleries(text: str) -> dict[str, list[Shown]]:
    """Return the pictures of a page by the headings above them."""
    found = {}
    for title, inner in re.findall(r'<h3>([^<]+)</h3><div class="gallery">(.*?)</div>', text):
        pairs = re.findall(r'src="data:image/png;base64,([^"]+)"[^>]*><figcaption>([^<]*)', inner)
        pictures = [np.asarray(Image.open(BytesIO(base64.b64decode(png)))) for png, _ in pairs]
        captions = [unescape(caption) for _, caption in pairs]
        found[unescape(title)] = [Shown(*pair) for pair in zip(captions, pictures, strict=True)]
    return found


@pytest.fixture
def drawn(run: Path, store: Path, tmp_path: Path) -> Callable[..., str]:
    """A function that draws the page of a copy of the session's run with other settings of its augmentation."""

    def draw(seed: int = 0, **augment: object) -> str:
        copied = tmp_path / "copied"
        if not copied.exists():
            shutil.copytree(run, copied)
        changes = {"backbone": "random:efficientnet-lite0", "size": 64, **augment}
        settings = RunSettings(choose_preset("deep-pix-bis", None, changes), str(store), "split", seed=seed)
        opened = CropStore.open(store)
        return write_page(copied, settings, opened, PadData(opened, settings)).read_text()

    return draw


def test_the_page_needs_nothing_else_and_names_every_setting(run: Path) -> None:
    text = (run / PAGE).read_text()
    assert "default-src 'none'; img-src data:" in text
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text) == []
    assert "<script" not in text
    cells = [unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", text)]
    assert set(flat(read_settings(run / "run.json").as_dict())) <= set(cells)
    assert "pictures of people" in text
    # Loss, ACER, scores.
    assert len(re.findall("<svg", text)) == 3


def test_the_pictures_are_the_highest_and_the_lowest_scores_of_each_class(run: Path) -> None:
    with (run / DEV_SCORES).open() as file:
        rows = [row for row in csv.DictReader(file) if row["score"]]
    shown = galleries((run / PAGE).read_text())
    threshold = Bundle.open(run).card.threshold("feature_map", "frame")
    for title, label, highest in (
        ("Bona fide, highest scores", "1", True),
        ("Bona fide, lowest scores", "1", False),
        ("Attacks, highest scores", "0", True),
        ("Attacks, lowest scores", "0", False),
    ):
        of_class = [row for row in rows if row["label"] == label]
        ranked = sorted(of_class, key=lambda row: float(row["score"]), reverse=highest)[:6]
        expected = []
        for row in ranked:
            wrong = (float(row["score"]) >= threshold) != (label == "1")
            told = f"{row['sample_id']}: {row['species'] or 'bona fide'}, score {float(row['score']):.4g}"
            expected.append(told + ", wrong" * wrong)
        assert [each.caption for each in shown[title]] == expected
        assert all(each.pixels.shape == (64, 64, 3) for each in shown[title])


def test_of_a_video_one_frame_is_shown(drawn: Callable[..., str], tmp_path: Path) -> None:
    """Two pictures of a person become two frames of one video, of which the better one is shown."""
    title = "Bona fide, highest scores"
    before = [each.caption for each in galleries(drawn())[title]]
    path = tmp_path / "copied" / DEV_SCORES
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    subjects = [row["subject"] for row in rows if row["label"] == "1" and row["score"]]
    person = next(name for name in subjects if subjects.count(name) == 2)
    for number, row in enumerate(row for row in rows if row["label"] == "1" and row["subject"] == person):
        row["video_id"], row["frame"] = "a clip", str(number)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    after = [each.caption for each in galleries(drawn())[title]]
    of_person = [caption for caption in before if f"{person}/" in caption]
    assert len(of_person) == 2
    assert after == [caption for caption in before if caption != of_person[1]]


def test_each_augmentation_is_shown_alone(drawn: Callable[..., str]) -> None:
    shown = galleries(
        drawn(
            jitter=[0.2, 0.0, 0.0, 0.02],
            **{"augment.color_transfer": 0.5, "augment.exposure": 0.25, "augment.camera": 0.35},
        )
    )
    names = [title for title in shown if "scores" not in title]
    assert names == [
        "As they are",
        "Flip: a share of 0.5 of the pictures",
        "Brightness: times 0.8 to 1.2",
        "Hue: turned by up to 0.02 of the circle",
        "Exposed anew, here one of these: a share of 0.25 of the pictures",
        "Taken again by a worse camera, here all: a share of 0.35 of the pictures",
        "Colours of another picture of the batch, here one of these: a share of 0.5 of the pictures",
        "All together, but simulated attacks",
    ]
    plain, flipped, brighter, _hue, exposed, _camera, transferred, _all = (shown[name] for name in names)
    assert [each.caption for each in plain] == ["bona fide"] * 3 + ["attack"] * 3
    for one, other in zip(plain, flipped, strict=True):
        np.testing.assert_array_equal(one.pixels[:, ::-1], other.pixels)
    for one, other in zip(plain, brighter, strict=True):
        dark = one.pixels < 200  # which no factor brings to white
        factor = other.pixels[dark].mean() / one.pixels[dark].mean()
        assert 0.79 < factor < 1.21
        assert np.abs(one.pixels[dark] * factor - other.pixels[dark]).max() <= 2
    for one, other in zip(plain, exposed, strict=True):
        codes, found = one.pixels.ravel(), other.pixels.ravel()
        assert all(np.ptp(found[codes == code]) == 0 for code in np.unique(codes))  # one curve for all
    # Each has the mean colour of one of the six, as far as nothing is clipped.
    means = np.stack([each.pixels.mean((0, 1)) for each in plain])
    gaps = [np.abs(means - each.pixels.mean((0, 1))).max(1).min() for each in transferred]
    assert max(gaps) < 5


def test_no_augmentation_is_forgotten() -> None:
    """Each alone changes what is shown."""
    titles = [each.title for each in examples(choose_preset("deep-pix-bis", None, {"flip": 0.0}))]
    for name in Augment.__struct_fields__:
        value = ["tight", "square-1.3"] if name == "crops" else 0.5
        preset = choose_preset("deep-pix-bis", None, {"flip": 0.0, f"augment.{name}": value})
        assert len(examples(preset)) == len(titles) + 1, name


def test_simulated_attacks_are_shown_of_bona_fide_pictures(drawn: Callable[..., str]) -> None:
    shown = galleries(drawn(**{"augment.simulate": 0.25}))
    pictures = shown["Shown once more as a simulated attack: a share of 0.25 of the bona fide pictures"]
    assert [each.caption for each in pictures] == ["bona fide"] * 3
    for one, other in zip(shown["As they are"], pictures, strict=False):
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() > 1


def test_the_page_follows_from_the_seed(drawn: Callable[..., str]) -> None:
    assert drawn() == drawn()
    title = "Brightness: times 0.8 to 1.2"
    one, other = (galleries(drawn(seed=seed))[title] for seed in (0, 1))
    assert any(not np.array_equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))


def test_what_a_preset_leaves_out_is_not_shown() -> None:
    changes = {"flip": 0.0, "jitter": [0.0, 0.0, 0.0, 0.0], "augment.crops": ["tight", "square-1.3"]}
    preset = choose_preset("deep-pix-bis", None, changes)
    assert preset.augment == Augment(crops=("tight", "square-1.3"))
    assert [each.title for each in examples(preset)] == [
        "As they are",
        "Crop: one of tight, square-1.3",
        "All together, but simulated attacks",
    ]


def test_a_run_by_a_solver_has_no_curves(store: Path, tmp_path: Path) -> None:
    for epochs in (1, 2):
        preset = choose_preset("global-statistics", None, {"size": 64, "epochs": epochs})
        run = tmp_path / f"run-{epochs}"
        train(RunSettings(preset, str(store), "split", micro_batch=4), run)
        text = (run / PAGE).read_text()
        assert "Fitted by a solver, in one go, took " in text
        assert len(re.findall("<svg", text)) == 1
        assert ("the solver sees the pictures as they are, once" in text) == (epochs == 1)
        assert len(galleries(text)) == (4 if epochs == 1 else 4 + 7)


def test_the_page_of_a_simulated_set_begins_with_a_warning(
    drawn: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OF_SIMULATED not in drawn()
    monkeypatch.setattr(page, "caution", lambda dataset, from_test: f"{OF_SIMULATED} {dataset} {from_test}")
    assert f'<p class="warning">{OF_SIMULATED} folder False</p><h1>' in drawn().replace("\n", "")


def test_a_page_that_fails_leaves_the_bundle_and_is_drawn_by_resume(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings(
        choose_preset("global-statistics", None, {"size": 64}), str(store), "split", micro_batch=4
    )
    run, sentences = tmp_path / "run", list[str]()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("no scale")

    with monkeypatch.context() as patch:
        patch.setattr(fit, "write_page", fail)
        assert train(settings, run, log=sentences.append) == run / "bundle"
    assert sentences[-1].startswith(
        "the page of the run could not be drawn (ZeroDivisionError: no scale); the bundle is whole"
    )
    assert Bundle.open(run).card.model == "global-statistics"
    assert not (run / PAGE).exists()
    train(settings, run, resume=True)
    assert "<h2>Dev scores</h2>" in (run / PAGE).read_text()
