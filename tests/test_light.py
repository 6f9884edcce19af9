"""The light packages load no torch, also where it is installed; and packages import in one direction only."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "torchvision", "lightning", "timm", "cv2", "sklearn", "scipy", "pandas")


def test_a_light_package_leaves_the_heavy_ones_alone(light_package: str) -> None:
    code = (
        "import sys, pkgutil, importlib, bonaface.%s as package\n"
        "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "print([name for name in %r if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % (light_package, HEAVY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_importing_bonaface_loads_nothing_but_itself() -> None:
    code = "import sys, bonaface; print([n for n in ('numpy', 'onnxruntime', 'typer', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_packages_import_in_one_direction() -> None:
    root = Path(__file__).parents[1]
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
