import csv
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.core.records import Presentation
from bonaface.datasets.table import COLUMNS, SPLITS, PresentationTable

GENUINE = Presentation("a", "x/a.jpg", 1, subject="1", session="2", device="phone", split="train")
PRINT = Presentation("b", "x/b.jpg", 0, species="print-1")
TABLE = PresentationTable("mine", (GENUINE, PRINT), ("one file is missing",))

# CSV has no way to tell a carriage return from a line end, nor Parquet to hold a lone surrogate
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)
# as a CSV file gives names: without blanks around them, and composed
names_of_csv = texts.map(lambda text: normalize("NFC", text).strip())


@st.composite
def tables(draw: st.DrawFn) -> PresentationTable:
    names = draw(st.lists(names_of_csv.filter(bool), min_size=1, max_size=6, unique=True))
    rows = []
    for number, name in enumerate(names):
        species, subject, session, device = (draw(names_of_csv) for _ in range(4))
        path = f"{number}{draw(names_of_csv)}"  # one label for each file
        split = draw(st.sampled_from(("", *SPLITS)))
        rows.append(Presentation(name, path, int(not species), species, subject, session, device, split))
    return PresentationTable("drawn", tuple(rows), tuple(draw(st.lists(texts, max_size=2))))


@given(tables())
@settings(max_examples=30, deadline=None)
def test_parquet_round_trips(tmp_path_factory: pytest.TempPathFactory, table: PresentationTable) -> None:
    folder = tmp_path_factory.mktemp("table")
    table.write(folder / "t.parquet")
    assert PresentationTable.read(folder / "t.parquet") == table
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, name) for name in COLUMNS] for row in table.rows)
    assert PresentationTable.from_csv(folder / "t.csv", "drawn").rows == table.rows


def test_digest_is_the_documented_hash() -> None:
    text = 'mine\n["a", "x/a.jpg", 1, "", "1", "2", "phone", "train"]\n["b", "x/b.jpg", 0, "print-1", "", "", "", ""]'
    assert TABLE.digest() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("column", COLUMNS)
def test_digest_depends_on_every_column(column: str) -> None:
    if column in ("label", "species"):
        other = Presentation(GENUINE.sample_id, GENUINE.path, 0, "print-2")
    else:
        changed: dict[str, Any] = {column: "other"}
        other = replace(GENUINE, **changed)
    assert PresentationTable("mine", (other, PRINT)).digest() != TABLE.digest()


def test_digest_leaves_out_notes_but_not_order_or_name() -> None:
    assert PresentationTable("mine", TABLE.rows).digest() == TABLE.digest()
    assert PresentationTable("mine", TABLE.rows[::-1]).digest() != TABLE.digest()
    assert PresentationTable("yours", TABLE.rows).digest() != TABLE.digest()


def test_counts() -> None:
    assert TABLE.counts() == (1, 1)
    assert TABLE.counts([1]) == (0, 1)
    assert len(TABLE) == 2


def test_duplicates_are_named() -> None:
    with pytest.raises(InputError, match="every sample_id must be unique, but b names several rows"):
        PresentationTable("mine", (GENUINE, PRINT, PRINT))


def test_rejects_an_empty_table() -> None:
    with pytest.raises(InputError, match="mine: no presentation was found"):
        PresentationTable("mine", ())


