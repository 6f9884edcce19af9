"""Reads files in another process, so that no file can crash this one, block it or fill its memory.

FFmpeg and the picture libraries are C code that reads untrusted files; some files crash it (H.264 whose clock steps
back did once). A `Decoder` keeps processes that read with `bonaface.media.frames.open_media` and send the pixels back
through a pipe. A process that dies is replaced, and the error names the file that crashed it.

    request   a line of JSON {"path", "said", "bytes", "frames"}, then so many bytes where there is no path; 0 frames
              ask for what is in the file
    answer    lines of JSON: {"info"}, or {"moving"} and for each frame {"frame", "shape"} with its bytes; then {"end"}
              or {"error"}
"""

import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bonaface.core.errors import BonafaceError, InputError
from bonaface.media.frames import Frames, Media, open_media, probe_media
from bonaface.media.info import MediaInfo
from bonaface.media.kinds import Kind, kind_of
from bonaface.media.source import MediaError, settled

_TRIES = 3  # a process may also die for another reason than the file, such as full memory

# Processor seconds for a picture, animated or not, and for a video; a damaged file can keep a decoder busy for hours.
_PICTURE_SECONDS, _VIDEO_SECONDS = 5, 300
_PICTURE_BYTES = 512 << 20  # of memory, beyond what the process has when it is idle

# glibc would give a picture's memory back after each, and page it in again for the next: two thirds of the time that a
# picture of 640 pixels takes.
_KEPT_BYTES = 16 << 20
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES),
    "MALLOC_MMAP_THRESHOLD_": str(_KEPT_BYTES),
}

_START = "import sys; sys.path[:] = {path!r}; from bonaface.media.decoder import serve; serve()"


class Decoder:
    """Opens files as `open_media` does, each in a process that a file may crash.

    Processes are kept for the next file, one for each file that is read at the same time. It can be used by several
    threads, and after a fork.
    """

    def __init__(self) -> None:
        self._idle: dict[int, list[_Process]] = {}  # by the process that has started them

    def open(self, source: Path | bytes, n: int) -> Media:
        """Open a picture, an animation or a video, of which `n` evenly spaced frames are read.

        Raises:
            MediaError: there is no such file, it is neither, or it crashed the decoder. What is wrong inside is found
                when frames are read.
            InputError: `n` is below 1.
        """
        if n < 1:
            raise InputError(f"the number of frames must be at least 1, got {n}")
        if not sys.executable:  # Python inside another program cannot start itself
            return open_media(source, n)
        source = settled(source)
        answers = self._answers(source, n)
        try:
            moving = next(answers)
        except StopIteration as stop:  # cannot happen: the first answer is this one or an error
            raise BonafaceError("the decoder gave no answer") from stop
        return Media(bool(moving), self._frames(answers))

    def probe(self, source: Path | bytes) -> MediaInfo:
        """Return what is in a picture, an animation or a video; see `bonaface.media.frames.probe_media`.

        Raises:
            MediaError: it cannot be read, or it crashed the decoder.
        """
        if not sys.executable:
            return probe_media(source)
        (info,) = self._answers(settled(source), 0)
        return MediaInfo(**{**info, "keyframes": tuple(info["keyframes"])})

    def start(self) -> None:
        """Start a process now, so that it is ready when the first file comes."""
        if sys.executable:
            self._give_back(_Process())

    def _frames(self, answers: Iterator[Any]) -> Frames:
        yield from answers

    def _answers(self, source: Path | bytes, n: int) -> Iterator[Any]:
        """Yield whether the file moves, then each of its frames once, however often a process dies."""
        told, following = False, 0
        for left in reversed(range(_TRIES)):
            process = self._take()
            whole = False
            try:
                for answer in process.ask(source, n):
                    if isinstance(answer, (bool, dict)):
                        if not told:
                            told = True
                            yield answer
                    elif answer[0] >= following:
                        following = answer[0] + 1
                        yield answer
                whole = True
                return
            except MediaError:
                whole = True
                raise
            except _DiedError as died:
                if not left or died.timed_out:
                    raise MediaError(
                        f"{source if isinstance(source, Path) else 'the bytes'}: {died}"
                    ) from died
            finally:
                if whole:
                    self._give_back(process)
                else:
                    process.end()

    def _take(self) -> "_Process":
        idle = self._idle.setdefault(os.getpid(), [])
        try:
            return idle.pop()
        except IndexError:
            return _Process()

    def _give_back(self, process: "_Process") -> None:
        self._idle.setdefault(os.getpid(), []).append(process)

    def __getstate__(self) -> dict[str, Any]:
        return {"_idle": {}}


