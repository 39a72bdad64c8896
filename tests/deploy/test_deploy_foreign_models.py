"""Models of strangers: what cannot train or teach is refused before training, with the remedy."""

import os
import random
import threading

import foreign_nets as nets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import dmtsearch
from dmtsearch.deploy import Watch
from dmtsearch.errors import DmtSearchError, ScheduleError
from dmtsearch.schedule import parse_schedule
from dmtsearch.store import open_store

TEXT = """\
dmtsearch: 1
name: strangers
data: {factory: "foreign_nets:images", val: 0.2, test: 0.2}
defaults: {epochs: 1, optimizer: {batch: 12}}
stages:
  teacher: TEACHER
  student: STUDENT
"""
STUDENT = "{source: teacher, model: {family: plain, widths: [2, 3]}}"


def made(teacher="{model: {family: plain, widths: [3, 4]}}", student=STUDENT):
    return parse_schedule(TEXT.replace("TEACHER", teacher).replace("STUDENT", student), "s.yaml")


def factory(name, more="", stage=""):
    return f'{{model: {{factory: "foreign_nets:{name}"{more}}}{stage}}}'


def train(schedule, tmp_path, **more):
    store = open_store(str(tmp_path / "store"))
    return dmtsearch.train(schedule, tmp_path / "out", store=store, **more)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two_outputs", r"gives a dict of 2 \('logits': \[N, 3\], .*self.net\(x\)\['logits'\]"),
        ("aux_in_training", r"gives a tuple of 2 .* in train mode, .*aux_logits: false"),
        ("half", r"weights are float16 \('conv.weight' is\), .*call model.float\(\)"),
        ("double", "weights are float64"),
        (
            "frozen",
            r"each of its 6 parameters has requires_grad=False.*epochs: 1; set `epochs: 0`",
        ),
        ("no_parameters", "it has no parameters"),
        ("parallel", "wrapped in DataParallel.*give the net inside: model.module"),
        ("scripted", "TorchScript, which can teach but not be trained.*epochs: 1"),
        ("traced", "TorchScript, which can teach but not be trained"),
        ("exported", "an exported program.*give the torch.nn.Module that it was made from"),
        ("broken", "'norm.running_var' holds inf in 1 of 4 values"),
        ("too_large", "answers to normalised samples are not finite"),
        ("always_dropping", r"does not obey eval\(\): two passes .*training=self.training"),
        ("never_in_eval", r"number of samples beside it .* in train mode \('conv', \.\.\.\)"),
        ("needs_labels", "called with the samples alone; give other arguments a default"),
        ("lazy", r"lazy modules \('fc.weight' has no shape yet\); call it once on a batch"),
        ("sparse", "sparse gradients.*without sparse=True"),
        ("detached", "no gradient reaches .* in train mode.*detach, argmax"),
        ("rounded", "no gradient reaches .* in train mode"),
        ("squeezed", r"for a batch of one sample the model gives \[3\], not \[1, 3\]"),
        ("needs_two", "not on one alone: a batch of two, please"),
        ("counting", "two passes over .* count or average nothing in eval mode"),
        ("adds_buffer", "a pass in train mode adds 'mean' .*register every buffer in __init__"),
        ("writes_input", r"writes into its input .*x = x.clone\(\)"),
        ("nan_in_training", "not finite in train mode"),
        ("drops_state", r"not take its own state_dict\(\) back .*norm.weight"),
        ("extra_state", r"state_dict\(\) has a dict under '_extra_state'"),
        ("without_values", r"no values \('conv.weight' is on the meta device\)"),
        ("in_inference", "made in torch.inference_mode"),
        ("kept", "gives the same net at each call"),
    ],
)
def test_a_factory_s_net_that_cannot_serve_is_refused_by_name_at_check(name, message):
    found = dmtsearch.check(made(factory(name)), time=False)
    [problem] = found.problems
    assert problem.startswith("stages.teacher.model: ")
    assert problem.endswith("(s.yaml:6)")
    with pytest.raises(ScheduleError, match=message):
        raise ScheduleError("s.yaml", found.problems)


def settings():
    return (
        torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(), os.getcwd(), random.getstate(),
        np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),  # noqa: NPY002
    )  # fmt: skip


def test_what_a_factory_sets_for_the_process_is_set_back(tmp_path):
    before = settings()
    schedule = made(factory("moves_settings"))
    assert not dmtsearch.check(schedule, time=False).problems
    train(schedule, tmp_path)
    assert settings() == before


