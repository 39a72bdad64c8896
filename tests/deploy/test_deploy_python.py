"""Training from Python: the user's own modules and data, and a teacher from a file."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import TensorDataset

import dmtsearch
from dmtsearch.errors import BundleError, DmtSearchError, ScheduleError
from dmtsearch.schedule import parse_schedule
from dmtsearch.training import Decision

TEXT = """\
dmtsearch: 1
name: own
data: {factory: "never.imported:data"}
defaults: {epochs: 2, optimizer: {name: adam, batch: 32}}
stages:
  teacher:
    model: {family: mlp, hidden: [16]}
    epochs: 0
  student:
    source: teacher
    model: {family: mlp, hidden: [4]}
    hints: [{source: "1", at: block1}]
    hint_phase: {epochs: 1}
"""


def made_data(samples=240):
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(samples) % 3
    return TensorDataset(torch.randn(samples, 6, generator=chance) + y[:, None], y)


def made_teacher():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.fixture
def schedule():
    return parse_schedule(TEXT, "own.yaml")


def test_a_users_own_module_teaches_and_is_not_changed(schedule, store, tmp_path):
    teacher = made_teacher()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    training = dmtsearch.train(
        schedule, tmp_path / "out", store=store, models={"teacher": teacher}, data=made_data()
    )
    assert [stage.name for stage in training.stages] == ["teacher", "student"]
    assert training.stages[0].record["epochs"] == 0
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])
    assert teacher.training
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_another_state_of_the_users_module_is_another_stage(schedule, store, tmp_path):
    arguments = {"store": store, "data": made_data()}
    first = dmtsearch.train(
        schedule, tmp_path / "a", models={"teacher": made_teacher()}, **arguments
    )
    same = dmtsearch.train(
        schedule, tmp_path / "b", models={"teacher": made_teacher()}, **arguments
    )
    other = made_teacher()
    with torch.no_grad():
        other[0].bias += 1
    changed = dmtsearch.train(schedule, tmp_path / "c", models={"teacher": other}, **arguments)
    assert [stage.reused for stage in same.stages] == [True, True]
    assert [stage.reused for stage in changed.stages] == [False, False]
    assert first.delivered.key != changed.delivered.key


def test_a_bundle_predicts_from_samples_as_they_are_stored(schedule, store, tmp_path):
    data = made_data()
    training = dmtsearch.train(
        schedule, tmp_path / "out", store=store, models={"teacher": made_teacher()}, data=data
    )
    bundle = dmtsearch.load_bundle(training.folder)
    x, _ = data.tensors
    probabilities = bundle.predict(x)
    assert probabilities.shape == (240, 3)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(240))
    # A second implementation of the normalisation, from the numbers in bundle.json.
    mean, std = (torch.tensor(bundle.info["input"][name]) for name in ("mean", "std"))
    with torch.no_grad():
        expected = bundle.model((x - mean) / std).softmax(dim=1)
    torch.testing.assert_close(probabilities, expected)


def test_a_delivered_module_of_the_users_needs_the_module_to_load(store, tmp_path):
    text = TEXT.split("  student:")[0].replace("epochs: 0", "epochs: 1")
    training = dmtsearch.train(
        parse_schedule(text, "own.yaml"),
        tmp_path / "out",
        store=store,
        models={"teacher": made_teacher()},
        data=made_data(),
    )
    with pytest.raises(BundleError, match=r"load_bundle\(folder, model=YOUR_MODULE\)"):
        dmtsearch.load_bundle(training.folder)
    bundle = dmtsearch.load_bundle(training.folder, model=made_teacher())
    assert bundle.predict(made_data().tensors[0]).shape == (240, 3)


def test_a_module_for_a_stage_that_is_not_there_is_refused(schedule, store, tmp_path):
    with pytest.raises(ScheduleError, match="no stage called 'techer'; did you mean 'teacher'"):
        dmtsearch.train(
            schedule,
            tmp_path / "out",
            store=store,
            models={"techer": nn.Flatten()},
            data=made_data(),
        )


def test_a_factory_with_a_weights_file_teaches_too(store, tmp_path, monkeypatch):
    (tmp_path / "ownfactory.py").write_text(
        "from torch import nn\n\n"
        "def net(width):\n"
        "    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    teacher = made_teacher()
    save_file(teacher.state_dict(), tmp_path / "teacher.safetensors")
    text = TEXT.replace(
        "{family: mlp, hidden: [16]}",
        '{factory: "ownfactory:net", args: {width: 16}, weights: teacher.safetensors}',
    )
    schedule = parse_schedule(text, "own.yaml")
    by_file = dmtsearch.train(schedule, tmp_path / "a", store=store, data=made_data())
    by_module = dmtsearch.train(
        parse_schedule(TEXT, "own.yaml"),
        tmp_path / "b",
        store=store,
        data=made_data(),
        models={"teacher": teacher},
    )
    # The same weights by two ways: the student learns the same.
    left, right = (
        (folder / "model.safetensors").read_bytes()
        for folder in (by_file.folder, by_module.folder)
    )
    assert left == right
    save_file(nn.Linear(6, 3).state_dict(), tmp_path / "teacher.safetensors")
    with pytest.raises(ScheduleError, match="give the model that these weights belong to"):
        dmtsearch.train(schedule, tmp_path / "c", store=store, data=made_data())


def test_a_listener_stops_a_training_and_the_same_call_goes_on(schedule, store, tmp_path):
    from dmtsearch.deploy import Watch

    def call(name, watch=None):
        return dmtsearch.train(
            schedule,
            tmp_path / name,
            store=store,
            models={"teacher": made_teacher()},
            data=made_data(),
            watch=watch,
        )

    stopped = call("out", Watch(listen=lambda progress: Decision.STOP))
    assert stopped.stopped == "student"
    assert not (tmp_path / "out" / "bundle.json").exists()
    told = []
    finished = call("out", Watch(tell=told.append))
    assert finished.stopped is None
    assert any("going on from its last checkpoint" in text for text in told)


def test_two_trainings_into_one_folder_at_once_are_refused(schedule, store, tmp_path):
    from dmtsearch.deploy import claim_folder

    with (
        claim_folder(tmp_path / "out", schedule),
        pytest.raises(BundleError, match="another process trains into this folder"),
    ):
        dmtsearch.train(schedule, tmp_path / "out", store=store, data=made_data())


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, dmtsearch, dmtsearch.cli.main, dmtsearch.schedule, dmtsearch.space, "
        "dmtsearch.store; print({'torch', 'ray', 'sklearn', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        dmtsearch.tarin  # noqa: B018  # the access is the test
    assert issubclass(ScheduleError, DmtSearchError)


WHOLE = """
dmtsearch: 1
name: whole
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 2, optimizer: {batch: 50}}
stages:
  teacher: {model: {family: plain, widths: [8, 16], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 1, dropout: 0.2}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 2}
    soft: {temperature: 3}
"""
PHASE = """    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 2}
"""
HINTED = f"""  hinted:
    source: teacher
    epochs: 0
    model: {{family: plain, widths: [4, 8], convs: 1, dropout: 0.2}}
{PHASE}  student:
    init: hinted
"""


def test_a_hint_phase_and_what_follows_may_be_two_stages_with_the_same_bytes(tmp_path):
    parted = WHOLE.replace(PHASE, "").replace("  student:\n", HINTED)
    assert "init: hinted" in parted
    weights = []
    for name, text in (("whole", WHOLE), ("parted", parted)):
        (tmp_path / f"{name}.yaml").write_text(text)
        dmtsearch.train(tmp_path / f"{name}.yaml", tmp_path / name, store=str(tmp_path / "store"))
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
