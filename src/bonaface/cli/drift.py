"""`bonaface drift`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bonaface.inference.drift import Drift


def drift(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A bundle that bonaface calibrate has written.")
    ],
    scores: Annotated[
        Path,
        typer.Argument(
            help="Scores of presentations by this model: what check --json printed, or any score table; only a "
            "score is "
            "needed. Attacks are left out, where a label tells them."
        ),
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Column of the table for one of ours: OURS=THEIRS. May be given several times."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="OUT.svg", help="Draw both histograms as SVG.", show_default=False),
    ] = None,
) -> None:
    """Tell whether today's scores still look like those of the calibration.

    By Kolmogorov and Smirnov's test, permuting people where they are named. Exit code: 0 they do; 1 they have
    drifted (p below 0.01, and distance at least 0.1): look into it, and calibrate anew; 2 misuse.
    """
    from bonaface.core.errors import InputError
    from bonaface.core.files import write_text
    from bonaface.evaluation.formats import parse_mapping
    from bonaface.evaluation.render.svg import histogram_svg
    from bonaface.evaluation.scores_alone import read_scores
    from bonaface.inference.bundle import Bundle
    from bonaface.inference.drift import compare_with_calibration

    if plot and plot.suffix != ".svg":
        raise InputError(f"{plot}: the histograms are drawn as SVG; end its name with .svg")
    card = Bundle.open(model).card
    found = compare_with_calibration(card, *read_scores(scores, parse_mapping(mapping or [])))
    _print(found)
    if plot:
        write_text(plot, histogram_svg(found.histogram, found.threshold))
        typer.echo(f"written: {plot}")
    raise typer.Exit(1 if found.found else 0)


def _print(found: "Drift") -> None:
    from bonaface.inference.drift import DISTANCE

    test, counts = found.test, found.histogram.counts
    for line in _histogram(found):
        typer.echo(line)
    then, today = (100 * share for share in found.rejected)
    typer.echo(
        f"\n{found.then} scores of the calibration, {found.today} of today\n"
        f"distance {test.distance:.3f} (at score {test.at:.4f}), p = {test.p:.2g}\n"
        f"a score of today is below one of the calibration with probability {test.lower:.3f} (0.5: as often as above)\n"
        f"below the threshold {found.threshold:.4f}: {then:.2f} % then, {today:.2f} % today"
    )
    assert len(counts) == 2, "calibration and today"
    typer.echo(
        "the scores HAVE DRIFTED: calibrate anew, after finding out why (camera, light, people, attacks)"
        if found.found
        else "no drift: the scores look like those of the calibration"
    )
    if not found.found and found.least > DISTANCE:
        typer.echo(
            f"so few scores can show a distance of {found.least:.2f} or more at best, and {DISTANCE:g} matters: "
            "compare more of them, or calibrate with more"
        )


def _histogram(found: "Drift") -> list[str]:
    """Return both histograms side by side, as shares of each sample."""
    width, edges = 28, found.histogram.edges
    shares = {
        name: [n / max(sum(counts), 1) for n in counts] for name, counts in found.histogram.counts.items()
    }
    highest = max(max(values) for values in shares.values())
    lines = [f"{'score':>13}  {'calibration':<{width}}  today"]
    for at, (then, today) in enumerate(zip(*shares.values(), strict=True)):
        bars = ["#" * round(width * value / highest) for value in (then, today)]
        lines.append(f"{edges[at]:.3f}-{edges[at + 1]:.3f}    {bars[0]:<{width}}  {bars[1]}".rstrip())
    return lines
