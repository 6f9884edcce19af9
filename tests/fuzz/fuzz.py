"""Fuzz a target of `bonaface.testing.fuzzing` with atheris: python tests/fuzz/fuzz.py picture [-max_total_time=20 ...].

What follows the target is for libFuzzer. An input that breaks the target is written to the folder where the program was
started, as crash-*, timeout-* or oom-*: move it to tests/fuzz/corpus/TARGET/, where a test runs it ever after.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bonaface", "PIL"]):
    from bonaface.testing import fuzzing

KEPT = Path(__file__).parent / "corpus"  # KEPT/TARGET/*: what once broke a reader

# A decoder may need 512 MiB by its own limit. 25 seconds: the machine may be busy.
LIMITS = ["-rss_limit_mb=1500", "-timeout=25", "-max_len=65536"]


def main() -> None:
    """Begin with the seeds and with all that was ever found."""
    name, *options = sys.argv[1:]
    target = fuzzing.TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(fuzzing.seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        kept = KEPT / name
        folders = [corpus, *([str(kept)] if kept.is_dir() else [])]
        atheris.Setup([sys.argv[0], *LIMITS, *options, *folders], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
