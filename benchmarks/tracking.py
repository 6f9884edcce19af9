"""Measure what a search near the last face saves, and what it changes: `Tracker` against the detector on whole frames.

    python benchmarks/tracking.py [--people 12]

1080p frames, wide and tall, of drawn people who sway before a wall, as far apart as 20 frames of a ten-second video
are. Both look at the same frames by turns.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.face.crop import CropSpec, context_crop, cut
from bonaface.face.detect import Detector, Face
from bonaface.face.track import Tracker
from bonaface.testing.portrait import drawn_portrait

FRAMES = 8
CROP = CropSpec.parse("square-1.3")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--people", type=int, default=12)
    people = arguments.parse_args().people
    for width, height in ((1920, 1080), (1080, 1920)):
        measure(width, height, people)


def measure(width: int, height: int, people: int) -> None:
    detector = Detector(threads=1)
    rng = np.random.default_rng(0)
    spent = np.zeros(2)
    overlaps, changes, others = [], [], 0
    for person in range(people):
        tracker = Tracker(detector)
        for number, frame in enumerate(swaying(person, width, height, rng)):
            start = time.process_time()
            whole = detector.detect(frame)
            between = time.process_time()
            near = tracker.detect(frame)
            if number:  # the first frame is looked at as a whole by both
                spent += between - start, time.process_time() - between
            if len(whole) == len(near) == 1:
                overlaps.append(overlap(whole[0], near[0]))
                crops = [cut(context_crop(frame, faces[0]), CROP, 224).astype(int) for faces in (whole, near)]
                changes.append(np.abs(crops[0] - crops[1]).mean())
            others += len(whole) != len(near)
    each = spent * 1000 / (people * (FRAMES - 1))
    print(
        f"{width} x {height}: {each[0]:.0f} ms a whole frame, {each[1]:.0f} ms tracked "
        f"({1 - each[1] / each[0]:.0%} less)\n"
        f"  another number of faces in {others} of {people * FRAMES} frames; boxes share {np.median(overlaps):.4f} of "
        f"their union (median), {min(overlaps):.3f} (least)\n"
        f"  crops differ by {np.median(changes):.2f} of 255 (median), {max(changes):.1f} (most)"
    )


def swaying(person: int, width: int, height: int, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    side = int(rng.integers(600, 1000))
    portrait = np.asarray(Image.fromarray(drawn_portrait(640, person)).resize((side, side)))
    x, y = (width - side) // 2, (height - side) // 2
    frames = []
    for _ in range(FRAMES):
        x = int(np.clip(x + rng.integers(-60, 61), 0, width - side))
        y = int(np.clip(y + rng.integers(-30, 31), 0, height - side))
        frame = np.full((height, width, 3), 150, np.int16)
        frame[y : y + side, x : x + side] = portrait
        frame += rng.integers(-5, 6, (height, width, 1), np.int16)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return frames


def overlap(one: Face, other: Face) -> float:
    a, b = np.array(one.box), np.array(other.box)
    width, height = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    return float(width * height / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - width * height))


if __name__ == "__main__":
    main()
