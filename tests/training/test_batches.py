from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, current_thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bonaface.core.errors import InputError
from bonaface.face.crop import CropSpec, cut
from bonaface.models.targets import Shown, _makers, register_target
from bonaface.store.crop_store import CropStore
from bonaface.training.batches import (
    Augmentation,
    CropBatches,
    Draw,
    EpochSampler,
    ResumableLoader,
    epoch_order,
    in_order,
)

LABELS = np.array([1, 0, 0, 1, 0, 0, 0, 1, 0, 0])


def places(sampler: EpochSampler) -> list[int]:
    return [draw.position for draws in sampler for draw in draws]


@given(
    st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda x: 0 < sum(x) < len(x)),
    st.integers(0, 5),
)
def test_an_epoch_shows_every_picture_of_the_rarer_class_once_and_as_many_of_the_other(
    labels: list[int], epoch: int
) -> None:
    order = epoch_order(np.array(labels), 7, epoch, balance=True)
    rarer = min(Counter(labels).values())
    assert len(set(order.tolist())) == len(order) == 2 * rarer
    assert sum(labels[i] for i in order) == rarer


def test_each_epoch_leaves_out_other_pictures_and_the_same_again_for_the_same_seed() -> None:
    orders = [tuple(epoch_order(LABELS, 0, epoch, balance=True)) for epoch in range(8)]
    assert len({frozenset(order) for order in orders}) > 3
    assert orders == [tuple(epoch_order(LABELS, 0, epoch, balance=True)) for epoch in range(8)]
    assert orders[0] != tuple(epoch_order(LABELS, 1, 0, balance=True))


def test_without_balance_every_picture_is_shown() -> None:
    assert sorted(epoch_order(LABELS, 0, 0, balance=False)) == list(range(10))


@given(
    st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda x: 0 < sum(x) < len(x)),
    st.integers(0, 5),
    st.integers(0, 10),
)
def test_simulated_attacks_are_bona_fide_pictures_of_the_epoch_and_count_in_its_balance(
    labels: list[int], epoch: int, tenths: int
) -> None:
    order = epoch_order(np.array(labels), 7, epoch, balance=True, simulate=tenths / 10)
    real = [place for place in order if place < len(labels)]
    again = [place - len(labels) for place in order if place >= len(labels)]
    bona_fide = [place for place in real if labels[place]]
    assert len(set(order.tolist())) == len(order) == 2 * len(bona_fide)
    assert set(again) <= set(bona_fide)
    assert abs(len(again) - tenths / 10 * len(bona_fide)) <= 1
    # As many as there are: another bona fide picture would lack an attack to go with it.
    attacks = len(labels) - sum(labels)
    more = len(bona_fide) + 1
    assert len(bona_fide) == sum(labels) or more - round(tenths / 10 * more) > attacks - 1


def test_how_many_are_simulated_worked_out_by_hand() -> None:
    def counts(bona_fide: int, attacks: int, simulate: float, balance: bool = True) -> tuple[int, int, int]:
        labels = np.repeat([1, 0], [bona_fide, attacks])
        order = epoch_order(labels, 0, 0, balance, simulate)
        shown, place = np.append(labels, np.zeros_like(labels))[order], order >= len(labels)
        return int(shown.sum()), int((shown == 0).sum()), int(place.sum())

    assert counts(100, 400, 0.3) == (100, 100, 30)
    assert counts(400, 70, 0.3) == (100, 100, 30)  # the 70 attacks there are, and 30 simulated
    assert counts(400, 70, 1.0) == (400, 400, 400)
    assert counts(100, 400, 0.3, balance=False) == (100, 430, 30)


def test_each_epoch_simulates_other_pictures_and_the_same_again_for_the_same_seed() -> None:
    labels = np.tile([0, 1], 20)

    def chosen(seed: int, epoch: int) -> frozenset[int]:
        return frozenset(
            place for place in epoch_order(labels, seed, epoch, True, 0.3).tolist() if place >= 40
        )

    assert chosen(0, 0) == chosen(0, 0)
    assert len({chosen(0, epoch) for epoch in range(6)} | {chosen(1, 0)}) == 7


