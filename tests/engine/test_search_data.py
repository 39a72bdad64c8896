"""A search has one data set: workers compare theirs with their job's, a resume with its run's."""

import pickle
import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from damaged_runs import made_info
from PIL import Image

from dmtsearch.engine import (
    StageSetting,
    context_of,
    keep_data,
    kept_data,
    open_context,
    prepare_schedule,
    train_stage,
)
from dmtsearch.errors import DataChangedError, DataError
from dmtsearch.schedule import Schedule, expand, parse_schedule
from dmtsearch.store import open_store
from dmtsearch.training import StageJob, data_facts

TEXT = """
dmtsearch: 1
name: drawn
data: {DATA}
defaults: {epochs: 1, optimizer: {name: adam, batch: 8}}
stages:
  student: {model: {family: mlp, hidden: [2]}}
"""
MODULE = """
import torch
from torch.utils.data import TensorDataset
def load():
    drawn = torch.Generator().manual_seed(SEED)
    return TensorDataset(torch.rand(60, 4, generator=drawn), torch.arange(60) % 2)
"""


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A worker that has read nothing, in a folder of its own."""
    torch.set_num_threads(1)
    monkeypatch.setattr("dmtsearch.engine.kept_data._KEPT", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files here change within a second
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("drawn_for_search", None)


def write_factory(seed: int) -> None:
    Path("drawn_for_search.py").write_text(MODULE.replace("SEED", str(seed)))


def schedule(data: str = "factory: 'drawn_for_search:load'") -> Schedule:
    return parse_schedule(TEXT.replace("DATA", data), "drawn.yaml")


def job_and_setting(made_for: Schedule) -> tuple[StageJob, StageSetting]:
    """As a driver makes them of the data that it sees now."""
    context = open_context(made_for, device="cpu")
    job = pickle.loads(prepare_schedule(made_for, context).stages[0].job)
    return job, StageSetting("run", expand(made_for).data, False, str(Path.cwd()), 20.0)


def in_another_process() -> None:
    """What a new worker has imported and read."""
    sys.modules.pop("drawn_for_search", None)
    kept_data._KEPT.clear()


def test_a_worker_refuses_other_content_than_its_jobs_and_names_its_machine(
    tmp_path: Path,
) -> None:
    write_factory(0)
    job, setting = job_and_setting(schedule())
    write_factory(1)
    in_another_process()
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(DataChangedError, match=r"its content is another \(fingerprint") as refused:
        train_stage(job, store, setting, lambda phase, history: True, lambda text: None)
    assert str(refused.value).startswith(f"{platform.node()}: the data that stage 'student' would")
    assert "must not draw when it is imported" in str(refused.value)
    assert store.get(job.keys.key) is None  # no answer about the schedule
    write_factory(0)
    sys.modules.pop("drawn_for_search", None)
    done = train_stage(job, store, setting, lambda phase, history: True, lambda text: None)
    assert done.status == "done"


def test_a_worker_refuses_another_split_of_the_same_samples() -> None:
    write_factory(0)
    job, setting = job_and_setting(schedule())
    assert setting.data is not None
    other = replace(setting, data=replace(setting.data, split_seed=7))
    with pytest.raises(
        DataChangedError, match="samples are the same, but the split train and val"
    ):
        context_of(job, other)


def test_a_worker_that_has_read_the_jobs_data_goes_on_with_it() -> None:
    write_factory(0)
    job, setting = job_and_setting(schedule())
    context = context_of(job, setting)
    write_factory(1)
    assert context_of(job, setting).train is context.train


def test_a_worker_that_served_other_data_reads_anew_before_it_refuses() -> None:
    write_factory(0)
    old, setting = job_and_setting(schedule())
    context_of(old, setting)
    write_factory(1)
    kept, module = dict(kept_data._KEPT), sys.modules["drawn_for_search"]
    in_another_process()
    new, _ = job_and_setting(schedule())
    kept_data._KEPT.update(kept)
    sys.modules["drawn_for_search"] = module  # the worker imported the factory's old code
    context = context_of(new, setting)
    assert context.facts is not None
    assert context.facts["fingerprint"] == new.keys.preimage["data"]["fingerprint"]


def test_a_machine_that_lacks_the_files_is_named() -> None:
    for number in range(20):
        path = Path("pets") / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    data = "name: image_folder, args: {root: pets}"
    text = TEXT.replace("DATA", data).replace("family: mlp, hidden: [2]", "plain: 1")
    made_for = parse_schedule(
        text.replace("plain: 1", "family: plain, widths: [2]").replace("batch: 8", "batch: 4"),
        "pets.yaml",
    )
    job, setting = job_and_setting(made_for)
    Path("pets").rename("elsewhere")
    with pytest.raises(DataChangedError, match=f"{platform.node()} cannot read .* no folder pets"):
        context_of(job, setting)
    assert issubclass(DataChangedError, DataError)


def test_a_search_refuses_a_factory_that_draws_its_split_anew() -> None:
    write_factory(0)
    text = Path("drawn_for_search.py").read_text()
    Path("drawn_for_search.py").write_text(
        text.replace("torch.Generator().manual_seed(0)", "None")
    )
    with pytest.raises(DataError, match=r"built twice, .* what a factory draws must come from"):
        open_context(schedule(), device="cpu")


def test_a_run_goes_on_with_its_own_data_alone() -> None:
    info = replace(made_info(Path("run"), 1), space_file="my space.yaml")
    write_factory(0)
    found = data_facts(open_context(schedule(), device="cpu").data)
    notes: list[str] = []

    def resumed(known: Any, facts: dict[str, str]) -> Any:
        return keep_data(known, facts, Path("runs/a b"), resumed=True, tell=notes.append)

    begun = keep_data(info, found, Path("runs/a b"), resumed=False, tell=notes.append)
    assert begun.data == found
    assert resumed(begun, dict(found)) is begun
    assert notes == []
    message = r"runs/a b: the data is not what .*{}.* dmtsearch search .*--out NEW_FOLDER"
    with pytest.raises(DataChangedError, match=message.format("content is another .fingerprint")):
        resumed(begun, {**found, "fingerprint": "0" * 64})
    with pytest.raises(DataChangedError, match=message.format("the split val has others")):
        resumed(begun, {**found, "val": "0" * 64})
    assert resumed(info, found).data == found  # a run of an older version
    assert "made by an older version" in notes[0]


def test_a_process_reads_data_once_for_all_runs_and_keeps_as_much_as_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_factory(0)
    text = Path("drawn_for_search.py").read_text()
    Path("drawn_for_search.py").write_text(
        text.replace(
            "def load():\n", "def load():\n    with open('reads', 'a') as file: file.write('.')\n"
        )
    )
    job, setting = job_and_setting(schedule())
    reads = Path("reads").stat().st_size
    context_of(job, setting)
    other = context_of(job, replace(setting, run="another", save_every_s=5.0))
    assert Path("reads").stat().st_size == reads + 1
    assert (other.run, other.save_every_s) == ("another", 5.0)
    assert setting.data is not None
    shuffled = replace(setting, data=replace(setting.data, split_seed=1))
    kept_data.read_data(shuffled, "cpu")
    context_of(job, setting)
    assert Path("reads").stat().st_size == reads + 2, "both are kept"
    monkeypatch.setattr("dmtsearch.engine.kept_data.MOST_BYTES", 1)
    kept_data.read_data(shuffled, "cpu")
    context_of(job, setting)
    assert Path("reads").stat().st_size == reads + 3
