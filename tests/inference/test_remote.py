"""Models from elsewhere, over a real HTTP server of this machine and from folders."""

import contextlib
import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from bonaface.cli.main import app
from bonaface.core.errors import BonafaceError, InputError, ModelFileError, UnknownNameError
from bonaface.core.files import sha256
from bonaface.inference import remote
from bonaface.inference.bundle import CARD, DEFAULT_MODEL, ONNX, Bundle
from bonaface.inference.cache import models_folder
from bonaface.inference.remote import INDEX, download, read_index, write_index
from bonaface.testing.networks import brightness, graph, write_bundle


class Handler(SimpleHTTPRequestHandler):
    """Files with ranges, as any web server offers them; what it was asked for is noted."""

    asked: list[tuple[str, str]]
    ranges = True
    cut = 0  # after how many bytes of a network's body the connection ends

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        type(self).asked.append((self.path, wanted))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, start = path.read_bytes(), 0
        if wanted and self.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.cut and path.name == ONNX:
            body = body[: self.cut]
            self.close_connection = True
        with contextlib.suppress(ConnectionError):  # whoever asks may leave, as where a network is refused
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with two models and their index; one of them has a network of some size."""
    folder = tmp_path / "models"
    large = graph(
        [brightness()], constants={"unused": np.random.default_rng(0).normal(size=200_000).astype("f4")}
    )
    write_bundle(folder / "kiosk-v1", large)
    write_bundle(folder / "door", backbone="none", model="other")
    write_index(folder)
    return folder


@pytest.fixture
def server(models: Path) -> Iterator[tuple[str, type[Handler]]]:
    class Own(Handler):
        asked: list[tuple[str, str]] = []  # noqa: RUF012 - of this server

        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(models))

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", Own
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BONAFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_CHUNK", 10_000)
    monkeypatch.setattr(remote, "sleep", lambda _: None)
    return tmp_path / "cache" / "models"


def assert_is(folder: Path, source: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_lists_and_fetches_from_a_server(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    url, _ = server
    index = read_index(url)
    assert list(index.models) == ["door", "kiosk-v1"]
    assert index.models["door"].summary == "other over none at 32 px, trained on folder/split"
    seen: list[tuple[int, int]] = []
    folder = download(f"{url}/", "kiosk-v1", lambda done, total: seen.append((done, total)))
    assert folder == cache / "kiosk-v1"
    assert_is(folder, models / "kiosk-v1")
    size = sum(path.stat().st_size for path in (models / "kiosk-v1").iterdir())
    assert seen[-1] == (size, size)
    assert seen == sorted(seen)
    assert len(seen) > 50
    assert sorted(path.name for path in cache.iterdir()) == ["kiosk-v1"]
    assert Bundle.open("kiosk-v1").path == folder  # by its name from now on


def test_what_is_here_is_not_fetched_again_unless_it_changed(
    server: tuple[str, type[Handler]], models: Path
) -> None:
    url, handler = server
    folder = download(url, "door")
    handler.asked.clear()
    download(url, "door")
    assert [path for path, _ in handler.asked] == ["/index.json"]
    (folder / ONNX).write_bytes(b"damaged")
    download(url, "door")
    assert_is(folder, models / "door")
    write_bundle(models / "door", backbone="new")
    write_index(models)
    download(url, "door")
    assert Bundle.open("door").card.backbone == "new"


def test_a_connection_that_ends_early_is_gone_on_from(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    url, handler = server
    handler.cut = 100_000  # three tries bring 300 kB of 800
    with pytest.raises(BonafaceError, match="run the same again, and it goes on where it was"):
        download(url, "kiosk-v1")
    assert not (cache / "kiosk-v1").exists()
    part = cache / ".kiosk-v1.part" / ONNX
    there = part.stat().st_size
    assert there == 300_000
    assert [asked for path, asked in handler.asked if path.endswith(ONNX)] == [
        "",
        "bytes=100000-",
        "bytes=200000-",
    ]
    handler.cut = 0
    handler.asked.clear()
    assert_is(download(url, "kiosk-v1"), models / "kiosk-v1")
    assert (f"/kiosk-v1/{ONNX}", f"bytes={there}-") in handler.asked
    assert [path for path, _ in handler.asked] == [
        "/index.json",
        f"/kiosk-v1/{ONNX}",
    ]  # bundle.json was there


def test_a_server_without_ranges_sends_the_file_anew(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    url, handler = server
    part = cache / ".kiosk-v1.part" / ONNX
    part.parent.mkdir(parents=True)
    part.write_bytes((models / "kiosk-v1" / ONNX).read_bytes()[:5000])
    handler.ranges = False
    assert_is(download(url, "kiosk-v1"), models / "kiosk-v1")


@pytest.mark.parametrize("left", [b"of another version", b"x" * 3_000_000])
def test_what_is_left_of_another_download_does_not_stay(
    server: tuple[str, type[Handler]], models: Path, cache: Path, left: bytes
) -> None:
    url, _ = server
    part = cache / ".kiosk-v1.part" / ONNX
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    (part.parent / "model.xml").write_text("no file of this model")
    assert_is(download(url, "kiosk-v1"), models / "kiosk-v1")


@pytest.mark.parametrize("file", [CARD, ONNX])
@pytest.mark.parametrize("share", [1, 2])
def test_an_index_that_changed_while_a_download_was_stopped(
    server: tuple[str, type[Handler]], models: Path, cache: Path, file: str, share: int
) -> None:
    """Of the version before the cache has a file in whole or in part, with another byte at its beginning."""
    for where in (server[0], str(models)):
        part = cache / ".door.part" / file
        part.parent.mkdir(parents=True)
        data = bytearray((models / "door" / file).read_bytes())
        data[10] ^= 1
        part.write_bytes(data[: len(data) // share])
        assert_is(download(where, "door"), models / "door")
        shutil.rmtree(cache / "door")


def test_a_file_that_is_wrong_is_fetched_once(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    url, handler = server
    (models / "door" / ONNX).write_bytes((models / "door" / ONNX).read_bytes()[::-1])
    with pytest.raises(ModelFileError, match="its SHA-256 is not the one"):
        download(url, "door")
    assert len([path for path, _ in handler.asked if path.endswith(ONNX)]) == 1


def test_a_wrong_checksum_is_refused_and_nothing_kept(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    url, _ = server
    data = bytearray((models / "door" / ONNX).read_bytes())
    data[10] ^= 1
    (models / "door" / ONNX).write_bytes(data)
    with pytest.raises(ModelFileError, match=r"door/model\.onnx: its SHA-256 is not the one in index\.json"):
        download(url, "door")
    assert not (cache / "door").exists()
    assert not (cache / ".door.part" / ONNX).exists()
    (models / "door" / ONNX).unlink()
    with pytest.raises(ModelFileError, match="lists this file, but it is not there"):
        download(url, "door")


def test_a_file_longer_than_the_index_says_is_cut_off(
    server: tuple[str, type[Handler]], models: Path, cache: Path
) -> None:
    with (models / "door" / ONNX).open("ab") as file:
        file.write(b"\0" * 5_000_000)
    download(server[0], "door")  # what was promised arrived, and no more
    assert (cache / "door" / ONNX).stat().st_size < 10_000


def test_a_server_that_is_gone(cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BonafaceError, match=r"index\.json: can't be fetched \(.*refused.*run the same again"):
        download(url, "door")


def test_no_index_there(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no index of models; bonaface models --index FOLDER"):
        read_index(f"{server[0]}/nowhere")
    with pytest.raises(InputError, match="there is no index of models"):
        read_index(str(tmp_path))
    with pytest.raises(UnknownNameError, match=r"model of this index 'dor'.*Did you mean 'door'"):
        download(server[0], "dor")


@pytest.mark.parametrize("url", ["{}?v=2", "{}/index.json?v=2", "{}#top"])
def test_a_url_to_which_no_name_can_be_added_is_refused(server: tuple[str, type[Handler]], url: str) -> None:
    with pytest.raises(InputError, match=r"expected the URL of a folder, .*; leave that part out"):
        read_index(url.format(server[0]))
    with pytest.raises(InputError, match="expected the URL of a folder"):
        download(url.format(server[0]), "door")


def test_a_broken_url_is_refused() -> None:
    with pytest.raises(InputError, match=r"http://\[::1/: expected a folder or a URL, got a broken one"):
        read_index("http://[::1/")


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a model outside": (lambda v: v["models"].update({"../evil": v["models"]["door"]}), "models"),
    "an absolute model": (lambda v: v["models"].update({"/tmp/evil": v["models"]["door"]}), "models"),
    "a hidden model": (lambda v: v["models"].update({".door": v["models"]["door"]}), "models"),
    "a file outside": (
        lambda v: v["models"]["door"]["files"].update({"../../.bashrc": {"sha256": "0" * 64, "bytes": 1}}),
        "files",
    ),
    "another file": (
        lambda v: v["models"]["door"]["files"].update({"run.py": {"sha256": "0" * 64, "bytes": 1}}),
        "files",
    ),
    "no description": (lambda v: v["models"]["door"]["files"].pop("bundle.json"), r"lacks bundle\.json"),
    "a huge file": (lambda v: v["models"]["door"]["files"][ONNX].update(bytes=1 << 40), "bytes"),
    "a checksum that is none": (lambda v: v["models"]["door"]["files"][ONNX].update(sha256="x"), "sha256"),
    "another format": (lambda v: v.update(format=2), "format"),
    "control characters": (lambda v: v["models"]["door"].update(summary="\x1b[31m"), "summary"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_index_that_names_paths_or_nonsense_is_refused(models: Path, tmp_path: Path, name: str) -> None:
    change, message = CHANGES[name]
    values = json.loads((models / INDEX).read_text())
    change(values)
    (models / INDEX).write_text(json.dumps(values))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=rf"expected an index of models \(.*{message}"):
        download(str(models), "door")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["", "[", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_any_text_is_an_index_or_an_error(models: Path, text: str) -> None:
    (models / INDEX).write_text(text)
    with pytest.raises(InputError, match="expected an index of models"):
        read_index(str(models))


def test_a_folder_serves_without_a_network(
    models: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "urlopen", lambda *_, **__: pytest.fail("asked the network"))
    assert_is(download(str(models), "door"), models / "door")
    assert_is(download(f"{models}/{INDEX}", "kiosk-v1"), models / "kiosk-v1")


def test_an_index_in_the_folder_where_one_is(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)
    for where in (INDEX, f"./{INDEX}", ".", ""):
        assert list(read_index(where).models) == ["door", "kiosk-v1"]
    monkeypatch.chdir(models / "door")
    assert list(read_index(f"../{INDEX}").models) == ["door", "kiosk-v1"]
    with pytest.raises(InputError, match=rf"^{INDEX}: there is no index of models"):
        read_index(INDEX)
    with pytest.raises(InputError, match=rf"^other-{INDEX}/{INDEX}: there is no index of models"):
        read_index(f"other-{INDEX}")  # which is the name of a folder


def test_a_file_that_was_cut_short_in_a_folder_is_named(models: Path, cache: Path) -> None:
    path = models / "door" / CARD
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        ModelFileError, match=r"door/bundle.json: the index says \d+ bytes, and the file there is shorter"
    ):
        download(str(models), "door")


def test_default_is_the_model_that_ships(models: Path) -> None:
    assert Bundle.open("default").path == DEFAULT_MODEL
    write_bundle(models / "default")
    with pytest.raises(InputError, match="and not 'default'; rename"):
        write_index(models)
    with pytest.raises(ModelFileError, match="or a model's name"):
        Bundle.open("nowhere")
    for name in ("..", "../models/door", ".door.part"):
        with pytest.raises(ModelFileError):
            Bundle.open(name)


def test_an_index_holds_what_the_bundles_are(models: Path, tmp_path: Path) -> None:
    index = write_index(models)
    files = index.models["kiosk-v1"].files
    assert set(files) == {"bundle.json", ONNX}
    assert files["model.onnx"].sha256 == sha256(models / "kiosk-v1" / ONNX)
    assert onnx.load(models / "kiosk-v1" / ONNX).graph.node
    (models / "door" / ONNX).write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match="altered"):
        write_index(models)
    with pytest.raises(InputError, match="expected bundles in its subfolders"):
        write_index(tmp_path / "cache")


def test_the_cache_lies_where_the_platform_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models_folder() == tmp_path / "cache" / "models"
    monkeypatch.delenv("BONAFACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert models_folder() == tmp_path / "xdg" / "bonaface" / "models"


def test_from_the_shell(server: tuple[str, type[Handler]], models: Path, faces_root: Path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["models", "--remote", server[0]])
    assert listed.exit_code == 0, listed.output
    assert "kiosk-v1" in listed.output
    fetched = run.invoke(app, ["models", "door", "--remote", server[0]])
    assert fetched.exit_code == 0, fetched.output
    assert "--model door" in fetched.output
    picture = str(faces_root / "bonafide" / "person-1" / "0.png")
    checked = run.invoke(app, ["check", picture, "--model", "door", "--json"])
    assert checked.exit_code in (0, 1), checked.output
    written = run.invoke(app, ["models", "--index", str(models)])
    assert "door, kiosk-v1" in written.output


def test_what_an_index_says_is_no_markup(models: Path) -> None:
    index = json.loads((models / INDEX).read_text())
    index["models"]["door"]["summary"] = "bi-fas [/b] of [red] ours"
    (models / INDEX).write_text(json.dumps(index))
    done = CliRunner().invoke(app, ["models", "--remote", str(models)], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "bi-fas [/b] of [red] ours" in done.output


def test_lists_what_is_here_and_what_is_another_version(models: Path, cache: Path) -> None:
    def here() -> dict[str, list[str]]:
        done = CliRunner().invoke(app, ["models", "--remote", str(models)], env={"COLUMNS": "200"})
        rows = [line.split("folder/split")[1:] for line in done.output.splitlines()]
        return dict(zip(("door", "kiosk-v1"), (row[0].split()[:-1] for row in rows if row), strict=True))

    assert here() == {"door": [], "kiosk-v1": []}
    download(str(models), "door")
    assert here() == {"door": ["yes"], "kiosk-v1": []}
    write_bundle(models / "door", backbone="new")
    write_index(models)
    assert here() == {"door": ["another", "version"], "kiosk-v1": []}
