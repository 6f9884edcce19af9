import subprocess
import sys
from itertools import product

import pytest

from bonaface.simulate.official import OULU_PROTOCOLS, OULU_USERS, REPLAY_MOBILE_CLIENTS, OuluVideos


@pytest.mark.parametrize(
    ("protocol", "learned", "tested"),
    [  # Boulkenafet et al. 2017, table 2: sessions, files and number of phones, in fold 6
        ("1", ("12", "12345", 6), ("3", "12345", 6)),
        ("2", ("123", "124", 6), ("123", "135", 6)),
        ("3", ("123", "12345", 5), ("123", "12345", 1)),
        ("4", ("12", "124", 5), ("3", "135", 1)),
    ],
)
def test_videos_of_oulu_npu_are_the_published_ones(
    protocol: str, learned: tuple[str, str, int], tested: tuple[str, str, int]
) -> None:
    for videos, (sessions, files, phones) in zip(OULU_PROTOCOLS[protocol], (learned, tested), strict=True):
        chosen = {digits for digits in product("123456", "123", "12345") if videos.has("6", *digits)}
        expected = {1: "6", 5: "12345", 6: "123456"}[phones]
        assert chosen == set(product(expected, sessions, files))


def test_no_limit_is_every_video() -> None:
    assert all(OuluVideos().has("", *digits) for digits in product("123456", "123", "12345"))


def test_everybody_is_in_one_part() -> None:
    assert sorted(user for users in OULU_USERS.values() for user in users) == list(range(1, 56))
    assert sorted(client for part in REPLAY_MOBILE_CLIENTS.values() for client in part) == list(range(1, 41))
    assert [len(part) for part in OULU_USERS.values()] == [20, 15, 20]
    assert [len(part) for part in REPLAY_MOBILE_CLIENTS.values()] == [12, 16, 12]


def test_readers_load_nothing_else_of_the_simulation() -> None:
    code = (
        "import sys, bonaface.datasets.oulu_npu, bonaface.datasets.replay_mobile\n"
        "print(*sorted(name for name in sys.modules if name.startswith('bonaface.simulate')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["bonaface.simulate", "bonaface.simulate.official"]
