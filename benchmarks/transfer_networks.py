"""Judge the papers' four networks, trained in two ways, beside the linear classifier (benchmarks/transfer-networks.md).

    bonaface prepare nuaa NUAA STORES/nuaa
    python benchmarks/transfer_networks.py WORK default-model/store STORES/nuaa --from default-model/final

`default-model` is the folder that `make default-model` works in. Each network is trained twice, on the backbone with
ImageNet weights and on that of the runs after `--from`, as `bonaface train --from` takes it. WORK keeps the
backbone's levels and every system's scores, so that a stopped run goes on. The presets `transfer` freeze the
backbone, so its levels are computed once for each crop and all networks learn from them: what is trained is the
networks' own code, by the optimiser and the rate of their preset, on a pass over the pictures as they are and on one
in exchanged colours, which `bonaface train` would draw anew in every epoch. "Before" are networks that `bonaface
train` trained, where WORK/before/MODEL has their runs; where it has none, their figures stay as they are.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from bonaface.core.files import whole_file, write_json, write_text
from bonaface.core.records import Score
from bonaface.evaluation.comparison import differences_of
from bonaface.evaluation.folds import EvaluationSettings, FoldData
from bonaface.evaluation.operating_point import Threshold
from bonaface.evaluation.report import evaluate_table
from bonaface.evaluation.score_table import ScoreTable
from bonaface.face.crop import CropSpec
from bonaface.inference.bundle import Bundle
from bonaface.inference.preprocess import normalise
from bonaface.inference.runtime import OnnxRunner
from bonaface.metrics.curves import eer
from bonaface.metrics.thresholds import eer_threshold
from bonaface.models.base import FeatureSet, GradientModel, PadModel
from bonaface.models.bi_fas import BiFasS
from bonaface.models.branches import BranchedModel, grey_images, log_spectrum
from bonaface.models.linear_probe import LinearProbe
from bonaface.models.preset import Preset
from bonaface.models.registry import create_model
from bonaface.store.crop_store import CropStore
from bonaface.training.batches import Augmentation, CropBatches, Draw, epoch_order
from bonaface.training.data import PadData
from bonaface.training.initial import Initial, load_initial
from bonaface.training.optimisation import create_optimizer, rate_factor
from bonaface.training.settings import RunSettings, choose_preset
from bonaface.training.start import linear_start

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "transfer_networks.json", HERE / "transfer-networks.md"
NETWORKS = ("deep-pix-bis", "a-deep-pix-bis", "bi-fas", "bi-fas-s")
CROPS = {"tight": "tight", "square-1.3": "wide", "square-2.0": "wider"}  # with the linear classifier's preset
BACKBONE, SIZE, STRIDES = "efficientnet-lite0", 224, (8, 16, 32)
SPECTRUM = 80  # side of the spectra that are kept
LINEAR, BEFORE, AFTER, TUNED = "linear classifier", "before", "transfer", "transfer, `--from`"
LEVELS = {LINEAR: "levels", BEFORE: "levels", AFTER: "levels", TUNED: "levels-from"}  # what each way reads
STEERS, JUDGES = "nuaa train", "nuaa test"
PARTS = ("dev", "plain", "exchanged", "nuaa-train", "nuaa-test")
_PASSES = 2  # over every second presentation: as many steps as an epoch over all
_LOT = 16  # pictures that go through a backbone together
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"


class Levels:
    """What the frozen backbone makes of the pictures of one part of one crop: a tensor (N, C, h, w) for each stride."""

    def __init__(self, folder: Path, part: str) -> None:
        self._folder, self._part = folder, part
        about = np.load(folder / f"{part}.npz", allow_pickle=False)
        self.labels: NDArray[np.int64] = about["labels"].astype(np.int64)
        self.subjects: list[str] = about["subjects"].tolist()
        self.species: list[str] = about["species"].tolist()
        self.positions: NDArray[np.int64] = about["positions"]  # of the pictures in the data
        self._kept: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, strides: Sequence[int], rows: NDArray[np.int64]) -> list[Tensor]:
        """Return the levels of `strides` of some rows, in float32."""
        return [self._of(str(stride))[torch.from_numpy(rows)].float() for stride in strides]

    def spectra(self, rows: NDArray[np.int64], size: int) -> Tensor:
        """Return what `bi-fas-s` redraws of some rows: (B, size, size) float32."""
        kept = self._of("spectrum")[torch.from_numpy(rows)].float()
        return interpolate(kept[:, None], size=(size, size), mode="area").squeeze(1)

    def _of(self, name: str) -> Tensor:
        if name not in self._kept:
            self._kept[name] = torch.from_numpy(np.load(self._folder / f"{self._part}-{name}.npy"))
        return self._kept[name]


def keep_levels(folder: Path, part: str, data: CropBatches, draws: Sequence[Draw], network: PadModel) -> None:
    """Compute the levels of `draws` by the backbone of `network`, in half precision, unless `folder` has them."""
    if (folder / f"{part}.npz").is_file():
        return
    names = [*map(str, STRIDES), "spectrum"]
    found: list[list[NDArray[np.float16]]] = [[] for _ in names]
    for first in range(0, len(draws), _LOT):
        crops = data[list(draws[first : first + _LOT])].crops.numpy()
        images = torch.from_numpy(normalise(crops, network.mean, network.std))
        with torch.inference_mode():
            levels = network.backbone(images.contiguous(memory_format=torch.channels_last))
            spectra = log_spectrum(grey_images(images, network), SPECTRUM)  # type: ignore[arg-type]
        for kept, values in zip(found, [*levels, spectra], strict=True):
            kept.append(values.half().contiguous().numpy())
        print(f"\r{folder.name} {part} {first + len(crops)}/{len(draws)}", end="", flush=True)
    print()
    folder.mkdir(parents=True, exist_ok=True)
    for name, kept in zip(names, found, strict=True):
        with whole_file(folder / f"{part}-{name}.npy") as path, path.open("wb") as file:
            np.save(file, np.concatenate(kept))
    labels, subjects, species = data.about(draws)
    with whole_file(folder / f"{part}.npz") as path, path.open("wb") as file:
        positions = np.array([draw.position for draw in draws], np.int64)
        people, kinds = subjects.astype(str), species.astype(str)
        np.savez(file, labels=labels, positions=positions, subjects=people, species=kinds)


def keep_all_levels(
    levels: Path, simulated: Path, nuaa: Path, every: int, begins: Sequence[Initial] = ()
) -> None:
    """Compute the levels of every crop: of simulated pictures as they are and in exchanged colours, dev, and NUAA.

    Args:
        begins: the runs whose mean backbone computes them; none: the one with ImageNet weights.
    """
    path, digests = levels / "begins.json", [begin.digest for begin in begins]
    if path.is_file() and json.loads(path.read_text()) != digests:
        sys.exit(
            f"{levels} has the levels of another backbone; delete it to compute them again, or take another WORK"
        )
    levels.mkdir(parents=True, exist_ok=True)
    write_json(path, digests)
    network = create_model("bi-fas", backbone=BACKBONE, size=SIZE)
    if begins:
        load_initial(network, *begins)
    network.eval().to(memory_format=torch.channels_last)
    store = CropStore.open(nuaa)
    for crop, preset in CROPS.items():
        folder = levels / crop
        settings = RunSettings(choose_preset("linear-probe", preset, {}), str(simulated), "split", seed=0)
        data = PadData(CropStore.open(simulated), settings)
        train, dev = _thinned(data.train), _thinned(data.dev)
        keep_levels(folder, "dev", data.dev, [Draw(int(p), None) for p in dev], network)
        keep_levels(folder, "plain", data.train, [Draw(int(p), None) for p in train], network)
        order = np.random.default_rng(0).permutation(train)
        keep_levels(
            folder, "exchanged", data.train, [Draw(int(p), (0, 1, n)) for n, p in enumerate(order)], network
        )
        for part in (STEERS, JUDGES):
            shown = nuaa_crops(store, part, crop, every)
            keep_levels(
                folder, part.replace(" ", "-"), shown, [Draw(p, None) for p in range(len(shown))], network
            )


def nuaa_crops(store: CropStore, part: str, crop: str, every: int) -> CropBatches:
    """Return every so many pictures of NUAA's train or test part."""
    split = part.partition(" ")[2]
    rows = [n for n, row in enumerate(store.presentations) if row.split == split][::every]
    return CropBatches(store, rows, (CropSpec.parse(crop),), SIZE, Augmentation(0.0, (0.0, 0.0, 0.0, 0.0)))


