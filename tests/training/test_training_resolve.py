"""From a schedule to a plan: everything wrong at once, each with its place."""

import re

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import Dataset
from training_pieces import BIG, HINT, NORMED, SMALL, Workbench, features, pair, schedule

from dmtsearch.data import load_data
from dmtsearch.errors import ScheduleError, UsageError
from dmtsearch.models import count_params
from dmtsearch.training.jobs import make_jobs
from dmtsearch.training.resolve import resolve

TOO_DEEP = {"family": "plain", "widths": [2] * 5, "convs": 1, "pool_ceil": False}
"""Five pools leave nothing of 8x8."""


def problems_of(bench, made, **more):
    with pytest.raises(ScheduleError, match=r"a\.yaml: \d+ problem") as error:
        bench.plan(made, **more)
    return error.value.problems


def test_problems_of_several_stages_are_told_at_once_with_their_lines(bench):
    stages = {
        "teacher": {"model": TOO_DEEP},
        "one": {"model": BIG},
        "two": {
            "model": SMALL,
            "source": "one",
            "hints": [{"source": "blok1", "at": "block1"}, {"source": "block1", "at": "nope"}],
        },
        "three": {
            "model": SMALL,
            "source": ["one", "teacher"],
            "hints": [{"source": "one.block3", "at": "classifer"}],
            "optimizer": {"batch": 500},
        },
        "sized": {"model": {"family": "plain", "size": {"params": 12}}},
        "end": {"model": SMALL, "source": ["two", "three", "sized"]},
    }
    found = problems_of(bench, schedule(stages))
    text = "\n".join(found)
    assert all(re.search(r"\(a\.yaml:\d+\)$", problem) for problem in found), text
    for part in (
        "stages.teacher.model: ",
        "stages.two.hints[0].source: stage 'one': ",
        "did you mean 'block1'?",
        "stages.two.hints[1].at: stage 'two': ",
        "stages.three.hints[0].source: stage 'one': ",
        "'block3'",
        "stages.three.hints[0].at: stage 'three': ",
        "did you mean 'classifier'?",
        "stages.three.optimizer.batch: a batch of 500 is larger than the training split (160 ",
        "stages.sized.model.size: ",
        "out of reach",
    ):
        assert part in text, part
    assert len(found) == 7


def test_a_hint_point_that_does_not_exist_has_the_nearest_names(bench):
    found = problems_of(bench, pair({"hints": [{"source": "blok1", "at": "block9"}]}))
    assert len(found) == 2
    assert found[0].startswith("stages.student.hints[0].source: stage 'teacher': ")
    assert re.search(r"'blok1'.*did you mean 'block1'\?", found[0])
    assert re.match(r"stages\.student\.hints\[0\]\.at: stage 'student': .*'block9'", found[1])


def test_shapes_that_no_adapter_joins_are_named_with_both(bench):
    hints = [HINT, {"source": "block1", "at": "classifier"}]
    [problem] = problems_of(bench, pair({"hints": hints}))
    assert problem.startswith("stages.student.hints[1]: no adapter joins these taps")
    assert "(10,)" in problem
    assert "(4, 4, 4)" in problem


def test_a_size_out_of_reach_says_what_is_nearest(bench):
    model = {"family": "plain", "convs": 1, "size": {"params": 20}}
    [problem] = problems_of(bench, schedule({"m": {"model": model}}))
    assert re.match(r"stages\.m\.model\.size: .*out of reach: 20 parameters wanted", problem)


def test_a_size_between_two_models_of_which_one_is_wrong_is_told_once(bench):
    stages = {
        "start": {"model": TOO_DEEP},
        "middle": {"model": {"family": "plain", "size": 0.5}, "source": "start"},
        "end": {"model": SMALL, "source": "middle"},
    }
    [problem] = problems_of(bench, schedule(stages))
    assert problem.startswith("stages.start.model: ")


def test_weights_of_another_shape_without_a_new_head_are_refused(bench, tmp_path):
    job = bench.jobs(schedule({"m": {"model": SMALL}}))["m"]
    from dmtsearch.training.build import build_stage_model

    state = build_stage_model(job, objects={}, state=None).state_dict()
    fits = {name: value.clone() for name, value in state.items()}
    other = {
        **fits,
        "classifier.0.weight": torch.zeros(7, 20),
        "classifier.0.bias": torch.zeros(7),
    }
    save_file(fits, tmp_path / "fits.safetensors")
    save_file(other, tmp_path / "other.safetensors")

    def made(file, **more):
        return schedule({"m": {"model": {**SMALL, "weights": file, **more}, "epochs": 1}})

    bench.plan(made("fits.safetensors"), folder=tmp_path)
    bench.plan(made("other.safetensors", head="new"), folder=tmp_path)
    [problem] = problems_of(bench, made("other.safetensors"), folder=tmp_path)
    assert problem.startswith("stages.m.model: weights from ")
    assert "head: new" in problem
    [problem] = problems_of(bench, made("gone.safetensors"), folder=tmp_path)
    assert "no weights file" in problem


