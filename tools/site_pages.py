"""Pages of the documentation site that are made from the program itself, as an mkdocs hook.

- reference/cli.md: every command and option, from the command line's own help
- reference/python/PACKAGE.md: the public names of a package, from its docstrings
- benchmarks/*.md: the measurements, which live beside the scripts that make them
- the figures of models/*.md: what the papers print, and what was measured on NUAA, in the place of ``<!-- published:
  NAMES -->`` and ``<!-- measured: NAMES -->``
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from bonaface.cli.main import app
from bonaface.evaluation.published import FIGURES, published

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "bonaface"
BENCHMARKS = ROOT / "benchmarks"
_PAPERS = {"a-deeppixbis": "1", "bi-fpnfas": "2"}
_FIGURES = re.compile(r"<!-- (published|measured): ([\w-]+(?:, [\w-]+)*) -->")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the made pages to the navigation: a package or a measurement that is new is there without a line for it."""
    python = [{f"bonaface.{name}": f"reference/python/{name}.md"} for name in packages()]
    _section(config.nav, "Reference").append({"Python": python})
    measured = [{title(path): f"benchmarks/{path.name}"} for path in sorted(BENCHMARKS.glob("*.md"))]
    _section(config.nav, "What was measured").extend(measured)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to the files of the site."""
    files.append(File.generated(config, "reference/cli.md", content=cli_page()))
    for name in packages():
        files.append(File.generated(config, f"reference/python/{name}.md", content=package_page(name)))
    for path in sorted(BENCHMARKS.iterdir()):
        if path.suffix in (".md", ".json", ".yaml"):
            files.append(File.generated(config, f"benchmarks/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Return the page with its tables of figures, and its links between docs/ and benchmarks/ as they lie in the site.

    In the repository the two are neighbours; in the site benchmarks/ lies within what was docs/.
    """
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown.replace("](../docs/", "](../")
    tables = {"published": published_table, "measured": measured_table}
    markdown = _FIGURES.sub(lambda found: tables[found[1]](found[2].split(", ")), markdown)
    return re.sub(r"\]\((?:\.\./)((?:\.\./)*)benchmarks/", r"](\1benchmarks/", markdown)


def published_table(models: Sequence[str]) -> str:
    """Return what the papers print of `models`, as Markdown: per cent, as printed."""
    rows = [row for row in published() if row.system in models]
    if not rows:
        return "Neither paper prints figures of it."
    figures = [name for name in FIGURES if any(name in row.cells for row in rows)]
    head = ("paper, table", "protocol", "printed as", *(f"{name.upper()} %" for name in figures))
    lines = []
    for row in rows:
        tested = f" -> {row.tested_on}" if row.tested_on != row.trained_on else ""
        named = (f"{_PAPERS[row.paper]}, {row.table}", f"{row.trained_on}{tested}", row.printed)
        lines.append((*named, *(row.cells.get(name, "") for name in figures)))
    return _table(head, lines, words=3)


def measured_table(models: Sequence[str]) -> str:
    """Return what was measured of `models` on NUAA (benchmarks/nuaa.json), as Markdown."""
    kept = json.loads((BENCHMARKS / "nuaa.json").read_text()).values()
    lines = []
    for settings, test in ((one["settings"], one["test"]) for one in kept):
        preset = settings["preset"]
        if preset["model"] not in models:
            continue
        name = f"{preset['model']}, {preset['name']}" if len(models) > 1 else preset["name"]
        more = [f"{key} {share:g}" for key, share in preset["augment"].items() if key != "crops" and share]
        more += [f"{preset['epochs']} epochs"] * (preset["epochs"] > 1)
        protocol = f"{settings['protocol']} {settings['fold']}".strip()
        figures = (*(_with_interval(test[rate]) for rate in ("acer", "eer")), f"{test['auc']:.3f}")
        lines.append((name, protocol, preset["crop"], ", ".join(more), *figures))
    if not lines:
        return "It has not been trained on NUAA yet."
    head = ("preset", "protocol", "crop", "more", "ACER % (95 %)", "EER % (95 %)", "AUC")
    return _table(head, sorted(lines), words=4)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], words: int) -> str:
    """Return a table as Markdown, of which the first `words` columns are words and the others figures."""
    rule = ":--- | " * words + "---: | " * (len(head) - words)
    rows = [f"| {' | '.join(map(_cell, line))} |" for line in lines]
    return "\n".join([f"| {' | '.join(head)} |", f"| {rule.strip()}", *rows])


def _with_interval(figure: Mapping[str, Any]) -> str:
    value, interval = f"{100 * figure['value']:.1f}", figure["interval"]
    return f"{value} ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})" if interval else value


def packages() -> list[str]:
    """Return the names of Bonaface's packages that have a page, in alphabetical order."""
    return sorted(path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name != "cli")


def package_page(name: str) -> str:
    """Return the Markdown page of the package `name`: what it is for, and every public module of it."""
    lines = [f"# bonaface.{name}", ""]
    for path in sorted((SOURCE / name).rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        if not path.stem.startswith("_") or path.stem == "__init__":
            lines += [f"::: {module}", ""]
    return "\n".join(lines)


def cli_page() -> str:
    """Return the Markdown page of the command line: each command with its help, arguments and options."""
    lines = [
        "# Command line",
        "",
        "This page is made from the program's own help. Exit codes: 0 when all went well, 2 for misuse or bad input, "
        "4 for an error of Bonaface's own, 130 when the command was stopped. `check` and `benchmark` also use 1, and "
        "`check` 3.",
    ]
    program: Any = typer.main.get_command(app)  # Typer keeps the classes of commands to itself
    for name, command in sorted(program.commands.items()):
        context = command.make_context(f"bonaface {name}", [], resilient_parsing=True)
        usage = command.get_usage(context).removeprefix("Usage: ")
        lines += ["", f"## bonaface {name}", "", _paragraphs(command.help), "", f"    {usage}", ""]
        records = [parameter.get_help_record(context) for parameter in command.params]
        lines += ["| argument or option | meaning |", "| :--- | :--- |"]
        lines += [f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in filter(None, records)]
    return "\n".join(lines) + "\n"


def title(path: Path) -> str:
    """Return the first heading of a Markdown file."""
    return path.read_text().partition("\n")[0].removeprefix("# ")


def _section(nav: Any, name: str) -> Any:
    """Return the list under the heading `name`, at any depth of the navigation."""
    for entry in nav:
        for heading, inside in entry.items() if isinstance(entry, dict) else ():
            if heading == name and isinstance(inside, list):
                return inside
            if isinstance(inside, list) and (found := _section(inside, name)) is not None:
                return found
    return None


def _paragraphs(help_text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in help_text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
