"""Choose the portraits that presentations are simulated from: python benchmarks/portraits.py FACES OUT

FACES has the folders canada/, fairface/, neutral_front/, smiling_front/, sfhq_t2i/ and us_congress/, whose sources and
licences docs/default-model.md names. OUT becomes a folder of links, one picture a person.
"""

import argparse
import sys
from pathlib import Path

SOURCES = ("canada", "fairface", "us_congress", "sfhq_t2i")  # beside the London people

# Synthetic portraits that look like children or adolescents: the sheet they come from = row:columns, row:columns ...
_YOUNG = """
    age_top_10=0:0234679,1:0134579,2:01235689,3:0235678
    age_x_ethnicityxsex1_top_10=0:23678,1:01245678,2:013789,3:013489
    age_x_ethnicityxsex2_top_10=0:02345678,1:12345689,2:034568,3:023579 backgroundcolor_top_9=4:4
    badthings_top_10=0:4,1:2,3:2345,5:12,7:013456789 ethnicity_top_10=2:03,3:01,4:478
    ethnicityxage3_top_10=0:015,1:0257,2:0123479,3:023679,4:12345789,5:0234678
    expression_top_10=0:8,1:015689,2:8,5:5 eyecolor_top_10=3:67,4:8,5:1 eyegaze_top_9=4:5
    facialfeatures_top_9=0:2,2:68 glassesstyle_top_10=0:3 hair_color_top_10=1:125,3:3 hairstyle_top_9=0:257,1:23
    hats_top_10=5:9 jewelry_top_9=0:5 lighting_top_10=0:05,1:1379,5:2,6:3 makeup_top_9=1:2,3:0
    physicalcharacteristics_top_9=3:123458
"""


def young() -> set[str]:
    """Return the names, without suffix, of the synthetic portraits that are left out."""
    sheets = (text.split("=") for text in _YOUNG.split())
    rows = ((sheet, *row.split(":")) for sheet, text in sheets for row in text.split(","))
    return {f"{sheet}_r{row}c{column}" for sheet, row, columns in rows for column in columns}


def link_portraits(faces: Path, out: Path) -> Path:
    """Link one picture a person into `out`: of the London people the neutral face and the smile in turn."""
    missing = [name for name in ("neutral_front", "smiling_front", *SOURCES) if not (faces / name).is_dir()]
    if missing:
        sys.exit(f"{faces}: expected the folders of portraits, and these are missing: {', '.join(missing)}")
    london = sorted((faces / "neutral_front").glob("*.jpg"))
    for number, neutral in enumerate(london):
        person = neutral.stem.partition("_")[0]
        smile = faces / "smiling_front" / f"{person}_08.jpg"
        _link(smile if number % 2 and smile.is_file() else neutral, out / "london" / f"{person}.jpg")
    left_out = young()
    for source in SOURCES:
        for path in sorted((faces / source).glob("*.jpg")):
            if path.stem not in left_out:
                _link(path, out / source / path.name)
    return out


def _link(source: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.unlink(missing_ok=True)  # one that leads nowhere any more
        link.symlink_to(source.resolve())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    link_portraits(given.faces, given.out)