def test_a_net_that_reads_the_version_of_its_weights_teaches_and_is_loaded(tmp_path):
    student = '{source: teacher, model: {factory: "foreign_nets:versioned"}, keep: best}'
    trained = train(made(factory("versioned"), student), tmp_path)
    assert dmtsearch.load_bundle(trained.folder).model.training is False


def test_a_net_that_draws_from_numpy_and_random_trains_alike_each_time(tmp_path):
    trained = []
    for number in range(2):
        before = settings()
        student = '{source: teacher, model: {factory: "foreign_nets:draws_from_numpy"}}'
        folder = train(made(student=student), tmp_path / str(number)).folder
        trained.append((folder / "model.safetensors").read_bytes())
        assert settings() == before
        random.random()
        np.random.rand()  # noqa: NPY002
    assert trained[0] == trained[1]


@pytest.mark.parametrize(
    ("point", "field", "message"),
    [
        ("aux", "at", "in train mode, module 'aux' did not run"),
        ("bins", "source", "'bins' gives int64 numbers"),
        ("phase", "at", "'phase' gives complex64 numbers"),
    ],
)
def test_a_module_that_no_hint_can_use_is_refused_at_check(point, field, message):
    other = {"source": "at", "at": "source"}[field]
    model = '{factory: "foreign_nets:aux_tapped"}'
    plain = "{family: plain, widths: [3, 4]}"
    teacher, student = (model, plain) if field == "source" else (plain, model)
    hint = f"{{{field}: {point}, {other}: block1}}"
    schedule = made(
        f"{{model: {teacher}}}", f"{{source: teacher, model: {student}, hints: [{hint}]}}"
    )
    with pytest.raises(ScheduleError, match=rf"hints\[0\]\.{field}: .*{message}"):
        raise ScheduleError("s.yaml", dmtsearch.check(schedule, time=False).problems)


def test_a_student_that_does_not_obey_eval_is_refused_too(tmp_path):
    student = '{source: teacher, model: {factory: "foreign_nets:always_dropping"}}'
    with pytest.raises(ScheduleError, match=r"stages\.student\.model: the model does not obey"):
        train(made(student=student), tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(nets.Tiny().state_dict(), "an OrderedDict of 9 entries .a state", id="d"),
        pytest.param("w/teacher.pt", "'w/teacher.pt' is a path; .*load the file into it", id="p"),
        pytest.param(nets.Tiny, r"Tiny is a class; give a torch.nn.Module: Tiny\(...\)", id="c"),
        pytest.param(nets.tiny, "a function is no module; .*call it", id="f"),
        pytest.param(nets.parallel(), "wrapped in DataParallel", id="parallel"),
        pytest.param(nets.exported(), "an exported program", id="exported"),
        pytest.param(nets.traced(), "TorchScript", id="traced"),
        pytest.param(nets.half(), "weights are float16", id="half"),
        pytest.param(nets.frozen(), "nothing in the model can be trained", id="frozen"),
        pytest.param(nets.broken(), "'norm.running_var' holds inf", id="broken"),
        pytest.param(nets.TwoOutputs(), "gives a dict of 2", id="outputs"),
    ],
)
def test_what_is_given_in_models_is_refused_by_name(tmp_path, given, message):
    with pytest.raises(ScheduleError, match=f"stages.teacher.model: .*{message}"):
        train(made(), tmp_path, models={"teacher": given})


def test_a_module_that_cannot_be_copied_is_refused_and_a_local_class_is_not(tmp_path):
    class Local(nets.Tiny):
        def __init__(self):
            super().__init__()
            self.act = lambda x: x

    trained = train(made(), tmp_path, models={"student": Local()})
    assert trained.delivered.record["metrics"]["val"]["n"] == 12
    locked = nets.Tiny()
    locked.lock = threading.Lock()
    with pytest.raises(ScheduleError, match=r"cannot be copied, .*keep no lock, file"):
        train(made(), tmp_path, models={"student": locked})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (nets.Tiny().state_dict(), r"an OrderedDict .* is no module"),
        (nets.Tiny(width=5), r"weights of stage 'student' do not fit its module: .*size mismatch"),
    ],
)
def test_a_bundle_is_not_loaded_into_another_module(student_of_tiny, given, message):
    with pytest.raises(DmtSearchError, match=message):
        dmtsearch.load_bundle(student_of_tiny, model=given)


@pytest.fixture(scope="module")
def student_of_tiny(tmp_path_factory):
    """The bundle of a student that is a `Tiny` given from Python."""
    torch.manual_seed(0)
    return train(made(), tmp_path_factory.mktemp("tiny"), models={"student": nets.Tiny()}).folder


