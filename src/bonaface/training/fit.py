"""Train a model: from the settings of a run to its bundle."""

import logging
import os
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from bonaface.core.errors import InputError
from bonaface.core.files import alone, holds_files, write_checked_json
from bonaface.core.machine import usable_cores
from bonaface.core.text import encodable
from bonaface.models.base import GradientModel, PadModel, SolverModel
from bonaface.models.registry import create_model
from bonaface.store.joined import Store, digests
from bonaface.training.bundling import write_bundle
from bonaface.training.checkpoint_saver import LAST, CheckpointSaver, ProgressCallback, RandomState
from bonaface.training.data import PadData, open_stores
from bonaface.training.dev import Outcome
from bonaface.training.initial import load_initial
from bonaface.training.memory import keep_freed_memory
from bonaface.training.module import PadModule
from bonaface.training.page import PAGE, write_page
from bonaface.training.progress import Lines, Show
from bonaface.training.settings import RunSettings, read_run, read_settings
from bonaface.training.solving import solve
from bonaface.training.start import check_start, start_linear
from bonaface.training.stopping import StopTogether
from bonaface.training.weights import check_seal

RUN = "run.json"
_READERS = 8
_PACKAGES = (
    "bonaface",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "onnx",
    "onnxruntime",
    "numpy",
    "pillow",
)


def train(
    settings: RunSettings,
    run: Path,
    *,
    resume: bool = False,
    log: Callable[[str], None] = lambda _: None,
    show: Show | None = None,
    tensorboard: bool = False,
) -> Path:
    """Train a model, write its bundle and return the bundle's folder, ``run/bundle``.

    The folder `run` gets ``run.json`` (every setting, versions, counts), ``checkpoints/``, ``history.csv`` (a line an
    epoch), ``losses.csv`` (a line an optimiser step), ``logs/`` and, at the end, ``bundle/``, ``dev_scores.csv`` and
    ``index.html``, the page of the run; and ``features/``, where the model is fitted by a solver. With `resume` a run
    that was stopped continues from its last checkpoint, or from the start where there is none; on one machine with the
    same number of threads it ends in the same weights, bit for bit. A run that has its bundle is finished, and only
    its page is drawn, where it is missing.

    Args:
        log: called with a sentence now and then about the progress of the run.
        show: called with how far it is, several times a second; None: lines to `log`, now and then.
        tensorboard: log for TensorBoard rather than as CSV.

    Raises:
        InputError: the folder has a run already and `resume` is not asked for, or its settings or data differ; its
            name is no UTF-8; or a micro-batch is too small for batch normalisation.
        BonafaceError: the data can't be split, the backbone's weights can't be fetched, or another process is at
            this run.
    """
    if str(run) != encodable(str(run)):
        raise InputError(
            f"{run}: expected a folder whose name is UTF-8, since safetensors opens no other; give another --out"
        )
    store = open_stores(settings)
    data = PadData(store, settings)
    if is_primary():
        _claim(run, settings, store, resume)
    bundle = run / "bundle"
    if resume and bundle.is_dir():  # it is renamed to this as a whole at the very end
        if is_primary():
            log(f"this run is finished, and left as it is: {bundle}")
            if not (run / PAGE).is_file():
                with alone(run, "run"):
                    _draw_page(run, settings, store, data, log)
        return bundle
    if not is_primary():
        return _train(settings, run, store, data, lambda _: None, lambda _: None, tensorboard)
    with alone(run, "run"):
        _train(settings, run, store, data, log, show or Lines(log), tensorboard)
        _draw_page(run, settings, store, data, log)
    return bundle


