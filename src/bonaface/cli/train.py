"""`bonaface train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bonaface.core.errors import InputError, MissingExtraError
from bonaface.core.paths import is_remote, to_path

if TYPE_CHECKING:
    from bonaface.training.settings import Precision


def train(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="The model's name; see: bonaface models")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            parser=to_path,
            metavar="STORE",
            help="The crop store that `bonaface prepare` made. A path or a URL.",
        ),
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="The protocol; see: bonaface datasets")] = None,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("run"),
    fold: Annotated[str, typer.Option(help="The protocol's fold, where it has several.")] = "",
    preset: Annotated[str | None, typer.Option(help="The model's preset; see: bonaface models NAME")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="efficientnet-lite0, densenet161 or another of timm's by name; random:NAME: without its ImageNet "
            "weights."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the (balanced) training pictures.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the preset or of the network: key=value."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pictures in the network at once on one device; by default the largest part of the batch, up to 16.",
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = "32-true",
    devices: Annotated[int, typer.Option(help="Devices (GPUs, or processes on the CPU) a machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Processes that read and augment crops; with 0 it is done between the steps, which is quickest where "
            "the network learns on the same processor.",
        ),
    ] = 0,
    checkpoint_every: Annotated[int, typer.Option(help="Optimiser steps between checkpoints.")] = 50,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard instead of as CSV.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out where it was stopped.")
    ] = False,
) -> None:
    """Train a model on a protocol of a data set; the run ends in a bundle that check and evaluate use.

    A run that was stopped, even by kill -9, goes on with: bonaface train --resume --out RUN. The same command as before
    with --resume does as well, and starts the run where it was stopped before it had begun.
    """
    try:
        from bonaface.training import fit
        from bonaface.training.settings import RunSettings, choose_preset, parse_changes, read_settings
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", "train", str(error.name)) from error
    if model is None:
        if not resume:
            raise InputError("expected a model's name; bonaface models lists them")
        _refuse_changes(context)
        settings = read_settings(out / fit.RUN)
        _refuse_other_folder(settings.store)
    elif data is None or protocol is None:
        raise InputError("expected --data STORE and --protocol NAME; bonaface datasets lists the protocols")
    else:
        named = {"backbone": backbone, "size": size, "epochs": epochs}
        asked = {key: value for key, value in named.items() if value is not None}
        settings = RunSettings(
            preset=choose_preset(model, preset, {**parse_changes(changes or []), **asked}),
            store=str(data),
            protocol=protocol,
            fold=fold,
            seed=seed,
            micro_batch=micro_batch or 0,
            precision=cast("Precision", precision),  # which the settings check
            devices=devices,
            nodes=nodes,
            accelerator=accelerator,
            workers=workers,
            checkpoint_every=checkpoint_every,
        )
    if fit.is_primary() and _has_own_boxes(settings.store):
        _say(
            "the faces of this store are cut by its set's own boxes (prepare --boxes), but check finds faces by the "
            "detector: its crops, and so its scores, will be somewhat other ones than the model learns and is judged by"
        )
    bundle = fit.train(settings, out, resume=resume, say=_say, tensorboard=tensorboard)
    if fit.is_primary():
        fold_option = f" --fold {settings.fold}" if settings.fold else ""
        typer.echo(
            f"done: {bundle}\nnext: bonaface evaluate {out} --data {settings.store} --protocol {settings.protocol}"
            f"{fold_option}"
        )


def _refuse_changes(context: typer.Context) -> None:
    """Refuse what a run that goes on would not heed: its settings are in its folder."""
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


def _say(sentence: str) -> None:
    import time

    typer.echo(f"{time.strftime('%H:%M:%S')} {sentence}")