def _thinned(data: CropBatches) -> NDArray[np.int64]:
    """Return the positions of every second presentation: twice as many change nothing, and take twice as long."""
    chosen = np.unique(data.presentations)[::2]
    return np.flatnonzero(np.isin(data.presentations, chosen))


class GivenLevels(nn.Module):
    """Stands in a network where its backbone was, and gives on the levels that it gets."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the levels."""
        return levels


def head_of(model: str, preset: Preset, seed: int) -> GradientModel:
    """Return the network of `preset` with new weights, which takes levels in place of images."""
    torch.manual_seed(seed)
    network = create_model(model, backbone=f"random:{BACKBONE}", size=SIZE, **preset.options)
    assert isinstance(network, GradientModel)
    network.backbone = GivenLevels(network.backbone.channels)  # type: ignore[assignment]
    return network


def train_head(network: GradientModel, preset: Preset, passes: Sequence[Levels], seed: int) -> None:
    """Train all but the backbone, in turn on each of `passes`, by the preset's start, optimiser, rate and balance.

    A pass has every second presentation, so two of them are as many steps as an epoch of the preset.
    """
    if preset.start == "linear":
        set_start(network, passes)
    optimizer = create_optimizer(network, preset)
    preset = replace(preset, epochs=_PASSES * preset.epochs)
    orders = [
        epoch_order(passes[epoch % len(passes)].labels, seed, epoch, preset.balance == "undersample")
        for epoch in range(preset.epochs)
    ]
    steps = min(len(order) for order in orders) // preset.batch  # of a pass
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(preset, step, steps))
    for epoch, order in enumerate(orders):
        levels = passes[epoch % len(passes)]
        network.train()
        for step in range(steps):
            rows = order[step * preset.batch : (step + 1) * preset.batch]
            output = network.forward_head(network.forward_features(levels.take(network.strides, rows)))  # type: ignore[arg-type]
            if isinstance(network, BiFasS):
                network.spectrum_target = partial(_given, levels.spectra(rows, network.spectrum_size))  # type: ignore[method-assign]
            labels = torch.from_numpy(levels.labels[rows]).float()
            loss = network.loss(output, {"label": labels}, torch.empty(0))["total"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
    estimate_statistics(network, preset, passes[(preset.epochs - 1) % len(passes)], orders[-1])
    network.eval()


def _given(spectra: Tensor, _: Tensor) -> Tensor:
    """Return the spectra that were computed from the images that there are no more."""
    return spectra


@torch.no_grad()
def set_start(network: GradientModel, passes: Sequence[Levels]) -> None:
    """Set the pixels of `network` to the linear classifier over their level, as `training.start` does."""
    assert isinstance(network, BranchedModel)
    values = [
        network.statistics(levels.take(network.strides, rows)).numpy()  # type: ignore[arg-type]
        for levels in passes
        for rows in np.array_split(np.arange(len(levels)), 16)
    ]
    labels = np.concatenate([levels.labels for levels in passes])
    pictures = np.concatenate([levels.positions for levels in passes])
    network.start_pixels(*linear_start(np.concatenate(values), labels, pictures))


@torch.no_grad()
def estimate_statistics(
    network: GradientModel, preset: Preset, levels: Levels, order: NDArray[np.int64]
) -> None:
    """Estimate the statistics of batch normalisation anew, as `PadModule` does before dev."""
    kept = {layer for name in network.training_parts for layer in getattr(network, name).modules()}
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer not in kept]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    for first in range(0, min(len(order), preset.bn_batches * _LOT), preset.batch):
        rows = order[first : first + preset.batch]
        network.forward_features(levels.take(network.strides, rows))  # type: ignore[arg-type]


