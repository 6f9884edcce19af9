import pytest

from bonaface.core.errors import InputError, MissingExtraError, UnknownNameError
from bonaface.core.records import Presentation


@pytest.mark.parametrize(
    ("label", "species", "sentence"),
    [
        (2, "", "the label must be 1 .* or 0 .*, got 2"),
        (1, "print-1", "got label 1 with species 'print-1'"),
        (0, "", "an attack has one, got label 0"),
    ],
)
def test_label_and_species_must_agree(label: int, species: str, sentence: str) -> None:
    with pytest.raises(InputError, match=f"one.jpg: .*{sentence}"):
        Presentation("one.jpg", "one.jpg", label, species)


def test_unknown_name_error_lists_known_names_and_suggests_one() -> None:
    error = UnknownNameError("model", "bifas", ["deep-pix-bis", "bi-fas"])
    assert str(error) == "unknown model 'bifas'. Did you mean 'bi-fas'? Known: bi-fas, deep-pix-bis."
    assert str(UnknownNameError("model", "x", [])) == "unknown model 'x'. Known: none."


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert 'pip install "bonaface[train]"' in str(MissingExtraError("training", "train", "torch"))
