"""Every registered model has a page, and every page of a model says the same things in the same order."""

import re
from pathlib import Path

import pytest

from bonaface.evaluation.published import published
from bonaface.models.registry import model_names

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.stem: path.read_text() for path in sorted((DOCS / "models").glob("*.md"))}
SECTIONS = [
    "The idea",
    "As implemented",
    "Command",
    "Figures",
    "What differs from the paper",
    "Reading its maps",
]


@pytest.mark.parametrize("model", model_names())
def test_a_model_has_one_page_that_trains_it_and_shows_its_figures(model: str) -> None:
    trained = [page for page, text in PAGES.items() if re.search(rf"^bonaface train {model}[ :]", text, re.M)]
    assert len(trained) == 1
    text = PAGES[trained[0]]
    assert f"`{model}" in text.partition("## ")[0]
    systems = {row.system for row in published() if row.system.partition(":")[0] == model} or {model}
    for kind, names in (("published", systems), ("measured", {model})):
        (listed,) = re.findall(rf"<!-- {kind}: (.*) -->", text)
        assert names <= set(listed.split(", "))
    assert f"(models/{trained[0]}.md)" in (DOCS / "systems.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_a_model_has_a_picture_and_its_sections_in_order(page: str) -> None:
    assert re.findall("^## (.*)$", PAGES[page], re.M) == SECTIONS
    (picture,) = re.findall(r"!\[[^\]]+\]\((.*\.svg)\)", PAGES[page])
    drawn = (DOCS / "models" / picture).read_text()
    assert "<title>" in drawn
    # A white ground of its own, so that it can be read on a dark page.
    assert re.search(r'<rect width="\d+" height="\d+" rx="8" fill="#fff"/>', drawn)
    assert re.findall(r'(?:href|src)="', drawn) == []