def _train(
    settings: RunSettings,
    run: Path,
    store: Store,
    data: PadData,
    log: Callable[[str], None],
    show: Show,
    tensorboard: bool,
) -> Path:
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    last = run / LAST
    network = create_model(
        settings.preset.model,
        backbone=settings.preset.backbone,
        size=settings.preset.size,
        pretrained=settings.pretrained and not last.is_file() and not settings.initial,
        **settings.preset.options,
    )
    data.check_landmarks(isinstance(network, GradientModel) and network.learns_depth)
    whole = False  # begins with all of its weights, so that there is none to start otherwise
    if settings.initial and not last.is_file():
        whole = load_initial(network, *settings.initials)
        log(_beginning(network, settings, whole))
    for note in data.split.notes:
        log(note)
    saver = CheckpointSaver(run, settings.checkpoint_every)
    watch = ProgressCallback(log, show, lambda: saver.rows)
    logger = (TensorBoardLogger if tensorboard else CSVLogger)(run, "logs", version="")
    with _quiet():
        trainer = run_trainer(settings, run, [saver, RandomState(), watch, StopTogether()], logger)
        module = PadModule(network, settings) if isinstance(network, GradientModel) else None
        if module:
            _check_micro_batch(module, settings)
            if settings.preset.start == "linear":
                check_start(module.network, settings)
        if isinstance(network, SolverModel):
            network.check_passes(settings.preset.epochs)
        # Written after the checks above, so that a refused run leaves no file; other devices' processes start below.
        if is_primary():
            write_checked_json(run / RUN, _description(settings, store, data))
        if module and settings.preset.start == "linear" and not (last.is_file() or whole):
            start_linear(module.network, settings, run, data, trainer, log, show)
            module = PadModule(module.network, settings)  # so that an average of the weights begins there
        if isinstance(network, SolverModel):
            outcome = solve(network, settings, run, data, trainer, log, show)
        elif module:
            _fit(trainer, module, data, last)
            outcome = saver.outcome
        else:
            raise TypeError(f"{type(network)} is neither a GradientModel nor a SolverModel")
    if is_primary():
        provenance = _provenance(settings, store, outcome)
        write_bundle(run, network, settings, store, data.split.dev, provenance, log, show)
    trainer.strategy.barrier("bundle")
    return run / "bundle"


def _beginning(network: PadModel, settings: RunSettings, whole: bool) -> str:
    """Return a sentence about what weights the run begins with."""
    of = " and of ".join(initial.bundle for initial in settings.initials)
    mean = "the mean of " if len(settings.initials) > 1 else ""
    if whole:
        return f"{network.name} begins with {mean}the weights of {of}"
    return f"{network.name} begins with {mean}the backbone {network.backbone.name} of {of}; all else of it is new"


def _draw_page(
    run: Path, settings: RunSettings, store: Store, data: PadData, log: Callable[[str], None]
) -> None:
    try:
        write_page(run, settings, store, data)
    except Exception as error:  # noqa: BLE001 - the bundle is what the run was for, and it is there
        log(
            f"the page of the run could not be drawn ({type(error).__name__}: {error}); the bundle is whole, and "
            "train --resume draws the page again"
        )


def _check_micro_batch(module: PadModule, settings: RunSettings) -> None:
    """Refuse micro-batches of one picture where batch normalisation would get one value for each channel.

    Raises:
        InputError: batch normalisation would get one value.
    """
    if settings.micro_batch > 1:
        return
    size, probe = settings.preset.size, deepcopy(module).train()
    views = (len(settings.views),) if len(settings.views) > 1 else ()
    try:
        with torch.no_grad(), torch.random.fork_rng():
            probe.network.forward_features(torch.zeros(1, *views, 3, size, size))
    except ValueError as error:
        raise InputError(
            f"{settings.preset.model} at {size} px can't learn from micro-batches of one picture: its coarsest level "
            "has one position, and batch normalisation needs several values; take --micro-batch 2 or more, and a "
            "batch that it divides"
        ) from error


def is_primary() -> bool:
    """Return whether this process is the first device's on the first machine: it alone writes files and prints."""
    # Before there is a trainer, Lightning counts the devices of each machine from 0.
    first_machine = int(os.environ.get("NODE_RANK", "0")) == 0
    return bool(rank_zero_only.rank == 0) and first_machine  # type: ignore[attr-defined]


def _fit(trainer: lightning.Trainer, module: PadModule, data: PadData, last: Path) -> None:
    if last.is_file():
        check_seal(last)
    try:
        with _sigterm_for_lightning_only():
            trainer.fit(module, data, ckpt_path=last if last.is_file() else None, weights_only=True)
    except (SystemExit, RuntimeError) as error:
        # Lightning raises SystemExit with 1 on Ctrl-C, and with 0 on SIGTERM. After SIGTERM the loader's processes may
        # end first, which is a RuntimeError.
        if isinstance(error, SystemExit) or trainer.received_sigterm:
            raise KeyboardInterrupt from error
        raise


