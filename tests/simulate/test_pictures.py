import numpy as np
import pytest

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.face.detect import Detector
from bonaface.simulate.camera import Camera, Shot
from bonaface.simulate.pictures import (
    MASKS,
    SPECIES,
    draw_position,
    simulate_attack,
    simulate_attack_crop,
    simulate_bona_fide,
    simulate_photo,
)
from bonaface.simulate.portrait import Portrait
from bonaface.simulate.seeds import stream
from bonaface.simulate.studio import Framed, Photo

SIZE = (256, 256)


@pytest.mark.parametrize("species", SPECIES)
def test_every_species_is_a_picture_with_a_face_at_its_landmarks(
    persons: list[Portrait], photo: Photo, species: str
) -> None:
    found = 0
    for number in range(3):
        attack = simulate_attack(photo, stream(0, species, number), (320, 320), species, persons[2])
        assert attack.picture.shape == (320, 320, 3)
        assert attack.picture.dtype == np.uint8
        for face in Detector(threads=1).detect(attack.picture)[:1]:
            off = np.hypot(*(np.array(face.landmarks) - attack.landmarks).T) / attack.eyes
            found += off[[0, 1, 3, 4]].max() < 0.35
    assert found >= 2


def test_bona_fide_pictures_show_their_face(persons: list[Portrait]) -> None:
    for number, portrait in enumerate(persons * 3):
        photo = simulate_bona_fide(portrait, stream(0, "street", number), (320, 320))
        (face, *_) = Detector(threads=1).detect(photo.picture)
        assert np.hypot(*(np.array(face.landmarks) - photo.landmarks).T).max() < 0.3 * photo.eyes


def test_the_same_stream_makes_the_same_picture(persons: list[Portrait], photo: Photo) -> None:
    for make in (
        lambda k: simulate_bona_fide(persons[0], stream(0, k), SIZE).picture,
        lambda k: simulate_photo(persons[0], stream(0, k), SIZE).picture,
        lambda k: simulate_attack(photo, stream(0, k), SIZE, wearer=persons[1]).picture,
    ):
        assert (make("a") == make("a")).all()
        assert (make("a") != make("b")).any()