@pytest.mark.parametrize("net", ["scripted", "frozen"])
def test_what_cannot_be_trained_teaches_as_it_is(tmp_path, net):
    """The student learns what it learns from the net that TorchScript was made from."""
    torch.manual_seed(0)
    given = getattr(nets, net)()
    plain = nets.Tiny()
    plain.load_state_dict(given.state_dict())
    teacher = "{model: {family: plain, widths: [3, 4]}, epochs: 0}"
    students = [
        train(made(teacher), tmp_path / name, models={"teacher": module}).folder
        for name, module in (("given", given), ("plain", plain))
    ]
    left, right = ((folder / "model.safetensors").read_bytes() for folder in students)
    assert left == right


def test_hints_from_torchscript_are_refused_with_what_to_tap(tmp_path):
    teacher = "{model: {family: plain, widths: [3, 4]}, epochs: 0}"
    student = STUDENT.replace("}}", "}, hints: [{source: conv, at: block1}]}")
    with pytest.raises(ScheduleError, match="inside TorchScript no module can be tapped"):
        train(made(teacher, student), tmp_path, models={"teacher": nets.scripted()})


# -- weights ------------------------------------------------------------------------------------


def with_weights(tmp_path, change):
    """A teacher of no epochs from the weights of `Tiny`, changed; and its check's problem."""
    file = tmp_path / "w.safetensors"
    state = {name: value.clone() for name, value in nets.Tiny().state_dict().items()}
    save_file(change(state), file)
    teacher = factory("tiny", f", weights: {file}", ", epochs: 0")
    return dmtsearch.check(made(teacher), time=False).problems


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "backbone.body."])
def test_weights_under_a_prefix_are_refused_with_the_line_that_takes_it_off(
    tmp_path, prefix, monkeypatch
):
    [problem] = with_weights(tmp_path, lambda w: {prefix + name: v for name, v in w.items()})
    assert f"their names begin with {prefix!r}" in problem
    assert "head: new" not in problem
    (line,) = (line for line in problem.splitlines() if "python -c" in line)
    assert line.endswith('"')  # a copied line is the whole command
    exec(line.split('python -c "')[1].split('"')[0], {})
    renamed = factory("tiny", f", weights: {tmp_path}/w.renamed.safetensors", ", epochs: 0")
    assert dmtsearch.check(made(renamed), time=False).ok


