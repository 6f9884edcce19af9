"""The README and the pages of docs/: their commands and their Python run, in the order of the page, on small data.

A ``bash`` block is run unless the line before it says ``<!-- not run: WHY -->``. A ``python`` block is always run, and
the blocks of a page share their names. A ``csv`` block with a title is a file that lies there. Trainings and
simulations are made small by other numbers; the commands and their paths are those of the page.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.datasets import registry as datasets
from bonaface.export import registry as export
from bonaface.models import registry as models
from bonaface.models import targets
from bonaface.testing.clips import encode_clip
from bonaface.testing.layouts import make_layout
from bonaface.testing.portrait import drawn_portrait

ROOT = Path(__file__).parents[2]
HAVE_THEIR_OWN_TEST = {
    "docs/figures.md": "tests/evaluation/test_figures_page.py",
}
PAGES = sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
# Pages that take over about ten seconds, by what they train and simulate.
# The README takes a minute, and is run by `make test` all the same: it is what everybody tries first.
SLOW = {
    "docs/augmentation.md",
    "docs/howto/simulate.md",
    "docs/models/svm.md",
    "docs/models/timm.md",
    "docs/tutorials/first-check.md",
    "docs/tutorials/own-pictures.md",
}
# Their commands are those of measurements, and too large to run here.
MEASUREMENTS = {"docs/sandbox.md", "docs/scale.md", "docs/simulation.md"}
_BLOCK = re.compile(
    r"(?P<why><!-- not run: [^>]+ -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
# What makes a long work short: a number at most as large as this one. Options that a command lacks are not added.
_AT_MOST = {"--persons": 5, "--phones": 1, "--sessions": 1, "--frames": 1}
_REPLACED = ("--size", "--epochs", "--set batch", "--set bn_batches")
_SMALL_TRAINING = [
    "--size",
    "64",
    "--epochs",
    "1",
    "--micro-batch",
    "4",
    "--set",
    "batch=8",
    "--set",
    "bn_batches=1",
]
_SMALL_SOLVING = ["--size", "64", "--micro-batch", "4"]


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forget afterwards what a page has registered, and what it has downloaded."""
    monkeypatch.setenv("BONAFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
    for module, name in (
        (models, "_entries"),
        (targets, "_makers"),
        (datasets, "_registered"),
        (export, "_formats"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the line where it begins."""

    language: str
    title: str
    text: str
    line: int
    run: bool


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of the page at `page`, a path relative to the repository."""
    text = (ROOT / page).read_text()
    return [
        Block(
            language=match["language"],
            title=match["title"] or "",
            text=re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            line=text[: match.start()].count("\n") + 1,
            run=not match["why"],
        )
        for match in _BLOCK.finditer(text)
    ]


def commands(text: str) -> list[list[str]]:
    """Return the commands of a ``bash`` block as lists of words, without comments."""
    return [
        words
        for line in text.replace("\\\n", " ").splitlines()
        if (words := shlex.split(line, comments=True))
    ]


def made_small(words: list[str]) -> list[str]:
    """Return a command of bonaface that does the same on less: few persons, one epoch, a small input."""
    small: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _AT_MOST and words[0] != "check":  # whose --frames is no number
            small += [word, str(min(int(next(rest)), _AT_MOST[word]))]
        elif words[0] == "train" and word in ("--size", "--epochs", "--set"):
            value = next(rest)
            name = f"{word} {value.partition('=')[0]}" if word == "--set" else word
            small += [] if name in _REPLACED else [word, value]
        else:
            small.append(word)
    if words[0] != "train" or "--resume" in words:
        return small
    solved = words[1] in models.model_names() and models.describe(words[1]).fitted_by_solver
    return [*small, *(_SMALL_SOLVING if solved else _SMALL_TRAINING)]


def runnable(page: str) -> bool:
    """Say whether the page has a block to run and no test of its own."""
    return page not in HAVE_THEIR_OWN_TEST and any(
        block.run and block.language in ("bash", "python") for block in blocks(page)
    )


def score_table(split: str, seed: int) -> str:
    """Return a score table of twelve people as CSV; half of its rows are attacks, and one of test has a dev part."""
    rng = np.random.default_rng(seed)
    rows = ["sample_id,subject,label,species,split,score"]
    for part in {"test": ("dev", "test"), "dev": ("dev",)}[split]:
        for person in range(12):
            bona_fide, attack = rng.uniform(0.3, 1.0), rng.uniform(0.0, 0.6)
            rows.append(f"{part}-{person}-real,{part}-{person},1,,{part},{bona_fide:.3f}")
            rows.append(f"{part}-{person}-print,{part}-{person},0,print-1,{part},{attack:.3f}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def material(
    tmp_path_factory: pytest.TempPathFactory, faces_root: Path, run: Path
) -> Callable[[str, Path], None]:
    """Return what puts the files that pages speak of into a folder, each only where a page names it."""
    stand_ins = tmp_path_factory.mktemp("stand-ins")

    def put(text: str, folder: Path) -> None:
        if "faces/" in text or "faces " in text:
            shutil.copytree(faces_root, folder / "faces")
        if "NUAA" in text:
            if not (stand_ins / "NUAA").exists():
                make_layout("nuaa", stand_ins / "NUAA")
            shutil.copytree(stand_ins / "NUAA", folder / "NUAA")
        if "portraits" in text:
            (folder / "portraits").mkdir()
            for person in range(3):
                Image.fromarray(drawn_portrait(512, seed=person)).save(folder / "portraits" / f"{person}.png")
        if "selfie.jpg" in text:
            Image.fromarray(drawn_portrait(512)).save(folder / "selfie.jpg", quality=95)
        if "clip.avi" in text:
            (folder / "clip.avi").write_bytes(encode_clip([drawn_portrait(256, seed=1)] * 4, ".avi"))
        for number, name in enumerate(("scores.csv", "dev-scores.csv", "ours.csv", "theirs.csv")):
            if re.search(rf"(?<![\w-]){name}", text):
                (folder / name).write_text(score_table("dev" if name.startswith("dev") else "test", number))
        if "runs/first/bundle" in text and "--out runs/first" not in text:
            shutil.copytree(run, folder / "runs" / "first")

    return put


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW)) for page in PAGES if runnable(page)],
)
def test_the_page_runs(
    page: str, material: Callable[[str, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    material("\n".join(block.text for block in found if block.run), tmp_path)
    names: dict[str, object] = {}
    for block in found:
        where = f"{page}, line {block.line}"
        if block.title:
            Path(block.title).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language == "bash" and block.run:
            for program, *words in commands(block.text):
                assert program == "bonaface", (
                    f"{where}: {program} is no command of bonaface; use a text block"
                )
                done = CliRunner().invoke(app, made_small(words), catch_exceptions=False)
                # The exit code of these is what they found.
                allowed = {"check": (0, 1, 3), "doctor": (0, 1)}.get(words[0], (0,))
                assert done.exit_code in allowed, f"{where}: {words}\n{done.output}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_blocks_that_are_run(page: str) -> None:
    """Outside of measurements, a command of bonaface is run by the test above, or its page says why not."""
    text = _BLOCK.sub("", (ROOT / page).read_text())
    assert page in MEASUREMENTS or not re.findall(r"^    bonaface .*$", text, re.MULTILINE)
    assert not [
        block.line for block in blocks(page) if block.language == "text" and "bonaface " in block.text
    ]


def test_a_block_without_a_reason_is_run() -> None:
    assert [block.run for block in blocks("docs/tutorials/papers.md") if block.language == "bash"] == [
        False,
        False,
    ]
    assert all(block.run for block in blocks("docs/tutorials/first-check.md"))


def test_small_commands_keep_their_paths_and_settings() -> None:
    asked = "train bi-fas --data s --size 224 --epochs 6 --set batch=16 --set lr=0.1 --out r"
    kept = "train bi-fas --data s --set lr=0.1 --out r"
    assert made_small(asked.split()) == [*kept.split(), *_SMALL_TRAINING]
    asked = "simulate out --persons 100 --frames 1"
    assert made_small(asked.split()) == ["simulate", "out", "--persons", "5", "--frames", "1"]


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    missing = [page for page in PAGES if page != "README.md" and page.removeprefix("docs/") not in text]
    assert not missing, f"add {missing} to the navigation of mkdocs.yml"


DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    made = {ROOT / "docs/reference/cli.md"}  # by tools/site_pages.py
    found = [(path.parent / target).resolve() for target in targets if target]
    lost = [str(target) for target in found if not target.exists() and target not in made]
    outside = [str(target) for target in found if not target.is_relative_to(ROOT)]
    assert (lost, outside) == ([], [])
    assert "../shared" not in text
