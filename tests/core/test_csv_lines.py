import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.csv_lines import CsvLines

CELLS = st.text(st.sampled_from(list('a,"\r\n ;')), max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_any_cells_come_back(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO()
    csv.writer(CsvLines(file)).writerows(rows)
    assert [tuple(row) for row in csv.reader(io.StringIO(file.getvalue(), newline=""))] == rows
    assert file.getvalue().endswith("\n")
    assert not file.getvalue().endswith("\r\n")
