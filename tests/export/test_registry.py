from pathlib import Path

import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.export import registry
from bonaface.export.registry import export_bundle, format_names, register_format
from bonaface.inference.bundle import Bundle


def test_onnx_is_the_bundles_own_file(bundle: Path, tmp_path: Path) -> None:
    opened = Bundle.open(bundle)
    export_bundle(opened, "onnx", tmp_path / "new" / "network.onnx")
    assert (tmp_path / "new" / "network.onnx").read_bytes() == opened.onnx.read_bytes()


def test_finds_registered_formats_and_rejects_unknown_ones(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_formats", dict(registry._formats))

    def write_name(bundle: Bundle, path: Path) -> None:
        path.write_text(bundle.card.model)

    register_format("name", write_name)
    assert format_names() == ("name", "onnx")
    export_bundle(Bundle.open(bundle), "name", tmp_path / "name.txt")
    assert (tmp_path / "name.txt").read_text() == "deep-pix-bis"
    with pytest.raises(UnknownNameError, match=r"export format 'onx'.*onnx"):
        export_bundle(Bundle.open(bundle), "onx", tmp_path / "x")