@pytest.mark.parametrize("world", [1, 2, 3])
def test_devices_share_an_epoch_without_overlap(world: int) -> None:
    labels = np.tile([0, 1], 15)
    shares = [
        places(EpochSampler(labels, 4, seed=0, balance=True, rank=rank, world=world)) for rank in range(world)
    ]
    shown = [place for share in shares for place in share]
    assert len(shown) == len(set(shown)) == (30 // (4 * world)) * 4 * world
    assert len({len(share) for share in shares}) == 1


def test_a_sampler_goes_on_where_it_was_put() -> None:
    labels = np.tile([0, 1], 10)
    whole = list(EpochSampler(labels, 4, seed=3, balance=True))
    later = EpochSampler(labels, 4, seed=3, balance=True)
    later.start = 2
    assert list(later) == whole[2:]
    later.set_epoch(0)
    assert list(later) == whole[2:]
    later.set_epoch(1)
    assert len(list(later)) == len(whole)
    assert list(later) != whole


def test_no_batch_is_short_unless_it_is_the_only_one() -> None:
    assert [len(b) for b in EpochSampler(np.tile([0, 1], 5), 4, seed=0, balance=True)] == [4, 4]
    assert [len(b) for b in EpochSampler(np.tile([0, 1], 1), 4, seed=0, balance=True)] == [2]


@pytest.fixture(scope="module")
def crops(store: Path) -> CropBatches:
    opened = CropStore.open(store)
    rows = range(len(opened.presentations))
    return CropBatches(
        opened, rows, [CropSpec.parse("square-1.3")], 32, Augmentation(0.5, (0.2, 0.2, 0.2, 0.02))
    )


def test_frames_without_a_face_are_left_out(crops: CropBatches, store: Path) -> None:
    opened = CropStore.open(store)
    assert len(crops) == len(opened.presentations) - 1 == 40
    assert all(not opened.frames[number].response for number in crops.frames)
    assert [opened.presentations[p].label for p in crops.presentations] == crops.labels.tolist()


def test_without_a_key_a_crop_is_the_stored_one(crops: CropBatches, store: Path) -> None:
    batch = crops[[Draw(3, None), Draw(5, None)]]
    opened = CropStore.open(store)
    expected = cut(opened.read(crops.frames[5]), CropSpec.parse("square-1.3"), 32)
    np.testing.assert_array_equal(batch.crops[1].numpy(), expected)
    assert batch.labels.tolist() == crops.labels[[3, 5]].tolist()


def test_the_key_alone_decides_the_augmentation(crops: CropBatches) -> None:
    first, again = (crops[[Draw(3, (0, 1, 2))]].crops for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, crops[[Draw(3, (0, 2, 2))]].crops)


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_batch_is_made_by_as_many_threads_as_the_network_has_and_is_the_same(
    crops: CropBatches, three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = [Draw(place, (0, 1, place), bool(crops.labels[place])) for place in range(6)]
    threads, together = set(), Barrier(3, timeout=30)
    show = crops._show

    def watched(draw: Draw) -> Shown:
        together.wait()  # comes to an end only if three are made at a time
        threads.add(current_thread().name)
        return show(draw)

    monkeypatch.setattr(crops, "_show", watched)
    batch = crops[draws]
    monkeypatch.setattr(crops, "_show", show)
    torch.set_num_threads(1)
    alone = crops[draws]
    assert len(threads) == 3
    assert torch.equal(batch.crops, alone.crops)
    assert torch.equal(batch.labels, alone.labels)
    assert torch.equal(batch.presentations, alone.presentations)


def test_a_damaged_square_is_told_from_a_thread_as_well(
    crops: CropBatches, three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: int) -> None:
        raise InputError("damaged at byte 512")

    monkeypatch.setattr(crops._store, "read", damaged)
    with pytest.raises(InputError, match="damaged at byte 512"):
        crops[[Draw(place, None) for place in range(4)]]


def test_a_simulated_draw_is_an_attack_on_the_same_person(crops: CropBatches) -> None:
    place = int(np.flatnonzero(crops.labels)[0])
    plain, attack, again = (crops[[Draw(place, (0, 1, 2), simulated)]] for simulated in (False, True, True))
    assert (plain.labels.tolist(), attack.labels.tolist()) == ([1.0], [0.0])
    assert plain.presentations.tolist() == attack.presentations.tolist()
    assert torch.equal(attack.crops, again.crops)
    assert not torch.equal(plain.crops, attack.crops)


def test_a_share_of_a_batch_takes_tones_of_the_batch(store: Path) -> None:
    opened = CropStore.open(store)
    draws = [Draw(place, (7, 0, place)) for place in range(6)]

    def batch(color_transfer: float) -> np.ndarray:
        how = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0), color_transfer=color_transfer)
        return CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, how)[
            draws
        ].crops.numpy()

    plain, toned = batch(0.0), batch(1.0)
    assert (batch(1.0) == toned).all()
    means = plain.mean((1, 2))
    for crop in toned:
        assert np.abs(means - crop.mean((0, 1))).max(1).min() < 6.0  # clipping moves a mean a little
    changed = (plain != toned).any((1, 2, 3))
    assert changed.any()
    some = (plain != batch(0.5)).any((1, 2, 3))
    assert some.sum() <= changed.sum()
    # dev has no key: it is shown as it is
    how = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0), color_transfer=1.0)
    data = CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, how)
    assert (data[[Draw(place, None) for place in range(6)]].crops.numpy() == plain).all()


