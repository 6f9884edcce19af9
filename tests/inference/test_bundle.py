import json
import shutil
from pathlib import Path

import msgspec
import pytest

from bonaface.core.errors import ModelFileError, UnknownNameError
from bonaface.inference.bundle import CARD, Bundle, read_card, write_card
from bonaface.testing.networks import write_bundle


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def test_opens_a_run_or_its_bundle(run: Path) -> None:
    assert Bundle.open(run).card == Bundle.open(run / "bundle").card


def test_card_has_the_inputs_of_the_network(bundle: Path) -> None:
    card = Bundle.open(bundle).card
    assert card.model == "deep-pix-bis"
    assert card.input_size == 64
    assert card.outputs == ("feature_map", "binary")
    assert card.mean == (0.5, 0.5, 0.5)
    assert card.source.bona_fide == 4  # two subjects of ten are dev, two pictures each
    assert card.source.attacks == 4
    assert card.source.subjects == 2
    assert card.views == ("tight",)
    assert (card.seed, card.face.context) == (0, 2.0)
    assert card.provenance["settings"]["preset"]["epochs"] == 1
    assert len(card.provenance["store_digest"]) == 64


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_rejects_an_altered_file(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match=rf"{name}: the file was altered"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_rejects_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelFileError, match=rf"{name}: .*missing; copy the bundle again, whole"):
        Bundle.open(copy)


@pytest.mark.parametrize("threshold", [0.0, 0.999])
def test_rejects_an_edited_threshold(copy: Path, threshold: float) -> None:
    card = json.loads((copy / CARD).read_text())
    card["operating_points"]["eer"]["thresholds"]["feature_map"]["frame"] = threshold
    (copy / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelFileError, match="the description was altered"):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["", "{"])
def test_rejects_a_truncated_card_with_advice(copy: Path, text: str) -> None:
    (copy / CARD).write_text(text)
    with pytest.raises(ModelFileError, match=rf"{CARD}: not a readable .*; copy the bundle again, whole"):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["[]", '{"format": 99}'])
def test_rejects_a_file_that_is_no_card(copy: Path, text: str) -> None:
    (copy / CARD).write_text(text)
    with pytest.raises(ModelFileError, match=CARD):
        Bundle.open(copy)


def test_card_round_trip(copy: Path) -> None:
    before = read_card(copy / CARD)
    write_card(copy, before)
    assert read_card(copy / CARD) == before


def test_what_it_says_of_paths_is_strict_json_whatever_their_names(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "model")
    said = {"settings": {"store": "st-caf\udce9/é"}}
    write_card(folder, msgspec.structs.replace(Bundle.open(folder).card, provenance=said, files=None))
    assert Bundle.open(folder).card.provenance == {"settings": {"store": "st-caf?/é"}}


def test_rejects_a_folder_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected a folder that holds bundle\.json"):
        Bundle.open(tmp_path)
    with pytest.raises(ModelFileError, match="does not exist"):
        Bundle.open(tmp_path / "nowhere")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ModelFileError, match=r"no bundle yet.*--resume"):
        Bundle.open(tmp_path)


def test_unknown_output_lists_the_known(bundle: Path) -> None:
    card = Bundle.open(bundle).card
    assert card.output(None) == "feature_map"
    with pytest.raises(UnknownNameError, match="binary, feature_map"):
        card.output("score")