def test_init_from_another_model_is_refused_beside_a_bad_hint(bench):
    def stages(size):
        return schedule(
            {
                "a": {"model": {"family": "plain", "convs": 1, "widths": [6, 12]}},
                "b": {"model": {"family": "plain", "convs": 1, "size": {"params": size}}},
                "c": {
                    "model": {"family": "plain", "convs": 1, "widths": [6, 12]},
                    "source": "a",
                    "init": "b",
                    "hints": [{"source": "blok1", "at": "block1"}],
                },
            }
        )

    found = problems_of(bench, stages(2000))
    assert [problem.split(":")[0] for problem in found] == [
        "stages.c.init",
        "stages.c.hints[0].source",
    ]
    assert "stage 'b' has another model" in found[0]


def test_a_module_given_for_no_stage_is_told_with_the_nearest(bench):
    module = torch.nn.Linear(1, 1)
    [problem] = problems_of(bench, pair({}), objects={"teachr": module})
    assert problem == "models: no stage called 'teachr'; did you mean 'teacher'?"


def test_a_module_that_does_not_fit_the_data_is_told_as_its_stage_s_problem(bench):
    wide = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7))
    [problem] = problems_of(bench, pair({}), objects={"teacher": torch.nn.Linear(3, 10)})
    assert problem.startswith("stages.teacher.model: the model does not run on an input of shape")
    [problem] = problems_of(bench, pair({}), objects={"teacher": wide})
    assert "the given module gives [N, 7]; the data needs [N, 10]" in problem


def test_data_of_one_view_has_no_modalities(bench):
    made = schedule({"m": {"model": SMALL, "modality": "iris"}})
    [problem] = problems_of(bench, made)
    assert "stages.m.modality: the data has one view only, and no modality 'iris'" in problem


