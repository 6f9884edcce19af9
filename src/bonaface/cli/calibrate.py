"""`bonaface calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonaface.cli.runtimes import RuntimeOption
from bonaface.core.errors import InputError

if TYPE_CHECKING:
    from bonaface.core.records import Presentation, Score
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.calibration import Calibration


def calibrate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A bundle, a run, or a model's name; default is the one that ships."
        ),
    ],
    bona_fide: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Pictures or videos of your users: [PERSON/]file.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="NEW", help="Folder for the new bundle.", show_default=False)],
    attacks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Attacks, if you have some: SPECIES/[PERSON/]file.", show_default=False
        ),
    ] = None,
    rule: Annotated[
        str,
        typer.Option(metavar="bpcer=SHARE", help="Share of your users' presentations that may be rejected."),
    ] = "bpcer=0.01",
    runtime: RuntimeOption = None,
) -> None:
    """Set a model's threshold anew, on pictures from where it is used, and write a new bundle.

    Thresholds do not carry over from one camera and place to another. Folders name people: pictures of one person
    resemble each other, so many people matter more than many pictures. A stopped calibration goes on where it was.
    """
    from bonaface.core.files import alone, new_folder
    from bonaface.evaluation.operating_point import Rule
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.calibration import calibrate as set_threshold
    from bonaface.inference.calibration import check_rule, write_calibrated

    wanted = Rule.parse(rule)
    bundle = Bundle.open(model)
    full = new_folder(out)
    listed = _listed(bona_fide, attacks)
    check_rule(wanted, sum(row.label for _, row in listed))  # not after hours of scoring
    folders = " and ".join(folder.absolute().name for folder in (bona_fide, attacks) if folder)
    journal = full.with_name(f".{full.name}.scores.part")
    with alone(full.with_name(f".{full.name}.lock.d"), "calibration"):
        rows = _scores(bundle, listed, runtime, journal)
        card, found = set_threshold(bundle.card, rows, wanted, folders)
        write_calibrated(bundle, card, full)
    journal.unlink(missing_ok=True)
    _print(found, bundle, out)


def _listed(bona_fide: Path, attacks: Path | None) -> "list[tuple[Path, Presentation]]":
    """Return file and presentation of everything in both folders.

    Raises:
        InputError: a folder is not there, has nothing to score, or pictures lie beside videos.
    """
    from bonaface.datasets.folder import read_attacks, read_people
    from bonaface.media.kinds import is_video

    listed = []
    for folder, read in ((bona_fide, read_people), (attacks, read_attacks)):
        if folder is None:
            continue
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of pictures or videos, but there is none")
        rows, notes = read(folder)
        for note in notes:
            typer.echo(f"bonaface: {folder}: {note}", err=True)
        if not rows:
            raise InputError(f"{folder}: expected pictures or videos, got none")
        listed += [(folder / row.path, row) for row in rows]
    kinds = {is_video(path) for path, _ in listed}
    if len(kinds) > 1:
        raise InputError(
            "pictures and videos have thresholds of their own, for a video's score is a mean; calibrate with one kind"
        )
    return listed


def _scores(
    bundle: "Bundle", listed: "list[tuple[Path, Presentation]]", runtime: str | None, path: Path
) -> "list[Score]":
    """Return the scores of all presentations, and keep them at `path` as they come."""
    from bonaface.cli.progress import bar
    from bonaface.cli.runtimes import open_runner
    from bonaface.core.files import checksum_of, sha256
    from bonaface.core.records import Score
    from bonaface.inference.bundle import CARD
    from bonaface.inference.checker import load
    from bonaface.inference.journal import Journal
    from bonaface.inference.verdict_journal import file_key

    files = [[str(file), file_key(str(file))[2]] for file, _ in listed]
    journal = Journal(path, {"bundle": sha256(bundle.path / CARD), "files": checksum_of(files)})
    checker = load(bundle.path, runner=open_runner(bundle, runtime), preview=0)
    with bar("presentations") as progress:
        for file, row in listed[len(journal.rows) :]:
            # In a list, a file that is gone has no score, and costs the others nothing.
            (verdict,) = checker([file])
            score = Score(
                sample_id=str(file),
                video_id=str(file),
                frame=0,
                subject=row.subject,
                label=row.label,
                species=row.species,
                split="test",
                score=float("nan") if verdict.score is None else verdict.outputs[bundle.card.default_output],
                response=str(verdict.response),
                outputs=dict(verdict.outputs),
            )
            journal.add([score])
            progress(len(journal.rows), len(listed))
    return journal.rows


def _print(found: "Calibration", bundle: "Bundle", out: Path) -> None:
    before = bundle.card.threshold(found.output, "frame")
    lines = [
        f"{found.bona_fide} bona fide presentations of {found.subjects} people, which say as much as "
        f"{found.effective:.0f} independent ones"
        + (f"; {found.silent} presentations got no score" if found.silent else ""),
        f"threshold {found.threshold:.6g} ({found.output}, {found.point}); before {before:.6g}",
        f"BPCER {_shown(found.errors.bpcer)}",
    ]
    if found.attacks:
        lines += [f"APCER {_shown(found.errors.apcer['pooled'])}, all {found.attacks} attacks"]
        if len(found.errors.per_species) > 1:
            lines += [f"APCER {_shown(figure)}, {name}" for name, figure in found.errors.per_species.items()]
    else:
        lines.append("APCER not known: there were no attacks (--attacks DIR)")
    for line in lines:
        typer.echo(line)
    typer.echo(f"written: {out}\nnext: bonaface check FILE --model {out}; later: bonaface drift {out} SCORES")


def _shown(figure: object) -> str:
    from bonaface.evaluation.error_rates import Figure

    assert isinstance(figure, Figure)
    if figure.value is None or figure.interval is None:
        return "not known"
    low, high = figure.interval
    return (
        f"{100 * figure.value:.2f} % ({figure.errors}/{figure.total}), 95 % interval {100 * low:.2f} to "
        f"{100 * high:.2f} %"
    )
