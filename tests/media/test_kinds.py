from pathlib import Path

import pytest
from PIL import Image

from bonaface.media.kinds import PICTURE_SUFFIXES, is_media, is_video
from bonaface.media.picture import FORMATS


@pytest.mark.parametrize(
    ("name", "media", "video"),
    [
        ("a.jpg", True, False),
        ("a/b.PNG", True, False),
        ("a.b.MOV", True, True),
        ("a.webm", True, True),
        ("a.txt", False, False),
        ("mov", False, False),
        ("Thumbs.db", False, False),
    ],
)
def test_names_tell_what_a_file_is(name: str, media: bool, video: bool) -> None:
    assert is_media(name) is is_media(Path(name)) is media
    assert is_video(name) is is_video(Path(name)) is video


def test_pictures_are_those_that_can_be_read() -> None:
    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in PICTURE_SUFFIXES} <= set(FORMATS)
