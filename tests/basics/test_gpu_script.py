"""`make gpu` and its bundle, as far as a machine without a GPU shows."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_so_and_leaves_the_page(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    before = gpu.PAGE.read_bytes()
    assert gpu.main() == 1
    assert capsys.readouterr().out.startswith("make gpu: torch sees no GPU here, so nothing was")
    assert gpu.PAGE.read_bytes() == before


def test_the_bundle_holds_what_the_package_needs_but_torch(gpu):
    text, found = (ROOT / "pyproject.toml").read_text(), gpu.requirements()
    assert {"ray[tune]>=2.50", "optuna>=4.5", "pytest>=8"} <= set(found)
    assert all(f'"{one}"' in text for one in found)
    assert not [one for one in found if one.startswith("torch")]


def test_a_package_that_is_not_there_is_known_to_be_lacking(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "NEEDED", ("pytest", "no_such_package"))
    assert gpu.lacking() == ["no_such_package"]


def test_a_wheel_that_was_cut_is_put_together_again(gpu, tmp_path):
    bundle, whole = tmp_path / "bundle", tmp_path / "whole"
    bundle.mkdir()
    whole.mkdir()
    content = bytes(range(250))
    for name in ("large.whl", "other.whl"):
        (bundle / name).write_bytes(content)
    gpu.cut(bundle / "large.whl", 100)
    assert sorted(file.stat().st_size for file in bundle.glob("large*")) == [50, 100, 100]
    gpu.join_parts(bundle, whole)
    assert {file.name: file.read_bytes() for file in whole.iterdir()} == {
        "large.whl": content,
        "other.whl": content,
    }
