"""Write down what `bonaface models` lists, so that it needs no torch: python tools/list_models.py"""

from typing import Any

from bonaface.cli.models import LISTED
from bonaface.core.files import write_json
from bonaface.models.registry import describe, model_names


def listing() -> dict[str, dict[str, Any]]:
    """Return summary, scores and presets of every model of the registry by name."""
    return {
        about.name: {
            "summary": about.summary,
            "scores": list(about.scores),
            "presets": [preset.name for preset in about.presets],
        }
        for about in map(describe, model_names())
    }


if __name__ == "__main__":
    import bonaface.models  # noqa: F401 - which registers them

    write_json(LISTED, listing())
