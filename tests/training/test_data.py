import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from bonaface.core.errors import InputError, UnknownNameError
from bonaface.datasets.protocols import find_protocol, split_rows
from bonaface.datasets.registry import open_dataset
from bonaface.models import create_model
from bonaface.models.base import GradientModel
from bonaface.store.crop_store import CropStore
from bonaface.store.joined import JoinedStore
from bonaface.training.data import PadData, open_split, open_stores
from bonaface.training.settings import RunSettings, choose_preset

PROTOCOLS = {"oulu-npu": "1", "casia-fasd": "overall", "replay-attack": "grandtest", "msu-mfsd": "official"}


def settings(stores: dict[str, Path], *names: str, given: tuple[str, ...] = ()) -> RunSettings:
    """A run on the sets `names`, with the stores of `given`, or else in the order of `names`."""
    preset = choose_preset(
        "deep-pix-bis", None, {"backbone": "random:efficientnet-lite0", "size": 64, "batch": 8}
    )
    protocol = "+".join(f"{name}/{PROTOCOLS[name]}" for name in names)
    return RunSettings(preset, tuple(str(stores[name]) for name in given or names), protocol, micro_batch=4)


def test_splits_of_several_sets_are_those_of_each(four_stores: dict[str, Path]) -> None:
    chosen = settings(four_stores, *PROTOCOLS)
    data = PadData(open_stores(chosen), chosen)
    before = 0
    for name, protocol in PROTOCOLS.items():
        table = CropStore.open(four_stores[name]).table
        own = split_rows(table, find_protocol(open_dataset(name).protocols, protocol), "", 0)
        for part in ("train", "dev", "test"):
            here = [n - before for n in getattr(data.split, part) if before <= n < before + len(table)]
            assert tuple(here) == getattr(own, part)
            assert here
        before += len(table)
    assert chosen.protocol == "oulu-npu/1 + casia-fasd/overall + replay-attack/grandtest + msu-mfsd/official"


def test_subjects_of_two_sets_are_two_subjects(four_stores: dict[str, Path]) -> None:
    """Both sets have subjects 1 to 3 to learn from; 3 is dev in OULU-NPU, and here another one in CASIA-FASD."""
    chosen = settings(four_stores, "oulu-npu", "casia-fasd")
    store = open_stores(chosen)
    split = open_split(store, chosen.protocol, "", seed=1)
    people = {
        name: {store.presentations[row].subject for row in getattr(split, name)} for name in ("train", "dev")
    }
    assert people["train"] == {"oulu-npu/1", "oulu-npu/2", "casia-fasd/2", "casia-fasd/3"}
    assert people["dev"] == {"oulu-npu/3", "casia-fasd/1"}


def test_stores_follow_the_protocol_whatever_their_order(four_stores: dict[str, Path]) -> None:
    names = ("casia-fasd", "msu-mfsd", "oulu-npu")
    joined = [open_stores(settings(four_stores, *names, given=given)) for given in (names, names[::-1])]
    assert [store.dataset for store in joined] == ["casia-fasd + msu-mfsd + oulu-npu"] * 2
    assert joined[0].digest == joined[1].digest


def test_classes_are_balanced_over_all_sets(four_stores: dict[str, Path]) -> None:
    chosen = settings(four_stores, "oulu-npu", "msu-mfsd")
    data = PadData(open_stores(chosen), chosen)
    shown = [draw.position for draws in data.train_loader().sampler for draw in draws]
    assert np.bincount(data.train.labels[shown], minlength=2).tolist() == [8, 8]
    sets = {
        data.train._store.presentations[data.train.presentations[n]].subject.partition("/")[0] for n in shown
    }
    assert sets == {"oulu-npu", "msu-mfsd"}


def test_targets_tell_species_and_cameras_of_two_sets_apart(four_stores: dict[str, Path]) -> None:
    """Replay-Attack and MSU-MFSD both have a print called print-photo and a camera called 1, here."""
    preset = choose_preset("patchnet", None, {"size": 64, "batch": 8})
    chosen = replace(settings(four_stores, "replay-attack", "msu-mfsd"), preset=preset)
    data = PadData(open_stores(chosen), chosen)
    batch = next(iter(data.val_dataloader()))
    pairs = set(zip(batch.targets["species"].tolist(), batch.targets["domain"].tolist(), strict=True))
    assert len(pairs) == 4
    assert pairs < set(product((0, 1, 2), (0, 1)))


