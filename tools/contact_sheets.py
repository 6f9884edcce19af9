"""Draw the pictures of docs/simulation.md: synthetic persons, and the attacks made with them.

python tools/contact_sheets.py [--out docs/pictures]
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from bonaface.simulate.figure import person_portrait
from bonaface.simulate.light import Picture, mix, to_picture
from bonaface.simulate.pictures import SPECIES, simulate_attack, simulate_bona_fide
from bonaface.simulate.seeds import stream

_LIMIT = 400_000  # bytes


def sheet(pictures: list[Picture], columns: int, side: int) -> Image.Image:
    """Lay out the pictures in rows of `columns`, each scaled to a square of `side` pixels."""
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * side, rows * side), "white")
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(image, (number % columns * side, number // columns * side))
    return whole


def save(image: Image.Image, path: Path) -> None:
    """Save as JPEG of the best quality that stays under the limit."""
    for quality in range(88, 30, -4):
        image.save(path, "JPEG", quality=quality, optimize=True)
        if path.stat().st_size < _LIMIT:
            break
    typer.echo(f"{path}: {path.stat().st_size} bytes, quality {quality}")


def persons(seed: int) -> list[Picture]:
    """Return 55 persons before a grey wall."""
    pictures = []
    for number in range(1, 56):
        portrait = person_portrait(seed, number)
        wall = np.full_like(portrait.light, 0.35)
        assert portrait.alpha is not None
        pictures.append(to_picture(mix(wall, portrait.light, portrait.alpha))[:720, 80:800])
    return pictures


def attacks(seed: int) -> list[Picture]:
    """Return six persons, a row each: a bona fide presentation, then an attack of every species from that picture."""
    pictures = []
    for number in range(1, 7):
        rng = stream(seed, "contact sheet", number)
        photo = simulate_bona_fide(person_portrait(seed, number), rng)
        pictures.append(photo.picture)
        wearer = person_portrait(seed, number + 6)
        pictures += [simulate_attack(photo, rng, species=name, wearer=wearer).picture for name in SPECIES]
    return pictures


def main(
    out: Annotated[Path, typer.Option(help="the folder")] = Path("docs/pictures"),
    seed: Annotated[int, typer.Option(help="of everything")] = 0,
) -> None:
    """Make persons.jpg and attacks.jpg."""
    out.mkdir(parents=True, exist_ok=True)
    save(sheet(persons(seed), 11, 144), out / "persons.jpg")
    save(sheet(attacks(seed), 1 + len(SPECIES), 224), out / "attacks.jpg")


if __name__ == "__main__":
    typer.run(main)
