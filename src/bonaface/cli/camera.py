"""`bonaface check --camera`: a meter in the terminal that follows the newest frames."""

import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonaface.inference.checker import Checker
    from bonaface.inference.verdict import Verdict

_FRAMES = 20  # the newest frames with a score, whose mean the meter shows
_WIDTH = 40


def watch(device: str, checker: "Checker", show: "Callable[[Verdict], None] | None") -> "Verdict":
    """Check the newest frame of a camera until it ends or Ctrl-C comes, and return the verdict on the last frames.

    `show` is called with every frame's verdict; None draws a meter on standard error, if that is a terminal. Where the
    camera fails after frames were checked, the verdict's reason says so.

    Raises:
        InputError: there is no such camera, or it cannot be opened.
        MediaError: it fails before a frame has come.
    """
    from time import monotonic

    from bonaface.media.camera import Camera
    from bonaface.media.source import MediaError

    recent: deque[Verdict] = deque(maxlen=_FRAMES)
    last, failed = None, ""
    begun, frames = monotonic(), 0
    with Camera(device) as camera:
        try:
            for picture in camera.frames():
                last, frames = checker(picture, name=camera.name), frames + 1
                if last.score is not None:
                    recent.append(last)
                if show is not None:
                    show(last)
                elif sys.stderr.isatty():
                    rate = frames / (monotonic() - begun)
                    sys.stderr.write(
                        f"\r{meter(last, summed_up(camera.name, recent, last, checker), rate)}\x1b[K"
                    )
                    sys.stderr.flush()
        except KeyboardInterrupt:
            pass  # how one stops looking: the verdict follows
        except MediaError as error:
            if last is None:
                raise
            failed = str(error)
        finally:
            if show is None and sys.stderr.isatty():
                sys.stderr.write("\n")
    found = summed_up(camera.name, recent, last, checker)
    if not failed:
        return found
    if show is not None:  # which has shown every verdict already
        sys.stderr.write(f"bonaface: {failed}\n")
    return replace(found, reason="; ".join(filter(None, (failed, found.reason))))


def summed_up(name: str, recent: "deque[Verdict]", last: "Verdict | None", checker: "Checker") -> "Verdict":
    """Return the verdict on the newest frames, as on a video of them."""
    from bonaface.core.records import Decision, Response
    from bonaface.inference.verdict import Verdict
    from bonaface.metrics.videos import video_scores

    threshold = checker.thresholds["video"]
    if not recent:
        if last is None:
            reason = "not a single frame came before it was stopped"
            return Verdict(name, Decision.NO_RESPONSE, None, threshold, Response.UNREADABLE, reason, frames=0)
        return replace(last, threshold=threshold)
    scores = [verdict.score for verdict in recent if verdict.score is not None]  # all have one
    score = float(video_scores([0] * len(scores), scores)[0])
    decision = Decision.BONA_FIDE if score >= threshold else Decision.ATTACK
    newest = recent[-1]
    return replace(
        newest,
        decision=decision,
        score=score,
        threshold=threshold,
        outputs={},
        frames=len(recent),
        frames_scored=len(recent),
        frame_scores=(),
    )


def meter(last: "Verdict", over_all: "Verdict", rate: float) -> str:
    """Return the meter's line: a bar up to the score with a mark at the threshold, and what is decided.

    Without a score in the newest frame the bar is empty, and the line says why.
    """
    filled = 0 if last.score is None else round((over_all.score or 0.0) * _WIDTH)
    cells = ["█"] * filled + ["░"] * (_WIDTH - filled)
    cells.insert(round(over_all.threshold * _WIDTH), "|")
    if last.score is None:
        said = f"no response ({last.response})"
    else:
        said = f"{over_all.score:.2f} {over_all.decision}, {over_all.frames} frames"
    return f"{''.join(cells)} {said}, {rate:.0f}/s"
