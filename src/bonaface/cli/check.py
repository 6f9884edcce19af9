"""`bonaface check`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from bonaface.cli.engine import Address
from bonaface.cli.runtimes import RuntimeOption
from bonaface.core.errors import InputError
from bonaface.core.machine import Engine, usable_cores

if TYPE_CHECKING:
    from bonaface.core.records import Decision
    from bonaface.inference.bulk import Tell
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.checker import Checker
    from bonaface.inference.verdict import Verdict
    from bonaface.inference.verdict_journal import VerdictJournal
    from bonaface.jobs.run import Run

Progress = Callable[[int, int], None]

_MANY = 3  # files, from which on a bar is worth its place


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, videos, folders of them, URLs, patterns in quotes ('*.jpg'), or - for standard input."
        ),
    ] = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Check the two pictures that ship with Bonaface, a simulated bona fide presentation and a "
            "simulated attack.",
        ),
    ] = False,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Follow a camera instead of files: its number from 0, its name, or a video that stands in for one. "
            "Ctrl-C ends it.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Bundle, folder of a training run, or a model's name: default, or one that `models NAME --remote` "
            "has fetched. Default: the model that ships.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line instead of text.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a CSV table, one row per file, instead of text.")
    ] = False,
    frames: Annotated[
        bool, typer.Option("--frames", help="Print the score of every frame looked at, too.")
    ] = False,
    heatmap: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Draw where the network saw traces of either class: a .png for one file, a folder for several. A file "
            "without a face gets none.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes that check at the same time. Default: 1, or with --engine ray one for each core.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: processes on this machine; ray: tasks on a Ray cluster, for very many files."
        ),
    ] = "local",
    address: Address = None,
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep the verdicts in this folder as they come, a path or a URL; the same command continues after a "
            "stop.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Score output that decides. Default: the model's first.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Lowest score that is accepted as bona fide. Default: the model's own threshold, set on dev data."
        ),
    ] = None,
    operating_point: Annotated[
        str | None,
        typer.Option(
            metavar="eer|bpcer=SHARE",
            help="Which of the model's own thresholds decides. bpcer=0.01: the one where BPCER was 1 % on dev data. "
            "Default: eer, or the one that a calibrated model names.",
        ),
    ] = None,
    runtime: RuntimeOption = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processor threads of a process. Default: one for each core, shared among --jobs.",
        ),
    ] = None,
) -> None:
    """Decide for each picture or video whether it is bona fide or an attack.

    Exit code: 0 all are bona fide; 1 an attack is among them; 3 something got no response (no face, unreadable, not
    there, left out) and no attack was seen; 2 misuse, and nothing was checked; 4 an internal error.
    """
    from bonaface.cli.verdicts import printer
    from bonaface.inference.bundle import EXAMPLES
    from bonaface.inference.verdict import exit_code
    from bonaface.media.search import search

    if sys.__stdout__ is None:
        raise BrokenPipeError  # closed: verdicts have nowhere to go, as in a pipe that nobody reads
    if threshold is not None and operating_point is not None:
        raise InputError("--threshold and --operating-point both say what decides; give one of them")
    processes = None if engine == "ray" and jobs is None else jobs or 1
    parallel = engine == "ray" or processes != 1
    threads = threads or max(1, usable_cores() // (processes or usable_cores()))
    options = CheckerOptions(model, output, threshold, operating_point, runtime, threads)
    show = printer(as_json, as_csv, frames)
    decisions: set[Decision] = set()

    def tell(verdict: "Verdict") -> None:
        decisions.add(verdict.decision)
        show(verdict)

    names = [*(paths or []), *([str(EXAMPLES)] if example else [])]
    if camera is not None:
        if names or parallel or heatmap or journal:
            raise InputError(
                "--camera follows a camera alone: leave out files, --jobs, --engine, --heatmap and --journal"
            )
        _follow(camera, options, tell, every_frame=as_json or as_csv or frames)
        raise typer.Exit(exit_code(decisions))
    if not names:
        raise InputError(
            "expected a picture, a video or a folder to check, got none; --example has two pictures"
        )
    found = search(names)
    if not found.files:
        raise InputError("; ".join([*found.sentences(), "nothing was checked"]))
    if heatmap is not None:
        options = _drawing(options, heatmap, found.files)
    for sentence in found.sentences():
        typer.echo(f"bonaface: {sentence}", err=True)
    run = _engine(engine, processes, address) if parallel or address is not None else None
    with ExitStack() as stack:
        progress = stack.enter_context(_progress(len(found.files)))
        kept = stack.enter_context(_journal(journal, options, heatmap, parallel, address))
        if run is not None:
            _in_processes(found.files, options, kept, tell, heatmap, progress, run)
        else:
            _in_turn(found.files, options, kept, tell, heatmap, progress)
    code = exit_code(decisions)
    raise typer.Exit(3 if code == 0 and not found.complete else code)


@dataclass(frozen=True)
class CheckerOptions:
    """What a checker is made of, in whatever process."""

    model: Path | None
    output: str | None
    threshold: float | None
    operating_point: str | None
    runtime: str | None
    threads: int
    preview: int = 0

    def open(self) -> "Checker":
        """Return the checker."""
        from bonaface.cli.runtimes import open_runner
        from bonaface.media.decoder import Decoder

        decoder = Decoder()
        decoder.start()  # it gets ready while the network is loaded
        from bonaface.inference.checker import load

        return load(
            self.model,
            output=self.output,
            threshold=self.threshold,
            operating_point=self.operating_point,
            threads=self.threads,
            preview=self.preview,
            runner=open_runner(self.bundle(), self.runtime, self.threads) if self.runtime else None,
            decoder=decoder,
        )

    def bundle(self) -> "Bundle":
        """Return the model's bundle."""
        from bonaface.inference.bundle import DEFAULT_MODEL, Bundle

        return Bundle.open(self.model or DEFAULT_MODEL)


