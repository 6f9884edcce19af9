"""10,000 mutated files and 1,000 mutated clips through `bonaface check`: each gets a verdict or its reason.

The program does not crash, is not held up, and no process of it takes more than 500 MiB beside the network's.
"""

import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonaface.testing.clips import encode_clip
from bonaface.testing.fuzzing import seeds
from bonaface.testing.portrait import drawn_portrait

MEBIBYTES = 500
SUFFIXES = (
    ".jpg",
    ".png",
    ".gif",
    ".webp",
    ".tif",
    ".bmp",
    ".avif",
    ".jp2",
    ".mp4",
    ".mov",
    ".avi",
    ".heic",
    "",
)


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` cut off, with flipped bits, or with a part left out, doubled or filled with one byte."""
    changed = bytearray(data)
    first, last = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    kind = rng.integers(5)
    if kind == 0:
        del changed[first:]
    elif kind == 1:
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            changed[place] ^= 1 << rng.integers(8)
    elif kind == 2:
        del changed[first:last]
    elif kind == 3:
        changed[first:first] = changed[first:last]
    else:
        changed[first:last] = bytes([rng.integers(256)]) * (last - first)
    return bytes(changed)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def special(folder: Path) -> None:
    """Make what no mutation makes: bombs, huge headers, things that are no files."""
    head = b"\x89PNG\r\n\x1a\n"
    for side in (8000, 50_000):  # 64 megapixels of nothing in 190 kB, and a header that promises more
        rows = zlib.compress(bytes((3 * 8000 + 1) * 8000), 9) if side == 8000 else b""
        data = (
            head + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows)
        )
        (folder / f"bomb-{side}.png").write_bytes(data + chunk(b"IEND", b""))
    Image.new("RGB", (1, 1)).save(folder / "one.png")
    Image.new("CMYK", (300, 300)).save(folder / "cmyk.jpg")
    (folder / "empty.jpg").touch()
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "locked.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "locked.jpg").chmod(0)


def files(folder: Path, bases: list[bytes], count: int) -> None:
    rng = np.random.default_rng(7)
    folder.mkdir()
    for number in range(count):
        data = mutant(bases[number % len(bases)], rng)
        (folder / f"{number:05}{SUFFIXES[rng.integers(len(SUFFIXES))]}").write_bytes(data)


def face() -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn_portrait(160, seed=1)).save(file, "JPEG")
    return file.getvalue()


def checked(folder: Path, run: Path, *options: str) -> tuple[dict[str, dict], float]:
    """Run `check` on `folder`; the verdicts by name, and the highest memory in MiB of a process of the program."""
    command = [
        sys.executable,
        "-m",
        "bonaface.cli.main",
        "check",
        str(folder),
        "--json",
        "--model",
        str(run),
        *options,
    ]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.2):
                peak = max([peak, *memory(program.pid)])

        watcher = threading.Thread(target=watch)
        watcher.start()
        out, errors = program.communicate()
        ended.set()
        watcher.join()
    assert "Traceback" not in errors, errors
    assert program.returncode in (0, 1, 3), errors
    return {row["path"]: row for row in map(json.loads, out.splitlines())}, peak


def memory(pid: int) -> Iterator[float]:
    """Yield the peak memory in MiB of a process and of all below it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return
    yield from (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    for child in children:
        yield from memory(int(child))


def hold(verdicts: dict[str, dict], folder: Path, peak: float, count: int) -> None:
    assert len(verdicts) >= count
    for row in verdicts.values():
        assert (row["score"] is None) == bool(row["response"])
        assert row["response"] == "" or row["reason"]
        assert "\n" not in row["reason"]
        assert "crash" not in row["reason"], f"{row['path']}: {row['reason']}"
    assert peak < MEBIBYTES


@pytest.mark.slow
def test_mutated_pictures(run: Path, tmp_path: Path) -> None:
    folder, count = tmp_path / "pictures", 10_000
    files(folder, [*seeds("picture"), face()], count)
    special(folder)
    verdicts, peak = checked(folder, run, "--jobs", "2")
    hold(verdicts, folder, peak, count)
    assert verdicts[str(folder / "bomb-50000.png")]["response"] == "unreadable"


@pytest.mark.slow
def test_mutated_clips(run: Path, tmp_path: Path) -> None:
    folder, count = tmp_path / "clips", 1_000
    pictures = [drawn_portrait(96, seed=n) for n in range(4)]
    clips = [encode_clip(pictures, suffix) for suffix in (".mp4", ".avi", ".mkv", ".webm", ".mov")]
    files(folder, [*clips, *seeds("video")], count)
    begun = time.monotonic()
    verdicts, peak = checked(folder, run, "--jobs", "2")
    hold(verdicts, folder, peak, count)
    assert time.monotonic() - begun < 5 * count
