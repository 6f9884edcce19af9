"""A camera of this machine: always its newest frame, however long the last one is worked on (PyAV)."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from bonaface.core.errors import InputError
from bonaface.media.source import MediaError

_PATIENCE = 10.0  # seconds without a frame after which a camera is given up


class Camera:
    """A camera, open as long as the context lasts.

    Args:
        device: its number, from 0; its name or path, as ``/dev/video2``; or a video file, which is played at its own
            speed as a camera would and stands in for one.

    Raises:
        InputError: there is no such camera, or it cannot be opened.
    """

    def __init__(self, device: str) -> None:
        self.name = f"camera {device}"
        self._played = Path(device).is_file()
        self._container = _open(device, self.name, self._played)
        self._newest: VideoFrame | None = None
        self._reason: str | None = None  # why no frame will come any more; empty at a file's end
        self._closed = False
        self._news = Condition()
        self._reader = Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._reader.join(_PATIENCE)
        if not self._reader.is_alive():  # closing it under the reader would crash
            self._container.close()

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the newest frame again and again, (H, W, 3) uint8 RGB; those that come meanwhile are left out.

        Ends with the file that stands in.

        Raises:
            MediaError: the camera was taken away, or gives no frame for ten seconds.
        """
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest is not None or self._reason is not None, _PATIENCE)
                frame, self._newest = self._newest, None
            if frame is not None:
                picture: NDArray[Any] = frame.to_ndarray(format="rgb24")
                yield picture
            elif self._reason == "":
                return
            else:
                raise MediaError(
                    f"{self.name}: {self._reason or f'no frame has come for {_PATIENCE:.0f} s'}; plug it in again"
                )

    def _read(self) -> None:
        reason = ""
        begun = time.monotonic()
        try:
            for frame in decoded(self._container):
                if self._closed:
                    break
                if self._played and frame.time is not None:
                    time.sleep(max(0.0, min(begun + frame.time - time.monotonic(), _PATIENCE)))
                self._tell(frame)
            else:
                reason = "" if self._played else "it gives no more frames"
        except (FFmpegError, OSError) as error:
            reason = f"reading it fails ({_words(error)})"
        with self._news:
            self._reason = reason
            self._news.notify_all()

    def _tell(self, frame: VideoFrame) -> None:
        with self._news:
            self._newest = frame
            self._news.notify_all()


def _open(device: str, name: str, played: bool) -> InputContainer:
    where, form = (device, None) if played else _address(device)
    try:
        container: InputContainer = av.open(where, "r", format=form)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"{name}: it cannot be opened ({_words(error)}); see that it is plugged in and that no other program uses "
            "it, or give its number or name"
        ) from error
    if not container.streams.video:
        container.close()
        raise InputError(
            f"{name}: there is no picture in it; give a camera's number or name, or a video file"
        )
    return container


def _address(device: str) -> tuple[str, str]:
    """Return the name that FFmpeg has for a camera of this system, and its input format.

    Raises:
        InputError: the system numbers no cameras.
    """
    if sys.platform == "darwin":
        return device, "avfoundation"
    if sys.platform == "win32":
        if device.isdigit():
            raise InputError(
                f"camera {device}: Windows has no numbers for cameras; give the camera's name as the device manager "
                "shows it"
            )
        return f"video={device}", "dshow"
    return (f"/dev/video{device}" if device.isdigit() else device), "v4l2"


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def decoded(container: InputContainer) -> Iterator[VideoFrame]:
    """Yield the frames of a video; a damaged packet costs its own alone. Raises FFmpegError where no more come."""
    for packet in container.demux(video=0):
        with suppress(FFmpegError):
            yield from packet.decode()
