"""Show that `bonaface import` gives the scores of Silent-Face-Anti-Spoofing as benchmarks/transfer.py computes them.

    python benchmarks/import_minifasnet.py REPOSITORY OUT --pictures FOLDER [--every 40]

REPOSITORY is a checkout of minivision-ai/Silent-Face-Anti-Spoofing, whose code and weights are used in place. Its two
networks are written as ONNX and imported into OUT, a bundle; then both ways score the same faces of every so many
pictures below FOLDER.
"""

import argparse
from pathlib import Path

import numpy as np

from bonaface.face.crop import CropSpec, face_views
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runners import open_runner
from bonaface.media.picture import read_picture
from transfer import MINIFASNET_CROPS, MINIFASNET_SIZE, minifasnet, minifasnet_bundle


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--every", type=int, default=40)
    given = parser.parse_args()
    bundle = minifasnet_bundle(given.repository, given.out)
    detector, specs, faces = Detector(640), [CropSpec.parse(crop) for crop in MINIFASNET_CROPS], []
    for path in sorted(given.pictures.rglob("*.jpg"))[:: given.every]:
        picture = read_picture(path)
        face = find_face(detector.detect(picture), FacePolicy())
        if isinstance(face, Face):
            faces.append(face_views(picture, face, specs, MINIFASNET_SIZE, bundle.card.face.context))
    expected = minifasnet(given.repository).score(faces)
    for runtime in ("onnxruntime", "openvino"):
        found = run_on_views(open_runner(bundle, runtime), bundle.card, faces)["score"]
        moved = np.abs(found - expected)
        print(
            f"{runtime}: {len(faces)} faces, scores from {expected.min():.4f} to {expected.max():.4f}, largest "
            f"difference {moved.max():.2g}"
        )


if __name__ == "__main__":
    main()
