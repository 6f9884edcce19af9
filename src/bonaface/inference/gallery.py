"""Pictures of a store's faces as a network saw them, for the pages of reports and runs."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonaface.face.crop import RESAMPLING, CropSpec, cut
from bonaface.inference.scoring import sample_id_of

if TYPE_CHECKING:  # a store needs pyarrow, and what imports this module may need none
    from bonaface.store.joined import Store


def crops_of(
    store: "Store", views: Sequence[CropSpec], size: int, side: int
) -> Callable[[str], bytes | None]:
    """Return a function that gives a frame's first view as PNG, by the sample_id that it has in a score table.

    None where the frame has no face. The crop is cut at `size` pixels, as for the network, and then reduced to `side`.
    """
    numbers = {
        sample_id_of(store.presentations[frame.presentation], frame.frame): number
        for number, frame in enumerate(store.frames)
        if not frame.response
    }

    def picture(sample_id: str) -> bytes | None:
        number = numbers.get(sample_id)
        return None if number is None else png_of(cut(store.read(number), views[0], size), side)

    return picture


def png_of(crop: NDArray[np.uint8], side: int) -> bytes:
    """Return `crop`, (S, S, 3) uint8 RGB, as PNG of at most `side` pixels."""
    image, buffer = Image.fromarray(crop), BytesIO()
    if image.width > side:
        image = image.resize((side, side), RESAMPLING)
    image.save(buffer, "PNG")
    return buffer.getvalue()
