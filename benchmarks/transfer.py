"""Judge systems that learned nothing from them on real attacks, side by side (benchmarks/transfer.md).

    bonaface train linear-probe --preset tight --data STORE --protocol split --out TIGHT
    bonaface train global-statistics --data STORE --protocol split --out STATISTICS
    python benchmarks/transfer.py WORK --sets nuaa=NUAA replay=COMP576/dataset --minifasnet REPOSITORY \
        --bundles "linear, tight=TIGHT" "global statistics=STATISTICS"
    python benchmarks/transfer.py --cost --minifasnet REPOSITORY     # measures what each kind of system costs

WORK keeps the scores, so that a stopped run goes on. NUAA is the data set's folder as `bonaface prepare nuaa` takes it,
COMP576/dataset the folder `dataset` of ydf1014/COMP576ProjectLivenessDetection, REPOSITORY a checkout of
minivision-ai/Silent-Face-Anti-Spoofing (its network code and weights are used in place). STORE is the crop store that
the shipped model learned from; any run or bundle may stand beside it.

Every system sees the same pictures and the same face, which RetinaFace finds as `bonaface check` does. Only what is
named in STEERING may choose anything; the other sets judge. `--cost` needs no data: the linear classifier and the
statistics are untrained, which costs the same.
"""

import argparse
import csv
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bonaface.core.files import write_json, write_text
from bonaface.core.records import Score
from bonaface.datasets.registry import open_dataset
from bonaface.evaluation.comparison import compare_tables
from bonaface.evaluation.folds import EvaluationSettings
from bonaface.evaluation.operating_point import Threshold
from bonaface.evaluation.report import evaluate_table
from bonaface.evaluation.score_table import ScoreTable
from bonaface.export.foreign import ForeignInput, ScoreRule, import_network
from bonaface.face.crop import CropSpec, Views, face_views
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.inference.bundle import DEFAULT_MODEL, Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner
from bonaface.media.picture import read_picture
from bonaface.models.registry import default_preset
from bonaface.simulate.camera import compressed
from bonaface.simulate.light import Picture, srgb_codes, srgb_decode
from bonaface.training.augment import transfer_color
from cost_table import cost_table, untrained, write_between, write_cost

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "transfer.json", HERE / "transfer.md"
SHIPPED, ALONE = "shipped model", "shipped model, tight crop alone"
EXCHANGED, OVEREXPOSED = "nuaa train, light exchanged", "nuaa train, bona fide over-exposed"
FURTHER = "nuaa train, bona fide over-exposed further"
CLOSER, TO_FACE = "nuaa train, cut closer", "nuaa train, cut to the face"
STOPS = {OVEREXPOSED: (0.7, 1.8), FURTHER: (1.8, 3.0)}  # least and most
# Least and most that a picture keeps beside its face, in sides of the box.
MARGINS = {CLOSER: (0.1, 0.9), TO_FACE: (0.0, 0.1)}
WORSE = "replay bright_face, worse cameras"
STEERING = ("nuaa train", EXCHANGED, OVEREXPOSED, FURTHER, CLOSER, TO_FACE, "replay bright_face", WORSE)
MINIFASNET_SIZE, MINIFASNET_CROPS = 80, ("box-2.7", "box-4.0")
_LOT = 16  # pictures that go through a network together
_BEGIN, _END = "<!-- table -->\n\n", "<!-- end of table -->"


@dataclass(frozen=True)
class Sample:
    """One picture of a set: where it is, who is shown, 1 for bona fide, the species of an attack."""

    path: Path
    name: str
    subject: str
    label: int
    species: str
    donor: Path | None = None  # the face takes the colours of the one in this picture
    stops: float | None = None  # the face is brought to a middle grey and then over-exposed by so many stops
    margins: tuple[
        float, ...
    ] = ()  # cut so far left of, above, right of and below the face's box, in its sides
    worse: int | None = None  # seed of the camera that takes the picture again, worse


class System:
    """Something that scores faces: higher is bona fide. `thresholds` are by operating point, set without real data."""

    def __init__(
        self,
        views: Sequence[str],
        size: int,
        score: Callable[[list[Views]], NDArray[np.float64]],
        thresholds: Mapping[str, float],
    ) -> None:
        self.specs, self.size = [CropSpec.parse(view) for view in views], size
        self.score, self.thresholds = score, thresholds


