"""Where downloaded models lie, and models by name."""

import os
import re
from pathlib import Path

SHIPPED = "default"
VARIABLE = "BONAFACE_CACHE"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_PACKAGED = Path(__file__).parents[1] / "default_model"


def models_folder() -> Path:
    """Return the folder of downloaded models: in `BONAFACE_CACHE`, else where the platform keeps such files."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser() / "models"
    from platformdirs import user_cache_path  # not needed by most commands

    return user_cache_path("bonaface", appauthor=False) / "models"


def is_name(text: str) -> bool:
    """Return whether `text` can be a model's name: a letter, then up to 63 of [A-Za-z0-9._-]."""
    return _NAME.fullmatch(text) is not None


def model_by_name(name: str) -> Path | None:
    """Return the folder of the model that ships (``default``) or of a downloaded one; None where there is none."""
    if name == SHIPPED:
        return _PACKAGED
    if not is_name(name):
        return None
    folder = models_folder() / name
    return folder if folder.is_dir() else None
