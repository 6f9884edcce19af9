"""Write the page that ties the figures together."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bonaface.core.files import write_text
from bonaface.explain.kept import Entry

_STYLE = (
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem } "
    "img { max-width: 100% } .warning { background: #b00020; color: #fff; padding: .6rem 1rem; font-weight: bold } "
    "figure { margin: 2rem 0 } figcaption { font-size: .9rem }"
)


def write_page(entries: Sequence[Entry], folder: Path, heading: Sequence[str], warning: str = "") -> None:
    """Write index.html into `folder`, whole.

    Args:
        entries: the figures, whose files lie in `folder`, and those that were left out.
        folder: made if it is not there.
        heading: lines above the figures: run, data, threshold.
        warning: comes first of all, if it is not empty.
    """
    out = [f"<li>{escape(one.name)}: {escape(one.left_out)}.</li>" for one in entries if one.left_out]
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures of a run</title>',
        f"<style>{_STYLE}</style></head><body>",
        *([f'<p class="warning">{escape(warning)}</p>'] if warning else []),
        "<h1>Figures of a run</h1>",
        *(f"<p>{escape(line)}</p>" for line in heading),
        *(_figure(entry, heading) for entry in entries if not entry.left_out),
        *(["<h2>Left out</h2><ul>", *out, "</ul>"] if out else []),
        "</body></html>",
    ]
    write_text(folder / "index.html", "\n".join(lines) + "\n")


def _figure(entry: Entry, heading: Sequence[str]) -> str:
    findings = "".join(f"<p>{escape(line)}</p>" for line in entry.findings)
    captions = "".join(f"<li>{escape(line)}</li>" for line in entry.captions)
    said = f"<p>{escape(' '.join(heading))}</p>"
    listed = (
        f"<details><summary>The samples shown</summary>{said}<ul>{captions}</ul></details>"
        if captions
        else said
    )
    picture = f'<img src="{entry.name}.png" alt="{escape(entry.title)}">'
    files = f'<a href="{entry.name}.svg">SVG</a>, <a href="{entry.name}.npz">its arrays</a>'
    below = f"<figcaption>{findings}{listed}{files}</figcaption>"
    return f"<figure><h2>{escape(entry.title)}</h2>{picture}{below}</figure>"
