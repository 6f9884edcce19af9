"""The documentation site: its made pages, and what may not be fetched from a network."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool(load_script: Callable[[str], Any]) -> Callable[[str], Any]:
    """Load the script of a name in tools/."""
    return lambda name: load_script(f"tools/{name}.py")


@pytest.mark.parametrize(
    "fetched",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link href="https://example.org/a.css" rel="stylesheet">',
        '<link rel="preconnect" href="//example.org">',
        '<img alt="" src="http://example.org/a.png">',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>a { background: url(https://example.org/a.png) }</style>",
        '<pre class="mermaid">',
    ],
)
def test_finds_what_a_page_would_fetch(tool: Callable[[str], Any], fetched: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f"<html>{fetched}</html>")
    assert len(tool("check_site").fetched_from_elsewhere(tmp_path)) == 1


def test_allows_links_and_files_of_the_site(tool: Callable[[str], Any], tmp_path: Path) -> None:
    page = (
        '<a href="https://example.org">elsewhere</a><script src="a.js"></script>'
        '<link rel="stylesheet" href="a.css"><link rel="canonical" href="https://example.org/">'
    )
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "a.css").write_text("a { background: url(a.png) }")
    assert tool("check_site").fetched_from_elsewhere(tmp_path) == []


def test_refuses_a_folder_without_pages(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/check_site.py", tmp_path], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"found no page" in done.stderr


def test_the_page_of_the_command_line_has_every_command_and_option(tool: Callable[[str], Any]) -> None:
    pytest.importorskip("mkdocs")
    page = tool("site_pages").cli_page()
    for text in (
        "## bonaface check",
        "## bonaface train",
        "`--checkpoint-every",
        "`SPEC.yaml",
        "[default: 20; x>=1]",
    ):
        assert text in page


def test_every_package_has_a_page_with_its_modules(tool: Callable[[str], Any]) -> None:
    pytest.importorskip("mkdocs")
    pages = tool("site_pages")
    assert {"core", "metrics", "training"} <= set(pages.packages())
    assert "::: bonaface.evaluation.render.html\n" in pages.package_page("evaluation")
    assert "::: bonaface.core.records\n" in pages.package_page("core")


@pytest.mark.slow
def test_the_site_is_built_strictly_and_fetches_nothing(tool: Callable[[str], Any], tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tool("check_site").fetched_from_elsewhere(tmp_path) == []
    for page in (
        "reference/cli.html",
        "reference/python/core.html",
        "benchmarks/nuaa.html",
        "report.schema.json",
    ):
        assert (tmp_path / page).is_file()


def test_a_page_of_a_model_gets_the_printed_figures(tool: Callable[[str], Any]) -> None:
    pytest.importorskip("mkdocs")
    table = tool("site_pages").published_table(["cdcn", "cdcn-pp"])
    assert "| 1, II | oulu-npu/3 | CDCN++ | 1.7 ± 1.5 | 2.0 ± 1.2 | 1.8 ± 0.7 |" in table
    assert tool("site_pages").published_table(["patchnet"]) == "Neither paper prints figures of it."


def test_a_page_of_a_model_gets_what_was_measured_on_nuaa(tool: Callable[[str], Any]) -> None:
    """The row of the network with both augmentations, by hand from benchmarks/nuaa.json."""
    pytest.importorskip("mkdocs")
    table = tool("site_pages").measured_table(["deep-pix-bis"])
    kept = json.loads((ROOT / "benchmarks/nuaa.json").read_text())
    of_model = [one for one in kept.values() if one["settings"]["preset"]["model"] == "deep-pix-bis"]
    assert table.count("\n") == 1 + len(of_model)
    for one in of_model:
        eer, interval = one["test"]["eer"]["value"], one["test"]["eer"]["interval"]
        told = f"{100 * eer:.1f} ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})"
        assert f"| {one['settings']['preset']['crop']} |" in table
        assert told in table
    assert tool("site_pages").measured_table(["no-such-model"]) == "It has not been trained on NUAA yet."
