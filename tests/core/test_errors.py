import pytest

from bonaface.core.errors import UnknownNameError

KNOWN = ("bi-fas", "deep-pix-bis", "oulu-npu", "MSU", "nuaa")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NUAA", "nuaa"),
        ("Bi-FAS", "bi-fas"),
        ("BIFAS", "bi-fas"),
        ("msu", "MSU"),
        ("oulu_npu", "oulu-npu"),
        ("DeepPixBis", "deep-pix-bis"),
    ],
)
def test_suggests_a_close_name_whatever_its_case(name: str, meant: str) -> None:
    assert f"unknown thing '{name}'. Did you mean '{meant}'? Known: MSU, bi-fas" in str(
        UnknownNameError("thing", name, KNOWN)
    )


@pytest.mark.parametrize("name", ["", "resnet", "???"])
def test_suggests_nothing_if_no_name_is_close(name: str) -> None:
    message = str(UnknownNameError("thing", name, KNOWN))
    assert message == f"unknown thing {name!r}. Known: MSU, bi-fas, deep-pix-bis, nuaa, oulu-npu."


def test_error_says_none_if_no_names_are_known() -> None:
    assert str(UnknownNameError("thing", "a", ())) == "unknown thing 'a'. Known: none."
