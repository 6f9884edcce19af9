"""Draw as SVG what a report shows of kinds, people and videos: bars of errors, strips of scores, scores over time."""

from bonaface.evaluation.details import SubjectScores, VideoScores
from bonaface.evaluation.error_rates import Errors, Figure
from bonaface.evaluation.render.canvas import (
    BLACK,
    BOTTOM,
    COLOURS,
    GREY,
    TOP,
    Frame,
    bar,
    dot,
    line,
    round_ticks,
    text,
)
from bonaface.evaluation.render.svg import SCORE

_ROW = 24
_NAME = 150  # the room for names, left of the plot
_LETTERS = 20  # that fit in there


def bars_svg(errors: Errors, highest: float) -> str:
    """Draw BPCER and each species' APCER as bars with their 95 % intervals; the axis reaches the share `highest`."""
    rows = [("BPCER (bona fide)", errors.bpcer, COLOURS[0])]
    rows += [(f"APCER {name}", figure, COLOURS[1]) for name, figure in errors.per_species.items()]
    known = [(name, figure, fill) for name, figure, fill in rows if figure.value is not None]
    frame = _rows_frame(len(known))
    ticks = round_ticks(0.0, highest, beyond=highest < 1)
    parts = frame.begin(
        "BPCER and APCER of each species with 95 % intervals",
        [(COLOURS[0], "bona fide rejected"), (COLOURS[1], "attacks accepted"), (BLACK, "95 % interval")],
    )
    for share in ticks:
        parts += frame.tick_across(frame.across(share / ticks[-1]), f"{100 * share:.10g}", grid=True)
    for number, (name, figure, fill) in enumerate(known):
        middle = TOP + _ROW * (number + 0.5)
        parts.append(_row_name(frame, middle, name))
        parts += _one_bar(frame, middle, name, figure, fill, ticks[-1])
    parts.append(frame.axis_titles("% at the threshold"))
    return "".join([*parts, "</svg>"])


def strips_svg(subjects: tuple[SubjectScores, ...], threshold: float, limits: tuple[float, float]) -> str:
    """Draw each subject's scores as a row of dots, the subjects with the most errors first; errors are drawn large.

    `limits` are the ends of the axis of scores.
    """
    frame = _rows_frame(len(subjects))
    low, high = limits
    parts = frame.begin(
        "Scores of each subject, and the threshold",
        [(COLOURS[0], "bona fide"), (COLOURS[1], "attacks"), (BLACK, "threshold")],
    )
    for score in round_ticks(low, high):
        parts += frame.tick_across(frame.across((score - low) / (high - low)), f"{score:.10g}", grid=True)
    for number, one in enumerate(subjects):
        middle = TOP + _ROW * (number + 0.5)
        parts.append(_row_name(frame, middle, one.subject, f" {one.errors}/{_total(one)}"))
        for scores, fill, up in ((one.attacks, COLOURS[1], 4), (one.bona_fide, COLOURS[0], -4)):
            for score in scores:
                wrong = (score >= threshold) != (fill == COLOURS[0])
                x = frame.across((score - low) / (high - low))
                told = f"{one.subject}: {score:.4g}{', wrong' if wrong else ''}"
                parts.append(dot(x, middle + up, fill, told, 4 if wrong else 2, 0.9 if wrong else 0.45))
    x = frame.across((threshold - low) / (high - low))
    parts.append(line([(x, frame.up(0)), (x, frame.up(1))], BLACK, f"threshold {threshold:.6g}", "6 3"))
    parts.append(frame.axis_titles(SCORE))
    return "".join([*parts, "</svg>"])


def video_svg(video: VideoScores, threshold: float, limits: tuple[float, float]) -> str:
    """Draw a video's score frame by frame, its own score and the threshold; `limits` end the axis of scores."""
    frame, (low, high) = Frame(height=220), limits
    first, last = video.frames[0], max(video.frames[-1], video.frames[0] + 1)
    fill = COLOURS[0] if video.label else COLOURS[1]

    def x(number: float) -> float:
        return frame.across((number - first) / (last - first))

    def y(score: float) -> float:
        return frame.up((score - low) / (high - low))

    kind = "bona fide" if video.label else video.species
    parts = frame.begin(
        f"Score over time of {video.id}", [(fill, kind), (GREY, "the video's score"), (BLACK, "threshold")]
    )
    for score in round_ticks(low, high):
        parts += frame.tick_up(y(score), f"{score:.10g}", grid=True)
    for number in round_ticks(first, last):
        if number == round(number):
            parts += frame.tick_across(x(number), f"{number:.0f}")
    ends = [frame.across(0), frame.across(1)]
    parts.append(line([(end, y(threshold)) for end in ends], BLACK, f"threshold {threshold:.6g}", "6 3"))
    parts.append(line([(end, y(video.score)) for end in ends], GREY, f"the video's score {video.score:.6g}"))
    for stretch in _stretches(video):
        parts.append(line([(x(number), y(score)) for number, score in stretch], fill))
        parts += [dot(x(n), y(score), fill, f"frame {n}: {score:.4g}") for n, score in stretch]
    parts.append(frame.axis_titles("frame", "score"))
    return "".join([*parts, "</svg>"])


def _rows_frame(rows: int) -> Frame:
    return Frame(height=TOP + BOTTOM + _ROW * max(rows, 1), left=_NAME)


def _row_name(frame: Frame, middle: float, name: str, behind: str = "") -> str:
    """Return the name of a row, left of it; of a long one its end, which tells more than its beginning."""
    room = _LETTERS - len(behind)
    short = name if len(name) <= room else f"…{name[1 - room :]}"
    return text(frame.left - 6, middle + 4, short + behind, "end")


def _one_bar(frame: Frame, middle: float, name: str, figure: Figure, fill: str, top: float) -> list[str]:
    share = figure.value or 0.0
    start, end = frame.across(0), frame.across(share / top)
    counts = f", {figure.errors} of {figure.total}" if figure.total else ""
    parts = [bar(start, middle - 8, max(end - start, 0.5), 16, fill, f"{name}: {100 * share:.2f} %{counts}")]
    if figure.interval:
        low, high = (frame.across(bound / top) for bound in figure.interval)
        parts.append(line([(low, middle), (high, middle)], BLACK, "95 % interval"))
        parts += [line([(x, middle - 4), (x, middle + 4)], BLACK) for x in (low, high)]
    return parts


def _total(subject: SubjectScores) -> int:
    return subject.bona_fide_total + subject.attacks_total


def _stretches(video: VideoScores) -> list[list[tuple[int, float]]]:
    """Return the frames with their scores, cut where a frame got no response."""
    found: list[list[tuple[int, float]]] = [[]]
    for number, score in zip(video.frames, video.scores, strict=True):
        if score is None:
            found.append([])
        else:
            found[-1].append((number, score))
    return [stretch for stretch in found if stretch]
