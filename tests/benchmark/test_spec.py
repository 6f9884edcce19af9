from pathlib import Path

import pytest

from bonaface.benchmark.spec import check_models, read_spec
from bonaface.core.errors import InputError, UnknownNameError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = {
    "stores": "{oulu-npu: a, replay-mobile: $HERE/b}",
    "models": "[bi-fas, {model: a-deep-pix-bis, preset: scaled, set: {epochs: 3}}]",
    "protocols": "['oulu-npu/1', {protocol: oulu-npu/3, folds: [2, 5]}, 'oulu-npu/1 -> replay-mobile/grandtest']",
}


def written(folder: Path, **changes: str) -> Path:
    path = folder / "spec.yaml"
    lines = {**GOOD, **changes}
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items() if value))
    return path


def test_cells_are_models_times_protocols_times_folds_times_seeds(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, seeds="[0, 7]"))
    found = [(c.model.name, str(c.experiment), c.train_fold, c.test_fold, c.seed) for c in spec.cells]
    across = "oulu-npu/1 -> replay-mobile/grandtest"
    one = [("oulu-npu/1", ""), ("oulu-npu/3", "2"), ("oulu-npu/3", "5"), (across, "")]
    assert found == [
        (model, experiment, fold, "" if experiment == across else fold, seed)
        for experiments in (one[:1], one[1:3], one[3:])
        for model in ("bi-fas", "a-deep-pix-bis (scaled)")
        for experiment, fold in experiments
        for seed in (0, 7)
    ]
    assert spec.units == ("video", "frame")


def test_a_protocol_may_be_for_some_models_alone(tmp_path: Path) -> None:
    protocols = "[oulu-npu/1, {protocol: oulu-npu/2, models: [a-deep-pix-bis (scaled)]}]"
    spec = read_spec(written(tmp_path, protocols=protocols))
    assert [(str(cell.experiment), cell.model.name) for cell in spec.cells] == [
        ("oulu-npu/1", "bi-fas"),
        ("oulu-npu/1", "a-deep-pix-bis (scaled)"),
        ("oulu-npu/2", "a-deep-pix-bis (scaled)"),
    ]


def test_claims_are_read_beside_the_file(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path)).claims == ()
    spec = read_spec(written(tmp_path, claims=str(BENCHMARKS / "claims.yaml")))
    assert len(spec.claims) > 20


def test_no_fold_means_all_folds_and_repeated_lines_count_once(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, protocols="[oulu-npu/4, oulu-npu/4]", models="[bi-fas]"))
    assert [cell.fold for cell in spec.cells] == ["1", "2", "3", "4", "5", "6"]


def test_a_model_trained_on_folds_is_tested_with_each(tmp_path: Path) -> None:
    protocols = "['oulu-npu/3 -> replay-mobile/print', 'replay-mobile/print -> oulu-npu/3']"
    spec = read_spec(written(tmp_path, protocols=protocols, models="[bi-fas]"))
    folds = [(cell.train_fold, cell.test_fold) for cell in spec.cells]
    assert folds == [(str(n), "") for n in range(1, 7)] + [("", str(n)) for n in range(1, 7)]


def test_paths_are_relative_to_the_file_and_variables_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", "/somewhere")
    assert read_spec(written(tmp_path)).stores == {
        "oulu-npu": str(tmp_path / "a"),
        "replay-mobile": "/somewhere/b",
    }
    monkeypatch.delenv("HERE")
    assert read_spec(written(tmp_path)).stores["replay-mobile"] == "$HERE/b"


