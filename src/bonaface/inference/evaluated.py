"""The folder of an evaluation: what was judged there, and the checksums of the results that are read again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bonaface.core.errors import InputError
from bonaface.core.files import read_checked_json, sha256, write_checked_json
from bonaface.inference.bundle import CARD, Bundle

if TYPE_CHECKING:  # a store needs pyarrow
    from bonaface.store.crop_store import CropStore

JUDGED = "evaluation.json"

_NEEDED = ("protocol", "bundle", "store")
_ANEW = "delete the folder {} and run the same again"


def claim(folder: Path, bundle: Bundle, store: "CropStore", protocol: str) -> None:
    """Record in `folder` that `protocol` is judged there, so that nothing else replaces it.

    Raises:
        InputError: results of another run, store, protocol or fold are there, or the record is damaged.
    """
    own: dict[str, Any] = {
        "protocol": protocol,
        "bundle": {"path": str(bundle.path.resolve()), "digest": sha256(bundle.path / CARD)},
        "store": {"path": str(store.path), "digest": store.digest},
    }
    if (folder / JUDGED).exists():
        other = _read(folder)
        # A bundle or store that was moved, or made again at the same path, counts as the same.
        differ = [
            f"the {name} {other[name]['path']}"
            for name in ("bundle", "store")
            if all(other[name][key] != own[name][key] for key in ("path", "digest"))
        ]
        if other["protocol"] != own["protocol"]:
            differ.append(f"the protocol {other['protocol']}")
        if differ:
            raise InputError(
                f"{folder} holds the results of {' and '.join(differ)}; give these another folder (--out)"
            )
    write_checked_json(folder / JUDGED, own)


def finish(folder: Path, files: Sequence[Path]) -> None:
    """Record the checksums of the results `files` in `folder`."""
    values = {**_read(folder), "files": {path.name: sha256(path) for path in files}}
    write_checked_json(folder / JUDGED, values)


def check(folder: Path) -> None:
    """Raise InputError where a result in `folder` is not what was written; those of version 0.1 have no checksums."""
    if not (folder / JUDGED).exists():
        return
    for name, digest in _read(folder).get("files", {}).items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise InputError(
                f"{path}: the file is damaged, or was altered: its checksum differs; {_ANEW.format(folder)}"
            )


def _read(folder: Path) -> dict[str, Any]:
    values = read_checked_json(folder / JUDGED, (*_NEEDED, "files"), _ANEW.format(folder))
    if not values.keys() >= set(_NEEDED):
        raise InputError(
            f"{folder / JUDGED}: expected {', '.join(_NEEDED)}, got {', '.join(values) or 'nothing'}; "
            f"{_ANEW.format(folder)}"
        )
    return values
