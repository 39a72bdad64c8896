"""Data, weights and code count in a key by their content."""

import pytest
import torch
from torch.utils.data import TensorDataset
from training_pieces import BIG, SMALL, Workbench, digits, schedule

from dmtsearch.data import load_data


def with_own_test(test_n, scale=1.0):
    x, y = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 3
    parts = {"train": (x[:30], y[:30]), "val": (x[30:42], y[30:42]), "test": (x[42:], y[42:])}
    parts["train"] = (parts["train"][0] * scale, parts["train"][1])
    given = {name: TensorDataset(*part) for name, part in parts.items()}
    return load_data(objects=given, test=test_n)


def key_on(data):
    model = {"family": "mlp", "hidden": [4]}
    made = schedule({"m": {"model": model, "optimizer": {"batch": 8}}})
    return Workbench(data, None).jobs(made)["m"].keys.key


def test_how_much_of_the_test_split_is_used_is_in_no_key():
    assert key_on(with_own_test(6)) == key_on(with_own_test(18))
    assert key_on(with_own_test(6)) != key_on(with_own_test(6, scale=2.0))


@pytest.mark.parametrize(
    "change", [{"train": 150}, {"val": 90}, {"split_seed": 1}, {"mean": 0.5}, {"std": 0.5}]
)
def test_other_samples_or_moments_are_another_key(change):
    made = schedule({"m": {"model": SMALL}})
    one = Workbench(digits(), None).jobs(made)["m"]
    other = Workbench(digits(**change), None).jobs(made)["m"]
    assert one.keys.key != other.keys.key


def test_input_moments_of_a_model_s_own_are_in_the_key_and_in_its_view(bench):
    own = bench.jobs(schedule({"m": {"model": {**SMALL, "input": {"mean": 0.5, "std": 0.25}}}}))
    assert own["m"].view.mean == (0.5,)
    assert own["m"].view.std == (0.25,)
    assert own["m"].keys.key != bench.jobs(schedule({"m": {"model": SMALL}}))["m"].keys.key


def weights_stage(file, *, epochs=0):
    return schedule({"m": {"model": {**SMALL, "weights": file}, "epochs": epochs}})


def test_a_weights_file_counts_by_its_bytes(bench, tmp_path):
    first = bench.run(schedule({"m": {"model": SMALL}}))["m"]
    other = bench.run(schedule({"m": {"model": SMALL}}, seed=1))["m"]
    for name, result in (("a", first), ("b", first), ("c", other)):
        (tmp_path / f"{name}.safetensors").write_bytes(bench.model_bytes(result))
    a, b, c = (
        bench.jobs(weights_stage(f"{n}.safetensors"), folder=tmp_path)["m"].keys.key for n in "abc"
    )
    assert a == b != c


def test_a_stage_of_given_weights_and_no_epochs_has_no_seed(bench, tmp_path):
    trained = bench.run(schedule({"m": {"model": SMALL}}))["m"]
    (tmp_path / "m.safetensors").write_bytes(bench.model_bytes(trained))

    def key(seed, epochs):
        given = {"model": {**SMALL, "weights": "m.safetensors"}, "epochs": epochs}
        return bench.jobs(schedule({"m": given}, seed=seed), folder=tmp_path)["m"].keys.key

    assert key(0, 0) == key(1, 0)
    assert key(0, 1) != key(1, 1)
    fresh = [
        bench.jobs(schedule({"m": {"model": SMALL, "epochs": 0}}, seed=s))["m"] for s in (0, 1)
    ]
    assert fresh[0].keys.key != fresh[1].keys.key  # untrained, but drawn from the seed


def test_a_factory_counts_by_its_source_args_and_version(bench, tmp_path, monkeypatch):
    def write(body):
        (tmp_path / "made_net_for_keys.py").write_text(
            "from torch import nn\n\n\ndef net(width=4):\n"
            f"    return nn.Sequential(nn.Flatten(), {body}, nn.Linear(width, 10))\n"
        )
        import importlib
        import linecache
        import sys

        sys.modules.pop("made_net_for_keys", None)
        importlib.invalidate_caches()
        linecache.clearcache()

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def key(**more):
        model = {"factory": "made_net_for_keys:net", **more}
        return bench.jobs(schedule({"m": {"model": model}}))["m"].keys.key

    write("nn.Linear(64, width)")
    first = key()
    assert first == key(version=1) == key(args={})
    assert len({first, key(args={"width": 4}), key(args={"width": 5}), key(version=2)}) == 4
    write("nn.Linear(64, width, bias=True)")
    assert key() != first


def test_a_module_from_python_counts_by_its_class_structure_and_weights(bench):
    def key(module):
        made = schedule({"m": {"model": BIG, "epochs": 0}})
        return bench.jobs(made, {"m": module})["m"].keys.key

    def net(width=4, seed=0):
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Linear(width, 10)
        )

    assert key(net()) == key(net())
    assert len({key(net()), key(net(seed=1)), key(net(width=5))}) == 3


def test_a_module_of_a_class_without_source_counts_by_the_code_of_its_methods(bench):
    def key(body):
        given = {"torch": torch, "Flat": torch.nn.Flatten, "__name__": "nowhere_at_all"}
        exec(f"class Typed(Flat):\n  def forward(self, x):\n    return {body}", given)
        net = torch.nn.Sequential(given["Typed"](), torch.nn.Linear(64, 10))
        torch.nn.init.ones_(net[1].weight)
        torch.nn.init.zeros_(net[1].bias)
        made = schedule({"m": {"model": BIG, "epochs": 1}})
        job = bench.jobs(made, {"m": net})["m"]
        return job.keys.key, job.keys.preimage["model"]["typed"]

    one, typed = key("x.flatten(1)")
    assert (one, typed) == key("x.flatten( 1 )")
    assert list(typed) == ["nowhere_at_all.Typed"]
    # As long as it is in eval mode it is the same function: only the code tells.
    assert key("x.flatten(1) + (torch.rand(64) if self.training else 0)")[0] != one