@contextmanager
def _sigterm_for_lightning_only() -> Iterator[None]:
    """Remove the program's own SIGTERM handler while Lightning trains.

    Lightning stops between two steps and would call that handler as well; its interrupt at any other moment, as while
    the loader's processes shut down, would leave a traceback.
    """
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    ours = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)


def run_trainer(
    settings: RunSettings, run: Path, callbacks: Sequence[Callback], logger: Logger | bool
) -> lightning.Trainer:
    """Return the Lightning trainer that `settings` ask for, with `run` as its folder.

    Raises:
        InputError: this machine has no such accelerator, not so many devices, or they know no such precision.
    """
    together = settings.devices * settings.nodes > 1
    try:
        trainer = lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="ddp" if together else "auto",
            precision=settings.precision,
            max_epochs=settings.preset.epochs,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.preset.clip or None,
            callbacks=list(callbacks),
            logger=logger,
            default_root_dir=run,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=10,
            use_distributed_sampler=False,
        )
    except (ValueError, ModuleNotFoundError, MisconfigurationException) as error:
        raise InputError(
            f"can't train with accelerator {settings.accelerator}, {settings.devices} device(s), precision "
            f"{settings.precision}: {str(error).strip().splitlines()[0]}"
        ) from error
    if trainer.precision != settings.precision:  # Lightning takes another one with a mere warning
        raise InputError(
            f"can't train in precision {settings.precision} on this accelerator; take {trainer.precision}"
        )
    return trainer


def usual_workers(accelerator: str, devices: int = 1) -> int:
    """Return how many processes had best read crops for each device.

    None where the network trains on the same processor; a GPU waits for the crops without them, so that they are 8, or
    what share of the cores there is.
    """
    on_gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    return min(max((usable_cores() - 1) // devices, 1), _READERS) if on_gpu else 0


def _claim(run: Path, settings: RunSettings, store: Store, resume: bool) -> None:
    description = run / RUN
    if not description.is_file():
        if holds_files(run):
            raise InputError(
                f"{run}: expected a new or empty folder for the run, but it has other files in it"
            )
        return
    if not resume:
        raise InputError(f"{run}: there is a run here already; go on with --resume or choose another folder")
    differences = settings.differences(read_settings(description))
    if differences:
        raise InputError(
            f"{run}: a resumed run keeps its settings, but these differ: {', '.join(differences)}"
        )
    if read_run(description).get("store_digest") != store.digest:
        raise InputError(
            f"{run}: the crop store {' or '.join(settings.stores)} has changed since the run began; prepare it as it "
            "was, or start a new run"
        )


def _description(settings: RunSettings, store: Store, data: PadData) -> dict[str, Any]:
    train, dev = (np.bincount(part.labels, minlength=2).tolist() for part in (data.train, data.dev))
    return {
        "settings": settings.as_dict(),
        "store_digest": store.digest,
        "store_digests": digests(store),
        "frames": {"train": _classes(train), "dev": _classes(dev), "shown_per_epoch": data.shown_per_epoch()},
        "batch_normalisation_sees": settings.micro_batch,
        "notes": list(data.split.notes),
        "threads": torch.get_num_threads(),
        "versions": _versions(),
    }


def _provenance(settings: RunSettings, store: Store, outcome: Outcome) -> dict[str, Any]:
    return {
        "settings": settings.as_dict(),
        "store_digest": store.digest,
        "store_digests": digests(store),
        "best_epoch": outcome.epoch + 1,
        "dev_acer": outcome.acer,
        "dev_loss": outcome.loss,
        "training_seconds": round(outcome.seconds, 1),
        "versions": _versions(),
    }


def _classes(counts: Sequence[int]) -> dict[str, int]:
    return {"attack": counts[0], "bona_fide": counts[1]}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


class _quiet(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Hide Lightning's advice (workers, logging intervals, tips), which is not for the users of a command."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*litlogger|.*tensorboard|.*pynvml")
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