def test_weights_without_the_model_s_own_prefix_are_told_to_get_it(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file(nets.Tiny().state_dict(), file)

    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nets.Tiny()

    from dmtsearch.models import load_weights

    with pytest.raises(ValueError, match=r"lack the 'backbone\.' with which those of the model"):
        load_weights(Holder(), file)


@pytest.mark.parametrize("under", ["state_dict", "model_ema"])
def test_a_torch_save_file_is_refused_with_the_line_that_converts_it(tmp_path, under):
    file = tmp_path / "teacher.pth.tar"
    torch.save({"epoch": 3, "optimizer": {}, under: nets.Tiny().state_dict()}, file)
    [problem] = dmtsearch.check(
        made(factory("tiny", f", weights: {file}", ", epochs: 0")), time=False
    ).problems
    assert "a file of torch.save, which can run code when it is read" in problem
    exec(problem.split('python -c "')[1].split('"')[0], {})
    converted = tmp_path / "teacher.safetensors"
    assert dmtsearch.check(
        made(factory("tiny", f", weights: {converted}", ", epochs: 0")), time=False
    ).ok


def test_nan_in_a_weights_file_is_named_by_stage_and_tensor(tmp_path):
    def spoil(state):
        state["conv.weight"][0, 0, 0, 0] = float("nan")
        return state

    [problem] = with_weights(tmp_path, spoil)
    assert problem.startswith("stages.teacher.model: ")
    assert "'conv.weight' holds nan in 1 of 108 values" in problem


def test_new_head_is_advised_only_where_the_head_alone_differs(tmp_path):
    def ten_classes(state):
        return {**state, "fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}

    def grey(state):
        return {**state, "conv.weight": torch.zeros(4, 1, 3, 3)}

    [problem] = with_weights(tmp_path, ten_classes)
    assert "or `head: new` where only the number of classes differs" in problem
    [problem] = with_weights(tmp_path, grey)
    assert "head: new" not in problem
    assert "give the model that these weights belong to: its args" in problem


@pytest.mark.parametrize("reading", ["soft", "hints"])
def test_a_new_head_without_epochs_may_give_hints_but_no_soft_targets(tmp_path, reading):
    file = tmp_path / "w.safetensors"
    save_file(nets.Tiny(classes=10).state_dict(), file)
    teacher = factory("tiny", f", weights: {file}, head: new", ", epochs: 0")
    hinted = STUDENT.replace("}}", "}, soft: none, hints: [{source: conv, at: block1}]}")
    problems = dmtsearch.check(
        made(teacher, STUDENT if reading == "soft" else hinted), time=False
    ).problems
    if reading == "hints":
        assert not problems
        return
    [problem] = problems
    assert problem.startswith("stages.teacher.model.head: a new head that no epoch trains")
    assert "stage 'student' learns from them; give this stage epochs" in problem


# -- notes and hints ----------------------------------------------------------------------------


@pytest.mark.parametrize(("net", "noted"), [("softmaxed", True), ("tiny", False)])
def test_a_model_that_ends_in_a_softmax_is_noted(net, noted):
    found = dmtsearch.check(made(factory(net)), time=False)
    assert found.ok
    assert any("its outputs are probabilities" in note for note in found.notes) == noted


@pytest.mark.parametrize("point", ["block1", "teacher.block1"])
def test_a_hint_from_a_stage_that_is_a_source_twice_is_refused(point):
    text = """{source: [{stage: teacher, epoch: 1}, {stage: teacher, epoch: 2}],
            model: {family: plain, widths: [2, 3]}, hints: [{source: POINT, at: block1}]}"""
    teacher = "{model: {family: plain, widths: [3, 4]}, epochs: 3}"
    [problem] = dmtsearch.check(made(teacher, text.replace("POINT", point)), time=False).problems
    assert problem.startswith(
        "stages.student.hints[0].source: stage 'teacher' is a source more than once (epoch 1, "
        "epoch 2), and a hint cannot say which is meant"
    )
    assert problem.endswith("(s.yaml:8)")


def holding(last, point, adapter="{}"):
    """A schedule whose hint goes from a factory's map to that of a net like it."""
    net = f'{{factory: "foreign_nets:holding", args: {{last: {str(last).lower()}}}}}'
    hint = f"{{source: {point}, at: {point}, adapter: {adapter}}}"
    student = f"""{{source: teacher, model: {net},
            hints: [{hint}], hint_phase: {{epochs: 2}}}}"""
    return made(f"{{model: {net}}}", student)


def test_maps_held_channels_last_give_the_hints_of_the_same_maps_channels_first(tmp_path):
    weights = {}
    for last in (True, False):
        schedule = holding(last, "held", "{norm: false, relu: false}")
        [hint] = dmtsearch.check(schedule, time=False).schedule.stages[1].hints
        assert hint["source_shape"] == [8, 8, 8]
        told = "source and student held as [H, W, C]" in hint["adapter"]
        assert told == last
        folder = train(schedule, tmp_path / str(last)).folder
        weights[last] = load_file(folder / "model.safetensors")
    torch.testing.assert_close(weights[True], weights[False], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("point", "adapter", "noted"),
    [("held", "{}", True), ("held", "{relu: false}", False), ("act", "{}", False)],
)
def test_a_relu_adapter_onto_a_tap_with_negative_values_is_noted(point, adapter, noted):
    found = dmtsearch.check(holding(False, point, adapter), time=False)
    [note] = [note for note in found.notes if "ends in a ReLU" in note] or [None]
    assert (note is not None) == noted
    if note:
        assert note.startswith("stages.student.hints[0]: ")
        assert "'held' does (-" in note
        assert note.endswith("(s.yaml:8)")


def test_a_source_no_better_than_what_learns_from_it_is_noted_at_the_end(tmp_path):
    untrained = "{model: {family: plain, widths: [3, 4]}, epochs: 0}"
    student = STUDENT.replace("}}", "}, epochs: 8, soft: {until: 0.1}}")
    told = []
    stages = train(made(untrained, student), tmp_path, watch=Watch(tell=told.append)).stages
    teacher, pupil = (stage.record["metrics"]["val"]["accuracy"] for stage in stages)
    assert teacher < pupil
    assert told[-1] == (
        f"note: teacher is no better than student, which learned from it: val accuracy "
        f"{teacher:.2%} and {pupil:.2%} (n = 12); a better source, or none, may do more"
    )


def test_a_training_tells_what_check_notes_of_given_modules(tmp_path):
    told = []
    train(
        made(),
        tmp_path,
        models={"teacher": nets.Softmaxed()},
        watch=Watch(tell=told.append),
    )
    assert any(one.startswith("note: stages.teacher.model: its outputs are prob") for one in told)