def test_attackers_mostly_show_good_photographs(
    persons: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good photographs have less noise, less blur and better exposures; the others are drawn as bona fide."""
    import bonaface.simulate.pictures as pictures

    taken = []
    monkeypatch.setattr(pictures, "shoot", lambda framed, camera, shot, rng: taken.append((camera, shot)))
    for number in range(60):
        simulate_bona_fide(persons[0], stream(0, "photo", number), (64, 64))
        simulate_photo(persons[0], stream(0, "photo", number), (64, 64))
    pairs = list(zip(taken[::2], taken[1::2], strict=True))
    chosen = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(chosen) / len(pairs) == pytest.approx(0.6, abs=0.2)
    for (camera, shot), (better, steady) in chosen:
        assert better.full_well >= max(camera.full_well, 12000)
        assert better.quality >= 90
        assert (steady.motion, steady.gain) == ((0.0, 0.0), 1.0)
        assert abs(steady.exposure) == pytest.approx(abs(shot.exposure) / 3)


@pytest.mark.parametrize("species", ["print-held", "display-phone", "print-worn", "display-monitor"])
def test_what_is_shown_small_is_taken_from_near(
    photo: Photo, persons: list[Portrait], monkeypatch: pytest.MonkeyPatch, species: str
) -> None:
    """A fixed-focus lens that is sharp at a person's usual distance blurs a small photograph held nearer."""
    import bonaface.simulate.pictures as pictures

    seen = []
    monkeypatch.setattr(pictures, "draw_camera", lambda *_: Camera("fixed", fixed=0.5))
    monkeypatch.setattr(pictures, "draw_shot", lambda *_: Shot())
    monkeypatch.setattr(pictures, "shoot", lambda framed, camera, shot, rng: seen.append(shot.defocus))
    for number in range(12):
        simulate_attack(photo, stream(0, "near", number), (64, 64), species, persons[0])
    # between the pupils 63 mm in life; on a held print 13 to 62, on a phone 14 to 26, on a monitor 40 to 85
    ends = {
        "print-held": (13, 62),
        "display-phone": (14, 26),
        "print-worn": (63, 63),
        "display-monitor": (40, 85),
    }
    sizes = np.linspace(*ends[species], 200)
    wanted = 64 / 512 * np.minimum(0.5 * abs(63 / sizes - 1), 2.5)  # in a picture 64 pixels wide
    assert wanted.min() - 1e-6 <= min(seen) <= max(seen) <= wanted.max() + 1e-6
    assert len({round(value, 6) for value in seen}) == (1 if species == "print-worn" else 12)


def test_people_prints_and_screens_are_over_exposed_alike(
    photo: Photo, persons: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bonaface.simulate import pictures, studio

    exposures: list[float] = []

    def noting(framed: Framed, camera: Camera, shot: Shot, rng: np.random.Generator) -> Photo:
        exposures.append(shot.exposure)
        return studio.shoot(framed, camera, shot, rng)

    monkeypatch.setattr(pictures, "shoot", noting)
    monkeypatch.setattr(pictures, "_MISSED", 0.0)  # exposures then miss by 0.35 stops in the mean square
    over = {}
    for species in ("display-phone", "display-monitor", "print-held", "bona fide"):
        exposures.clear()
        for number in range(80):
            rng = stream(3, species, number)
            if species == "bona fide":
                simulate_bona_fide(persons[0], rng, (48, 48))
            else:
                simulate_attack(photo, rng, (48, 48), species)
        over[species] = sum(exposure > 1.2 for exposure in exposures)
        assert 1.7 < max(exposures) <= 2.6
    # A fifth lies between 0.8 and 2.6 stops: 0.156 beyond 1.2, so 12 of 80, give or take three deviations.
    assert all(3 <= count <= 22 for count in over.values())


def test_species_are_drawn_by_their_shares_and_masks_need_a_wearer(
    persons: list[Portrait], photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bonaface.simulate.pictures as pictures

    drawn = [pictures._draw_species(stream(0, n), True) for n in range(600)]
    for name, share in SPECIES.items():
        assert drawn.count(name) / 600 == pytest.approx(share, abs=0.06)
    assert not {pictures._draw_species(stream(0, n), False) for n in range(100)} & set(MASKS)
    with pytest.raises(InputError, match="needs a wearer"):
        simulate_attack(photo, stream(0), SIZE, "print-worn")
    with pytest.raises(UnknownNameError, match="display-phone"):
        simulate_attack(photo, stream(0), SIZE, "display-phon")


def test_attack_crop_keeps_size_and_face_position(photo: Photo) -> None:
    """Augmentation needs the same size and the face at its position, so that the crop's box still fits."""
    for number in range(6):
        attack = simulate_attack_crop(photo.picture, photo.landmarks, stream(0, "crop", number))
        assert attack.shape == photo.picture.shape
        faces = Detector(threads=1).detect(attack)
        if faces:
            eyes = np.array(faces[0].landmarks)[:2]
            assert np.hypot(*(eyes.mean(0) - photo.landmarks[:2].mean(0))) < 0.25 * photo.eyes
            assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(photo.eyes, rel=0.25)


def test_attack_crop_of_odd_size(photo: Photo) -> None:
    crop = np.ascontiguousarray(photo.picture[10:211, 20:225])
    attack = simulate_attack_crop(crop, photo.landmarks - [20, 10], stream(0), "print-held")
    assert attack.shape == (201, 205, 3)
    with pytest.raises(InputError, match="wearer"):
        simulate_attack_crop(crop, photo.landmarks - [20, 10], stream(0), "print-cut")


def test_attack_crop_rejects_coinciding_eyes(photo: Photo) -> None:
    with pytest.raises(InputError, match="landmarks"):
        simulate_attack_crop(photo.picture, np.zeros((5, 2)), stream(0))


def test_faces_lie_in_the_picture_and_their_surroundings_often_do_not() -> None:
    # one function for both classes; the squares are around RetinaFace's box
    places = [draw_position((512, 512), stream(0, "place", n)) for n in range(400)]
    middle = (1.81 - 1.22) / 2

    def outside(scale: float) -> float:
        reach = scale * (1.22 + 1.81) / 2
        nearest = [
            min(p.x, 512 - p.x, p.y + middle * p.eyes, 512 - p.y - middle * p.eyes) / p.eyes for p in places
        ]
        return float(np.mean(np.array(nearest) < reach))

    assert outside(1.0) < 0.12
    assert 0.2 < outside(1.3) < 0.45
    eyes = np.array([place.eyes for place in places]) / 512
    assert 0.11 <= eyes.min() < 0.12
    assert 0.28 < eyes.max() <= 0.30