def test_changes_of_a_model_override_common_changes(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, set="{epochs: 9, lr: 1e-4}"))
    first, last = spec.cells[0].model, spec.cells[-1].model
    assert dict(first.changes) == {"epochs": 9, "lr": 1e-4}
    assert dict(last.changes) == {"epochs": 3, "lr": 1e-4}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": ""}, "lacks models"),
        ({"modles": "[bi-fas]"}, "unknown key 'modles'. Did you mean 'models'?"),
        ({"models": "bi-fas"}, "models: expected array, got str"),
        ({"models": "[bi-fas, bi-fas]"}, "every model needs a name of its own, got bi-fas, bi-fas"),
        ({"models": "[]"}, "models: expected array of length >= 1, got []"),
        ({"models": "[{preset: paper}]"}, "models[0]: lacks model"),
        ({"models": "[{model: bi-fas, sett: {}}]"}, "models[0]: unknown key 'sett'. Did you mean 'set'?"),
        ({"set": "[lr]"}, "set: expected object, got array"),
        ({"train": "{workers: -1}"}, "train.workers: expected int >= 0, got -1"),
        ({"train": "{devices: true}"}, "train.devices: expected int | null, got bool"),
        ({"seeds": "[-1]"}, "seeds[0]: expected int >= 0, got -1"),
        ({"seeds": "[a]"}, "seeds[0]: expected int, got str"),
        ({"seeds": "[0, 1, 0]"}, "seeds must differ, got 0, 1, 0"),
        ({"units": "[video, video]"}, "units must differ, got video, video"),
        ({"units": "[clip]"}, "units[0]: expected frame or video, got 'clip'"),
        ({"train": "{epochs: 3}"}, "train: unknown key 'epochs'"),
        ({"protocols": "[oulu-npu]"}, "expected a protocol as DATASET/PROTOCOL"),
        ({"protocols": "[oulu-npu/7]"}, "unknown protocol '7'. Known: 1, 2, 3, 4."),
        ({"protocols": "[oulu/1]"}, "unknown data set 'oulu'. Did you mean 'oulu-npu'?"),
        ({"protocols": "[{protocol: oulu-npu/3, folds: [7]}]"}, "unknown fold of oulu-npu/3 '7'"),
        ({"protocols": "[siw/1]"}, "siw/1 needs a store of siw among the stores"),
        ({"protocols": "[folder/test]"}, "folder/test has nothing to train on"),
        (
            {"protocols": "[{protocol: oulu-npu/3 -> replay-mobile/print, folds: [1]}]"},
            "folds can be chosen only where training and test are of one protocol",
        ),
        ({"stores": "]"}, "expected a benchmark in YAML, but"),
        (
            {"protocols": "[{protocol: oulu-npu/1, models: [bi-fass]}]"},
            "unknown model of oulu-npu/1 'bi-fass'. Did you mean 'bi-fas'?",
        ),
        ({"claims": "none.yaml"}, "none.yaml: expected a list of claims in YAML, and there is no such file"),
    ],
)
def test_rejects_an_invalid_benchmark_with_the_file_name(
    changes: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read_spec(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_says_what_a_benchmark_has(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(InputError, match=r"with stores, models, protocols, .*, got nothing"):
        read_spec(tmp_path / "spec.yaml")


def test_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: expected .*, and there is no such file"):
        read_spec(tmp_path / "nowhere.yaml")


def test_models_are_checked_before_training(tmp_path: Path) -> None:
    check_models(read_spec(written(tmp_path)))
    for models, sentence in (
        ("[bi-faz]", "unknown model 'bi-faz'. Did you mean 'bi-fas'?"),
        ("[{model: bi-fas, preset: scaled}]", "unknown preset of bi-fas 'scaled'"),
        ("[{model: bi-fas, set: {epoch: 3}}]", "unknown setting of bi-fas 'epoch'. Did you mean 'epochs'?"),
    ):
        with pytest.raises(UnknownNameError) as caught:
            check_models(read_spec(written(tmp_path, models=models)))
        assert sentence in str(caught.value)


def test_papers_spec_has_every_published_row_of_our_models() -> None:
    from bonaface.evaluation.published import published
    from bonaface.models.registry import model_names

    spec = read_spec(BENCHMARKS / "papers.yaml")
    check_models(spec)
    cells = {(c.model.model, c.experiment.trained_on, c.experiment.tested_on) for c in spec.cells}
    printed = {(row.system, row.trained_on, row.tested_on) for row in published()}
    known = {*model_names(), "timm:inception_v3"}
    assert {row for row in printed if row[0] in known} <= cells
    assert len({c.fold for c in spec.cells if c.experiment.tested_on == "oulu-npu/4"}) == 6


def test_the_sandbox_has_every_system_on_simulated_sets() -> None:
    from bonaface.models import LpFt, model_names

    spec = read_spec(BENCHMARKS / "sandbox.yaml")
    check_models(spec)
    papers = {str(cell.experiment) for cell in read_spec(BENCHMARKS / "papers.yaml").cells}
    assert {str(cell.experiment).replace("simulated-", "") for cell in spec.cells} <= papers
    assert all(name.startswith("simulated-") for name in spec.stores)
    assert {cell.seed for cell in spec.cells} == {0, 1}
    for protocol in ("1", "4"):
        here = {
            cell.model.model.partition(":")[0]
            for cell in spec.cells
            if str(cell.experiment) == f"simulated-oulu-npu/{protocol}"
        }
        # LpFt begins with another model's run, which a benchmark does not give it
        assert {name.partition(":")[0] for name in model_names()} - {LpFt.name} == here
    for experiment in {cell.experiment for cell in spec.cells}:
        here = {cell.model.model for cell in spec.cells if cell.experiment == experiment}
        assert {"linear-probe", "global-statistics"} <= here, experiment


def test_a_model_is_trained_on_several_sets_in_every_combination_of_their_folds(tmp_path: Path) -> None:
    stores = "{oulu-npu: a, replay-mobile: b, msu-mfsd: c, siw: d}"
    name = "oulu-npu/4+replay-mobile/print + msu-mfsd/official->siw/2"
    spec = read_spec(written(tmp_path, stores=stores, protocols=f"['{name}']", models="[bi-fas]"))
    folds = [(cell.train_fold, cell.test_fold) for cell in spec.cells]
    assert folds == [(str(n), test) for n in range(1, 7) for test in ("1", "2", "3", "4")]
    (experiment,) = {cell.experiment for cell in spec.cells}
    assert experiment.sources == ("oulu-npu/4", "replay-mobile/print", "msu-mfsd/official")
    assert str(experiment) == "oulu-npu/4 + replay-mobile/print + msu-mfsd/official -> siw/2"


@pytest.mark.parametrize(
    ("protocol", "folds"),
    [
        ("oulu-npu/3 + msu-mfsd/official -> oulu-npu/3", [(str(n), str(n)) for n in range(1, 7)]),
        ("oulu-npu/3 -> oulu-npu/4", [(str(n), str(n)) for n in range(1, 7)]),
        ("oulu-npu/1 -> oulu-npu/3", [("", str(n)) for n in range(1, 7)]),
        ("oulu-npu/3 -> oulu-npu/1", [(str(n), "") for n in range(1, 7)]),
        ("siw/2 + oulu-npu/1 -> siw/2", [(str(n), str(n)) for n in range(1, 5)]),
    ],
)
def test_a_fold_is_never_tested_by_a_model_of_another_fold_of_its_set(
    protocol: str, folds: list[tuple[str, str]], tmp_path: Path
) -> None:
    """The unseen phone of one fold has trained the models of all others."""
    stores = "{oulu-npu: a, msu-mfsd: c, siw: d}"
    spec = read_spec(written(tmp_path, stores=stores, protocols=f"['{protocol}']", models="[bi-fas]"))
    assert [(cell.train_fold, cell.test_fold) for cell in spec.cells] == folds


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        ("oulu-npu/1 + siw/1 -> replay-mobile/print", "needs a store of siw among the stores"),
        ("oulu-npu/1 + folder/test -> replay-mobile/print", "folder/test has nothing to train on"),
        ("oulu-npu/1 + replay-mobile/print", "expected a protocol as DATASET/PROTOCOL"),
        ("oulu-npu/1 + oulu-npu/2 -> replay-mobile/print", "expected a protocol as DATASET/PROTOCOL"),
        (
            "{protocol: oulu-npu/3 + replay-mobile/print -> oulu-npu/1, folds: [1]}",
            "folds can be chosen only where training and test are of one protocol",
        ),
    ],
)
def test_rejects_invalid_sources(protocol: str, sentence: str, tmp_path: Path) -> None:
    stores = "{oulu-npu: a, replay-mobile: b, folder: c}"
    line = protocol if protocol.startswith("{") else f"'{protocol}'"
    with pytest.raises(InputError) as caught:
        read_spec(written(tmp_path, stores=stores, protocols=f"[{line}]"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["leave-one-out.yaml", "leave-one-out-sandbox.yaml"])
def test_leave_one_out_trains_on_three_sets_and_tests_on_the_fourth(name: str) -> None:
    spec = read_spec(BENCHMARKS / name)
    check_models(spec)
    every = {"oulu-npu", "casia-fasd", "replay-attack", "msu-mfsd"}
    assert set(spec.stores) == every
    experiments = list(dict.fromkeys(cell.experiment for cell in spec.cells))
    tested = [experiment.tested_on.partition("/")[0] for experiment in experiments]
    assert tested == ["msu-mfsd", "casia-fasd", "replay-attack", "oulu-npu"]
    for experiment, test in zip(experiments, tested, strict=True):
        assert {source.partition("/")[0] for source in experiment.sources} == every - {test}
