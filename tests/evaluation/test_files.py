from bonaface.evaluation import evaluate_table
from bonaface.evaluation.files import write_report


def test_every_file_is_written(drawn, tmp_path):
    report = evaluate_table(drawn(), rounds=5)
    paths = write_report(report, tmp_path / "new" / "folder")
    assert sorted(path.name for path in paths) == [
        f"report.{s}" for s in ("csv", "html", "json", "md", "tex")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        p.name for p in paths
    )
