"""What Replay-Attack and Replay-Mobile share, which come from the same makers: folders, and the parts of names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bonaface.core.records import Presentation
from bonaface.datasets.reader import make_row

SPLITS = {"train": "train", "devel": "dev", "test": "test"}
FOLDERS = tuple(f"{folder}/{kind}" for folder in SPLITS for kind in ("real", "attack"))


def parse_video(
    path: str,
    real: re.Pattern[str],
    attack: re.Pattern[str],
    species: Mapping[Any, str],
    parts_of_species: Sequence[str],
    device: str = "",
) -> Presentation | None:
    """Return the row of a video whose path has the form `real` or `attack`; None if it has another one.

    Both have the groups folder, client and session, and device unless that is given. `species` is that of an attack,
    by a tuple of its groups `parts_of_species`.
    """
    match = real.fullmatch(path) or attack.fullmatch(path)
    if not match:
        return None
    parts = match.groupdict()
    kind = ""
    if match.re is attack:
        kind = species.get(tuple(parts[name] for name in parts_of_species), "")
        if not kind:
            return None
    return make_row(
        path,
        kind,
        subject=parts["client"],
        session=parts["session"],
        device=parts.get("device", device),
        split=SPLITS[parts["folder"]],
    )
