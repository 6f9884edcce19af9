"""Time a simulated attack at 512 px, the whole chain, against RetinaFace on the same picture.

    python benchmarks/simulate_speed.py [--rounds 24] [--persons 1]

The chain: a synthetic person before the attacker's camera, that picture printed, shown or worn, and photographed by a
second camera. Persons are made beforehand, as a set makes each once for many pictures. Processor milliseconds of one
thread, medians over the rounds, chain and detector by turns; then what the videos of a set in OULU-NPU's layout take,
persons included, and all 4,950 of them from that.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bonaface.face.detect import Detector
from bonaface.simulate.figure import person_portrait
from bonaface.simulate.pictures import SPECIES, simulate_attack, simulate_photo
from bonaface.simulate.seeds import stream
from bonaface.simulate.sets import Plan, SetWriter, begin, people, total_files


@contextmanager
def clocked(into: list[float]) -> Iterator[None]:
    """Add the processor milliseconds of what is done inside."""
    begun = time.process_time()
    yield
    into.append(1000 * (time.process_time() - begun))


def pictures(rounds: int) -> None:
    """Print a line for each species and their mean by share."""
    persons = [person_portrait(0, number) for number in range(1, 7)]
    detector = Detector(longer_side=512, threads=1)
    detector.detect(np.zeros((512, 512, 3), np.uint8))
    chain: dict[str, list[float]] = {name: [] for name in SPECIES}
    detection: list[float] = []
    for number in range(rounds + 1):
        for name, taken in chain.items():
            rng = stream(0, "speed", name, number)
            with clocked(taken):
                photo = simulate_photo(persons[number % 6], rng)
                attack = simulate_attack(photo, rng, species=name, wearer=persons[(number + 1) % 6])
            with clocked(detection):
                detector.detect(attack.picture)
    # The first of each fills tables that are kept.
    medians = {name: statistics.median(taken[1:]) for name, taken in chain.items()}
    reference = statistics.median(detection)
    for name, taken in chain.items():
        tenth = statistics.quantiles(taken[1:], n=10)
        print(f"{name:18s}{medians[name]:7.1f} ms  (10 to 90 %: {tenth[0]:.0f} to {tenth[-1]:.0f})")
    mean = sum(share * medians[name] for name, share in SPECIES.items())
    print(f"{'by their shares':18s}{mean:7.1f} ms")
    print(f"{'RetinaFace':18s}{reference:7.1f} ms, so the chain takes {mean / reference:.2f} times as long")


def videos(persons: int) -> None:
    """Print what a video takes, and the whole set."""
    plan, taken = Plan("oulu-npu", phones=1), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        begin(root, plan)
        for person in people(plan)[:persons]:
            with clocked(taken):
                SetWriter(root, plan)(person, lambda _: None)
        made = len(list(root.rglob("*.avi")))
    each, whole = sum(taken) / made / 1000, total_files(Plan("oulu-npu"))
    width, height = plan.frame_size
    print(
        f"\na video of {plan.frames} frames, {width} x {height}: {each:.2f} processor seconds; "
        f"all {whole:,}: {each * whole / 3600:.1f} core hours"
    )


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=24, help="pictures of each species")
    parser.add_argument("--persons", type=int, default=1, help="persons of whom 15 videos each are made")
    arguments = parser.parse_args()
    pictures(arguments.rounds)
    videos(arguments.persons)


if __name__ == "__main__":
    main()
