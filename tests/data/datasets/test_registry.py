from pathlib import Path

import pytest

from bonaface.core.errors import UnknownNameError
from bonaface.data import datasets
from bonaface.data.datasets import dataset_names, open_dataset
from bonaface.data.protocols import BySubject


def test_every_module_is_registered_under_its_name():
    modules = {path.stem.replace("_", "-") for path in Path(datasets.__file__).parent.glob("[a-z]*.py")}
    assert set(dataset_names()) == modules
    assert list(dataset_names()) == sorted(dataset_names())


@pytest.mark.parametrize("name", dataset_names())
def test_every_set_says_what_it_is(name: str):
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


def test_unknown_names_list_the_known_ones():
    with pytest.raises(
        UnknownNameError, match=r"unknown data set 'nuua'. Did you mean 'nuaa'. Known: .*folder.*nuaa"
    ):
        open_dataset("nuua")
