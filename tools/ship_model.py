"""Make the model that ships with the package out of a finished run: python tools/ship_model.py RUN STORE

The bundle in src/bonaface/default_model becomes that of RUN with its weights in half precision (`export/half.py`) and
without the weights for torch. Every score of the run's dev presentations in STORE is compared with that of
the run's own bundle: it refuses where a score moves by more than 0.005 or more than one decision in 1,000 changes.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bonaface.core.errors import BonafaceError
from bonaface.core.files import whole_file
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.export.half import halve_weights
from bonaface.inference.bundle import CARD, DEFAULT_MODEL, ONNX, Bundle, write_card
from bonaface.inference.runtime import OnnxRunner
from bonaface.inference.scoring import ScoredSplit, score_part
from bonaface.store.crop_store import CropStore
from bonaface.training.initial import Initial

MOST = 10 << 20  # bytes of the network's file
LEAST = 200_000  # values of a tensor that is rounded: eight of the last layers, which is what MOST asks for
MOVED, CHANGED = 0.005, 1e-3


def ship(run: Path, store: Path, out: Path = DEFAULT_MODEL) -> tuple[float, float]:
    """Write the shipped bundle; return the largest move of a score and the share of decisions that changed.

    Where it refuses, `out` stays as it was.
    """
    bundle = Bundle.open(run)
    with TemporaryDirectory() as folder:
        made = Path(folder)
        halve_weights(bundle.onnx, made / ONNX, LEAST)
        if (made / ONNX).stat().st_size > MOST:
            raise BonafaceError(f"the network has {(made / ONNX).stat().st_size} bytes, more than {MOST}")
        write_card(made, msgspec.structs.replace(bundle.card, files=None, provenance=_told(bundle)))
        before, after = (_scores(Bundle.open(path), store) for path in (run, made))
        threshold = bundle.card.threshold(bundle.card.default_output, "frame")
        moved = float(np.abs(before - after).max())
        changed = float(((before >= threshold) != (after >= threshold)).mean())
        if moved > MOVED or changed > CHANGED:
            raise BonafaceError(
                f"in half precision a score moves by {moved:.4f} (at most {MOVED}) and {100 * changed:.2f} % of the "
                f"decisions change (at most {100 * CHANGED} %)"
            )
        for name in (ONNX, CARD):
            with whole_file(out / name) as part:
                shutil.copyfile(made / name, part)
    return moved, changed


def _told(bundle: Bundle) -> dict[str, object]:
    """Return what the run says of itself, without what differs from machine to machine.

    Of the runs that it began with, it tells the same under "initial".
    """
    told = {key: value for key, value in bundle.card.provenance.items() if key != "training_seconds"}
    initial = told["settings"].get("initial") or []
    if initial:
        begun = initial if isinstance(initial, list) else [initial]
        told["initial"] = [_told(Initial(**each).open()) for each in begun]
    settings = {key: value for key, value in told["settings"].items() if key not in ("store", "initial")}
    return {**told, "settings": settings}


def _scores(bundle: Bundle, store: Path) -> np.ndarray:
    opened, source = CropStore.open(store), bundle.card.source
    protocol = find_protocol(open_dataset(opened.dataset).protocols, source.protocol)
    split = split_rows(opened.table, protocol, source.fold, bundle.card.seed)
    rows = ScoredSplit(split.dev, "dev", source.protocol, source.fold)
    scored = score_part(opened, rows, bundle.card, OnnxRunner(bundle))
    return np.array([row.score for row in scored if not row.response])


def main() -> int:
    """Read the command line, ship, and say what moved."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("store", type=Path)
    given = parser.parse_args()
    try:
        moved, changed = ship(given.run, given.store)
    except BonafaceError as error:
        print(error, file=sys.stderr)
        return 2
    size = (DEFAULT_MODEL / ONNX).stat().st_size
    print(
        f"{DEFAULT_MODEL / ONNX}: {size / 1e6:.1f} MB, scores move by at most {moved:.5f}, {100 * changed:.2f} % of"
    )
    print("the decisions change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
