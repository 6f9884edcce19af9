"""Where a picture or a video comes from: a file, its bytes, or what a pipe brings."""

import os
import select
import stat
from pathlib import Path

from bonaface.core.errors import BonafaceError

_PATIENCE = 3.0  # seconds without a byte after which a pipe is given up
_MAX_PIPE = 1 << 30  # bytes


class MediaError(BonafaceError):
    """A file, or bytes, from which no picture can be read. The message names it and says why."""


def name_of(source: Path | bytes, what: str) -> str:
    """Return what messages call `source`: its path, or "the `what`'s bytes"."""
    return f"the {what}'s bytes" if isinstance(source, bytes) else str(source)


def settled(source: Path | bytes) -> Path | bytes:
    """Return `source` if it is bytes or a regular file, and the content of a pipe as bytes.

    Everything else is refused before it is opened: a device may have no end, and opening a pipe that nobody writes to
    would block for ever.

    Raises:
        MediaError: there is no file, it is a folder, a device or a socket, or nothing comes out of the pipe.
    """
    if isinstance(source, bytes):
        return source
    try:
        mode = source.stat().st_mode
    except FileNotFoundError as error:
        raise MediaError(f"{source}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{source}: cannot be opened ({error})") from error
    if stat.S_ISREG(mode):
        return source
    if stat.S_ISFIFO(mode):
        return _from_pipe(source)
    kind = "a folder" if stat.S_ISDIR(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise MediaError(f"{source}: expected a picture or video file, got {kind}")


def _from_pipe(path: Path) -> bytes:
    try:
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise MediaError(f"{path}: cannot be opened ({error})") from error
    parts: list[bytes] = []
    size = 0
    try:
        while select.select([pipe], [], [], _PATIENCE)[0]:
            part = os.read(pipe, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > _MAX_PIPE:
                raise MediaError(
                    f"{path}: the pipe brings more than {_MAX_PIPE >> 20} MiB; save it as a file first"
                )
    finally:
        os.close(pipe)
    raise MediaError(f"{path}: nothing has come out of this pipe for {_PATIENCE:.0f} s")