def test_every_picture_takes_one_of_the_crops_at_random(store: Path) -> None:
    opened = CropStore.open(store)
    specs = (CropSpec.parse("tight"), CropSpec.parse("square-1.3"))
    data = CropBatches(
        opened, range(4), [CropSpec.parse("square-1.0")], 32, Augmentation(0.0, (0.0,) * 4, specs)
    )
    square = opened.read(data.frames[1])
    possible = [cut(square, spec, 32) for spec in specs]
    drawn = [data[[Draw(1, (0, 0, n))]].crops[0].numpy() for n in range(20)]
    found = [[np.array_equal(crop, one) for one in possible] for crop in drawn]
    assert {tuple(one) for one in found} == {(True, False), (False, True)}
    np.testing.assert_array_equal(
        data[[Draw(1, None)]].crops[0], cut(square, CropSpec.parse("square-1.0"), 32)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_remembers_its_place_and_goes_on_there(crops: CropBatches, workers: int) -> None:
    def loader() -> ResumableLoader:
        sampler = EpochSampler(crops.labels, 8, seed=0, balance=True, simulate=0.2)
        return ResumableLoader(crops, sampler, num_workers=workers)

    whole = [batch.crops for batch in loader()]
    first = loader()
    taken = iter(first)
    next(taken), next(taken)
    state = first.state_dict()
    assert state == {"epoch": 0, "batches": 2}
    second = loader()
    second.load_state_dict(state)
    rest = [batch.crops for batch in second]
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[2:], strict=True))
    assert second.state_dict() == {"epoch": 0, "batches": len(whole)}
    third = loader()
    third.load_state_dict(second.state_dict())
    assert third.sampler.epoch == 1  # type: ignore[attr-defined]
    assert len(list(third)) == len(whole)


def test_in_order_shows_everything_once_over_all_devices(crops: CropBatches) -> None:
    shown = [b.presentations for rank in range(2) for b in in_order(crops, 16, 0, rank, 2)]
    assert sorted(torch.cat(shown).tolist()) == sorted(crops.presentations.tolist())


def test_a_batch_carries_the_targets_that_are_asked_for(store: Path) -> None:
    opened = CropStore.open(store)
    rows = range(len(opened.presentations))
    plain = Augmentation(1.0, (0.0, 0.0, 0.0, 0.0))
    data = CropBatches(opened, rows, [CropSpec.parse("square-1.3")], 48, plain, ["species", "label"])
    attack = int(np.flatnonzero(data.labels == 0)[0])
    real = int(np.flatnonzero(data.labels)[0])
    batch = data[[Draw(attack, None), Draw(real, (0, 0, 0)), Draw(real, (0, 0, 1), simulated=True)]]
    assert {name: values.tolist() for name, values in batch.targets.items()} == {
        "label": [0.0, 1.0, 0.0],
        "species": [1, 0, 2],
    }
    assert (batch.targets["label"].dtype, batch.targets["species"].dtype) == (torch.float32, torch.int64)


def test_landmarks_are_those_of_the_crop_also_where_it_is_flipped(store: Path) -> None:
    """A target of the landmarks: by hand from the square, and mirrored in a crop that is always flipped."""
    opened = CropStore.open(store)
    spec, size = CropSpec.parse("square-1.3"), 64
    register_target("points", lambda table: lambda shown: shown.landmarks)
    try:
        data = CropBatches(opened, range(4), [spec], size, Augmentation(1.0, (0.0,) * 4), ["points"])
    finally:
        _makers.pop("points")
    square = opened.read(data.frames[0])
    x0, y0, x1, y1 = square.box
    side = 1.3 * max(x1 - x0, y1 - y0)
    corner = np.array([(x0 + x1 - side) / 2, (y0 + y1 - side) / 2])
    expected = (np.array(square.landmarks) - corner) * size / side
    plain, flipped = data[[Draw(0, None), Draw(0, (0, 0, 0))]].targets["points"].numpy()
    np.testing.assert_allclose(plain, expected, atol=1e-3)
    assert (plain > 0).all()
    assert (plain < size).all()
    np.testing.assert_allclose(flipped[:, 0], size - plain[[1, 0, 2, 4, 3], 0], atol=1e-4)
    np.testing.assert_allclose(flipped[:, 1], plain[[1, 0, 2, 4, 3], 1], atol=1e-4)
