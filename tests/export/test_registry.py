from pathlib import Path

import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.export import registry
from bonaface.export.format import ExportFormat
from bonaface.export.registry import find_format, format_names, register_format


def test_finds_registered_formats_and_rejects_unknown_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_formats", dict(registry._formats))

    def write(network: Path, folder: Path, half: bool) -> None:
        (folder / "mine").write_bytes(network.read_bytes())

    mine = ExportFormat(write, "onnxruntime", "", "")
    register_format("mine", mine)
    assert format_names() == ("mine", "onnx", "openvino")
    assert find_format("mine") is mine
    with pytest.raises(UnknownNameError, match=r"export format 'onx'.*onnx"):
        find_format("onx")
