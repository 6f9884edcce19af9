"""Write figures into a folder: a PNG and the arrays of each, and a page that ties them together."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from bonaface.core.files import whole_file, write_text
from bonaface.explain.figures import Figure

_STYLE = (
    "body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem } "
    "img { max-width: 100% } .warning { background: #b00020; color: #fff; padding: .6rem 1rem; font-weight: bold } "
    "figure { margin: 2rem 0 } figcaption { font-size: .9rem }"
)


def write_page(
    figures: Sequence[Figure], folder: Path, heading: Sequence[str], warning: str = ""
) -> list[Path]:
    """Write NAME.png and NAME.npz of each figure and index.html into `folder`, each whole; return their paths.

    Args:
        figures: what to write.
        folder: made if it is not there; files of the same names are replaced.
        heading: lines above the figures: run, data, threshold.
        warning: comes first of all, if it is not empty.
    """
    paths = []
    for figure in figures:
        picture, arrays = folder / f"{figure.name}.png", folder / f"{figure.name}.npz"
        with whole_file(picture) as part:
            figure.image.save(part, "PNG")
        with whole_file(arrays) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **figure.arrays)
        paths += [picture, arrays]
    page = folder / "index.html"
    write_text(page, _page(figures, heading, warning))
    return [*paths, page]


def _page(figures: Sequence[Figure], heading: Sequence[str], warning: str) -> str:
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures of a run</title>',
        f"<style>{_STYLE}</style></head><body>",
        *([f'<p class="warning">{escape(warning)}</p>'] if warning else []),
        "<h1>Figures of a run</h1>",
        *(f"<p>{escape(line)}</p>" for line in heading),
        *(_figure(figure, heading) for figure in figures),
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def _figure(figure: Figure, heading: Sequence[str]) -> str:
    findings = "".join(f"<p>{escape(line)}</p>" for line in figure.findings)
    captions = "".join(f"<li>{escape(line)}</li>" for line in figure.captions)
    said = f"<p>{escape(' '.join(heading))}</p>"
    listed = (
        f"<details><summary>The samples shown</summary>{said}<ul>{captions}</ul></details>"
        if captions
        else said
    )
    picture = f'<img src="{figure.name}.png" alt="{escape(figure.title)}">'
    arrays = f'<a href="{figure.name}.npz">its arrays</a>'
    below = f"<figcaption>{findings}{listed}{arrays}</figcaption>"
    return f"<figure><h2>{escape(figure.title)}</h2>{picture}{below}</figure>"
