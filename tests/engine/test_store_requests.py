"""What a search asks of a store in object storage: every request is a round trip."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from counted_storage import CountedStorage, Request, kinds

import dmtsearch
from dmtsearch.store import paths

pytestmark = pytest.mark.engine  # starts no Ray

SPACE = """
dmtsearch: 1
name: hints
search: {sampler: grid, trials: 9, controls: none}
data: {name: digits, train: 100, val: 50}
defaults: {epochs: 1, optimizer: {name: adam, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4, 8], convs: 1}
  assistant:
    source: teacher
    model: {family: plain, widths: [3, 6], convs: 1}
    soft: {temperature: 2}
  student:
    source: [teacher, assistant]
    model: {family: plain, widths: [2, 4], convs: 1}
    optimizer: {lr: {choice: [0.001, 0.002, 0.003]}}
    hints: [{source: assistant.block1, at: block1}]
    hint_phase: {epochs: 1}
"""


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[str]:
    fsspec.register_implementation("counted", CountedStorage, clobber=True)
    CountedStorage.requests.clear()
    url = f"counted://{tmp_path.name}"
    yield url
    for path in [path for path in CountedStorage.store if tmp_path.name in path]:
        del CountedStorage.store[path]


def search(folder: Path, store: str, out: str = "run") -> tuple[dmtsearch.Run, list[Request]]:
    path = folder / "hints.yaml"
    path.write_text(SPACE)
    before = len(CountedStorage.requests)
    run = dmtsearch.search(path, out=folder / out, store=store, backend="inline")
    return run, CountedStorage.requests[before:]


def of_each_stage(requests: list[Request]) -> list[dict[str, int]]:
    """Requests by kind, from one end of a stage (its lease's) to the next."""
    parts: list[list[Request]] = [[]]
    for request in requests:
        parts[-1].append(request)
        if request.kind == "DELETE" and paths.LEASES in request.path:
            parts.append([])
    assert parts.pop() == []
    return [kinds(part) for part in parts]


HINTED = {"GET objects": 1, "PUT leases": 2, "PUT objects": 4, "DELETE leases": 1}
"""Two leases, a look for the hint phase, two objects of two files each; sources are at hand."""


def test_a_stage_with_sources_and_a_hint_phase_costs_eight_round_trips(
    tmp_path: Path, storage: str
) -> None:
    _, requests = search(tmp_path, storage)
    opened, own = requests[:4], requests[4:]
    assert kinds(opened) == {"HEAD root": 1, "PUT progress": 2, "DELETE progress": 1}
    teacher, assistant, *students = of_each_stage(own)
    assert teacher == {"GET objects": 2, "PUT leases": 1, "PUT objects": 2, "DELETE leases": 1}
    assert assistant == {"GET objects": 1, "PUT leases": 1, "PUT objects": 2, "DELETE leases": 1}
    assert students == [HINTED] * 3
    assert sum(HINTED.values()) == 8


def test_on_another_machine_sources_are_fetched_once_and_the_driver_looks(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = search(tmp_path, storage)
    gone = [path for path in CountedStorage.store if "/leases/" in path]
    for key in first.stages.query("name == 'student'")["key"]:
        gone += [path for path in CountedStorage.store if key in path]
    hinted = [path for path in CountedStorage.store if path.endswith("modules.safetensors")]
    folders = [path.rpartition("/20")[0] for path in hinted]
    gone += [path for path in CountedStorage.store for one in folders if one in path]
    for path in set(gone):
        del CountedStorage.store[path]
    monkeypatch.setenv("DMTSEARCH_COPIES", str(tmp_path / "other node"))
    again, requests = search(tmp_path, storage, "again")
    assert again.summary["best"] == first.summary["best"]
    one, *others = of_each_stage(requests[4:])
    # The driver reads both sources, whole, and so does the first stage; then they are at hand.
    assert one == {**HINTED, "GET objects": 4 + 4 + 1 + 1}
    assert others == [{**HINTED, "GET objects": 2}] * 2


def test_checkpoints_are_written_beside_the_training_and_cost_no_look(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMTSEARCH_SAVE_EVERY_S", "0")
    _, requests = search(tmp_path, storage)
    saved = [request for request in requests[4:] if paths.PROGRESS in request.path]
    assert {request.kind for request in saved} == {"PUT", "DELETE"}
    writers = {request.thread.partition("-")[0] for request in saved if request.kind == "PUT"}
    assert writers == {"checkpoint"}
    assert not [path for path in CountedStorage.store if f"/{paths.PROGRESS}/" in path]
    assert not [path for path in CountedStorage.store if f"/{paths.LEASES}/" in path]
