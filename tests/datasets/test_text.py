"""Text files of every set in every form that Windows' tools, and others, leave."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bonaface.core.errors import InputError
from bonaface.datasets.registry import dataset_names, open_dataset
from bonaface.datasets.text import read_lines, read_text
from bonaface.testing import make_layout


def windows(text: str, encoding: str) -> bytes:
    return text.replace("\n", "\r\n").encode(encoding)


StandIns = Callable[[str], tuple[Path, dict[Path, str]]]

FORMS: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with a mark and CRLF": lambda text: windows(text, "utf-8-sig"),
    "UTF-16": lambda text: windows(text, "utf-16"),
    "UTF-16, big end first": lambda text: b"\xfe\xff" + windows(text, "utf-16-be"),
    "UTF-16 without a mark": lambda text: windows(text, "utf-16-le"),
    "UTF-16 without a mark, big end first": lambda text: windows(text, "utf-16-be"),
    "UTF-32": lambda text: windows(text, "utf-32"),
    "Windows-1252": lambda text: windows(text, "cp1252"),
    "CR alone": lambda text: text.replace("\n", "\r").encode(),
    "CR before CRLF": lambda text: text.replace("\n", "\r\r\n").encode(),
    "no end of the last line": lambda text: text.rstrip("\n").encode(),
    "blank lines at the end": lambda text: (text + "\n\n").encode(),
    "the end-of-file sign of DOS": lambda text: windows(text, "ascii") + b"\x1a",
}
BLANKS = "blanks and tabs at the ends of lines"


def with_blanks(text: str) -> bytes:
    return text.replace("\n", " \t \n").encode()


@pytest.mark.parametrize("form", FORMS)
def test_the_lines_are_the_same_in_every_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(FORMS[form]("+1,1_1_01_1\n-1, 1_1_01_2\n"))
    assert [line for line in read_lines(path) if line] == ["+1,1_1_01_1", "-1, 1_1_01_2"]


def test_line_numbers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"one\r\n\r\nthree \r\n")
    assert read_lines(path) == ["one", "", "three"]
    path.write_bytes(b"one\x0ctwo\x85\xa0\n")  # a form feed, and two signs of Windows-1252, end no line
    assert read_lines(path) == ["one\x0ctwo\u2026"]
    path.write_bytes(b"")
    assert read_lines(path) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_names_with_accents_are_read_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("Zoë,Ångström,naïve".encode(encoding))
    assert read_text(path) == "Zoë,Ångström,naïve"


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xfea", b"\xef\xbb\xbf\xff"])
def test_rejects_files_that_are_not_text(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(data)
    with pytest.raises(ValueError, match=r"no text|codec|truncated"):
        read_text(tmp_path / "list.txt")


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    """Make a small stand-in of a set, and return its text files with their content."""
    made: dict[str, tuple[Path, dict[Path, str]]] = {}

    def stand_in(name: str) -> tuple[Path, dict[Path, str]]:
        if name not in made:
            root = make_layout(name, tmp_path_factory.mktemp("text") / name)
            files = [path for path in root.rglob("*") if path.suffix in (".txt", ".face", ".json", ".csv")]
            made[name] = root, {path: path.read_text() for path in files}
        return made[name]

    return stand_in


def what_is_read(name: str, root: Path) -> object:
    dataset = open_dataset(name)
    table = dataset.read(root)
    return table, [dict(dataset.boxes(root, row)) for row in table.rows] if dataset.boxes else []


@pytest.mark.parametrize("form", [*FORMS, BLANKS])
@pytest.mark.parametrize("name", sorted(set(dataset_names()) - {"casia-fasd", "folder"}))  # which have none
def test_every_set_is_read_the_same_in_every_form(name: str, form: str, stand_ins: StandIns) -> None:
    root, files = stand_ins(name)
    assert files
    for path, text in files.items():
        path.write_text(text)
    wanted = what_is_read(name, root)
    for path, text in files.items():
        path.write_bytes(FORMS.get(form, with_blanks)(text))
    assert what_is_read(name, root) == wanted


@pytest.mark.parametrize("form", FORMS)
def test_a_csv_file_is_read_the_same_in_every_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(FORMS[form]('path,label,subject\n"a, b.jpg",1,Zoe\nc.jpg,1,Bob\n'))
    rows = open_dataset("folder").read(path).rows
    assert [(row.path, row.subject) for row in rows] == [("a, b.jpg", "Zoe"), ("c.jpg", "Bob")]


def test_rejects_a_list_that_is_not_text(stand_ins: StandIns) -> None:
    for name in ("nuaa", "msu-mfsd", "celeba-spoof"):
        root, files = stand_ins(name)
        path = next(
            path
            for path in sorted(files)
            if "list" in path.name or "label" in path.name or "raw" in path.name
        )
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
        with pytest.raises(InputError, match=f"{path.name}: expected .*bytes that no text has"):
            open_dataset(name).read(root)
        path.write_text(files[path])
