"""Export a bundle to a format and a precision: the files, what they do to scores and errors, and a page about them."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from bonaface.core.errors import InputError, ModelFileError, UnknownNameError
from bonaface.core.files import new_folder, whole_folder, write_json, write_text
from bonaface.export.format import PRECISIONS, ExportFormat, Precision
from bonaface.export.graph import prune, quantise
from bonaface.export.page import example_text, page_text
from bonaface.export.parity import (
    Parity,
    choose_frames,
    compare_scores,
    read_faces,
    score_faces,
)
from bonaface.export.registry import find_format
from bonaface.face.crop import Views
from bonaface.inference.bundle import Bundle, BundleCard, write_card
from bonaface.inference.preprocess import network_inputs
from bonaface.inference.runners import open_runner
from bonaface.inference.runtime import OnnxRunner
from bonaface.store.crop_store import CropStore

MAX_LOSS = 0.01  # by which APCER or BPCER may grow
CALIBRATE, JUDGE = 200, 1000  # frames at most
PAGE, EXAMPLE, PARITY = "README.md", "example.py", "parity.json"

_SAME = 1e-4  # a score's largest move where nothing is rounded
_FEWEST = 4  # frames to calibrate on, or to judge on


def export_model(
    bundle: Bundle,
    name: str,
    precision: Precision,
    folder: Path,
    store: CropStore | None = None,
    *,
    max_loss: float = MAX_LOSS,
    force: bool = False,
    log: Callable[[str], None] = lambda _: None,
) -> Parity | None:
    """Write `bundle` in the format `name` into `folder`, as a bundle again, and return what that did to its scores.

    Maps are left out, and whatever no score needs; so are the weights for torch. The folder also gets ``parity.json``,
    a page for whoever builds it in, and ``example.py``, which the page shows. It appears as a whole or not at all.

    Args:
        store: gives the crops that int8 is calibrated on and that scores are compared on. Only fp32 does without, and
            is compared on random pictures; there is no `Parity` then.
        max_loss: by how much, as a share, APCER or BPCER may grow at any operating point of any output.
        force: write it also where it loses more than that.
        log: called with a sentence now and then.

    Raises:
        UnknownNameError: there is no such format or precision.
        InputError: the folder holds files or cannot be replaced (`new_folder`), or the store has too few faces.
        ModelFileError: the errors grow by more than `max_loss`, or the network can't be exported.
    """
    about = find_format(name)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if store is None and precision != "fp32":
        raise InputError(
            f"{precision} moves scores, and what that does to errors is judged on the crops of a store: give one with "
            "--data; bonaface prepare makes it of your pictures"
        )
    with whole_folder(new_folder(folder)) as made:
        parity = _make(bundle, about, precision, made, store, log)
        if parity and parity.loss > max_loss and not force:
            raise ModelFileError(_refusal(parity, max_loss, precision))
        _describe(bundle, about, made, name, precision, parity)
    return parity


def _make(
    bundle: Bundle,
    about: ExportFormat,
    precision: Precision,
    made: Path,
    store: CropStore | None,
    log: Callable[[str], None],
) -> Parity | None:
    """Write network and description into the folder `made`, and compare them with `bundle`."""
    card = msgspec.structs.replace(bundle.card, maps=(), files=None)
    calibrate, judge = _faces(bundle, store, precision)
    with TemporaryDirectory() as work:
        network = Path(work) / "pruned.onnx"
        prune(bundle.onnx, network, card.outputs)
        if precision == "int8":
            log(f"calibrating on {len(calibrate)} crops")
            images = [network_inputs(card, calibrate[at : at + 4]) for at in range(0, len(calibrate), 4)]
            quantise(network, Path(work) / "int8.onnx", images)
            network = Path(work) / "int8.onnx"
        about.write(network, made, precision == "fp16")
    write_card(made, card)
    log(f"comparing scores on {len(judge)} crops")
    before = score_faces(OnnxRunner(bundle), bundle.card, judge)
    after = score_faces(open_runner(Bundle.open(made), about.runtime), card, judge)
    if store is None:
        moved = max(float(np.abs(after[output] - before[output]).max()) for output in card.outputs)
        if not moved <= _SAME:
            raise ModelFileError(
                f"on random pictures a score moves by {moved:.2g}, more than {_SAME:g}; the export can't be trusted"
            )
        return None
    return Parity(store.dataset, len(judge), compare_scores(card, _labels(bundle, store), before, after))


def _faces(bundle: Bundle, store: CropStore | None, precision: Precision) -> tuple[list[Views], list[Views]]:
    """Return the faces to calibrate on and those to compare on."""
    card = bundle.card
    if store is None:
        shape = (len(card.views), card.input_size, card.input_size, 3)
        random, shares = np.random.default_rng(0), np.zeros(len(card.views), np.float32)
        return [], [Views(random.integers(0, 256, shape, np.uint8), shares) for _ in range(_FEWEST)]
    calibrate, judge = _frames(bundle, store)
    if len(judge) < _FEWEST or (precision == "int8" and len(calibrate) < _FEWEST):
        raise InputError(
            f"{store.path}: expected at least {_FEWEST} faces to compare on and as many of other people to calibrate "
            f"on, got {len(judge)} and {len(calibrate)}; give a larger store"
        )
    return read_faces(store, card, calibrate if precision == "int8" else []), read_faces(store, card, judge)


def _frames(bundle: Bundle, store: CropStore) -> tuple[list[int], list[int]]:
    return choose_frames(store, bundle.card, CALIBRATE, JUDGE)


def _labels(bundle: Bundle, store: CropStore) -> np.ndarray[Any, np.dtype[np.int64]]:
    frames = _frames(bundle, store)[1]
    return np.array([store.presentations[store.frames[number].presentation].label for number in frames])


def _refusal(parity: Parity, max_loss: float, precision: str) -> str:
    output, point = max(
        ((each, point) for each in parity.outputs for point in each.points), key=lambda pair: pair[1].loss
    )
    rates = " and ".join(
        f"{name} from {before.errors} to {after.errors} of {after.total}"
        for name, (before, after) in (("APCER", point.apcer), ("BPCER", point.bpcer))
        if after.total
    )
    return (
        f"in {precision}, {output.output} at the operating point {point.point} goes in {rates}: "
        f"{100 * point.loss:.2f} percentage points more, and at most {100 * max_loss:.2f} are allowed; take a higher "
        "precision, or write it all the same with --force"
    )


def _describe(
    bundle: Bundle, about: ExportFormat, made: Path, name: str, precision: Precision, parity: Parity | None
) -> None:
    """Write the page, the example, the parity, and the description of where the export comes from."""
    said = {"format": name, "precision": precision, **({"parity": asdict(parity)} if parity else {})}
    card: BundleCard = msgspec.structs.replace(
        bundle.card, maps=(), files=None, provenance={**bundle.card.provenance, "export": said}
    )
    write_card(made, card)
    if parity:
        write_json(made / PARITY, asdict(parity))
    write_text(made / EXAMPLE, example_text(card, about))
    write_text(made / PAGE, page_text(card, about, precision, parity))
