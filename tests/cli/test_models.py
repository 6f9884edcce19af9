import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bonaface.cli.models import LISTED

ROOT = Path(__file__).parents[2]


def bonaface(*arguments: str, before: str = "", width: int = 80) -> "subprocess.CompletedProcess[str]":
    code = f"import sys; {before}; sys.argv[0] = 'bonaface'; from bonaface.cli.main import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    environment = {"COLUMNS": str(width), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_listed_models_match_the_registry(load_script: Callable[[str], Any]) -> None:
    """If this fails: python tools/list_models.py"""
    tool = load_script("tools/list_models.py")
    import bonaface.models  # noqa: F401 - which registers them

    assert json.loads(LISTED.read_text()) == tool.listing()


NO_TORCH = "sys.modules.update(torch=None, lightning=None)"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lists_models_without_torch(width: int) -> None:
    done = bonaface("models", before=NO_TORCH, width=width)
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    for name, about in json.loads(LISTED.read_text()).items():
        assert name in done.stdout.split()
        words = done.stdout.replace(",", " ").split()
        assert {*about["scores"], *about["presets"]} <= set(words)


def test_systems_with_published_figures_only_are_named_as_such() -> None:
    from bonaface.evaluation.published import PUBLISHED_ONLY

    done = bonaface("models", before=NO_TORCH, width=200)
    _, _, rest = done.stdout.partition("Published figures only")
    assert all(f"  {name}: " in rest for name in PUBLISHED_ONLY)
    done = bonaface("models", "fas-bas", before=NO_TORCH, width=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fas-bas: published figures only, it can't be run here.")


def test_a_model_with_a_backbone_in_its_name_is_shown_in_full() -> None:
    done = bonaface("models", "timm:inception_v3", before="pass", width=200)
    assert done.returncode == 0, done.stderr
    assert "backbone = inception_v3" in done.stdout


def test_unknown_model_needs_no_torch_and_a_known_one_asks_for_it() -> None:
    done = bonaface("models", "BiFas", before=NO_TORCH)
    assert (done.returncode, done.stderr) == (2, done.stderr)
    assert "unknown model 'BiFas'. Did you mean 'bi-fas'?" in done.stderr
    done = bonaface("models", "bi-fas", before=NO_TORCH)
    assert done.returncode == 2
    assert 'install it with: pip install "bonaface[train]"' in done.stderr
