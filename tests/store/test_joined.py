import shutil
from copy import copy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.datasets.table import PresentationTable
from bonaface.metrics.rates import category
from bonaface.store.crop_store import CropStore
from bonaface.store.joined import JoinedStore, digests, join, parts
from bonaface.store.prepare import prepare

NAMES = ("msu-mfsd", "oulu-npu", "casia-fasd")


@pytest.fixture(scope="module")
def stores(four_stores: dict[str, Path]) -> list[CropStore]:
    return [CropStore.open(four_stores[name]) for name in NAMES]


@pytest.fixture(scope="module")
def joined(stores: list[CropStore]) -> JoinedStore:
    return JoinedStore(stores)


def test_frames_and_rows_follow_each_other(stores: list[CropStore], joined: JoinedStore) -> None:
    assert joined.dataset == "msu-mfsd + oulu-npu + casia-fasd"
    assert len(joined.presentations) == len(joined.frames) == 60
    expected = [(store, number) for store in stores for number in range(len(store.frames))]
    for index, (store, number) in enumerate(expected):
        there, here = store.frames[number], joined.frames[index]
        row, own = joined.presentations[here.presentation], store.presentations[there.presentation]
        assert row.sample_id == f"{store.dataset}/{own.sample_id}"
        assert (row.path, row.label, row.split) == (own.path, own.label, own.split)
        assert (here.face, here.response) == (there.face, there.response)
    for index in (0, 19, 20, 45, 59):
        store, number = expected[index]
        np.testing.assert_array_equal(joined.read(index).image, store.read(number).image)
    assert joined.frames[-1] == joined.frames[59]
    assert joined.frames[18:22] == tuple(joined.frames[index] for index in range(18, 22))
    for read in (joined.read, joined.frames.__getitem__):
        with pytest.raises(IndexError):
            read(60)


def test_nothing_of_two_sets_has_one_name(stores: list[CropStore], joined: JoinedStore) -> None:
    """The subjects of all three are called 1 to 5, their camera 1; two of their prints have one name."""
    assert {row.subject for store in stores for row in store.presentations} == set("12345")
    assert len({row.subject for row in joined.presentations}) == 15
    assert {row.device for row in joined.presentations} == {f"{name}/1" for name in NAMES}
    species = {row.species for row in joined.presentations}
    assert species == {"", "print-photo (msu-mfsd)", "print-1 (oulu-npu)", "print-warped (casia-fasd)"}
    assert {category(name) for name in species if name} == {"print"}


def test_who_is_not_named_stays_unnamed(stores: list[CropStore], faces_root: Path, tmp_path: Path) -> None:
    rows = tuple(replace(row, subject="", device="") for row in stores[0].presentations[:2])
    prepare(
        PresentationTable("siw", rows), faces_root, tmp_path / "siw", settings=stores[0].settings, workers=0
    )
    joined = JoinedStore([stores[1], CropStore.open(tmp_path / "siw")])
    assert [(row.subject, row.device) for row in joined.presentations[-2:]] == [("", "siw/")] * 2


def test_rejects_stores_whose_faces_were_found_in_other_ways(stores: list[CropStore], store: Path) -> None:
    differences = r"prepared otherwise than .* \(frames 20, not 1; longer_side 640, not 320\)"
    with pytest.raises(InputError, match=differences):
        join([stores[0], CropStore.open(store)])


def test_rejects_a_store_of_the_sets_own_boxes_beside_one_of_found_faces(stores: list[CropStore]) -> None:
    boxed = copy(stores[1])
    boxed.settings = replace(boxed.settings, boxes=True)
    with pytest.raises(InputError, match=r"prepared otherwise than .* \(boxes True, not False\)"):
        join([stores[0], boxed])


def test_digest_is_that_of_all_stores_in_order(stores: list[CropStore], joined: JoinedStore) -> None:
    assert joined.digest == sha256(" ".join(store.digest for store in stores).encode()).hexdigest()
    assert joined.digest != JoinedStore(stores[::-1]).digest
    assert digests(joined) == {store.dataset: store.digest for store in stores}
    assert parts(joined) == tuple(stores)


def test_one_store_stays_as_it_is(stores: list[CropStore]) -> None:
    assert join(stores[:1]) is stores[0]
    assert parts(stores[0]) == (stores[0],)
    assert digests(stores[0]) == {"msu-mfsd": stores[0].digest}


def test_rejects_two_stores_of_one_set(stores: list[CropStore], tmp_path: Path) -> None:
    copy = CropStore.open(shutil.copytree(stores[0].path, tmp_path / "copy"))
    with pytest.raises(InputError, match="expected stores of different sets to join, got msu-mfsd, msu-mfsd"):
        join([stores[0], copy])
