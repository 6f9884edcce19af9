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


def positions(sampler: EpochSampler) -> list[int]:
    return [draw.position for draws in sampler for draw in draws]


@given(
    st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda x: 0 < sum(x) < len(x)),
    st.integers(0, 5),
)
def test_balanced_epoch_under_samples_the_majority_class(labels: list[int], epoch: int) -> None:
    order = epoch_order(np.array(labels), 7, epoch, balance=True)
    rarer = min(Counter(labels).values())
    assert len(set(order.tolist())) == len(order) == 2 * rarer
    assert sum(labels[i] for i in order) == rarer


def test_under_sampling_depends_on_seed_and_epoch() -> None:
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
    real = [position for position in order if position < len(labels)]
    again = [position - len(labels) for position in order if position >= len(labels)]
    bona_fide = [position for position in real if labels[position]]
    assert len(set(order.tolist())) == len(order) == 2 * len(bona_fide)
    assert set(again) <= set(bona_fide)
    assert abs(len(again) - tenths / 10 * len(bona_fide)) <= 1
    # As many as there are: another bona fide picture would lack an attack to go with it.
    attacks = len(labels) - sum(labels)
    more = len(bona_fide) + 1
    assert len(bona_fide) == sum(labels) or more - round(tenths / 10 * more) > attacks - 1


def test_number_of_simulated_attacks_by_hand() -> None:
    def counts(bona_fide: int, attacks: int, simulate: float, balance: bool = True) -> tuple[int, int, int]:
        labels = np.repeat([1, 0], [bona_fide, attacks])
        order = epoch_order(labels, 0, 0, balance, simulate)
        shown, position = np.append(labels, np.zeros_like(labels))[order], order >= len(labels)
        return int(shown.sum()), int((shown == 0).sum()), int(position.sum())

    assert counts(100, 400, 0.3) == (100, 100, 30)
    assert counts(400, 70, 0.3) == (100, 100, 30)  # the 70 attacks there are, and 30 simulated
    assert counts(400, 70, 1.0) == (400, 400, 400)
    assert counts(100, 400, 0.3, balance=False) == (100, 430, 30)


def test_choice_of_simulated_pictures_depends_on_seed_and_epoch() -> None:
    labels = np.tile([0, 1], 20)

    def chosen(seed: int, epoch: int) -> frozenset[int]:
        return frozenset(
            position for position in epoch_order(labels, seed, epoch, True, 0.3).tolist() if position >= 40
        )

    assert chosen(0, 0) == chosen(0, 0)
    assert len({chosen(0, epoch) for epoch in range(6)} | {chosen(1, 0)}) == 7


