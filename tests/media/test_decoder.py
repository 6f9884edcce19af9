"""A file may crash, block or fill the process that reads it, but not the process that asks."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bonaface.media import decoder as decoding
from bonaface.media.decoder import Decoder
from bonaface.media.frames import open_media, probe_media
from bonaface.media.source import MediaError
from bonaface.testing.clips import encode_clip

NOISE = np.random.default_rng(3).integers(0, 256, (24, 36, 3), np.uint8)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG")
    return file.getvalue()


def child(decoder: Decoder) -> int:
    """Return the idle process, which reads the next file."""
    return decoder._idle[os.getpid()][-1]._child.pid


@pytest.fixture
def decoder() -> Decoder:
    return Decoder()


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make processes die of SIGABRT at the third frame of a file called bomb."""
    script = (
        "import os, sys; sys.path[:] = {path!r}\n"
        "from bonaface.media import decoder, frames\n"
        "def bomb(source, n):\n"
        "    media = frames.open_media(source, n)\n"
        "    if 'bomb' not in str(source): return media\n"
        "    def some():\n"
        "        for i, picture in media.frames:\n"
        f"            if i == 2: open({str(tmp_path / 'deaths')!r}, 'a').write('x'); os.abort()\n"
        "            yield i, picture\n"
        "    return frames.Media(media.moving, some())\n"
        "decoder.open_media = bomb\n"
        "decoder.serve()\n"
    )
    monkeypatch.setattr(decoding, "_START", script)


def test_frames_agree_with_reading_in_this_process(decoder: Decoder, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip([NOISE] * 5, ".mp4"))
    for source in (png(), clip, clip.read_bytes()):
        here, there = open_media(source, 3), decoder.open(source, 3)
        assert here.moving == there.moving
        for (i, one), (j, other) in zip(here.frames, there.frames, strict=True):
            assert i == j
            np.testing.assert_array_equal(one, other)


def test_probe_agrees_with_this_process(decoder: Decoder) -> None:
    animation = io.BytesIO()
    Image.fromarray(NOISE).save(
        animation,
        "GIF",
        save_all=True,
        append_images=[Image.new("RGB", (36, 24), shade) for shade in ("red", "blue")],
    )
    clip = encode_clip([NOISE] * 5, ".mp4")
    for source, codec, frames in (
        (png(), "picture", 1),
        (animation.getvalue(), "picture", 3),
        (clip, "h264", 5),
    ):
        info = decoder.probe(source)
        assert info == probe_media(source)
        assert (info.codec, info.frames, info.width, info.height, info.damage) == (codec, frames, 36, 24, "")
    with pytest.raises(MediaError, match="expected a picture"):
        decoder.probe(b"nothing")


def test_one_process_reads_one_file_after_the_other(decoder: Decoder) -> None:
    decoder.start()
    first = child(decoder)
    for _ in range(3):
        assert len(list(decoder.open(png(), 1).frames)) == 1
        with pytest.raises(MediaError):
            list(decoder.open(b"nothing", 1).frames)
        assert child(decoder) == first


def test_errors_name_the_file_as_the_caller_does(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    with pytest.raises(MediaError, match=r"^a\.jpg: expected a picture"):
        list(decoder.open(Path("a.jpg"), 1).frames)
    for path, says in (
        ("gone.jpg", "there is no such file"),
        (".", "expected a picture or video file, got a folder"),
    ):
        with pytest.raises(MediaError, match=rf"^{path}: {says}"):
            decoder.open(Path(path), 1)


def test_reports_a_crash_and_keeps_the_frames_before_it(
    decoder: Decoder, crashing: None, tmp_path: Path
) -> None:
    bomb, clip = tmp_path / "bomb.mp4", tmp_path / "clip.mp4"
    for path in (bomb, clip):
        path.write_bytes(encode_clip([NOISE] * 6, ".mp4"))
    numbers = []
    with pytest.raises(MediaError, match=r"bomb\.mp4: the decoder crashed over it \(SIGABRT\)"):  # noqa: PT012
        for number, _ in decoder.open(bomb, 6).frames:
            numbers.append(number)
    assert numbers == [0, 1]
    assert (tmp_path / "deaths").read_text() == "xxx"  # three tries: a process may die of something else
    assert len(list(decoder.open(clip, 6).frames)) == 6


def test_a_killed_process_is_replaced_without_an_error(decoder: Decoder) -> None:
    decoder.start()
    os.kill(child(decoder), signal.SIGKILL)
    ((_, picture),) = decoder.open(png(), 1).frames
    np.testing.assert_array_equal(picture, NOISE)


def test_gives_up_a_file_that_takes_too_long(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = (
        "import sys; sys.path[:] = {path!r}\n"
        "from bonaface.media import decoder\n"
        "decoder._PICTURE_SECONDS = 0\n"
        "def busy(source, n):\n"
        "    while True: pass\n"
        "decoder.open_media = busy\n"
        "decoder.serve()\n"
    )
    monkeypatch.setattr(decoding, "_START", script)
    with pytest.raises(MediaError, match="it keeps the decoder busy for too long"):
        decoder.open(png(), 1)


def test_a_picture_that_needs_too_much_memory_is_refused(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import sys; sys.path[:] = {path!r}\n"
        "import numpy as np\n"
        "from bonaface.media import decoder\n"
        "decoder.open_media = lambda source, n: np.ones(1 << 27)\n"  # 1 GiB
        "decoder.serve()\n"
    )
    monkeypatch.setattr(decoding, "_START", script)
    with pytest.raises(MediaError, match="it needs more than 512 MiB of memory; scale it down"):
        decoder.open(png(), 1)


def test_unread_frames_leave_no_process_behind(decoder: Decoder) -> None:
    frames: Any = decoder.open(encode_clip([NOISE] * 6, ".mp4"), 6).frames
    next(frames)
    frames.close()
    assert decoder._idle[os.getpid()] == []
    assert len(list(decoder.open(png(), 1).frames)) == 1


def test_several_threads_have_a_process_each(decoder: Decoder) -> None:
    seen: list[bool] = []

    def work() -> None:
        for _ in range(5):
            ((_, picture),) = decoder.open(png(), 1).frames
            seen.append(bool((picture == NOISE).all()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 15
    assert 1 <= len(decoder._idle[os.getpid()]) <= 3


def test_decoder_process_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from bonaface.media.decoder import Decoder\n"
        "decoder = Decoder(); decoder.start()\n"
        "print(decoder._idle[os.getpid()][0]._child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 20
    while (
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]
    ):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_pickled_decoder_carries_no_processes(
    decoder: Decoder, through_a_pipe: Callable[[Any], Any]
) -> None:
    decoder.start()
    assert through_a_pipe(decoder)._idle == {}
