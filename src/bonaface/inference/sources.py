"""What a checker takes: one picture or video in any form that Python has for it, as frames or one clear error."""

import io
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.core.errors import BonafaceError, InputError
from bonaface.core.paths import local_copy, to_path
from bonaface.media.decoder import Decoder
from bonaface.media.frames import Media
from bonaface.media.picture import picture_array
from bonaface.media.source import MediaError

# What can be checked: a path or URL, a file's bytes, an open binary file, a picture.
Source = str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]


class NoFileError(InputError):
    """There is no file to read under a name: none at all, a folder, or one that cannot be fetched from its URL."""


@dataclass(frozen=True)
class Opened:
    """A source whose frames can be read. `name` is what the verdict calls it, `called` what the media's messages do."""

    name: str
    called: str
    media: Media

    def told(self, error: MediaError) -> str:
        """Return the error's message with the name as the caller gave it."""
        return _told(error, self.called, self.name)


def _told(error: MediaError, called: str, name: str) -> str:
    """Return the error's message, which begins with what the media call the file, with `name` in the place of that."""
    message = str(error)
    return f"{name}: {message.removeprefix(f'{called}: ')}" if message.startswith(f"{called}: ") else message


class UnreadableError(BonafaceError):
    """The source is there, and is neither a picture nor a video, or damaged. The message names it as the caller did."""


def name_of(source: object, number: int | None = None) -> str:
    """Return what a verdict calls `source`: its path or file name, else the kind of thing that it is.

    `number` tells those apart that have no name, in a list.
    """
    if isinstance(source, (str, PathLike)):
        return str(fspath(source))
    if isinstance(name := getattr(source, "name", None), str):
        return name
    kind = "bytes"
    if isinstance(source, np.ndarray):
        kind = "array"
    elif isinstance(source, Image.Image):
        kind = "picture"
    elif callable(getattr(source, "read", None)):
        kind = "file"
    return kind if number is None else f"{kind} {number}"


def refuse(source: object, bgr: bool) -> None:
    """Raise the InputError that says what is wrong with `source`, as far as that can be told without reading it."""
    if isinstance(source, np.ndarray):
        _refuse_array(source)
        return
    if bgr:
        raise InputError(
            f"bgr=True says how an array's colours are ordered, and a {type(source).__name__} tells that itself; "
            "leave it out"
        )
    if isinstance(source, (str, PathLike, bytes, bytearray, memoryview, Image.Image)):
        return
    if not callable(getattr(source, "read", None)):
        hint = ""
        if hasattr(source, "numpy"):
            hint = "; turn a tensor into an array (H, W, 3) uint8: tensor.numpy()"
        raise InputError(
            "expected a picture or a video, as a path, bytes, an open binary file, a Pillow picture or an array "
            f"(H, W, 3) uint8 RGB, or a list of them, got a {type(source).__name__}{hint}"
        )
    if getattr(source, "closed", False):
        raise InputError(f"{name_of(source)}: the file is closed; give it while it is open, or give its path")
    if isinstance(source, io.TextIOBase):
        raise InputError(
            f"{name_of(source)}: expected a file that is open in binary mode, got one of text; open it with mode 'rb'"
        )
    if isinstance(source, io.IOBase) and not source.readable():
        raise InputError(f"{name_of(source)}: the file cannot be read, only written; open it with mode 'rb'")


@contextmanager
def opened(source: Source, name: str, bgr: bool, decoder: Decoder, frames: int) -> Iterator[Opened]:
    """Yield `source`, which `refuse` has let pass, with its frames; of a video `frames` evenly spaced ones.

    Raises:
        NoFileError: there is no such file, it is a folder, or it cannot be fetched.
        InputError: a file gives something else than bytes.
        UnreadableError: it cannot be opened as a picture or video.
    """
    with ExitStack() as stack:
        called = ""
        try:
            if isinstance(source, np.ndarray):
                media = _one(np.ascontiguousarray(source[..., ::-1] if bgr else source))
            elif isinstance(source, Image.Image):
                media = _one(picture_array(source, name))
            else:
                data = stack.enter_context(_data(source, name))
                called = str(data) if isinstance(data, Path) else ""
                media = decoder.open(data, frames)
        except MediaError as error:
            raise UnreadableError(_told(error, called, name)) from error
        yield Opened(name, called, media)


@contextmanager
def _data(source: Any, name: str) -> Iterator[Path | bytes]:
    """Yield a path of this machine or the bytes of the file."""
    if isinstance(source, (str, PathLike)):
        with ExitStack() as stack:
            try:
                path = to_path(source if isinstance(source, str) else Path(source))
                here = stack.enter_context(local_copy(path))
            except BonafaceError as error:
                raise NoFileError(str(error)) from error
            try:
                mode = here.stat().st_mode
            except (FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise NoFileError(f"{name}: no such file") from error
            except OSError:  # the reader says why it may not be looked at
                mode = stat.S_IFREG
            if stat.S_ISDIR(mode):
                raise NoFileError(
                    f"{name}: expected a picture or a video, got a folder; give the files in it, or run: "
                    f"bonaface check {name}"
                )
            yield here
        return
    yield bytes(source) if isinstance(source, (bytes, bytearray, memoryview)) else _read(source, name)


def _read(file: Any, name: str) -> bytes:
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # closed since, or opened for writing
        raise InputError(f"{name}: the file cannot be read ({error}); open it with mode 'rb'") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InputError(
            f"{name}: expected a file that is open in binary mode, got one whose read() gives a "
            f"{type(data).__name__}; open it with mode 'rb'"
        )
    return bytes(data)


def _one(picture: NDArray[np.uint8]) -> Media:
    return Media(False, iter([(0, picture)]))


def _refuse_array(picture: NDArray[Any]) -> None:
    if picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8 and picture.size:
        return
    hint = ""
    if picture.size == 0:
        hint = "; it has no pixels"
    elif picture.ndim == 4:
        hint = "; give several pictures as a list: list(array)"
    elif picture.ndim == 2:
        hint = "; repeat a grey picture for the three colours: np.stack([array] * 3, axis=-1)"
    elif picture.ndim == 3 and picture.shape[2] == 4:
        hint = "; leave out the fourth channel: array[..., :3]"
    elif picture.ndim == 3 and picture.shape[0] == 3:
        hint = "; put the channels last: array.transpose(1, 2, 0)"
    elif picture.dtype.kind == "f":
        nan = "it holds NaN; " if np.isnan(picture).any() else ""
        hint = f"; {nan}scale it to 0 ... 255, round it, and make it uint8"
    elif picture.dtype.kind in "iu":
        hint = "; scale it to 0 ... 255 and make it uint8: array.astype(np.uint8)"
    raise InputError(f"expected an array (H, W, 3) uint8 RGB, got {picture.shape} {picture.dtype}{hint}")
