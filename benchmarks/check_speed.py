"""Time `bonaface check`: from a cold start, warm, and over a folder.

    python benchmarks/check_speed.py [--model MODEL] [--rounds 15] [--pictures 200]

Without a model it is the one that ships. All medians are of rounds in turns, so that the ratios hold on a machine that
has other work to do; times do not.

- cold: a fresh process for one picture, its processor time and its peak memory; `--help` against importing typer and
  rich
- warm: a 640-pixel JPEG from bytes to verdict, and a 12-megapixel one, against detector + network measured apart
- folder: files a second with one process and with two
"""

import argparse
import io
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bonaface import load
from bonaface.face.crop import face_views
from bonaface.face.detect import Detector
from bonaface.inference.bundle import EXAMPLES
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner
from bonaface.media.picture import read_picture
from bonaface.testing.portrait import drawn_portrait

PROGRAM = [sys.executable, "-m", "bonaface.cli.main"]


def milliseconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def measure_warm(model: Path | None, rounds: int) -> None:
    """Print what a check of JPEG bytes takes, against detector + network, for two sizes of picture."""
    checker = load(model)
    card = checker.bundle.card
    detector = Detector(card.face.longer_side, None, card.face.min_score)
    runner = OnnxRunner(checker.bundle)
    for width, height in ((640, 480), (3000, 4000)):
        data = jpeg(width, height)
        picture = read_picture(data)
        (face, *_) = detector.detect(picture)
        views = face_views(picture, face, card.crop_specs, card.input_size, card.face.context)
        parts: dict[str, Callable[[], object]] = {
            "decode": partial(read_picture, data),
            "detector": partial(detector.detect, picture),
            "views": partial(face_views, picture, face, card.crop_specs, card.input_size, card.face.context),
            "network": partial(run_on_views, runner, card, [views]),
            "check": partial(checker, data),
        }
        medians = in_turns(parts, rounds)
        print(
            f"{width} x {height}: " + ", ".join(f"{name} {value:.1f} ms" for name, value in medians.items())
        )
        alone = medians["detector"] + medians["network"]
        print(f"  check: {medians['check'] / alone:.2f} times detector + network")


def jpeg(width: int, height: int) -> bytes:
    """Return a drawn person before a plain wall, whose face is about a third of the picture's height."""
    side = round(0.6 * height)
    scene = np.full((height, width, 3), 150, np.uint8)
    portrait = Image.fromarray(drawn_portrait(512, seed=1)).resize((side, side))
    top, left = (height - side) // 2, (width - side) // 2
    scene[top : top + side, left : left + side] = np.asarray(portrait)
    file = io.BytesIO()
    Image.fromarray(scene).save(file, "JPEG", quality=92)
    return file.getvalue()


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each work, done in turns, after two rounds that do not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 2):
        for name, work in works.items():
            taken = milliseconds(work)
            if number >= 2:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_folder(model: Path | None, pictures: int) -> None:
    """Print the rate of one process with one thread, of one with two, and of two with one each, over a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        for number in range(pictures):
            (folder / f"{number:05}.jpg").write_bytes(jpeg(640, 480))
        rates: dict[str, list[float]] = {"1 x 1": [], "1 x 2": [], "2 x 1": []}
        for _ in range(3):
            for way, seen in rates.items():
                jobs, threads = way.split(" x ")
                options = ["--jobs", jobs, "--threads", threads, *(["--model", str(model)] if model else [])]
                command = [*PROGRAM, "check", str(folder), "--csv", *options]
                taken = milliseconds(partial(subprocess.run, command, check=False, capture_output=True))
                seen.append(1000 * pictures / taken)
        medians = {way: statistics.median(seen) for way, seen in rates.items()}
    told = ", ".join(f"{way} {rate:.1f}/s" for way, rate in medians.items())
    print(f"{pictures} pictures of 640 x 480, processes x threads, with their start: {told}")
    print(f"  two processes: {medians['2 x 1'] / medians['1 x 1']:.2f} times one")


def measure_start(rounds: int) -> None:
    """Print what a fresh process takes for one picture, and what `bonaface --help` costs over typer and rich."""
    check = [*PROGRAM, "check", str(EXAMPLES / "bona-fide.jpg")]
    walls, processors, peaks = [], [], []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        with subprocess.Popen(check, stdout=subprocess.DEVNULL) as program:
            peaks.append(peak_memory(program))
        walls.append(1000 * (time.perf_counter() - begun))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    print(
        f"cold check: {statistics.median(walls):.0f} ms, of the processor {statistics.median(processors):.0f} ms, "
        f"peak memory {max(peaks):.0f} MiB with the process that reads the file"
    )
    imports = [sys.executable, "-c", "import typer, rich.console, rich.table, rich.panel, typer.rich_utils"]
    medians = in_turns(
        {
            "imports": lambda: subprocess.run(imports, check=True, capture_output=True),
            "help": lambda: subprocess.run([*PROGRAM, "--help"], check=True, capture_output=True),
        },
        rounds,
    )
    over = medians["help"] - medians["imports"]
    print(f"bonaface --help: {medians['help']:.0f} ms, {over:.0f} ms over importing typer and rich")


def peak_memory(program: "subprocess.Popen[bytes]") -> float:
    """Return the highest sum, in MiB, of the resident memory of a program and its children, looked at often."""
    highest = 0.0
    while program.poll() is None:
        here = Path(f"/proc/{program.pid}/task/{program.pid}/children")
        with suppress(OSError):  # a process that ends just now
            pids = [program.pid, *map(int, here.read_text().split())]
            pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
            highest = max(highest, pages * resource.getpagesize() / 2**20)
        time.sleep(0.005)
    return highest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pictures", type=int, default=200)
    given = parser.parse_args()
    measure_start(given.rounds)
    measure_warm(given.model, given.rounds)
    measure_folder(given.model, given.pictures)


if __name__ == "__main__":
    main()
