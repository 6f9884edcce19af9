"""The page docs/benchmark.md: its file is one that the program reads, and every path that it names is written."""

import re
from pathlib import Path

from bonaface.benchmark.claims import printed_checks, read_claims
from bonaface.benchmark.spec import check_models, read_spec

PAGE = Path(__file__).parents[2] / "docs" / "benchmark.md"


def test_the_file_on_the_page_is_a_benchmark(tmp_path: Path) -> None:
    text, claims = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "page.yaml"
    path.write_text(text)
    spec = read_spec(path)
    check_models(spec)
    assert [(cell.model.name, cell.fold) for cell in spec.cells if str(cell.experiment) == "oulu-npu/3"] == [
        (model, fold) for model in ("bi-fas", "a-deep-pix-bis s=32") for fold in ("1", "2")
    ]
    assert spec.units == ("video", "frame")
    path.write_text(claims)
    (claim,) = read_claims(path)
    assert [check.verdict for check in printed_checks(claim)] == ["holds"]
