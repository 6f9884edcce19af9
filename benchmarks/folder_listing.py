"""Measure time and memory of listing a folder of a million files, and of writing and reading its table.

python benchmarks/folder_listing.py [--files 1000000]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.datasets.table import PresentationTable


def main() -> None:
    """Make the files (empty, by subject), list them, split them and print what each step took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1_000_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "set"
        for number in range(files):
            kind = "bonafide" if number % 3 == 0 else f"attack/print-{number % 3}"
            folder = root / kind / f"person-{number // 300:05d}"
            if number % 300 < 3:
                folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:07d}.jpg").touch()
        folders = open_dataset("folder")
        start = _now()
        table = folders.read(root)
        start = _say(f"list {len(table)} rows", start)
        split_rows(table, find_protocol(folders.protocols, "split"))
        start = _say("split", start)
        table.digest()
        start = _say("digest", start)
        table.write(Path(scratch) / "table.parquet")
        start = _say("write", start)
        del table
        PresentationTable.read(Path(scratch) / "table.parquet")
        _say("read", start)


def _say(step: str, start: tuple[float, float]) -> tuple[float, float]:
    clock, processor = (now - before for now, before in zip(_now(), start, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{step}: {clock:.1f} s ({processor:.1f} s of the processor), peak {peak:.2f} GiB", flush=True)
    return _now()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
