"""The recipes of docs/how_to_add.md for what is your own, as they stand: each is run.

Starts no Ray.
"""

import functools
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doc_pages import ROOT, Page

import dmtsearch

pytestmark = pytest.mark.engine

TEXT = (ROOT / "docs" / "how_to_add.md").read_text(encoding="utf-8")
SHORT = {"defaults.epochs": 1}
Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def recipe(heading: str, tmp_path: Path) -> Page:
    """The section below a heading, as a page of its own."""
    _, found, rest = TEXT.partition(f"\n## {heading}\n")
    assert found, heading
    path = tmp_path / "recipe.md"
    path.write_text(re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0])
    return Page(path)


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write down a section's files as a reader would; return its module, with calls counted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(heading: str, *functions: str) -> tuple[ModuleType, dict[str, Calls]]:
        page = recipe(heading, tmp_path)
        code = page.blocks("python")[0]  # later ones show what would change in the package
        assert code.startswith("# my_lab.py\n")
        Path("my_lab.py").write_text(code)
        (document,) = page.blocks("yaml")
        Path("mine.yaml").write_text(document)
        module = importlib.import_module("my_lab")
        return module, {name: count(module, name) for name in functions}

    yield write
    sys.modules.pop("my_lab", None)


def count(module: ModuleType, name: str) -> Calls:
    """Note each call of a module's function."""
    real = getattr(module, name)
    calls: Calls = []

    @functools.wraps(real)
    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return real(*args, **kwargs)

    setattr(module, name, noted)
    return calls


def train(tmp_path: Path) -> Any:
    return dmtsearch.train("mine.yaml", "out", store=tmp_path / "store", set=SHORT)


def test_data_of_your_own_is_what_is_trained_on(follow: Any, tmp_path: Path) -> None:
    _, calls = follow("A data set", "load")
    train(tmp_path)
    assert all(kwargs == {"n": 600} for _, kwargs in calls["load"])
    score = dmtsearch.evaluate("out")
    assert score.as_dict()["n"] == 90  # 15 % of 600


def test_a_model_of_your_own_teaches_and_is_taught(follow: Any, tmp_path: Path) -> None:
    follow("A model")
    training = train(tmp_path)
    params = {stage.name: stage.params for stage in dmtsearch.check("mine.yaml").schedule.stages}
    # By hand: 64 w + w + 10 w + 10.
    assert params == {"teacher": 75 * 32 + 10, "student": 75 * 4 + 10}
    assert training is not None
    assert len(dmtsearch.load_bundle("out").model[1].weight) == 4


def test_losses_of_your_own_are_what_is_minimised(follow: Any, tmp_path: Path) -> None:
    module, calls = follow("A loss", "my_kd", "my_hint")
    train(tmp_path)
    steps = 2 * (1078 // 128)
    assert len(calls["my_kd"]) > steps / 2
    assert len(calls["my_hint"]) > steps / 2
    student, source, labels, temperature = calls["my_kd"][-1][0]
    assert module.my_kd(student, source, labels, temperature).shape == (len(labels),)


def test_a_sampler_of_your_own_proposes_the_trials(follow: Any, tmp_path: Path) -> None:
    _, calls = follow("A sampler or a pruner", "mine")
    run = dmtsearch.search(
        "mine.yaml", out="run", backend="inline", store=str(tmp_path / "store"), set=SHORT
    )
    trials = run.trials[run.trials["arm"] == "search"]
    assert list(trials["status"]) == ["done"] * 4
    assert len(calls["mine"]) >= 4


def test_a_space_of_your_own_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (document,) = recipe("A search space", tmp_path).blocks("yaml")
    Path("mine.yaml").write_text(document)
    store = str(tmp_path / "store")
    run = dmtsearch.search(
        "mine.yaml", out="r", backend="inline", store=store, trials=2, set=SHORT
    )
    assert set(run.trials["status"]) == {"done"}
    assert run.best is not None
