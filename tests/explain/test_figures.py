from collections.abc import Callable
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bonaface.core.records import Presentation
from bonaface.explain.figures import (
    attention_figure,
    level_findings,
    levels_figure,
    mouth_gap,
    spectra_figure,
    typical,
)
from bonaface.explain.samples import Sample, choose, evenly, examine, presentations_of
from bonaface.store.crop_store import CropStore


def sample(score: float, label: int, **more: Any) -> Sample:
    species = "" if label else "print-1"
    crop = np.full((64, 64, 3), int(255 * score), np.uint8)
    landmarks = np.array([[20, 20], [40, 20], [30, 30], [24, 44], [40, 44]], np.float32)
    name = f"{label}-{score}"
    return Sample(0, Presentation(name, name, label, species), crop, landmarks, score, **more)


def test_attention_is_the_softmax_of_eq_16(untrained: Callable[..., Any]) -> None:
    run = untrained("a-deep-pix-bis")
    values = [[1.0, 2.0, 0.5, 1.0]] * 3 + [[0.0, 1.0, 1.0, 1.0]]
    run.network.attention.data = torch.tensor(values)
    figure = attention_figure([sample(0.2, 0), sample(0.6, 1)], run)
    total = sum(exp(value) for row in values for value in row)
    by_hand = [[exp(value) / total for value in row] for row in values]
    assert figure.arrays["attention"] == pytest.approx(np.array(by_hand))
    assert (figure.arrays["mean_crop"] == 102).all()  # of 51 and 153
    assert "4 x 4 positions" in figure.findings[0]
    assert f"and {16 * exp(2) / total:.4f} times the even weight of 1/16" in figure.findings[0]
    assert "row 1, column 2" in figure.findings[0]
    for other in (untrained("a-deep-pix-bis", attention=False), untrained("deep-pix-bis")):
        assert "learns no attention" in attention_figure([sample(0.2, 0)], other)


def test_every_map_has_its_attention(untrained: Callable[..., Any]) -> None:
    run = untrained("bi-fas", pixel_loss="a-bce", attention=True, levels=(1, 2))
    run.network.pixel_attention["P2"].data[3, 1] = 2.0
    figure = attention_figure([sample(0.2, 0)], run)
    assert sorted(figure.arrays) == ["attention_P1", "attention_P2", "mean_crop"]
    assert [figure.arrays[f"attention_P{n}"].shape for n in (1, 2)] == [(8, 8), (4, 4)]
    assert "positions of P1 lie between 1.0000 and 1.0000 times" in figure.findings[0]
    assert "the highest is in row 4, column 2" in figure.findings[1]


def test_maps_and_drawn_spectra_are_those_of_the_network(
    untrained: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    run, opened = untrained("bi-fas-s"), CropStore.open(store)
    indices = choose(opened, range(len(opened.presentations)), 12)
    found = examine(run, opened, indices, tmp_path, lambda done: None)
    figure = levels_figure(found, run)
    assert sorted(figure.arrays) == [
        "labels",
        *(f"{kind}_P{n}" for kind in ("map", "spectrum") for n in (3, 4, 5)),
    ]
    assert figure.arrays["spectrum_P3"].shape == (12, 80, 80)
    crops = np.stack([one.crop for one in found]).astype(np.float64) / 255
    images = torch.from_numpy((crops - run.network.mean) / run.network.std).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        output = run.network.inference_module()(images)
        levels = run.network.forward_features(images)
        # Eq. 9: the mean over 64 channels of the sigmoids, written out.
        by_hand = (1 / (1 + torch.exp(-levels["P3"]))).sum(1) / 64
    assert [one.score for one in found] == pytest.approx(output[0].tolist(), abs=1e-5)
    assert figure.arrays["map_P3"] == pytest.approx(by_hand.numpy(), abs=1e-5)
    # What the branch should draw: numpy's spectrum, averaged over blocks.
    grey = crops[0] @ np.array([0.299, 0.587, 0.114])
    spectrum = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(grey)))) / np.log(1 + 64 * 64)
    expected = torch.nn.functional.interpolate(torch.from_numpy(spectrum)[None, None], (80, 80), mode="area")[
        0, 0
    ]
    assert found[0].spectrum == pytest.approx(expected.numpy(), abs=1e-4)


