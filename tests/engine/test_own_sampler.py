"""A sampler from outside the package: found, tried, recorded, and the same after a resume."""

import sys
from pathlib import Path
from typing import Any

import pytest
from small_searches import write_space
from untrained import FORTY, Driver, chain, story

import dmtsearch
from dmtsearch.engine import check_sampler, try_sampler
from dmtsearch.errors import DmtSearchError, ModelError, ScheduleError, UsageError
from dmtsearch.space import load_space, parse_space

pytestmark = pytest.mark.usefixtures("quick_disk")

LAB = """
import random
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

def mine(seed):
    return TPESampler(seed=seed, n_startup_trials=3)

def unseeded(seed):
    return RandomSampler()

def nothing(seed):
    return "tpe"

def broken(seed):
    raise ValueError("no such prior")

class Late(RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        if len(study.trials) > 5:
            raise IndexError("out of ideas")
        return super().sample_independent(study, trial, name, distribution)

def late(seed):
    return Late(seed=seed)
"""


@pytest.fixture(autouse=True)
def own_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a test changes it within a second
    (tmp_path / "own_lab.py").write_text(LAB)
    yield
    sys.modules.pop("own_lab", None)


def run(root: Path, **kwargs: Any) -> Driver:
    root.mkdir(exist_ok=True)
    return Driver(root, chain(FORTY, sampler="own_lab:mine"), trials=12, **kwargs).run()


def test_a_resumed_search_proposes_what_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = story(run(tmp_path / "a", seed=3))
    points = iter(range(1000))
    run(tmp_path / "b", seed=3, die=lambda point: next(points) == 60)
    assert story(run(tmp_path / "b", seed=3)) == unbroken
    assert story(run(tmp_path / "c", seed=4)) != unbroken


@pytest.mark.parametrize(
    ("function", "match"),
    [
        ("unseeded", "proposes other values from the same seed and the same trials"),
        ("nothing", "gives str; it must take a seed .* return an optuna.samplers.BaseSampler"),
        ("broken", "sampler own_lab:broken raises ValueError: no such prior"),
        ("mime", "module 'own_lab' has no function 'mime'; did you mean 'mine'?"),
    ],
)
def test_what_is_not_a_sampler_is_refused_before_anything_is_tried(
    function: str, match: str
) -> None:
    space = chain(FORTY, sampler=f"own_lab:{function}")
    with pytest.raises((UsageError, ModelError), match=match):
        try_sampler(space)
    with pytest.raises(ScheduleError, match=f"search.sampler: .*{match}"):
        check_sampler(space)


def test_a_name_that_is_neither_a_row_nor_a_function_is_refused_with_its_line() -> None:
    text = (
        "dmtsearch: 1\nsearch:\n  sampler: tpee\ndata: {name: digits}\n"
        "stages: {a: {model: {family: plain, base: {choice: [4, 8]}, blocks: 2}}}\n"
    )
    with pytest.raises(ScheduleError, match=r"'tpee'; did you mean 'tpe'\?.*s.yaml:3"):
        parse_space(text, "s.yaml")


def test_a_sampler_that_raises_in_mid_search_is_named(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(FORTY, sampler="own_lab:late"), trials=12)
    with pytest.raises(UsageError, match="sampler own_lab:late raises IndexError: out of ideas"):
        driver.run()


def test_run_json_says_what_the_sampler_was_and_a_resume_notes_other_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_space(tmp_path)
    path.write_text(path.read_text().replace("sampler: grid", "sampler: 'own_lab:mine'"))
    assert dmtsearch.check(load_space(path)).ok
    run = dmtsearch.search(path, trials=1, out="run", store=str(tmp_path / "s"), backend="inline")
    kept = dmtsearch.engine.run_folder.read_run(run.folder)[1].sampler
    assert kept is not None
    assert list(kept["sources"]) == ["own_lab"]
    assert "code of the sampler" not in capsys.readouterr().out

    (tmp_path / "own_lab.py").write_text(LAB.replace("n_startup_trials=3", "n_startup_trials=4"))
    del sys.modules["own_lab"]
    run = dmtsearch.resume(run, trials=2, backend="inline")
    assert len(run.trials) == 2
    assert "the code of the sampler own_lab:mine is not what this run began with" in (
        capsys.readouterr().out
    )
    assert dmtsearch.engine.run_folder.read_run(run.folder)[1].sampler != kept


def test_a_search_whose_sampler_cannot_be_found_leaves_no_folder(tmp_path: Path) -> None:
    path = write_space(tmp_path)
    path.write_text(path.read_text().replace("sampler: grid", "sampler: 'no_lab:mine'"))
    with pytest.raises(DmtSearchError, match="sampler no_lab:mine: no module 'no_lab'"):
        dmtsearch.search(path, out="run", store=str(tmp_path / "s"), backend="inline")
    assert not Path("run").exists()
