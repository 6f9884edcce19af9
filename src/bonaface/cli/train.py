"""`bonaface train`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bonaface.core.errors import InputError, MissingExtraError
from bonaface.core.paths import is_remote, to_path

if TYPE_CHECKING:
    from bonaface.training.settings import Precision, RunSettings

BackboneOption = Annotated[
    str | None,
    typer.Option(
        help="Backbone: efficientnet-lite0, densenet161 or the name of a timm model. "
        "random:NAME starts from random weights."
    ),
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change a setting of the preset or an option of the network: key=value. May be given several times.",
    ),
]
MicroBatchOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of pictures that go through the network at once on one device. Default: the largest part of "
        "the batch, up to 16.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of processes that read and augment crops. 0 does it between the steps, which is fastest if "
        "the network trains on the same processor. Default: 0 on the processor; with a GPU one for each core but one, "
        "and at most 8.",
        show_default=False,
    ),
]


def train(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Name of the model; bonaface models lists the names.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            parser=to_path,
            metavar="STORE",
            help="Crop store made by bonaface prepare; a path or a URL. To train on several sets, give one of each.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Name of the protocol; bonaface datasets lists the names. Several sets have one each: 'oulu-npu/1 + "
            "casia-fasd/overall'."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("run"),
    fold: Annotated[
        str, typer.Option(help="Fold of the protocol, if it has several; of several protocols as '1 + 3'.")
    ] = "",
    preset: Annotated[
        str | None, typer.Option(help="Preset of the model; bonaface models NAME shows the presets.")
    ] = None,
    backbone: BackboneOption = None,
    size: Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Number of passes over the balanced training pictures.")
    ] = None,
    changes: ChangesOption = None,
    initial: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="BUNDLE",
            help="Begin with the weights of this bundle or run and learn further. Of another network over the same "
            "backbone, the backbone alone is taken, and so it is by a model that is fitted by a solver. Given several "
            "times, it takes the mean of their weights; they must have begun with the same ones.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    micro_batch: MicroBatchOption = None,
    precision: Annotated[str, typer.Option(help="Arithmetic: 32-true, bf16-mixed or 16-mixed.")] = "32-true",
    devices: Annotated[
        int, typer.Option(help="Number of devices (GPUs, or processes on the CPU) on each machine.")
    ] = 1,
    nodes: Annotated[int, typer.Option(help="Number of machines.")] = 1,
    accelerator: Annotated[str, typer.Option(help="Kind of device: auto, cpu or gpu.")] = "auto",
    workers: WorkersOption = None,
    checkpoint_every: Annotated[
        int, typer.Option(help="Number of optimiser steps between checkpoints.")
    ] = 50,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard instead of as CSV.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the stopped run in --out.")] = False,
) -> None:
    """Train a model on a protocol of a data set. The run ends in a bundle, which check and evaluate use.

    Continue a run that was stopped, even by kill -9, with: bonaface train --resume --out RUN. The same command as
    before with --resume does as well; it also starts a run that was stopped before it had begun.
    """
    try:
        from bonaface.cli.progress import training_bar
        from bonaface.training import fit
        from bonaface.training.initial import Initial
        from bonaface.training.page import PAGE
        from bonaface.training.settings import RunSettings, choose_preset, parse_changes, read_settings
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", str(error.name)) from error
    if model is None:
        if not resume:
            raise InputError("expected a model's name; bonaface models lists them")
        _refuse_changes(context)
        settings = read_settings(out / fit.RUN)
        for store in settings.stores:
            _refuse_other_folder(store)
    elif not data or protocol is None:
        going_on = f"; to go on with a run, say: bonaface train --resume --out {out}" if resume else ""
        raise InputError(
            f"expected --data STORE and --protocol NAME; bonaface datasets lists the protocols{going_on}"
        )
    else:
        begins = tuple(map(Initial.of, initial or ()))
        named = {"backbone": backbone, "size": size, "epochs": epochs}
        asked = {key: value for key, value in named.items() if value is not None}
        settings = RunSettings(
            preset=choose_preset(model, preset, {**parse_changes(changes or []), **asked}),
            store=str(data[0]) if len(data) == 1 else tuple(map(str, data)),
            protocol=protocol,
            fold=fold,
            seed=seed,
            micro_batch=micro_batch or 0,
            precision=cast("Precision", precision),  # which the settings check
            devices=devices,
            nodes=nodes,
            accelerator=accelerator,
            workers=fit.usual_workers(accelerator, devices) if workers is None else workers,
            checkpoint_every=checkpoint_every,
            initial=begins if len(begins) > 1 else next(iter(begins), None),
        )
    if fit.is_primary() and any(map(_has_own_boxes, settings.stores)):
        _log(
            "this store was made with the set's own face boxes (prepare --boxes), but check finds faces with the "
            "detector; so check will see slightly different crops than training and evaluation did, and its "
            "scores will differ"
        )
    with training_bar() if fit.is_primary() else nullcontext() as show:
        bundle = fit.train(settings, out, resume=resume, log=_log, show=show, tensorboard=tensorboard)
    if fit.is_primary():
        page = out / PAGE
        look = f"look at: {page}\n" if page.is_file() else ""
        typer.echo(f"done: {bundle}\n{look}next: bonaface evaluate {out} {_test_options(settings)}")


def _test_options(settings: "RunSettings") -> str:
    """Return the options with which `evaluate` tests the run; of several sets, on another one."""
    if len(settings.stores) > 1:
        return f"--data STORE --protocol '{settings.protocol} -> DATASET/PROTOCOL'"
    fold_option = f" --fold {settings.fold}" if settings.fold else ""
    return f"--data {settings.store} --protocol {settings.protocol}{fold_option}"


def _refuse_changes(context: typer.Context) -> None:
    """Refuse options that a resumed run would ignore: its settings are in its folder."""
    heeded = {"out", "resume", "tensorboard"}
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in heeded
        and getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise InputError(f"a resumed run keeps the settings that it began with; leave out {', '.join(given)}")


def _refuse_other_folder(store: str) -> None:
    """Refuse to go on where the run's store is not found because its path was a relative one."""
    path = to_path(store)
    if not (is_remote(path) or path.is_absolute() or path.exists()):
        raise InputError(
            f"{store}: this run's store is not here; its path is relative to the folder where the run was begun: "
            "go on from there"
        )


def _has_own_boxes(store: str) -> bool:
    from bonaface.store.crop_store import read_description

    description = read_description(to_path(store))
    return description is not None and bool(description["settings"]["boxes"])


def _log(sentence: str) -> None:
    import time

    typer.echo(f"{time.strftime('%H:%M:%S')} {sentence}")
