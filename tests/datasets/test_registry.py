from pathlib import Path

import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.datasets import registry
from bonaface.datasets.protocols import BySubject
from bonaface.datasets.registry import dataset_names, open_dataset


def test_every_module_is_registered_under_its_name() -> None:
    folder = Path(registry.__file__).parent
    modules = {
        path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py") if "\nDATASET = " in path.read_text()
    }
    assert set(dataset_names()) == modules
    assert list(dataset_names()) == sorted(dataset_names())


@pytest.mark.parametrize("name", dataset_names())
def test_every_set_has_reference_and_layout(name: str) -> None:
    dataset = open_dataset(name)
    assert dataset.name == name
    assert dataset.title
    assert dataset.layout
    protocols = [protocol.name for protocol in dataset.protocols]
    assert protocols
    assert len(set(protocols)) == len(protocols)
    for protocol in dataset.protocols:
        assert protocol.description
        assert len(set(protocol.folds)) == len(protocol.folds)
        drawn = isinstance(protocol.splits, BySubject)
        assert not (drawn and protocol.shares_subjects), "drawn splits never share a subject"


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown data set 'nuua'. Did you mean 'nuaa'. Known: .*folder.*nuaa"
    ):
        open_dataset("nuua")
