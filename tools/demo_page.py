"""What `tools/demo.sh` shows beside the reports: pictures of the simulated set, and a page that leads to everything.

python tools/demo_page.py pictures DEMO
python tools/demo_page.py page DEMO
"""

import json
from html import escape
from pathlib import Path
from typing import Any

import typer
from PIL import Image

from bonaface.datasets.protocols import find_protocol
from bonaface.datasets.registry import open_dataset
from bonaface.media.video import read_frames

_PERSON = 36  # the first of the test part
_KINDS = ("bona fide", "printer 1", "printer 2", "display 1", "display 2")
# What the reports call by these names: APCER and ACER are those of the worst species.
_FIGURES = {"acer_species": "ACER", "apcer_species": "APCER", "bpcer": "BPCER", "eer": "EER", "auc": "AUC"}
_CHECKED = {"bona-fide.png": "a bona fide presentation", "attack.png": "a print, held before the camera"}
VERDICTS = "verdicts.txt"  # what `bonaface check` said of the two

app = typer.Typer(help=__doc__)


def frame(demo: Path, session: int, phone: int, file: int) -> Image.Image:
    """Return the first frame of a video of the test person."""
    path = demo / "set" / "Test_files" / f"{phone}_{session}_{_PERSON}_{file}.avi"
    _, picture = next(read_frames(path, 1))
    return Image.fromarray(picture)


@app.command()
def pictures(demo: Path) -> None:
    """Write pictures/: a bona fide presentation, an attack, and a sheet with every kind in each session."""
    folder = demo / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    frame(demo, 3, 1, 1).save(folder / "bona-fide.png")
    frame(demo, 3, 1, 2).save(folder / "attack.png")
    rows = [[frame(demo, session, session, file) for file in range(1, 6)] for session in (1, 2, 3)]
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (5 * width, 3 * height))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(image, (column * width, row * height))
    sheet.save(folder / "set.jpg", quality=88)


@app.command()
def page(demo: Path) -> None:
    """Write index.html."""
    reports = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(demo.glob("reports/*/report.json"))
    }
    warning = " ".join(sorted({report.get("warning", "") for report in reports.values()}))
    rows = "".join(_row(name, report) for name, report in reports.items())
    heads = "".join(f"<th>{name}</th>" for name in _FIGURES.values())
    kinds = ", ".join(_KINDS)
    protocols = sorted({report["protocol"] for report in reports.values()})
    meanings = "".join(f"<li>{escape(_meaning(name))}</li>" for name in protocols)
    (demo / "index.html").write_text(
        f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bonaface demo</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd }}
th:first-child, td:first-child {{ text-align: left }} img {{ max-width: 100% }}
.warning {{ background: #b00020; color: #fff; padding: .6rem 1rem; font-weight: bold }}
.checked {{ display: flex; gap: 2rem }} figure {{ margin: 0 }} .checked img {{ height: 20rem }}
pre {{ background: #f4f4f4; padding: .6rem 1rem; overflow-x: auto }}
</style></head><body><p class="warning">{escape(warning)}</p>
<h1>Bonaface demo</h1>
<p>Figures in per cent, on the test persons of each protocol; a click leads to the report with counts, intervals,
curves and the errors' pictures. Its tables are beside it as Markdown, LaTeX, CSV and JSON.</p>
<table><tr><th>report</th>{heads}</tr>{rows}</table>
<p>APCER: attacks that were accepted, of the worst species. BPCER: bona fide presentations that were rejected. ACER: the
mean of the two. EER: where both rates are equal. AUC: how well the scores rank, whatever the threshold.</p>
<ul>{meanings}</ul>
<h2>Two pictures checked</h2>
<p>By <code>bonaface check</code>, with the network that learned more in so short a time.</p>
<div class="checked">{_checked(demo)}</div>
<h2>The simulated set</h2>
<p>One test person, sessions 1 to 3 from above; from the left: {kinds}.</p>
<img src="pictures/set.jpg" alt="frames of the simulated set: {kinds}">
<h2>What next</h2>
<p>With pictures or videos of your own, in <code>MINE/bonafide/PERSON/</code> and
<code>MINE/attack/SPECIES/PERSON/</code>:</p>
<pre>bonaface doctor folder MINE
bonaface prepare folder MINE store
bonaface train bi-fas --data store --protocol split --out run
bonaface evaluate run --data store --protocol split
bonaface check PICTURE --model run</pre>
<p><code>bonaface datasets</code> lists the public sets that can take the place of <code>folder</code>,
<code>bonaface models</code> the networks, and <code>bonaface COMMAND --help</code> says what a command can do.</p>
</body></html>
""",
        encoding="utf-8",
    )


def _row(name: str, report: dict[str, Any]) -> str:
    cells = "".join(f"<td>{100 * report['summary'][figure]['mean']:.1f}</td>" for figure in _FIGURES)
    title = f"{report['system']}, protocol {report['protocol']}"
    return f'<tr><td><a href="reports/{escape(name)}/report.html">{escape(title)}</a></td>{cells}</tr>'


def _meaning(protocol: str) -> str:
    """Return the meaning of a protocol of OULU-NPU, in a sentence."""
    return f"Protocol {protocol}: {find_protocol(open_dataset('oulu-npu').protocols, protocol).description}"


def _checked(demo: Path) -> str:
    """Return the checked pictures, each with its kind and with the verdict of `check`."""
    path = demo / "pictures" / VERDICTS
    said = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    figures = []
    for name, what in _CHECKED.items():
        verdict = next(
            (line.partition(f"{name}: ")[2] for line in said if f"{name}: " in line), "not checked"
        )
        figures.append(
            f'<figure><img src="pictures/{name}" alt="{escape(what)}"><figcaption>{escape(what.capitalize())}.<br>'
            f"Verdict: <strong>{escape(verdict)}</strong></figcaption></figure>"
        )
    return "".join(figures)


if __name__ == "__main__":
    app()