def test_one_set_may_be_named_and_stays_a_plain_store(four_stores: dict[str, Path]) -> None:
    preset = settings(four_stores, "oulu-npu", "msu-mfsd").preset
    path = str(four_stores["msu-mfsd"])
    plain, named = (RunSettings(preset, path, name) for name in ("official", "msu-mfsd/official"))
    store = open_stores(named)
    assert not isinstance(store, JoinedStore)
    assert PadData(store, plain).split == PadData(store, named).split
    with pytest.raises(
        InputError, match="trains on oulu-npu, but the stores hold msu-mfsd; give a store of each"
    ):
        open_stores(replace(plain, protocol="oulu-npu/1"))


def test_rejects_stores_of_other_sets_than_the_protocol_names(four_stores: dict[str, Path]) -> None:
    chosen = settings(four_stores, "oulu-npu", "msu-mfsd", given=("oulu-npu", "casia-fasd"))
    with pytest.raises(
        InputError,
        match="trains on oulu-npu, msu-mfsd, but the stores hold oulu-npu, casia-fasd; give a store",
    ):
        open_stores(chosen)
    with pytest.raises(InputError, match="trains on 2 sets, and --data gives 3 stores; give a store of each"):
        settings(four_stores, "oulu-npu", "msu-mfsd", given=("oulu-npu", "msu-mfsd", "casia-fasd"))
    with pytest.raises(InputError, match="expected what to train on as DATASET/PROTOCOL"):
        replace(chosen, protocol="official")


def test_names_the_protocol_without_its_fold(four_stores: dict[str, Path]) -> None:
    chosen = settings(four_stores, "oulu-npu", "msu-mfsd")
    store = open_stores(chosen)
    protocol = "oulu-npu/3 + msu-mfsd/official"
    with pytest.raises(InputError, match="oulu-npu/3 has several folds; name one of 1, 2, 3, 4, 5, 6"):
        open_split(store, protocol, "", 0)
    with pytest.raises(UnknownNameError, match="unknown fold of oulu-npu/3 '9'"):
        open_split(store, protocol, "9", 0)


@pytest.mark.parametrize(
    ("model", "changes", "needs"),
    [
        ("deep-pix-bis", {}, ""),
        ("deep-pix-bis", {"pixel_target": "depth"}, "a depth to learn"),
        ("deep-pix-bis", {"branch": "depth"}, "a depth to learn"),
        ("deep-pix-bis", {"branch": "fourier"}, ""),
        ("bi-fas", {}, ""),
        ("bi-fas", {"pixel_target": "depth"}, "a depth to learn"),
        ("bi-fas-s", {}, ""),
        ("bi-fas-s", {"branch": "depth"}, "a depth to learn"),
        ("deep-pix-bis", {"augment.simulate": 0.5}, "augment.simulate"),
        ("deep-pix-bis", {"augment.crops": ["tight", "aligned-1.0"]}, "the crop aligned-1.0"),
        (
            "deep-pix-bis",
            {"crop": "aligned-1.0", "augment.simulate": 0.5},
            "aligned-1.0 and augment.simulate",
        ),
    ],
)
def test_what_needs_landmarks_is_not_trained_on_a_sets_own_boxes(
    model: str, changes: dict[str, object], needs: str, four_stores: dict[str, Path]
) -> None:
    small = {
        "backbone": "random:efficientnet-lite0",
        "size": 96 if model == "deep-pix-bis" else 384,
        "batch": 8,
    }
    preset = choose_preset(model, None, {**small, **changes})
    chosen = RunSettings(preset, str(four_stores["oulu-npu"]), "1", micro_batch=4)
    store = open_stores(chosen)
    network = create_model(model, backbone=preset.backbone, size=preset.size, **preset.options)
    assert isinstance(network, GradientModel)
    PadData(store, chosen).check_landmarks(network.learns_depth)
    assert isinstance(store, CropStore)
    store.settings = dataclasses.replace(store.settings, boxes=True)
    if needs:
        with pytest.raises(
            InputError, match=rf"face boxes, which have no landmarks, and .*{needs} take them"
        ):
            PadData(store, chosen).check_landmarks(network.learns_depth)
    else:
        PadData(store, chosen).check_landmarks(network.learns_depth)
