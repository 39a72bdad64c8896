"""What a schedule would run: models, shapes, adapters, sizes; nothing is trained."""

import pytest
import torch
from training_pieces import HINT, NORMED, SMALL, Workbench, features, pair, schedule

from dmtsearch.models import count_params
from dmtsearch.stage_kinds import resolve


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


def test_resolving_reads_no_sample_and_leaves_the_random_state(bench):
    before = torch.get_rng_state()
    bench.plan(pair({"hints": [HINT]}))
    assert torch.equal(before, torch.get_rng_state())