@pytest.mark.parametrize("world", [1, 2, 3])
def test_devices_share_an_epoch_without_overlap(world: int) -> None:
    labels = np.tile([0, 1], 15)
    shares = [
        positions(EpochSampler(labels, 4, seed=0, balance=True, rank=rank, world=world))
        for rank in range(world)
    ]
    shown = [position for share in shares for position in share]
    assert len(shown) == len(set(shown)) == (30 // (4 * world)) * 4 * world
    assert len({len(share) for share in shares}) == 1


def test_sampler_starts_at_a_given_batch() -> None:
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


def test_drops_a_short_last_batch_unless_it_is_the_only_one() -> None:
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


def test_draw_without_a_key_is_not_augmented(crops: CropBatches, store: Path) -> None:
    batch = crops[[Draw(3, None), Draw(5, None)]]
    opened = CropStore.open(store)
    expected = cut(opened.read(crops.frames[5]), CropSpec.parse("square-1.3"), 32)
    np.testing.assert_array_equal(batch.crops[1].numpy(), expected)
    assert batch.labels.tolist() == crops.labels[[3, 5]].tolist()


def test_augmentation_depends_on_the_key_alone(crops: CropBatches) -> None:
    first, again = (crops[[Draw(3, (0, 1, 2))]].crops for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, crops[[Draw(3, (0, 2, 2))]].crops)


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_batches_are_the_same_with_any_number_of_threads(
    crops: CropBatches, three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = [Draw(position, (0, 1, position), bool(crops.labels[position])) for position in range(6)]
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


def test_damaged_crop_is_reported_from_a_thread(
    crops: CropBatches, three_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: int) -> None:
        raise InputError("damaged at byte 512")

    monkeypatch.setattr(crops._store, "read", damaged)
    with pytest.raises(InputError, match="damaged at byte 512"):
        crops[[Draw(position, None) for position in range(4)]]


def test_a_simulated_draw_is_an_attack_on_the_same_person(crops: CropBatches) -> None:
    position = int(np.flatnonzero(crops.labels)[0])
    plain, attack, again = (
        crops[[Draw(position, (0, 1, 2), simulated)]] for simulated in (False, True, True)
    )
    assert (plain.labels.tolist(), attack.labels.tolist()) == ([1.0], [0.0])
    assert plain.presentations.tolist() == attack.presentations.tolist()
    assert torch.equal(attack.crops, again.crops)
    assert not torch.equal(plain.crops, attack.crops)


def test_share_of_a_batch_gets_color_transfer(store: Path) -> None:
    opened = CropStore.open(store)
    draws = [Draw(position, (7, 0, position)) for position in range(6)]

    def batch(color_transfer: float) -> np.ndarray:
        augmentation = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0), color_transfer=color_transfer)
        return CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, augmentation)[
            draws
        ].crops.numpy()

    plain, transferred = batch(0.0), batch(1.0)
    assert (batch(1.0) == transferred).all()
    means = plain.mean((1, 2))
    for crop in transferred:
        assert np.abs(means - crop.mean((0, 1))).max(1).min() < 6.0  # clipping moves a mean a little
    changed = (plain != transferred).any((1, 2, 3))
    assert changed.any()
    some = (plain != batch(0.5)).any((1, 2, 3))
    assert some.sum() <= changed.sum()
    # dev has no key: it is shown as it is
    augmentation = Augmentation(0.0, (0.0, 0.0, 0.0, 0.0), color_transfer=1.0)
    data = CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, augmentation)
    assert (data[[Draw(position, None) for position in range(6)]].crops.numpy() == plain).all()


def test_share_of_the_pictures_is_exposed_anew(store: Path) -> None:
    opened = CropStore.open(store)
    draws = [Draw(position, (7, 0, position)) for position in range(6)]

    def batch(exposure: float) -> np.ndarray:
        augmentation = Augmentation(0.5, (0.2, 0.2, 0.2, 0.02), exposure=exposure)
        return CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, augmentation)[
            draws
        ].crops.numpy()

    plain, exposed, some = batch(0.0), batch(1.0), batch(0.5)
    assert (batch(1.0) == exposed).all()
    changed = (some != plain).any((1, 2, 3))
    assert 0 < changed.sum() < len(draws)
    assert (some[changed] == exposed[changed]).all()
    # every channel's codes keep their order: nothing but the exposure is another
    for before, after in zip(plain, exposed, strict=True):
        order = np.argsort(before[..., 0].ravel(), kind="stable")
        assert (np.diff(after[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_share_of_the_pictures_is_taken_again_by_a_worse_camera(store: Path) -> None:
    opened = CropStore.open(store)
    draws = [Draw(position, (7, 0, position)) for position in range(6)]

    def batch(camera: float) -> np.ndarray:
        augmentation = Augmentation(0.5, (0.2, 0.2, 0.2, 0.02), camera=camera)
        data = CropBatches(opened, range(len(opened.table)), [CropSpec.parse("tight")], 32, augmentation)
        return data[draws].crops.numpy()

    plain, again, some = batch(0.0), batch(1.0), batch(0.5)
    assert (batch(1.0) == again).all()
    assert (plain != again).any((1, 2, 3)).all()
    changed = (some != plain).any((1, 2, 3))
    assert 0 < changed.sum() < len(draws)
    assert (some[changed] == again[changed]).all()


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
def test_loader_resumes_at_its_saved_position(crops: CropBatches, workers: int) -> None:
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


def test_in_order_gives_every_frame_once_over_all_devices(crops: CropBatches) -> None:
    shown = [b.presentations for rank in range(2) for b in in_order(crops, 16, 0, rank, 2)]
    assert sorted(torch.cat(shown).tolist()) == sorted(crops.presentations.tolist())


def test_batch_has_the_requested_targets(store: Path) -> None:
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
