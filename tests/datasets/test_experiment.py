import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.datasets.experiment import Experiment, find_sources, joined_folds, source_names


@pytest.mark.parametrize(
    ("text", "sources", "tested_on", "name"),
    [
        ("oulu-npu/1", ("oulu-npu/1",), "oulu-npu/1", "oulu-npu/1"),
        ("oulu-npu/1->siw/1", ("oulu-npu/1",), "siw/1", "oulu-npu/1 -> siw/1"),
        (
            " oulu-npu/1+casia-fasd/overall  ->  msu-mfsd/official ",
            ("oulu-npu/1", "casia-fasd/overall"),
            "msu-mfsd/official",
            "oulu-npu/1 + casia-fasd/overall -> msu-mfsd/official",
        ),
    ],
)
def test_an_experiment_is_read_from_its_name(
    text: str, sources: tuple[str, ...], tested_on: str, name: str
) -> None:
    found = Experiment.parse(text)
    assert (found.sources, found.tested_on, str(found)) == (sources, tested_on, name)
    assert Experiment.parse(name) == found


@pytest.mark.parametrize(
    "text",
    [
        "oulu-npu",
        "",
        "/1",
        "oulu-npu/1 -> ",
        "oulu-npu/1 + -> siw/1",
        "oulu-npu/1 + siw/1",  # which is tested on nothing
        "oulu-npu/1 -> siw/1 + msu-mfsd/official",
        "oulu-npu/1 + oulu-npu/2 -> siw/1",
        "oulu-npu/1 -> siw/1 -> siw/2",
    ],
)
def test_rejects_what_is_no_experiment(text: str) -> None:
    with pytest.raises(InputError, match="expected a protocol as DATASET/PROTOCOL"):
        Experiment.parse(text)


def test_each_set_trains_once_and_none_is_tested_by_the_name_of_sources() -> None:
    assert source_names("oulu-npu/1 + siw/1") == ("oulu-npu/1", "siw/1")
    with pytest.raises(InputError, match="expected every set once among those to train on"):
        source_names("oulu-npu/1 + siw/1 + oulu-npu/2")
    for text in ("oulu-npu/1 -> siw/1", "oulu-npu/1 + siw", "split"):
        with pytest.raises(InputError, match="expected what to train on as DATASET/PROTOCOL"):
            source_names(text)


def test_folds_are_those_of_the_protocols_that_have_several() -> None:
    name = "casia-fasd/overall + oulu-npu/3 + simulated-oulu-npu/4"

    def folds(given: str) -> list[tuple[str, str, str]]:
        return [(each.dataset, each.protocol.name, each.fold) for each in find_sources(name, given)]

    assert folds("2 + 5") == [
        ("casia-fasd", "overall", ""),
        ("oulu-npu", "3", "2"),
        ("simulated-oulu-npu", "4", "5"),
    ]
    assert [fold for *_, fold in folds("2")] == ["", "2", ""]
    assert joined_folds(["", "2", "5"]) == "2 + 5"
    with pytest.raises(
        InputError, match="a fold for each protocol that has several, 2 in all, got '1 \\+ 2 \\+ 3'"
    ):
        folds("1 + 2 + 3")
    (alone,) = find_sources("oulu-npu/3", "6")
    assert alone.fold == "6"


def test_rejects_unknown_sets_and_protocols() -> None:
    with pytest.raises(UnknownNameError, match="unknown data set 'oulu'"):
        find_sources("oulu/1 + siw/1")
    with pytest.raises(UnknownNameError, match="unknown protocol '7'"):
        find_sources("siw/1 + oulu-npu/7")
