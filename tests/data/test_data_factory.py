"""A user's data by the name of a function."""

import sys
import textwrap

import pytest
import torch

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError

MODULE = """
    import torch
    from torch.utils.data import TensorDataset

    CONSTANT = 3

    def make(count=60, num_classes=3):
        x = torch.arange(count, dtype=torch.float32)[:, None].repeat(1, 4)
        return TensorDataset(x, torch.arange(count) % num_classes)

    def by_split():
        return {"train": make(), "val": make(9), "test": make(12)}

    def broken():
        raise KeyError("the mount is gone")

    def ends():
        import os
        os._exit(0)

    def nothing():
        return None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a new name in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"users_data_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / f"{name}_broken.py").write_text("import a_package_that_is_not_there\n")
    yield name
    for loaded in (name, f"{name}_broken"):
        sys.modules.pop(loaded, None)


def test_a_factory_in_the_current_directory_is_called_with_its_args(module):
    data = load_data(factory=f"{module}:make", args={"count": 90})
    assert data.facts.shapes == {"": (4,)}
    assert (data.facts.storage, data.facts.num_train) == ("float32", 90)
    assert sum(data.split_sizes.values()) == 90


def test_a_factory_may_bring_its_own_splits(module):
    data = load_data(factory=f"{module}:by_split")
    assert data.split_sizes == {"test": 12, "val": 9, "train": 60}


def test_a_factory_is_described_by_calling_it(module):
    facts = describe_data(factory=f"{module}:by_split")
    assert (facts.num_train, facts.num_val, facts.num_test) == (60, 9, 12)
    assert (facts.num_classes, facts.present, facts.name) == (3, True, f"{module}:by_split")


@pytest.mark.parametrize(
    ("factory", "args", "message"),
    [
        ("make", {}, "is 'make'; write it as 'package.module:function'"),
        ("{m}:", {}, "write it as 'package.module:function'"),
        ("no.such.module:make", {}, r"cannot import 'no.such.module' \(ModuleNotFoundError"),
        ("{m}_broken:make", {}, "cannot import .*No module named 'a_package_that_is_not_there'"),
        ("{m}:mkae", {}, "no function 'mkae' in .*; did you mean 'make'"),
        ("{m}:CONSTANT", {}, "no function 'CONSTANT'"),
        ("{m}:make", {"size": 3}, r"make\(size=3\) raised TypeError"),
        ("{m}:broken", {}, r"broken\(\) raised KeyError: 'the mount is gone'"),
        ("sys:exit", {}, r"exit\(\) raised SystemExit"),
        ("{m}:ends", {}, r"ends\(\) raised SystemExit: os._exit\(0\)"),
        ("{m}:nothing", {}, "train: got NoneType; give a map-style torch Dataset"),
    ],
)
def test_what_goes_wrong_in_a_factory_is_named(module, factory, args, message):
    with pytest.raises(DataError, match=message):
        load_data(factory=factory.format(m=module), args=args)


def test_our_own_errors_pass_through_a_factory_unchanged(module, tmp_path):
    path = tmp_path / f"{module}.py"
    path.write_text(
        "from dmtsearch.errors import DataError\n"
        "def make():\n    raise DataError('set data.args.root')\n"
    )
    with pytest.raises(DataError, match=r"^set data.args.root$"):
        load_data(factory=f"{module}:make")


def test_two_factories_of_the_same_content_have_one_fingerprint(module):
    direct = load_data(factory=f"{module}:make")
    default = load_data(factory=f"{module}:make", args={"count": 60})
    assert direct.fingerprint == default.fingerprint
    assert torch.equal(direct.split("val").index, default.split("val").index)