def write(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_needs_path_and_label_only(tmp_path: Path) -> None:
    path = write(tmp_path, "label,path,species\n1,a.jpg,\n0,b.jpg,display-1\n")
    assert PresentationTable.from_csv(path).rows == (
        Presentation("a.jpg", "a.jpg", 1),
        Presentation("b.jpg", "b.jpg", 0, "display-1"),
    )


def test_csv_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes('\ufeffpath,label,subject\r\n"a, b.jpg",1,Zoë\r\n'.encode())
    assert PresentationTable.from_csv(path).rows == (Presentation("a, b.jpg", "a, b.jpg", 1, subject="Zoë"),)


def test_blanks_and_spellings_make_no_other_person(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,species,subject\na.jpg, 1,,Jos\xe9\nb.jpg ,0, print-1,Jose\u0301 \n")
    assert PresentationTable.from_csv(path).rows == (
        Presentation("a.jpg", "a.jpg", 1, subject="Jos\xe9"),
        Presentation("b.jpg", "b.jpg", 0, "print-1", "Jos\xe9"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: expected a header with the columns path, label"),
        ("path;label\na.jpg;1\n", "line 1: expected a header .* got path;label"),
        ("path,label,colour\n", "line 1: expected a header .* got path, label, colour"),
        ("path,label,label\n", "line 1: expected a header"),
        ("path\na.jpg\n", "line 1: expected a header"),
        ("path,label\na.jpg,1\nb.jpg,yes\n", "line 3, column label: expected 1 .* got 'yes'"),
        ("path,label\n,1\n", "line 2, column path"),
        ("path,label,sample_id\na.jpg,1,\n", "line 2, column sample_id"),
        ("path,label\na.jpg,0\n", "line 2, column species: expected the instrument's species"),
        ("path,label,species\na.jpg,1,print-1\n", "line 2, column species: .* got 'print-1' with label 1"),
        ("path,label\na.jpg\n", "line 2: expected 2 values"),
        ("path,label\na.jpg,1,more\n", "line 2: expected 2 values"),
        ('path,label\n"a.jpg,1\n', "line 2: not a line of CSV"),
        ("path,label\n", "no presentation was found"),
        (
            "path,label,split\na.jpg,1,val\n",
            "line 2, column split: expected train, dev, test or nothing, got 'val'",
        ),
        (
            "path,label,species,sample_id\na.jpg,1,,a\n./a.jpg,0,print,b\n",
            r"expected one label for each file, but \./a\.jpg is bona fide in a row and an attack in another",
        ),
    ],
)
def test_csv_errors_name_line_and_column(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        PresentationTable.from_csv(write(tmp_path, text))


def test_rejects_csv_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"path,label\n\0\0\1\xff\xfe,1\n")
    with pytest.raises(
        InputError, match=r"rows\.csv: expected a CSV file, but it holds bytes that no text has"
    ):
        PresentationTable.from_csv(path)
    with pytest.raises(InputError, match=r"none\.csv: expected a CSV file"):
        PresentationTable.from_csv(tmp_path / "none.csv")


def test_rejects_parquet_of_something_else(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(
        InputError, match=r"expected a presentation table with the columns sample_id, .* got path"
    ):
        PresentationTable.read(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match=r"text\.parquet: the file is damaged or no Parquet file: "):
        PresentationTable.read(tmp_path / "text.parquet")
    with pytest.raises(InputError, match=r"none\.parquet: the file is missing"):
        PresentationTable.read(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("column", "values", "notes", "message"),
    [
        ("label", ["1"], "[]", "none of them empty"),
        ("species", [None], "[]", "none of them empty"),
        ("label", [7], "[]", "the label must be 1"),
        ("species", ["print-1"], "[]", "a bona fide presentation has no species"),
        ("label", [1], "{", "expected a presentation table, but"),
        ("label", [1], "[3]", "its notes are no list of sentences"),
        ("label", [1], "3", "its notes are no list of sentences"),
    ],
)
def test_rejects_parquet_with_impossible_values(
    tmp_path: Path, column: str, values: list, notes: str, message: str
) -> None:
    path = tmp_path / "t.parquet"
    PresentationTable("mine", (Presentation("a", "a.jpg", 1),)).write(path)
    table = pq.read_table(path)
    kind = table.schema.field(column).type if not isinstance(values[0], str) else pa.string()
    table = table.set_column(table.column_names.index(column), column, pa.array(values, kind))
    pq.write_table(table.replace_schema_metadata({"dataset": "mine", "notes": notes}), path)
    with pytest.raises(InputError, match=message):
        PresentationTable.read(path)