class Eyes(Dataset):
    """Two views of one person: an image and five numbers."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        chance = torch.Generator().manual_seed(index)
        iris = torch.rand(1, 8, 8, generator=chance)
        return {"iris": iris, "skin": torch.rand(5, generator=chance)}, index % 2


@pytest.fixture
def eyes(store):
    return Workbench(load_data(objects={"train": Eyes(), "val": Eyes(), "test": Eyes()}), store)


def test_data_of_several_modalities_wants_one_named(eyes):
    [problem] = problems_of(eyes, schedule({"m": {"model": SMALL}}))
    assert problem.startswith("stages.m: the data has several modalities; say which")
    [problem] = problems_of(eyes, schedule({"m": {"model": SMALL, "modality": "iriss"}}))
    assert "no modality 'iriss'; did you mean 'iris'?" in problem
    sized = {"family": "mlp", "hidden": [4], "input": {"size": 4}}
    [problem] = problems_of(eyes, schedule({"m": {"model": sized, "modality": "skin"}}))
    assert problem.startswith("stages.m.model.input.size: the data is no image but (5,)")


def test_a_source_of_one_modality_teaches_a_student_of_another(eyes):
    optimizer = {"batch": 8}
    mlp = {"family": "mlp", "hidden": [4]}
    stages = {
        "iris": {"model": SMALL, "modality": "iris", "optimizer": optimizer},
        "skin": {"model": mlp, "modality": "skin", "source": "iris", "optimizer": optimizer},
    }
    results = eyes.run(schedule(stages))
    assert results["skin"].record["view"]["modality"] == "skin"
    assert results["skin"].record["in_shape"] == [5]


def test_a_selector_is_resolved_and_refused_by_name_where_it_would_train(eyes):
    mlp = {"family": "mlp", "hidden": [4]}
    stages = {
        "iris": {"model": SMALL, "modality": "iris", "optimizer": {"batch": 8}},
        "skin": {"model": mlp, "modality": "skin", "optimizer": {"batch": 8}},
        "selector": {"select": ["iris", "skin"], "inputs": "moments", "model": mlp},
    }
    document = {name: stage for name, stage in stages.items() if name != "selector"}
    import json

    from dmtsearch.schedule import parse_schedule

    text = {
        "dmtsearch": 1,
        "data": {"name": "digits"},
        "stages": {**document, "selector": stages["selector"]},
    }
    made = parse_schedule(json.dumps(text, indent=1), "a.yaml")
    plan = eyes.plan(made)
    assert plan.stage("selector").in_shape == (8,)  # four moments of each
    assert plan.stage("selector").num_classes == 2
    with pytest.raises(UsageError, match="'selector' is a selector; this version checks"):
        make_jobs(plan, eyes.data, device="cpu")


def test_a_plan_has_models_shapes_hints_and_the_stages_in_order(bench):
    hints = [{"source": "block1", "at": 0}, {"source": 1, "at": "block1"}]
    plan = bench.plan(pair({"hints": hints, "model": {**SMALL, "pool": [2, 2]}}))
    assert [stage.name for stage in plan.stages] == ["teacher", "student"]
    assert (plan.deliver, plan.num_train, plan.seed) == ("student", 160, 0)
    first, second = plan.stage("student").hints
    assert (first.source_path, first.at_path) == ("block1", "block1")
    assert (first.source_shape, first.at_shape) == ((4, 4, 4), (3, 4, 4))
    assert first.adapter == "conv3x3 3 to 4, norm, relu"
    assert (second.source_path, second.source_shape) == ("block2", (6, 2, 2))
    assert second.adapter == "conv3x3 3 to 6, norm, relu, pooled to 2x2"


def test_an_adapter_between_features_is_called_linear(store):
    bench = Workbench(features(), store)
    mlp = {"family": "mlp", "hidden": [6]}
    hints = [{"source": "classifier", "at": "classifier", "adapter": {"relu": False}}]
    from dmtsearch.models import build_skeleton, list_points

    points = list_points(build_skeleton(mlp, in_shape=(5,), num_classes=3))
    point = next(iter(points))
    hints = [{"source": point, "at": point, "adapter": {"relu": False, "norm": False}}]
    stages = {
        "t": {"model": mlp, "optimizer": {"batch": 16}},
        "s": {
            "model": {**mlp, "hidden": [4]},
            "source": "t",
            "hints": hints,
            "optimizer": {"batch": 16},
        },
    }
    plan = bench.plan(schedule(stages))
    assert plan.stage("s").hints[0].adapter == "linear 4 to 6"
    assert bench.run(schedule(stages))["s"].record["epochs"] == 2


def test_a_size_lies_between_its_chain_s_ends_also_where_one_is_given_as_a_module(bench):
    def stages(size):
        return schedule(
            {
                "start": {"model": {"family": "plain", "widths": [8, 16], "convs": 1}},
                "middle": {
                    "model": {"family": "plain", "convs": [1, 1], "size": size},
                    "source": "start",
                },
                "end": {"model": SMALL, "source": "middle"},
            }
        )

    ends = {name: bench.plan(stages(0.5)).stage(name).params for name in ("start", "end")}
    wanted = (ends["start"] * ends["end"]) ** 0.5
    assert bench.plan(stages(0.5)).stage("middle").params == pytest.approx(wanted, rel=0.25)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 30), torch.nn.Linear(30, 10)
    )
    plan = bench.plan(stages(0.5), objects={"start": module})
    wanted = (count_params(module) * ends["end"]) ** 0.5
    assert plan.stage("start").params == count_params(module) == 64 * 30 + 30 + 310
    assert plan.stage("middle").params == pytest.approx(wanted, rel=0.25)


def test_a_model_with_an_input_of_its_own_is_sized_by_it(bench):
    plan = bench.plan(schedule({"m": {"model": {**NORMED, "input": {"size": 16}}}}))
    assert plan.stage("m").in_shape == (1, 16, 16)
    result = bench.run(schedule({"m": {"model": {**NORMED, "input": {"size": 16}}}}))["m"]
    assert result.record["view"]["size"] == 16


def test_a_source_that_nothing_is_learned_from_is_not_trained(bench):
    plan = bench.plan(pair({"soft": "none"}))
    assert [stage.name for stage in plan.stages] == ["student"]


def test_without_the_data_the_number_of_samples_is_open(bench):
    plan = resolve(pair({"optimizer": {"batch": 500}}), bench.data.facts, num_train=None)
    assert plan.num_train is None  # a batch of 500 may fit


def test_a_batch_larger_than_train_is_refused_only_where_it_would_be_dropped(bench):
    big = {"name": "adam", "batch": 161}
    [problem] = problems_of(bench, schedule({"m": {"model": SMALL, "optimizer": big}}))
    assert "so nothing would be trained; use a smaller batch, or drop_last: false" in problem
    fits = {**big, "drop_last": False}
    assert (
        bench.run(schedule({"m": {"model": SMALL, "optimizer": fits}}))["m"].record["epochs"] == 2
    )


def test_resolving_reads_no_sample_and_leaves_the_random_state(bench):
    before = torch.get_rng_state()
    bench.plan(pair({"hints": [HINT]}))
    assert torch.equal(before, torch.get_rng_state())
