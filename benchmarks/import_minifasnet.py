"""Show that `bonaface import` gives the scores of Silent-Face-Anti-Spoofing as benchmarks/transfer.py computes them.

    python benchmarks/import_minifasnet.py REPOSITORY OUT --pictures FOLDER [--every 40]

REPOSITORY is a checkout of minivision-ai/Silent-Face-Anti-Spoofing, whose code and weights are used in place. Its two
networks are written as ONNX and imported into OUT, a bundle; then both ways score the same faces of every so many
pictures below FOLDER.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from bonaface.export.foreign import ForeignInput, ScoreRule, import_network
from bonaface.face.crop import CropSpec, face_views
from bonaface.face.detect import Detector, Face
from bonaface.face.find import FacePolicy, find_face
from bonaface.inference.bundle import Bundle
from bonaface.inference.preprocess import run_on_views
from bonaface.inference.runners import open_runner
from bonaface.media.picture import read_picture
from transfer import minifasnet, minifasnet_networks

SIZE, CROPS = 80, ("box-2.7", "box-4.0")


def imported(repository: Path, out: Path) -> Bundle:
    """Write both networks as ONNX, and return the bundle that `bonaface import` makes of them."""
    with TemporaryDirectory() as folder:
        files = []
        for network, crop in zip(minifasnet_networks(repository), CROPS, strict=True):
            files.append(Path(folder) / f"minifasnet-{crop}.onnx")
            torch.onnx.export(
                network,
                (torch.zeros(2, 3, SIZE, SIZE),),
                str(files[-1]),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        taken = ForeignInput(SIZE, CROPS, "bgr", 255.0)
        return import_network(files, out, taken, ScoreRule.parse("softmax:1"), name="minifasnet")


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
    bundle = imported(given.repository, given.out)
    detector, specs, faces = Detector(640), [CropSpec.parse(crop) for crop in CROPS], []
    for path in sorted(given.pictures.rglob("*.jpg"))[:: given.every]:
        picture = read_picture(path)
        face = find_face(detector.detect(picture), FacePolicy())
        if isinstance(face, Face):
            faces.append(face_views(picture, face, specs, SIZE, bundle.card.face.context))
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
