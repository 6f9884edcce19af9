import numpy as np
import pytest
from numpy.typing import NDArray

from bonaface.face.detect import Detector, Face
from bonaface.face.track import Tracker, _Window
from bonaface.testing.portrait import drawn_portrait

WIDTH, HEIGHT = 960, 540


class Watched(Detector):
    """A detector that records the sizes of the pictures that it was given."""

    def __init__(self) -> None:
        super().__init__(320, threads=1)
        self.seen: list[tuple[int, int]] = []

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        self.seen.append((picture.shape[1], picture.shape[0]))
        return super().detect(picture)


@pytest.fixture
def detector() -> Watched:
    return Watched()


def frame(*places: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a wall with a person at each position (the portrait's corner)."""
    picture = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)
    for seed, (x, y) in enumerate(places):
        picture[y : y + 256, x : x + 256] = drawn_portrait(256, seed)
    return picture


def overlap(one: Face, other: Face) -> float:
    a, b = np.array(one.box), np.array(other.box)
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(width * height / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - width * height))


def test_a_face_that_moves_a_little_is_found_in_the_window(detector: Watched) -> None:
    tracker = Tracker(detector)
    for i in range(6):
        picture = frame((200 + 15 * i, 100 + 7 * i))
        (face,) = tracker.detect(picture)
        (whole,) = Detector(320, threads=1).detect(picture)
        assert overlap(face, whole) > 0.95
        np.testing.assert_allclose(face.landmarks, whole.landmarks, atol=4)
        assert abs(face.score - whole.score) < 0.02
    assert detector.seen[0] == (WIDTH, HEIGHT)
    assert len(detector.seen) == 6
    assert all(width * height < 0.5 * 320 * 180 for width, height in detector.seen[1:])
    assert all(width % 32 == 0 for width, _ in detector.seen[1:])


def test_a_face_that_jumps_is_looked_for_in_the_whole_frame(detector: Watched) -> None:
    tracker = Tracker(detector)
    tracker.detect(frame((20, 100)))
    (face,) = tracker.detect(frame((680, 200)))
    assert 680 < face.box[0] < face.box[2] < 940
    assert [size == (WIDTH, HEIGHT) for size in detector.seen] == [True, False, True]


def test_a_face_that_leaves_is_no_longer_found(detector: Watched) -> None:
    tracker = Tracker(detector)
    tracker.detect(frame((200, 100)))
    assert tracker.detect(frame()) == []
    assert tracker.detect(frame()) == []
    assert detector.seen.count((WIDTH, HEIGHT)) == 3


def test_several_faces_are_never_tracked(detector: Watched) -> None:
    tracker = Tracker(detector)
    for _ in range(3):
        assert len(tracker.detect(frame((100, 100), (600, 200)))) == 2
    assert set(detector.seen) == {(WIDTH, HEIGHT)}


def test_a_second_face_beside_the_first_is_seen(detector: Watched) -> None:
    """If it is in the window, the whole frame decides."""
    tracker = Tracker(detector)
    tracker.detect(frame((300, 150)))
    assert len(tracker.detect(frame((300, 150), (500, 150)))) == 2


@pytest.mark.parametrize(
    ("corner", "box", "held"),
    [
        ((32, 32), (5, 5, 40, 50), True),
        ((32, 32), (0, 5, 40, 50), False),
        ((32, 32), (5, -3, 40, 50), False),
        ((32, 32), (5, 5, 64, 50), False),
        ((32, 32), (5, 5, 40, 70), False),
        ((0, 0), (-3, -3, 40, 50), True),  # the frame ends there as well
        ((256, 116), (5, 5, 66, 70), True),
    ],
)
def test_a_face_at_the_windows_edge_may_go_on_outside(
    corner: tuple[int, int], box: tuple[int, int, int, int], held: bool
) -> None:
    window = _Window(*corner, width=64, height=64, frame_width=320, frame_height=180, across=3.0, down=3.0)
    assert window.holds(Face(box, ((0, 0),) * 5, 0.99)) is held


class Scripted(Detector):
    """Returns the given results in turn, whatever the picture."""

    def __init__(self, *answers: Face) -> None:
        super().__init__(320)
        self.answers = list(answers)

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        return [self.answers.pop(0)]


def found(x0: float, y0: float = 200, score: float = 0.99) -> Face:
    return Face((x0, y0, x0 + 60, y0 + 70), ((0, 0),) * 5, score)


# The window around found(400) is 96 x 96 pixels of the frame at a third of its size, from (96, 32) on.
@pytest.mark.parametrize("near", [found(-1, 20), found(20, 20, score=0.94)])
def test_a_face_that_is_cut_or_not_certain_is_looked_for_in_the_whole_frame(near: Face) -> None:
    whole = found(500)
    tracker = Tracker(Scripted(found(400), near, whole))
    tracker.detect(frame())
    assert tracker.detect(frame()) == [whole]


def test_a_face_that_is_whole_and_certain_is_taken_as_it_is() -> None:
    tracker = Tracker(Scripted(found(400), found(20, 20, score=0.96)))
    tracker.detect(frame())
    (face,) = tracker.detect(frame())
    assert face.box == (3 * (96 + 20), 3 * (32 + 20), 3 * (96 + 80), 3 * (32 + 90))


def test_a_frame_of_another_size_is_searched_whole(detector: Watched) -> None:
    tracker = Tracker(detector)
    tracker.detect(frame((200, 100)))
    tracker.detect(np.ascontiguousarray(np.rot90(frame((200, 100)), 2)[:, :-2]))
    assert detector.seen == [(WIDTH, HEIGHT), (WIDTH - 2, HEIGHT)]


def test_a_large_face_is_looked_for_in_the_whole_frame(detector: Watched) -> None:
    """A window of most of the frame would save nothing."""
    tracker = Tracker(detector)
    picture = np.asarray(drawn_portrait(512, 0))
    for _ in range(2):
        assert len(tracker.detect(picture)) == 1
    assert detector.seen == [(512, 512)] * 2