def test_what_a_stopped_run_has_computed_is_read_again(
    untrained: Callable[..., Any], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, opened = untrained("bi-fas-s"), CropStore.open(store)
    indices = choose(opened, range(len(opened.presentations)), 12)
    whole = examine(run, opened, indices, tmp_path, lambda done: None)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["000000.npz", "000008.npz"]
    files[1].write_bytes(files[1].read_bytes()[:-100])  # not whole: made again
    calls: list[int] = []
    forward = run.network.forward_features
    monkeypatch.setattr(
        run.network, "forward_features", lambda images: calls.append(len(images)) or forward(images)
    )
    again = examine(run, opened, indices, tmp_path, lambda done: None)
    assert calls == [4]
    for one, other in zip(whole, again, strict=True):
        assert (one.index, one.score, list(one.maps)) == (other.index, other.score, list(other.maps))
        assert (one.crop == other.crop).all()
        assert (one.spectra["P4"] == other.spectra["P4"]).all()
        assert (one.spectrum == other.spectrum).all()


def test_a_presentation_is_chosen_once_and_both_classes_alike(store: Path) -> None:
    opened = CropStore.open(store)
    chosen = choose(opened, range(len(opened.presentations)), 10)
    rows = [opened.frames[index].presentation for index in chosen]
    assert len(set(rows)) == 10
    assert sum(opened.presentations[row].label for row in rows) == 5
    assert not any(opened.frames[index].response for index in chosen)
    attacks = [n for n, row in enumerate(opened.presentations) if not row.label]
    assert len(choose(opened, attacks, 10)) == 10  # nobody else fills up
    assert evenly(range(100), 3) == [0, 50, 99]


def test_a_run_shows_what_its_protocol_tests(untrained: Callable[..., Any], store: Path) -> None:
    opened = CropStore.open(store)
    rows, named = presentations_of(opened, untrained("deep-pix-bis"))
    assert named == "test of folder/split"
    assert len({opened.presentations[row].subject for row in rows}) == 2  # of ten people


def test_typical_samples_go_through_the_ranks() -> None:
    samples = [sample(score, 1) for score in (0.9, 0.1, 0.5, 0.3, 0.7)]
    assert [one.score for one in typical(samples, 1, 3)] == [0.1, 0.5, 0.9]
    assert [one.score for one in typical(samples, 1, 9)] == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert typical(samples, 0, 3) == []
    for count in range(1, 8):
        chosen = typical([sample(n / 7, 1) for n in range(7)], 1, count)
        assert len({one.score for one in chosen}) == count  # nobody twice


def test_measures_what_leans_to_the_wrong_class_and_what_varies() -> None:
    maps = {"P3": np.array([[0.9, 0.1]], np.float32)}
    flat, lively = np.zeros((4, 4), np.float32), np.eye(4, dtype=np.float32)
    samples = [
        sample(0.9, 1, maps=maps, spectra={"P3": lively}, spectrum=2 * lively),
        sample(
            0.2, 0, maps={"P3": np.array([[0.1, 0.2]], np.float32)}, spectra={"P3": flat}, spectrum=lively
        ),
    ]
    pixels, spectra = level_findings(samples, 0.5)
    assert pixels == (
        "P3, at the threshold: 50.0 % of the pixels of bona fide and 0.0 % of the pixels of attacks lean to the wrong "
        "class."
    )
    assert spectra.startswith(
        "Standard deviation of the spectrum drawn by P3, over that of the crop's own (0 is solid): median 0.5 of bona "
        "fide presentations, 0 of attacks"
    )
    mouth = np.zeros((8, 8), np.float32)
    mouth[4:7, 3:5] = 1.0
    pair = [sample(score, 1, maps={"P3": values}) for score, values in ((0.2, mouth), (0.9, 0 * mouth))]
    assert level_findings(pair, 0.5)[1] == (
        f"P3, over 1 rejected bona fide presentations: the mouth's mean is {1 - 6 / 64:+.3f} from that of the whole "
        "map, over 1 accepted ones +0.000."
    )
    unknown = [replace(one, landmarks=np.full((5, 2), np.nan, np.float32)) for one in pair]
    assert len(level_findings(unknown, 0.5)) == 1  # where the mouth is, the set's own boxes do not say


def test_the_mouth_is_between_its_corners() -> None:
    values = np.zeros((8, 8), np.float32)
    values[4:7, 3:5] = 1.0  # the corners (24, 44) and (40, 44) of 64 are (3, 5.5) and (5, 5.5) of 8
    assert mouth_gap(values, sample(0.5, 1).landmarks, 64) == pytest.approx(1.0 - 6 / 64)


def test_the_spread_of_spectra_is_tested(untrained: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for n in range(8):
        noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
        smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
        one = sample(n / 10, n % 2)
        samples.append(Sample(0, one.presentation, noise if n % 2 else smooth, one.landmarks, one.score))
    figure = spectra_figure(samples, untrained("deep-pix-bis"))
    for crop, deviation in zip(
        (one.crop for one in samples), figure.arrays["standard_deviations"], strict=True
    ):
        grey = crop @ np.array([0.299, 0.587, 0.114]) / 255
        assert deviation == pytest.approx(np.log(1 + np.abs(np.fft.fft2(grey))).std())
    assert "higher for bona fide in 100.0 % of all pairs" in figure.findings[0]
