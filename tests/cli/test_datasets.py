import pytest
import typer
from typer.testing import CliRunner

from bonaface.cli.datasets import datasets
from bonaface.core.errors import UnknownNameError
from bonaface.datasets.registry import dataset_names, open_dataset

app = typer.Typer()
app.command()(datasets)


def run(*arguments: str, width: int = 300) -> str:
    result = CliRunner(env={"COLUMNS": str(width)}).invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_all_sets_are_listed_with_protocols_folds_and_counts() -> None:
    lines = [line.split() for line in run().splitlines()]
    for name in dataset_names():
        assert [name] in [line[:1] for line in lines]
    text = run()
    for name in dataset_names():
        for protocol in open_dataset(name).protocols:
            assert protocol.name in text
    assert ["nuaa", "official", "1743/1748", "20%", "of", "train", "3362/5761"] in lines
    assert ["subject-disjoint", "1,", "2,", "3,", "4,", "5", "drawn", "drawn", "drawn"] in lines


def test_unpublished_counts_are_marked() -> None:
    lines = [line.split() for line in run().splitlines()]
    assert ["folder", "test", "none", "none", "all"] in lines
    assert ["celeba-spoof", "intra-test", "?", "20%", "of", "train", "?"] in lines


def test_shows_one_data_set_in_full() -> None:
    assert "prepare --boxes takes them" in run("oulu-npu")
    assert "--boxes" not in run("nuaa")
    text = run("nuaa")
    nuaa = open_dataset("nuaa")
    assert nuaa.title in text
    assert nuaa.reference in text
    assert nuaa.layout in text  # its brackets are no markup
    assert all(protocol.description in text for protocol in nuaa.protocols)
    assert "bonafide/[SUBJECT/]file" in run("folder")


@pytest.mark.parametrize("name", ["nua", "NUAA", "Nuaa"])
def test_rejects_an_unknown_data_set(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown data set '{name}'. Did you mean 'nuaa'?"):
        run(name)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_are_whole_on_a_narrow_terminal(width: int) -> None:
    text = run(width=width)
    assert "…" not in text
    words = text.split()
    for name in dataset_names():
        assert name in words
        assert {protocol.name for protocol in open_dataset(name).protocols} <= set(words)
