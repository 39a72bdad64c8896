"""From a schedule to a plan: everything wrong at once, each with its place."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import Dataset
from training_pieces import BIG, HINT, SMALL, Workbench, pair, problems_of, schedule

from dmtsearch.data import load_data
from dmtsearch.schedule import parse_schedule

TOO_DEEP = {"family": "plain", "widths": [2] * 5, "convs": 1, "pool_ceil": False}
"""Five pools leave nothing of 8x8."""


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
    from dmtsearch.training import build_stage_model

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
    assert "gives [N, 7] in eval mode, the data needs [N, 10]; give its last layer 10" in problem


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


def test_a_selector_is_resolved(eyes):
    mlp = {"family": "mlp", "hidden": [4]}
    text = {
        "dmtsearch": 1,
        "data": {"name": "digits"},
        "stages": {
            "iris": {"model": SMALL, "modality": "iris", "optimizer": {"batch": 8}},
            "skin": {"model": mlp, "modality": "skin", "optimizer": {"batch": 8}},
            "selector": {"select": ["iris", "skin"], "inputs": "moments", "model": mlp},
        },
    }
    plan = eyes.plan(parse_schedule(json.dumps(text, indent=1), "a.yaml"))
    assert plan.stage("selector").in_shape == (8,)  # four moments of each
    assert plan.stage("selector").num_classes == 2


def test_a_batch_larger_than_train_is_refused_only_where_it_would_be_dropped(bench):
    big = {"name": "adam", "batch": 161}
    [problem] = problems_of(bench, schedule({"m": {"model": SMALL, "optimizer": big}}))
    assert "so nothing would be trained; use a smaller batch, or drop_last: false" in problem
    fits = {**big, "drop_last": False}
    assert (
        bench.run(schedule({"m": {"model": SMALL, "optimizer": fits}}))["m"].record["epochs"] == 2
    )