def system_of(path: Path, alone: bool = False) -> System:
    """Return the bundle at `path`, or in the run there; its default output is judged.

    `alone` leaves it the first of its crops: the others are said to be mirrored, as those of a face that fills the
    picture are.
    """
    bundle = Bundle.open(path)
    card, runner = bundle.card, OnnxRunner(bundle, threads=1)

    def score(faces: list[Views]) -> NDArray[np.float64]:
        if alone:
            faces = [
                face._replace(shares=np.where(np.arange(len(face.shares)) > 0, np.float32(1), face.shares))
                for face in faces
            ]
        return np.asarray(run_on_views(runner, card, faces)[card.default_output], np.float64)

    points = {name: card.threshold(card.default_output, "frame", name) for name in card.operating_points}
    return System(card.views, card.input_size, score, points)


def minifasnet_networks(repository: Path) -> list[torch.nn.Module]:
    """Return the two networks of Silent-Face-Anti-Spoofing, for its crops 2.7 and 4.0."""
    source = repository / "src" / "model_lib" / "MiniFASNet.py"
    spec = importlib.util.spec_from_file_location("minifasnet", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    networks = []
    for make, name in (
        (module.MiniFASNetV2, "2.7_80x80_MiniFASNetV2.pth"),
        (module.MiniFASNetV1SE, "4_0_0_80x80_MiniFASNetV1SE.pth"),
    ):
        network = make(conv6_kernel=(5, 5))
        state = torch.load(
            repository / "resources" / "anti_spoof_models" / name, weights_only=True, map_location="cpu"
        )
        network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
        networks.append(network.eval())
    return networks


def minifasnet(repository: Path) -> System:
    """Return the two networks of Silent-Face-Anti-Spoofing, their class 1 averaged, as its test.py does.

    Its networks read B, G, R in 0 to 255; its own threshold takes class 1 where it is the largest: at 0.5 here.
    """
    networks = minifasnet_networks(repository)

    @torch.inference_mode()
    def score(faces: list[Views]) -> NDArray[np.float64]:
        crops = np.stack([face.crops for face in faces])[..., ::-1]  # (B, 2, 80, 80, 3) B, G, R
        inputs = torch.from_numpy(np.ascontiguousarray(crops.transpose(1, 0, 4, 2, 3))).float()
        live = [
            torch.softmax(network(image), 1)[:, 1] for network, image in zip(networks, inputs, strict=True)
        ]
        return (sum(live) / len(live)).double().numpy()  # type: ignore[union-attr]

    return System(MINIFASNET_CROPS, MINIFASNET_SIZE, score, {"0.5": 0.5})


def minifasnet_bundle(repository: Path, out: Path) -> Bundle:
    """Write both networks as ONNX, and return the bundle in `out` that `bonaface import` makes of them."""
    size = MINIFASNET_SIZE
    with TemporaryDirectory() as folder:
        files = []
        for network, crop in zip(minifasnet_networks(repository), MINIFASNET_CROPS, strict=True):
            files.append(Path(folder) / f"minifasnet-{crop}.onnx")
            torch.onnx.export(
                network,
                (torch.zeros(2, 3, size, size),),
                str(files[-1]),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        taken = ForeignInput(size, MINIFASNET_CROPS, "bgr", 255.0)
        return import_network(files, out, taken, ScoreRule.parse("softmax:1"), name="minifasnet")


def costs(repository: Path) -> str:
    """Measure what each kind of system costs and return the table; precision and choice of the crop make no kind."""
    networks = {
        "linear, one crop": default_preset("linear-probe"),
        "global statistics": default_preset("global-statistics"),
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundles = {
            SHIPPED: Bundle.open(DEFAULT_MODEL),
            **{system: untrained(preset, folder / system) for system, preset in networks.items()},
            "MiniFASNet": minifasnet_bundle(repository, folder / "minifasnet"),
        }
        return cost_table(bundles)


def sets_of(given: Mapping[str, Path], every: int) -> Iterator[tuple[str, list[Sample]]]:
    """Yield (name, samples) of each part of the sets, of NUAA every so many pictures."""
    if "nuaa" in given:
        table = open_dataset("nuaa").read(given["nuaa"])
        for split in ("train", "test"):
            rows = [row for row in table.rows if row.split == split][::every]
            samples = [
                Sample(given["nuaa"] / row.path, row.sample_id, row.subject, row.label, row.species)
                for row in rows
            ]
            yield f"nuaa {split}", samples
            if split == "train":
                yield EXCHANGED, _exchanged(samples)
                for seed, (name, stops) in enumerate(STOPS.items()):
                    yield name, _overexposed(samples, *stops, seed)
                for seed, (name, margins) in enumerate(MARGINS.items()):
                    yield name, _cut_closer(samples, *margins, seed)
    if "replay" in given:
        for light in ("bright_face", "rui_original", "side_illumination"):
            folder = given["replay"] / f"dataset_{light}"
            samples = [
                Sample(path, f"{kind}/{path.name}", "author", label, "" if label else "display-phone")
                for kind, label in (("real", 1), ("fake", 0))
                for path in sorted((folder / kind).glob("*.png"))
            ]
            yield f"replay {light}", samples
            if light == "bright_face":
                yield WORSE, [replace(sample, worse=number) for number, sample in enumerate(samples)]


def _exchanged(samples: Sequence[Sample]) -> list[Sample]:
    """Let every sample take the colours of one of the other class."""
    rng = np.random.default_rng(0)
    others = {label: [sample.path for sample in samples if sample.label != label] for label in (0, 1)}
    return [
        replace(sample, donor=others[sample.label][int(rng.integers(len(others[sample.label])))])
        for sample in samples
    ]


def _overexposed(samples: Sequence[Sample], least: float, most: float, seed: int) -> list[Sample]:
    """Over-expose the bona fide samples by some stops."""
    rng = np.random.default_rng(seed)
    return [
        replace(sample, stops=float(rng.uniform(least, most))) if sample.label else sample
        for sample in samples
    ]


def _cut_closer(samples: Sequence[Sample], least: float, most: float, seed: int) -> list[Sample]:
    """Cut every sample at a random distance from each side of its face's box, in sides of the box."""
    rng = np.random.default_rng(seed)
    return [replace(sample, margins=tuple(rng.uniform(least, most, 4).tolist())) for sample in samples]


def _by_worse_camera(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as a worse camera takes it: out of focus, in the dark or with fewer pixels; then as JPEG."""
    image, kind = Image.fromarray(picture), int(rng.integers(3))
    if kind == 0:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 2.0)))
    elif kind == 1:
        electrons = rng.uniform(400, 2000)  # at white
        light = srgb_decode(picture / 255.0) * 2.0 ** -rng.uniform(1.0, 2.5)
        light = rng.poisson(light * electrons) / electrons * 2.0 ** rng.uniform(0.0, 1.0)
        image = Image.fromarray(srgb_codes(light))
    else:
        share, size = rng.uniform(0.35, 0.7), image.size
        small = image.resize((int(size[0] * share), int(size[1] * share)), Image.Resampling.BICUBIC)
        image = small.resize(size, Image.Resampling.BICUBIC)
    return compressed(np.asarray(image), int(rng.uniform(60, 95)))


def _changed(sample: Sample, picture: Picture, face: Face, detector: Detector) -> Picture:
    """Return the picture in the light that `sample` asks for, cut as it asks, or by a worse camera."""
    if sample.worse is not None:
        return _by_worse_camera(picture, np.random.default_rng(sample.worse))
    if sample.donor is not None:
        other = read_picture(sample.donor)
        found = find_face(detector.detect(other), FacePolicy())
        if not isinstance(found, Face):
            return picture
        return transfer_color(picture, _region(other, found), _region(picture, face))
    if sample.stops is not None:
        light = srgb_decode(picture / 255.0)
        light *= 0.2 * 2.0**sample.stops / max(float(_region(light, face).mean()), 1e-3)
        return srgb_codes(light)
    if sample.margins:
        (x0, y0, x1, y1), (height, width) = face.box, picture.shape[:2]
        left, above, right, below = sample.margins
        return np.ascontiguousarray(
            picture[
                max(round(y0 - above * (y1 - y0)), 0) : min(round(y1 + below * (y1 - y0)), height),
                max(round(x0 - left * (x1 - x0)), 0) : min(round(x1 + right * (x1 - x0)), width),
            ]
        )
    return picture


def _region(picture: NDArray[Any], face: Face) -> NDArray[Any]:
    x0, y0, x1, y1 = (max(round(edge), 0) for edge in face.box)
    return picture[y0:y1, x0:x1]


def score_set(samples: Sequence[Sample], systems: Mapping[str, System], path: Path, workers: int) -> None:
    """Score every sample by every system into the CSV `path`, going on after what it holds."""
    done = 0
    if path.is_file():
        with path.open() as file:
            reader = csv.DictReader(file)
            done = sum(1 for _ in reader)
        if list(reader.fieldnames or ()) != ["name", "response", *systems]:
            sys.exit(
                f"{path} has the scores of other systems; delete it to score again, or take another WORK"
            )
    else:
        write_text(path, ",".join(["name", "response", *(f'"{name}"' for name in systems)]) + "\n")
    detector = Detector(640, 1, Bundle.open(DEFAULT_MODEL).card.face.min_score)
    lots = [samples[first : first + _LOT] for first in range(done, len(samples), _LOT)]

    def work(lot: Sequence[Sample]) -> list[list[str]]:
        return _score_lot(lot, systems, detector)

    with ThreadPoolExecutor(workers) as pool, path.open("a", newline="") as file:
        writer = csv.writer(file)
        for lot, rows in zip(lots, pool.map(work, lots), strict=True):
            writer.writerows(rows)
            file.flush()
            done += len(lot)
            print(f"\r{path.stem}: {done}/{len(samples)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _score_lot(lot: Sequence[Sample], systems: Mapping[str, System], detector: Detector) -> list[list[str]]:
    pictures = [read_picture(sample.path) for sample in lot]
    found = [find_face(detector.detect(picture), FacePolicy()) for picture in pictures]
    seen = [number for number, face in enumerate(found) if isinstance(face, Face)]
    for number in seen:
        pictures[number] = _changed(lot[number], pictures[number], found[number], detector)  # type: ignore[arg-type]
        if lot[number].margins:
            found[number] = find_face(detector.detect(pictures[number]), FacePolicy())
    seen = [number for number in seen if isinstance(found[number], Face)]
    rows = [
        [sample.name, "" if isinstance(face, Face) else face.value]
        for sample, face in zip(lot, found, strict=True)
    ]
    for system in systems.values():
        views = [face_views(pictures[n], found[n], system.specs, system.size, 4.0) for n in seen]  # type: ignore[arg-type]
        scores = system.score(views) if views else np.empty(0)
        by_number = dict(zip(seen, scores.tolist(), strict=True))
        for number, row in enumerate(rows):
            row.append(repr(by_number[number]) if number in by_number else "")
    return rows


def table_of(samples: Sequence[Sample], path: Path, system: str, name: str) -> ScoreTable:
    """Return the score table of one system on one set."""
    with path.open() as file:
        scored = {row["name"]: row for row in csv.DictReader(file)}
    return ScoreTable.from_scores(
        Score(
            sample.name,
            sample.name,
            0,
            sample.subject,
            sample.label,
            sample.species,
            "test",
            float(scored[sample.name][system] or "nan"),
            scored[sample.name]["response"],
            dataset=name,
            protocol=name,
        )
        for sample in samples
    )


def figures(table: ScoreTable, threshold: float) -> dict[str, Any]:
    """Return the errors at `threshold`, EER and AUC, as values with counts and 95 % intervals."""
    settings = EvaluationSettings(Threshold(threshold, "EER", "simulated dev"))
    test = evaluate_table(table, settings=settings).folds[0].test
    found = {
        "eer": test.ranking.eer,
        "apcer": test.errors.apcer["pooled"],
        "bpcer": test.errors.bpcer,
        "acer": test.errors.acer["pooled"],
    }
    rows: dict[str, Any] = {name: asdict(figure) for name, figure in found.items()}
    silent = sum(test.reasons.values())
    counts = {"attacks": test.attacks, "bona_fide": test.bona_fide, "no_response": silent}
    return {**counts, **rows, "auc": test.ranking.auc}


def by_subject(table: ScoreTable, threshold: float) -> dict[str, dict[str, list[int]]]:
    """Return [errors, presentations] of each subject, of the bona fide ones and of the attacks."""
    labels, scores, subjects = table.numbers("label"), table.numbers("score"), np.array(table.text("subject"))
    heard = np.isfinite(scores)
    wrong = (scores >= threshold) != (labels == 1)
    return {
        kind: {
            str(subject): [int(wrong[rows].sum()), int(rows.sum())]
            for subject in np.unique(subjects)
            if (rows := heard & (labels == label) & (subjects == subject)).any()
        }
        for kind, label in (("bona fide rejected", 1), ("attacks accepted", 0))
    }


def differences(tables: Mapping[str, ScoreTable], systems: Mapping[str, System]) -> dict[str, Any]:
    """Return EER and ACER of the shipped model less those of every other system, paired, with intervals."""
    first, found = tables[SHIPPED], {}
    for name, table in tables.items():
        if name == SHIPPED:
            continue
        # Each at its own threshold: moved to 0, where both are then compared.
        moved = [
            _shifted(one, next(iter(systems[system].thresholds.values())))
            for one, system in ((first, SHIPPED), (table, name))
        ]
        compared = compare_tables(*moved, settings=EvaluationSettings(Threshold(0.0)), names=(SHIPPED, name))
        found[name] = {key: asdict(compared.differences[key]) for key in ("eer", "acer_pooled")}
    return found


def _shifted(table: ScoreTable, threshold: float) -> ScoreTable:
    scores = table.numbers("score") - threshold
    columns = (table.text(name) for name in ("sample_id", "subject", "species", "response", "dataset"))
    rows = zip(*columns, table.numbers("label"), scores, strict=True)
    return ScoreTable.from_scores(
        Score(
            name,
            name,
            0,
            subject,
            int(label),
            species,
            "test",
            float(score),
            response,
            dataset=data,
            protocol=data,
        )
        for name, subject, species, response, data, label, score in rows
    )


def table_lines(results: Mapping[str, Any]) -> str:
    """Return the Markdown tables of all sets."""
    lines = []
    for name, found in results.items():
        one = next(iter(found["systems"].values()))
        role = "steers" if name in STEERING else "judges"
        lines += [
            f"### {name} ({role}): {one['bona_fide']} bona fide, {one['attacks']} attacks, "
            f"{one['no_response']} without a face",
            "",
            "| system | EER % | APCER % | BPCER % | ACER % | AUC | EER less the shipped model's |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for system, row in found["systems"].items():
            cells = [_shown(row[key]) for key in ("eer", "apcer", "bpcer", "acer")]
            against = found["differences"].get(system)
            paired = "" if against is None else _paired(against["eer"])
            lines.append(f"| {system} | {' | '.join(cells)} | {row['auc']:.4f} | {paired} |")
        for kind, counts in found["subjects"].items():
            if len(counts) > 1:
                told = ", ".join(f"{subject} {errors}/{total}" for subject, (errors, total) in counts.items())
                lines += ["", f"{kind.capitalize()} by the shipped model, by subject: {told}."]
        lines.append("")
    return "\n".join(lines)


def _shown(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval"] or (float("nan"), float("nan"))
    counts = f" ({figure['errors']}/{figure['total']})" if figure["total"] else ""
    return f"{100 * figure['value']:.1f}{counts} [{100 * low:.1f}, {100 * high:.1f}]"


def _paired(difference: Mapping[str, Any]) -> str:
    low, high = (-100 * end for end in reversed(difference["interval"]))
    return f"{-100 * difference['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"


def named(texts: Sequence[str]) -> dict[str, Path]:
    """Read ``["NAME=FOLDER", ...]`` as paths by name."""
    return {name: Path(folder) for name, _, folder in (text.partition("=") for text in texts)}


def main() -> None:
    """Score what is not scored yet, write the figures and the tables of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--cost", action="store_true", help="write the table of costs and do nothing else")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--minifasnet", type=Path, required=True)
    parser.add_argument(
        "--bundles", nargs="*", default=[], metavar="NAME=FOLDER", help="further runs or bundles"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of the sets to do, as 'nuaa test'; default: all")
    parser.add_argument("--every", type=int, default=1, help="take every so many pictures of NUAA")
    parser.add_argument("--no-write", action="store_true", help="print the tables and leave the page alone")
    given = parser.parse_args()
    if given.cost:
        write_cost(costs(given.minifasnet), PAGE)
        return
    if given.work is None or not given.sets:
        parser.error("expected WORK and --sets, or --cost")
    torch.set_num_threads(1)
    further = {name: system_of(path) for name, path in named(given.bundles).items()}
    systems = {
        SHIPPED: system_of(DEFAULT_MODEL),
        ALONE: system_of(DEFAULT_MODEL, alone=True),
        **further,
        "MiniFASNet": minifasnet(given.minifasnet),
    }
    folders = named(given.sets)
    given.work.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name, samples in sets_of(folders, given.every):
        if given.only and name not in given.only:
            continue
        path = given.work / f"{name.replace(', ', '-').replace(' ', '-')}.csv"
        score_set(samples, systems, path, given.workers)
        tables = {system: table_of(samples, path, system, name) for system in systems}
        found = {
            system: figures(table, next(iter(systems[system].thresholds.values())))
            for system, table in tables.items()
        }
        second = systems[SHIPPED].thresholds["bpcer=0.01"]
        found[f"{SHIPPED}, BPCER 1 % of simulated dev"] = figures(tables[SHIPPED], second)
        results[name] = {
            "systems": found,
            "differences": differences(tables, systems),
            "subjects": by_subject(tables[SHIPPED], next(iter(systems[SHIPPED].thresholds.values()))),
        }
        print(table_lines({name: results[name]}), flush=True)
    if not given.no_write:
        write_json(RESULTS, results)
        write_between(table_lines(results), PAGE, _BEGIN, _END)


if __name__ == "__main__":
    main()