@torch.inference_mode()
def head_scores(network: GradientModel, levels: Levels) -> NDArray[np.float64]:
    """Return the default score of every picture."""
    found = []
    for first in range(0, len(levels), 64):
        rows = np.arange(first, min(first + 64, len(levels)))
        features = network.forward_features(levels.take(network.strides, rows))  # type: ignore[arg-type]
        found.append(network.forward_head(features).scores[network.score_names[0]].numpy())
    return np.concatenate(found).astype(np.float64)


def linear_scores(preset: str, parts: dict[str, Levels]) -> dict[str, NDArray[np.float64]]:
    """Fit the linear classifier on the same pictures, and return its scores of each part."""
    chosen = choose_preset("linear-probe", preset, {})
    probe = create_model("linear-probe", backbone=f"random:{BACKBONE}", size=SIZE, **chosen.options)
    assert isinstance(probe, LinearProbe)
    probe.backbone = GivenLevels(probe.backbone.channels)  # type: ignore[assignment]

    @torch.inference_mode()
    def features(levels: Levels) -> NDArray[np.float32]:
        lots = [np.arange(first, min(first + 256, len(levels))) for first in range(0, len(levels), 256)]
        return np.concatenate([probe.features(_Stacked(levels.take(STRIDES, rows))).numpy() for rows in lots])  # type: ignore[arg-type]

    def data(names: Sequence[str]) -> FeatureSet:
        values = np.concatenate([features(parts[name]) for name in names])
        labels = np.concatenate([parts[name].labels for name in names])
        positions = np.concatenate([parts[name].positions for name in names])
        nobody, shares = np.full(len(labels), ""), np.zeros((len(labels), 1), np.float32)
        return FeatureSet(values, labels, nobody, nobody, shares, positions)

    probe.fit(data(("plain", "exchanged")), data(("dev",)))
    names = ("dev", "nuaa-train", "nuaa-test")
    return {
        name: probe.predict(torch.from_numpy(features(parts[name]))).double().detach().numpy()
        for name in names
    }