class _DiedError(Exception):
    """The process has died while reading a file. `timed_out`: it was ended for working too long on it."""

    def __init__(self, text: str, timed_out: bool) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class _Process:
    """One process that reads files, one after the other."""

    def __init__(self) -> None:
        # Its own session, so that Ctrl-C does not reach it: it ends when its standard input does.
        self._child = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT},
        )
        _widen(self._pipe(self._child.stdout))
        self.end = weakref.finalize(self, _end, self._child, os.getpid())

    def ask(
        self, source: Path | bytes, n: int
    ) -> Iterator[bool | dict[str, Any] | tuple[int, NDArray[np.uint8]]]:
        """Yield whether the file moves, then its frames; with `n` = 0, what is in it.

        Raises:
            MediaError: the file cannot be read. _DiedError: the process has died.
        """
        path, data = (str(source.absolute()), b"") if isinstance(source, Path) else (None, source)
        said = str(source) if path else None
        request = {"path": path, "said": said, "bytes": len(data), "frames": n}
        try:
            _send(self._pipe(self._child.stdin), request, data)
        except OSError as error:
            raise self._died() from error
        while True:
            answer = self._line()
            if "error" in answer:
                raise MediaError(answer["error"])
            if "end" in answer:
                return
            if "moving" in answer:
                yield answer["moving"]
            elif "info" in answer:
                yield answer["info"]
            else:
                yield answer["frame"], self._pixels(answer["shape"])

    def _line(self) -> dict[str, Any]:
        line = self._pipe(self._child.stdout).readline()
        if not line.endswith(b"\n"):
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _pixels(self, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        pixels = np.empty(shape, np.uint8)
        view = pixels.data.cast("B")
        pipe: Any = self._pipe(self._child.stdout)
        if pipe.readinto(view) != len(view):
            raise self._died()
        return pixels

    def _died(self) -> _DiedError:
        status = self._child.wait()
        if status == -signal.SIGXCPU:
            return _DiedError("it keeps the decoder busy for too long; convert it, or scale it down", True)
        why = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        return _DiedError(f"the decoder crashed over it ({why}); it is damaged, or made to do so", False)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def _widen(pipe: IO[bytes]) -> None:
    """Let the pipe hold a megabyte, where Linux can: sending pixels then takes half of the time."""
    if sys.platform != "linux":
        return
    import fcntl  # Unix alone

    with suppress(OSError):  # an administrator may have set a lower limit
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _end(child: "subprocess.Popen[bytes]", owner: int) -> None:
    """Kill the process, unless this process is a fork of the one that started it."""
    if os.getpid() != owner:
        return
    child.kill()
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):  # unsent data has no reader left
            if pipe is not None:
                pipe.close()
    child.wait()


def serve() -> None:
    """Answer requests on standard input until it ends; runs in the decoder's own process."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints would garble the answers
    while line := requests.readline():
        request = json.loads(line)
        source = Path(request["path"]) if request["path"] else requests.read(request["bytes"])
        try:
            _answer(answers, source, request["frames"])
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a library raises is reported, and the next file is read
            name = request["path"] or "the bytes"
            text = str(error) if isinstance(error, BonafaceError) else f"{name}: {_words(error)}"
            _send(answers, {"error": text.replace(request["path"] or "\0", request["said"] or "")})


def _words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"it needs more than {_PICTURE_BYTES >> 20} MiB of memory; scale it down"
    return f"it cannot be read ({type(error).__name__}: {error})"


def _answer(answers: IO[bytes], source: Path | bytes, n: int) -> None:
    _limit(kind_of(source) is Kind.VIDEO)
    if not n:
        _send(answers, {"info": asdict(probe_media(source))})
        _send(answers, {"end": True})
        return
    media = open_media(source, n)
    _send(answers, {"moving": media.moving})
    for number, picture in media.frames:
        _send(
            answers,
            {"frame": number, "shape": picture.shape},
            np.ascontiguousarray(picture).data.cast("B"),
        )
    _send(answers, {"end": True})


def _send(pipe: IO[bytes], message: dict[str, Any], data: "bytes | memoryview" = b"") -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    if data:
        pipe.write(data)
    pipe.flush()


def _limit(video: bool) -> None:
    """Limit the processor time of the next file and, for a picture, the memory.

    A video needs memory for the frames that wait, which FFmpeg bounds.
    """
    import resource  # Unix alone

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + (_VIDEO_SECONDS if video else _PICTURE_SECONDS)
    size = resource.RLIM_INFINITY if video else _data_bytes() + _PICTURE_BYTES
    for kind, wanted in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, size)):
        most = resource.getrlimit(kind)[1]  # what an administrator allows
        resource.setrlimit(kind, (_least(wanted, most, resource.RLIM_INFINITY), most))


def _least(wanted: int, most: int, infinity: int) -> int:
    """Return the lower of two limits, either of which may be `infinity`."""
    return min((limit for limit in (wanted, most) if limit != infinity), default=infinity)


def _data_bytes() -> int:
    """Return how much memory of this process `RLIMIT_DATA` counts, as Linux tells it; a huge number elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, IndexError, ValueError):
        return 1 << 40
    return pages * os.sysconf("SC_PAGE_SIZE")
