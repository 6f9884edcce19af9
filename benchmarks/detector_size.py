"""Measure what a smaller input of the face detector changes: boxes, scores of the shipped model, decisions, time.

    python benchmarks/detector_size.py --sets nuaa=NUAA replay=COMP576/dataset --every 8

The sets are those of benchmarks/transfer.md. In every picture the face is looked for at the bundle's own input size and
at smaller ones. The small input's face is taken where it is found with a sure score and is large enough there; else the
bundle's own counts, as it would for a detector that looks twice.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonaface.core.records import Response
from bonaface.face.crop import face_views
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.inference.bundle import DEFAULT_MODEL, Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runtime import OnnxRunner
from bonaface.media.picture import read_picture
from bonaface.metrics.curves import eer
from tracking import overlap
from transfer import named, sets_of

SMALL = (320, 256)  # pixels of the longer side
SURE = 0.95
LEAST = 48.0  # pixels of a face's longer side in the small input


@dataclass(frozen=True)
class Look:
    """What was found at one input size: the face or the response, its score, and the processor time in ms."""

    face: Face | Response
    score: float
    taken: float


class Scorer:
    """Looks for the face and scores it, on one thread."""

    def __init__(self) -> None:
        bundle = Bundle.open(DEFAULT_MODEL)
        self.card = bundle.card
        self._runner = OnnxRunner(bundle, 1)
        sizes = (bundle.card.face.longer_side, *SMALL)
        self._detectors = {size: Detector(size, 1, bundle.card.face.min_score) for size in sizes}
        self._policy = FacePolicy(bundle.card.face.min_side, bundle.card.face.similar)

    def looks(self, picture: NDArray[np.uint8]) -> Iterator[tuple[int, Look]]:
        """Yield what each input size finds, the bundle's own first; a small one that is not sure is its own."""
        own: Look | None = None
        for size, detector in self._detectors.items():
            begun = time.process_time()
            faces = detector.detect(picture)
            taken = 1000 * (time.process_time() - begun)
            if own is not None and not self._is_sure(faces, size / max(picture.shape)):
                yield size, Look(own.face, own.score, taken + own.taken)
                continue
            face = find_face(faces, self._policy)
            look = Look(face, np.nan if isinstance(face, Response) else self._score(picture, face), taken)
            own = own or look
            yield size, look

    def _is_sure(self, faces: Sequence[Face], scale: float) -> bool:
        if not faces:
            return False
        x0, y0, x1, y1 = faces[0].box
        return faces[0].score >= SURE and max(x1 - x0, y1 - y0) * min(1.0, scale) >= LEAST

    def _score(self, picture: NDArray[np.uint8], face: Face) -> float:
        card = self.card
        views = face_views(picture, face, card.crop_specs, card.input_size, card.face.context)
        return float(run_on_views(self._runner, card, [views])[card.default_output][0])


def compare(name: str, labels: Sequence[int], looks: dict[int, list[Look]], threshold: float) -> None:
    """Print what each small size changes on a set."""
    size, *small = looks
    own = looks[size]
    for other in small:
        pairs = [(label, a, b) for label, a, b in zip(labels, own, looks[other], strict=True)]
        both = [
            (label, a, b) for label, a, b in pairs if isinstance(a.face, Face) and isinstance(b.face, Face)
        ]
        ious = [overlap(a.face, b.face) for _, a, b in both]  # type: ignore[arg-type]
        shifts = [abs(a.score - b.score) for _, a, b in both]
        flips = sum((a.score >= threshold) != (b.score >= threshold) for _, a, b in both)
        lost = sum(isinstance(a.face, Response) != isinstance(b.face, Response) for _, a, b in pairs)
        rates = ""
        if len({label for label, _, _ in both}) == 2:
            truth = [label for label, _, _ in both]
            before = eer(truth, [a.score for _, a, _ in both])
            after = eer(truth, [b.score for _, _, b in both])
            rates = f", EER {before:.4f} -> {after:.4f}"
        times = [np.median([look.taken for look in looks[each]]) for each in (size, other)]
        print(
            f"{name}, {len(pairs)} pictures, {size} -> {other} px: boxes share {np.median(ious):.3f} of their union "
            f"(median; 5 in 100 at most {np.quantile(ious, 0.05):.3f}), scores move by {np.mean(shifts):.4f} (mean), "
            f"{flips} of {len(both)} decisions change, a face in {lost} for one of the two alone{rates}, "
            f"{times[0]:.1f} -> {times[1]:.1f} ms"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--every", type=int, default=8, help="of NUAA, take every so many pictures")
    given = parser.parse_args()
    scorer = Scorer()
    threshold = scorer.card.threshold(scorer.card.default_output, "frame")
    for name, samples in sets_of(named(given.sets), given.every):
        looks: dict[int, list[Look]] = {}
        labels = [sample.label for sample in samples]
        for sample in samples:
            for size, look in scorer.looks(read_picture(Path(sample.path))):
                looks.setdefault(size, []).append(look)
        compare(name, labels, looks, threshold)


if __name__ == "__main__":
    main()