def _engine(engine: Engine, processes: int | None, address: str | None) -> "Run":
    """Return what runs the jobs. Raises InputError for an address without a cluster's engine."""
    from bonaface.jobs.run import choose_engine  # a picture need not wait for what processes need

    return choose_engine(engine, processes, address)


def _in_turn(
    files: list[str],
    options: CheckerOptions,
    journal: "VerdictJournal | None",
    tell: "Tell",
    heatmap: Path | None,
    progress: Progress,
) -> None:
    from bonaface.inference.bulk import check_in_turn

    if "-" in files and sys.stdin is None:
        raise InputError("standard input is closed: leave out -, or give a file or a pipe to it")
    checker = options.open()
    standard_input = {"-": cast(BinaryIO, _StandardInput())}
    sources = [standard_input.get(file, file) for file in files]
    check_in_turn(sources, checker, tell, journal=journal, heat_maps=heatmap, progress=progress)


class _StandardInput:
    """Standard input as a file that is read when its turn comes."""

    name = "-"

    def read(self) -> bytes:
        return sys.stdin.buffer.read()


def _in_processes(
    files: list[str],
    options: CheckerOptions,
    journal: "VerdictJournal | None",
    tell: "Tell",
    heatmap: Path | None,
    progress: Progress,
    run: "Run",
) -> None:
    from bonaface.inference.bulk import check_files

    if "-" in files:
        raise InputError("standard input is one file, which one process reads: leave out --jobs and --engine")
    assert journal is not None, "_journal opens one for processes"
    check_files(files, options, journal, run, tell, heat_maps=heatmap, progress=progress)


def _follow(camera: str, options: CheckerOptions, tell: "Tell", every_frame: bool) -> None:
    """Follow a camera, and tell the verdict on its last frames, or on every frame."""
    from bonaface.cli.camera import watch

    verdict = watch(camera, options.open(), tell if every_frame else None)
    if not every_frame:
        tell(verdict)


def _drawing(options: CheckerOptions, heatmap: Path, files: list[str]) -> CheckerOptions:
    """Return `options` with pictures kept to draw on.

    Raises:
        InputError: the model has no pixel maps, or several files would have one heat map.
    """
    from bonaface.inference.heat_maps import SIDE, is_file_name, refuse_clashes

    card = options.bundle().card
    if not card.maps:
        raise InputError(f"the model {card.model} has no pixel maps to draw; leave out --heatmap")
    if is_file_name(heatmap):
        if len(files) > 1:
            raise InputError(f"{heatmap}: of {len(files)} files, name a folder for their heat maps")
    elif heatmap.suffix and not heatmap.is_dir():
        raise InputError(f"{heatmap}: heat maps are PNG files; end its name with .png, or name a folder")
    else:
        refuse_clashes(heatmap, files)
    return replace(options, preview=SIDE)


@contextmanager
def _journal(
    folder: str | None, options: CheckerOptions, heatmap: Path | None, parallel: bool, address: str | None
) -> "Iterator[VerdictJournal | None]":
    """Yield the journal, or for several processes one in a folder of its own that is deleted afterwards."""
    from tempfile import TemporaryDirectory

    if folder is None and not parallel:
        yield None
        return
    from bonaface.core.files import alone
    from bonaface.core.paths import to_path
    from bonaface.inference.verdict_journal import VerdictJournal

    if folder is None:
        if address is not None:
            raise InputError(
                f"the machines of the cluster {address} need a place for their verdicts: give a folder or URL that all "
                "of them see with --journal"
            )
        with TemporaryDirectory(prefix="bonaface-") as temporary:
            yield VerdictJournal(Path(temporary), {})
        return
    path = to_path(folder).absolute()  # processes on other machines start in other folders
    with alone(path, "journal"):
        yield VerdictJournal(path, _work(options, heatmap))


def _work(options: CheckerOptions, heatmap: Path | None) -> dict[str, str]:
    """Return by name what makes a verdict, so that a journal of something else is not gone on with."""
    from bonaface.core.files import sha256
    from bonaface.inference.bundle import CARD

    bundle = options.bundle()
    return {
        "model": sha256(bundle.path / CARD),
        "output": bundle.card.output(options.output),
        "threshold": str(options.threshold),
        "operating point": str(options.operating_point),
        "runtime": str(options.runtime),
        "heat maps": str(heatmap),
    }


def _progress(files: int) -> "AbstractContextManager[Progress]":
    """Return a bar, for somebody who looks and has to wait."""
    if files < _MANY or not sys.stderr.isatty():
        return nullcontext(lambda _done, _total: None)
    from bonaface.cli.progress import bar

    return bar("files")