class _Stacked(list[Tensor]):
    """Levels that pass for a batch of images of one view."""

    ndim = 4


def before_scores(run: Path, store: CropStore, crop: str, every: int) -> dict[str, NDArray[np.float64]]:
    """Return the scores of a trained run on NUAA's parts; none of simulated dev, its bundle has the threshold."""
    bundle = Bundle.open(run)
    runner, card = OnnxRunner(bundle, threads=1), bundle.card
    found = {}
    for part in (STEERS, JUDGES):
        data = nuaa_crops(store, part, crop, every)
        scores = []
        for first in range(0, len(data), _LOT):
            draws = [Draw(p, None) for p in range(first, min(first + _LOT, len(data)))]
            images = normalise(data[draws].crops.numpy(), card.mean, card.std)
            scores.append(runner.run(images=images)[card.default_output])
        found[part.replace(" ", "-")] = np.concatenate(scores).astype(np.float64)
    return found


def systems(work: Path, seeds: Sequence[int], ways: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Yield (way, network, seed) of everything that is judged on each crop; `ways`: `AFTER`, and `TUNED` if wanted."""
    yield LINEAR, "linear-probe", 0
    for network in NETWORKS:
        if (work / "before" / network / "bundle").is_dir():
            yield BEFORE, network, 0
        for way in ways:
            yield from ((way, network, seed) for seed in seeds)


def score_all(
    work: Path, nuaa: Path, every: int, seeds: Sequence[int], only: Sequence[str], ways: Sequence[str]
) -> None:
    """Train and score what is not scored yet."""
    store = CropStore.open(nuaa)
    for crop, preset in CROPS.items():
        kept = {
            name: {part: Levels(work / name / crop, part) for part in PARTS}
            for name in (LEVELS[way] for way in ways)
        }
        for way, model, seed in systems(work, seeds, ways):
            path = _scores_of(work, crop, way, model, seed)
            if path.is_file() or (only and model not in only):
                continue
            parts = kept[LEVELS[way]]
            if way == LINEAR:
                scores = linear_scores(preset, parts)
            elif way == BEFORE:
                scores = before_scores(work / "before" / model, store, crop, every)
            else:
                chosen = choose_preset(model, "transfer", {})
                network = head_of(model, chosen, seed)
                train_head(network, chosen, [parts["plain"], parts["exchanged"]], seed)
                scores = {
                    name: head_scores(network, parts[name]) for name in ("dev", "nuaa-train", "nuaa-test")
                }
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part, part.open("wb") as file:
                np.savez(file, **scores)  # type: ignore[arg-type]
            errors = [f"{name} {100 * eer(parts[name].labels, scores[name]):.1f}" for name in scores]
            print(f"{crop} {way} {model} {seed}: EER {', '.join(errors)}", flush=True)


def _scores_of(work: Path, crop: str, way: str, model: str, seed: int) -> Path:
    name = way.replace(",", "").replace("`", "").replace(" ", "-")
    return work / "scores" / crop / f"{name}-{model}-{seed}.npz"


def judge(work: Path, seeds: Sequence[int], known: dict[str, Any], ways: Sequence[str]) -> dict[str, Any]:
    """Return every figure: by part and crop, by way and network the means over seeds, paired to the linear one.

    Args:
        known: earlier figures; those of a system that WORK has no scores of stay as they are, where they are of as many
            pictures.
    """
    results: dict[str, Any] = {}
    for part in (STEERS, JUDGES):
        for crop in CROPS:
            about = Levels(work / "levels" / crop, part.replace(" ", "-"))
            dev = Levels(work / "levels" / crop, "dev").labels
            folds: dict[tuple[str, str], list[FoldData]] = {}
            rows: dict[tuple[str, str], list[dict[str, float | None]]] = {}
            for way, model, seed in systems(work, seeds, ways):
                path = _scores_of(work, crop, way, model, seed)
                if not path.is_file():
                    continue
                kept = np.load(path, allow_pickle=False)
                on_dev: float | None
                if "dev" in kept:
                    threshold, on_dev = float(eer_threshold(dev, kept["dev"])), float(eer(dev, kept["dev"]))
                else:
                    card = Bundle.open(work / "before" / model).card
                    threshold, on_dev = card.threshold(card.default_output, "frame"), None
                table = _table(about, kept[part.replace(" ", "-")], part)
                settings = EvaluationSettings(Threshold(threshold, "EER", "simulated dev"))
                test = evaluate_table(table, settings=settings).folds[0].test
                folds.setdefault((way, model), []).append(settings.fold_data(table)[2][0])
                rows.setdefault((way, model), []).append(
                    {
                        "dev_eer": on_dev,
                        "eer": test.ranking.eer.value,
                        "apcer": test.errors.apcer["pooled"].value,
                        "bpcer": test.errors.bpcer.value,
                    }
                )
            reference = folds[LINEAR, "linear-probe"][0]
            results.setdefault(
                part, {"counts": [int((about.labels == 1).sum()), int((about.labels == 0).sum())]}
            )
            results[part][crop] = [
                {
                    "way": way,
                    "network": model,
                    "seeds": rows[way, model],
                    "less_linear": None
                    if way == LINEAR
                    else asdict(differences_of(found, [reference] * len(found))["eer"]),
                }
                for (way, model), found in folds.items()
            ]
            results[part][crop] += [
                row
                for row in known.get(part, {}).get(crop, [])
                if known[part]["counts"] == results[part]["counts"]
                and (row["way"], row["network"]) not in folds
            ]
            results[part][crop].sort(key=_place)
    return results


def _place(row: dict[str, Any]) -> tuple[int, int]:
    """Return where the row of a system stands in a table."""
    return ("linear-probe", *NETWORKS).index(row["network"]), (LINEAR, BEFORE, AFTER, TUNED).index(row["way"])


def _table(about: Levels, scores: NDArray[np.float64], name: str) -> ScoreTable:
    rows = zip(about.subjects, about.labels.tolist(), about.species, scores.tolist(), strict=True)
    return ScoreTable.from_scores(
        Score(f"{n}", f"{n}", 0, subject, label, species, "test", score, "", dataset=name, protocol=name)
        for n, (subject, label, species, score) in enumerate(rows)
    )


def table_lines(results: dict[str, Any]) -> str:
    """Return the Markdown tables of both parts."""
    lines = []
    for part, found in results.items():
        role = "steers" if part == STEERS else "judges"
        lines += [f"### {part} ({role}): {found['counts'][0]} bona fide, {found['counts'][1]} attacks", ""]
        lines += [
            "| crop | network | trained | simulated dev EER % | EER % | APCER / BPCER % "
            "| EER less the linear classifier's |",
            "|---|---|---|---:|---:|---:|---:|",
        ]
        for crop in CROPS:
            for row in found[crop]:
                seeds = row["seeds"]
                of = {
                    key: " ".join("" if one[key] is None else f"{100 * one[key]:.1f}" for one in seeds)
                    for key in ("dev_eer", "eer")
                }
                both = ", ".join(f"{100 * one['apcer']:.1f} / {100 * one['bpcer']:.1f}" for one in seeds)
                against = row["less_linear"]
                paired = "" if against is None else _paired(against)
                cells = [
                    crop, row["network"], row["way"], of["dev_eer"], of["eer"], both, paired
                ]  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _paired(difference: dict[str, Any]) -> str:
    low, high = (100 * float(end) for end in difference["interval"])
    return f"{100 * difference['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"


def main() -> None:
    """Do what is not done yet, write the figures and the page's tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("simulated", type=Path, help="crop store of simulated presentations")
    parser.add_argument("nuaa", type=Path, help="crop store of NUAA")
    parser.add_argument("--every", type=int, default=8, help="take every so many pictures of NUAA's parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--from",
        dest="begins",
        type=Path,
        nargs="*",
        default=[],
        help="runs that give a second backbone, the mean of theirs",
    )
    parser.add_argument("--only", nargs="*", default=[], help="networks to train; default: all")
    given = parser.parse_args()
    torch.set_num_threads(1)
    begins = [Initial.of(run) for run in given.begins]
    ways = (AFTER, TUNED) if begins else (AFTER,)
    keep_all_levels(given.work / LEVELS[AFTER], given.simulated, given.nuaa, given.every)
    if begins:
        keep_all_levels(given.work / LEVELS[TUNED], given.simulated, given.nuaa, given.every, begins)
    score_all(given.work, given.nuaa, given.every, given.seeds, given.only, ways)
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results = judge(given.work, given.seeds, known, ways)
    write_json(RESULTS, results)
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    write_text(PAGE, f"{before}{_BEGIN}\n\n{table_lines(results)}\n{_END}{after}")


if __name__ == "__main__":
    main()
