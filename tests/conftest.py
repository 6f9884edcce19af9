"""Material that several packages' tests share: a small data set of drawn faces, its crop store, a trained run."""

import os
import signal
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bonaface.testing.portrait import drawn_portrait

SUBJECTS = 10


def pytest_configure() -> None:
    """Let Ctrl-C end the programs that tests start: a shell starts what runs in its background without it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `light_package` on each of those that import-linter keeps free of torch, and on cli."""
    if "light_package" in metafunc.fixturenames:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
        (light,) = (
            contract["source_modules"]
            for contract in project["tool"]["importlinter"]["contracts"]
            if "torch" in contract["name"]
        )
        names = [name.removeprefix("bonaface.") for name in light]
        metafunc.parametrize("light_package", [*names, "cli"])


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], Any]:
    """Load a script, named by its path in the project, as a module."""

    def load(path: str) -> Any:
        spec = spec_from_file_location(Path(path).stem, Path(__file__).parents[1] / path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody list a folder called "closed", not even root."""
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def attack_on(portrait: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crude stand-in for a photographed print: soft, pale and bluish. Not a simulated attack."""
    soft = Image.fromarray(portrait).filter(ImageFilter.GaussianBlur(2.5))
    pale = 0.5 * np.asarray(soft, np.float32) + np.array([60, 70, 100], np.float32)
    return pale.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def faces_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of ten drawn people, two pictures a class each, and one picture without a face."""
    root = tmp_path_factory.mktemp("faces")
    for subject in range(SUBJECTS):
        for shot in range(2):
            portrait = drawn_portrait(256, seed=2 * subject + shot)
            for folder, picture in (("bonafide", portrait), ("attack/print-1", attack_on(portrait))):
                path = root / folder / f"person-{subject}" / f"{shot}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)
    Image.new("RGB", (256, 256), (90, 120, 90)).save(root / "bonafide" / "person-0" / "nobody.png")
    return root


@pytest.fixture(scope="session")
def store(faces_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crop store of `faces_root`."""
    from bonaface.datasets.registry import open_dataset
    from bonaface.store.prepare import prepare

    path = tmp_path_factory.mktemp("stores") / "faces"
    prepare(open_dataset("folder").read(faces_root), faces_root, path, workers=1)
    return path


@pytest.fixture(scope="session")
def four_stores(faces_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small crop stores, by name, of the four sets that the field leaves one out of, each of other drawn faces.

    Every set has the subjects 1 to 5 with two pictures of each class: 1 and 2 train, 3 is dev (or trains, where the
    set has no dev), 4 and 5 test.
    """
    from bonaface.core.records import Presentation
    from bonaface.datasets.table import PresentationTable
    from bonaface.store.crop_store import PrepareSettings
    from bonaface.store.prepare import prepare

    def rows(first: int, dev: str, printed: str) -> tuple[Presentation, ...]:
        splits = ("train", "train", dev, "test", "test")
        return tuple(
            Presentation(
                f"{subject}-{kind or 'real'}-{shot}",
                f"{'attack/print-1' if kind else 'bonafide'}/person-{(first + subject) % SUBJECTS}/{shot}.png",
                int(not kind),
                kind,
                subject=str(subject),
                session="3" if split == "test" else "1",
                device="1",
                split=split,
            )
            for subject, split in enumerate(splits, start=1)
            for kind in ("", printed)
            for shot in range(2)
        )

    tables = {
        "oulu-npu": rows(0, "dev", "print-1"),
        "casia-fasd": rows(2, "train", "print-warped"),
        "replay-attack": rows(4, "dev", "print-photo"),
        "msu-mfsd": rows(6, "train", "print-photo"),
    }
    folder, settings = tmp_path_factory.mktemp("four"), PrepareSettings(frames=1, longer_side=320)
    for name, table in tables.items():
        prepare(PresentationTable(name, table), faces_root, folder / name, settings=settings, workers=0)
    return {name: folder / name for name in tables}


@pytest.fixture(scope="session")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small `deep-pix-bis` on the drawn faces."""
    from bonaface.training.fit import train
    from bonaface.training.settings import RunSettings, choose_preset

    changes = {"backbone": "random:efficientnet-lite0", "size": 64, "epochs": 1, "batch": 8, "bn_batches": 2}
    settings = RunSettings(
        choose_preset("deep-pix-bis", None, changes), str(store), "split", micro_batch=4, workers=0
    )
    path = tmp_path_factory.mktemp("runs") / "run"
    train(settings, path)
    return path


@pytest.fixture(scope="session")
def bundle(run: Path) -> Path:
    """The bundle of `run`."""
    return run / "bundle"


@pytest.fixture(scope="session")
def through_a_pipe() -> Callable[[Any], Any]:
    """What another process gets of a value: it is sent through a pipe, as worker processes are sent their work."""

    def travelled(value: Any) -> Any:
        here, there = Pipe()
        with here, there, ThreadPoolExecutor(1) as pool:
            sent = pool.submit(here.send, value)
            assert there.poll(30), sent.exception()
            return there.recv()

    return travelled
