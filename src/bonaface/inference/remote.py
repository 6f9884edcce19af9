"""Models from elsewhere: an index at a URL or in a folder, downloads that go on where they were, and a cache.

``index.json`` lists models by name, each with its files, their sizes and SHA-256. They lie beside it in ``NAME/FILE``.
The checksums prove that files arrived as the index has them, and not who wrote the index.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from time import sleep
from typing import Annotated, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import msgspec
from msgspec import Meta, Struct

from bonaface.core.convert import convert
from bonaface.core.errors import BonafaceError, InputError, ModelFileError, UnknownNameError
from bonaface.core.files import alone, make_folder, sha256, write_json
from bonaface.core.paths import read_range, to_path
from bonaface.inference.bundle import CARD, Bundle
from bonaface.inference.cache import SHIPPED, is_name, models_folder
from bonaface.inference.provenance import trained_on

INDEX = "index.json"
FORMAT: Literal[1] = 1

_INDEX_BYTES = 4 << 20
_CHUNK = 1 << 18
_SECONDS = 30.0  # without a byte from the server
_TRIES = 3

_Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,63}$(?!\n)")]
# A bundle's files and no others: an index names no path.
_File = Literal["bundle.json", "model.onnx", "model.safetensors", "model.xml", "model.bin"]
Progress = Callable[[int, int], None]


class RemoteFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model: its SHA-256 and its size."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    bytes: Annotated[int, Meta(ge=1, le=2 << 30)]


class RemoteModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A model of an index: one sentence about it, and its files."""

    summary: _Text
    files: Annotated[dict[_File, RemoteFile], Meta(min_length=1, max_length=8)]

    def __post_init__(self) -> None:
        if CARD not in self.files:
            raise ValueError(f"files: lacks {CARD}")

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.bytes for file in self.files.values())


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``index.json`` holds."""

    format: Literal[1]
    models: Annotated[dict[_Name, RemoteModel], Meta(max_length=10_000)]

    def model(self, name: str) -> RemoteModel:
        """Return the model `name`. Raises UnknownNameError for one that is not in the index."""
        if name not in self.models:
            raise UnknownNameError("model of this index", name, self.models)
        return self.models[name]


def write_index(folder: Path) -> Index:
    """Write ``index.json`` for the bundles in the subfolders of `folder`, each by its folder's name, and return it.

    Raises:
        InputError: there is no bundle, or one lies in a folder whose name is none of a model.
        ModelFileError: one of them was altered.
    """
    models = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (path / CARD).is_file():
            continue
        if not is_name(path.name) or path.name == SHIPPED:
            raise InputError(
                f"{path}: a model's name is a letter and up to 63 letters, digits, points, hyphens and underscores, "
                f"and not {SHIPPED!r}; rename the folder"
            )
        bundle = Bundle.open(path)
        card = bundle.card
        over = f" over {card.backbone}" if card.backbone else ""
        models[path.name] = RemoteModel(
            f"{card.model}{over} at {card.input_size} px, trained on {trained_on(card)}",
            {
                name: RemoteFile(sha256(path / name), (path / name).stat().st_size)  # type: ignore[misc]
                for name in (CARD, *bundle.files)
            },
        )
    if not models:
        raise InputError(f"{folder}: expected bundles in its subfolders, got none")
    index = Index(FORMAT, models)
    write_json(folder / INDEX, msgspec.to_builtins(index))
    return index


def read_index(where: str) -> Index:
    """Return the index at `where`: a folder, a URL that fsspec knows, or http(s), with or without the file's name.

    Raises:
        InputError: there is none, or it is no index.
        BonafaceError: the server can't be reached.
    """
    try:
        data = b"".join(_read(where, INDEX, 0, _INDEX_BYTES))
    except (OSError, HTTPException) as error:
        if not isinstance(error, FileNotFoundError):
            raise _unreachable(where, INDEX, error) from error
        raise InputError(
            f"{_base(where)}{INDEX}: there is no index of models; bonaface models --index FOLDER writes one "
            "for the bundles in "
            "a folder"
        ) from error
    try:
        return convert(msgspec.json.decode(data), Index)
    except (msgspec.DecodeError, RecursionError, InputError) as error:
        raise InputError(f"{_base(where)}{INDEX}: expected an index of models ({error})") from error


def is_here(name: str, model: RemoteModel) -> bool:
    """Return whether the cache has `model` under `name`, and not another version of it, by its description."""
    card = models_folder() / name / CARD
    return card.is_file() and sha256(card) == model.files["bundle.json"].sha256


def download(where: str, name: str, progress: Progress | None = None) -> Path:
    """Fetch the model `name` from the index at `where` into the cache, and return its folder.

    What a stopped download has fetched is kept and gone on from. The model appears in the cache when all of its files
    are there and have their checksums.

    Args:
        progress: called with (bytes there, bytes in all).

    Raises:
        UnknownNameError: the index has no such model.
        ModelFileError: a file has another size or checksum than the index says.
        BonafaceError: the server can't be reached.
    """
    model = read_index(where).model(name)
    if name == SHIPPED:
        raise InputError(
            f"{where}: {SHIPPED!r} is the name of the model that ships; this one can't be fetched"
        )
    folder = models_folder() / name
    if is_here(name, model):
        try:
            return Bundle.open(folder).path
        except ModelFileError:
            pass  # damaged since, so it is fetched again
    part = folder.with_name(f".{name}.part")
    with alone(part.with_name(f".{name}.lock.d"), "download"):
        make_folder(part)
        done = 0
        for file, about in model.files.items():
            before = done

            def told(there: int, before: int = before) -> None:
                if progress:
                    progress(before + there, model.size)

            _fetch(where, f"{name}/{file}", part / file, about, told)
            done += about.bytes
        for left in part.iterdir():
            if left.name not in model.files:
                left.unlink()
        Bundle.open(part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return folder


def _fetch(where: str, name: str, path: Path, about: RemoteFile, told: Callable[[int], None]) -> None:
    """Fetch one file to `path`, going on after what is there, and check it.

    What is there may be of another version of the model: where the checksum differs, the file is fetched anew, once.
    """
    for begun in (path.is_file(), False):
        _complete(where, name, path, about, told)
        if sha256(path) == about.sha256:
            return
        path.unlink()
        if not begun:
            break
    raise ModelFileError(
        f"{_base(where)}{name}: its SHA-256 is not the one in {INDEX}; the file there was changed or damaged, and it "
        "was not kept"
    )


def _complete(where: str, name: str, path: Path, about: RemoteFile, told: Callable[[int], None]) -> None:
    """Fetch what `path` lacks of the bytes that the index promises."""
    for attempt in range(1, _TRIES + 1):
        there = path.stat().st_size if path.is_file() else 0
        if there > about.bytes:
            path.unlink()
            there = 0
        told(there)
        try:
            if there < about.bytes:
                _append(where, name, path, there, about, told)
        except FileNotFoundError as error:
            raise ModelFileError(
                f"{_base(where)}{name}: the index lists this file, but it is not there"
            ) from error
        except (OSError, HTTPException) as error:
            if attempt == _TRIES or isinstance(error, HTTPError):
                raise _unreachable(where, name, error) from error
            sleep(attempt)
            continue
        if path.is_file() and path.stat().st_size == about.bytes:
            break
    if not path.is_file() or path.stat().st_size != about.bytes:
        if not _is_http(where):
            raise ModelFileError(
                f"{_base(where)}{name}: the index says {about.bytes} bytes, and the file there is shorter; copy it "
                "there again, or write the index anew with bonaface models --index"
            )
        raise BonafaceError(f"{_base(where)}{name}: the connection ends early each time; {_AGAIN}")


def _append(
    where: str, name: str, path: Path, there: int, about: RemoteFile, told: Callable[[int], None]
) -> None:
    with path.open("ab") as file:
        for chunk in _read(where, name, there, about.bytes - there):
            if chunk is _ANEW:
                file.truncate(0)
                there = 0
                continue
            file.write(chunk)
            there += len(chunk)
            told(there)


_ANEW = b""  # the server sends the file from its beginning


def _read(where: str, name: str, start: int, most: int) -> Iterator[bytes]:
    """Yield up to `most` bytes of a file beside the index, from `start` on; first `_ANEW` where it comes from 0 on.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it can't be read.
    """
    if _is_http(where):
        yield from _read_http(f"{_base(where)}{name}", start, most)
        return
    path = to_path(_base(where)) / name
    if not path.is_file():
        raise FileNotFoundError(str(path))
    left = most
    while left > 0:
        chunk = read_range(path, start, min(left, _CHUNK))
        if not chunk:
            return
        yield chunk
        start, left = start + len(chunk), left - len(chunk)


def _read_http(url: str, start: int, most: int) -> Iterator[bytes]:
    headers = {"User-Agent": "bonaface", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer: Any = urlopen(Request(url, headers=headers), timeout=_SECONDS)
    except HTTPError as error:
        if error.code in (404, 410):
            raise FileNotFoundError(url) from error
        raise
    with closing(answer):
        if start and answer.status != 206:
            yield _ANEW
            most += start
        while most > 0:
            chunk = answer.read(min(_CHUNK, most))
            if not chunk:
                return
            most -= len(chunk)
            yield chunk


def _is_http(where: str) -> bool:
    """Return whether `where` is a URL of a web server, as opposed to a folder.

    Raises:
        InputError: it is no URL after all, or one that names of files can't be added to.
    """
    try:
        parts = urlsplit(where)
    except ValueError as error:
        raise InputError(f"{where}: expected a folder or a URL, got a broken one ({error})") from error
    http = parts.scheme in ("http", "https")
    if http and (parts.query or parts.fragment):
        raise InputError(
            f"{where}: expected the URL of a folder, to which names of files are added, got one with '?' or '#'; leave "
            "that part out"
        )
    return http


def _base(where: str) -> str:
    """Return where the index lies, with a slash at its end, or nothing where that is the current folder."""
    folder, slash, last = where.rpartition("/")
    folder = folder + slash if last == INDEX else where
    return f"{folder.rstrip('/')}/" if folder else ""


def _unreachable(where: str, name: str, error: Exception) -> BonafaceError:
    why = error.reason if isinstance(error, URLError) else error
    return BonafaceError(f"{_base(where)}{name}: can't be fetched ({why}); {_AGAIN}")


_AGAIN = "run the same again, and it goes on where it was"
