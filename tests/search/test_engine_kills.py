"""A search that is killed anywhere goes on, and ends as one that was not.

Everything here is real: the command in a process of its own, its private Ray, SIGKILL and SIGINT
to the driver, to a coordinator, to a stage's worker and to the broker. Concurrency is 1, where the
outcome of a resumed search must equal the unbroken one's.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPACE = """\
dmtsearch: 1
name: killed
search:
  question: Does a search survive?
  objectives: {val_accuracy: max}
  sampler: tpe
  trials: 5
  controls: [scratch]
data: {name: digits, train: 256, val: 128}
defaults: {epochs: 3, optimizer: {name: adam, batch: 32}}
stages:
  teacher: {model: {family: plain, widths: [16, 32], convs: 2}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 1}
    soft: {temperature: {choice: [1, 2, 4]}, weight: {choice: [0.3, 0.5, 0.7, 0.9]}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc"),
]


class Search:
    """One run folder, and the commands that work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "run"
        (folder / "space.yaml").write_text(SPACE)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "DMTSEARCH_STORE": str(self.folder / "store"),
            "DMTSEARCH_SAVE_EVERY_S": "0",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "dmtsearch", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def search(self) -> "subprocess.Popen[str]":
        return self.start("search", "space.yaml", "--out", "run", "--concurrency", "1")

    def finish(self, *arguments: str) -> str:
        """Run a command to its end, which must be a good one."""
        command = arguments or ("resume", "run")
        process = self.start(*command)
        out, _ = process.communicate(timeout=180)
        assert process.returncode == 0, out
        return out

    def records(self, event: str) -> list[dict[str, Any]]:
        path = self.run / "ledger.jsonl"
        if not path.exists():
            return []
        whole = [line for line in path.read_text().split("\n")[:-1] if line]
        return [found for line in whole if (found := json.loads(line))["event"] == event]

    def wait_for(self, process: "subprocess.Popen[str]", ready: Callable[[], Any]) -> Any:
        """Wait until something is there, while the search runs."""
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            found = ready()
            if found:
                return found
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        raise AssertionError("waited too long")

    def ended(self, count: int) -> bool:
        return len(self.records("end")) >= count

    def outcome(self) -> list[tuple[Any, ...]]:
        """Every trial's draw and result, in the order of proposal."""
        ends = {record["trial"]: record for record in self.records("end")}
        return [
            (
                record["arm"],
                record["values"],
                [stage["key"] for stage in record["stages"]],
                ends[record["trial"]]["status"],
                ends[record["trial"]]["objectives"],
            )
            for record in self.records("trial")
        ]


def processes(name: str, beneath: int) -> list[int]:
    """Process ids of Ray's workers whose title has `name`, of the Ray that `beneath` started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if name in title and beneath in ancestors(int(folder.name)):
            found.append(int(folder.name))
    return found


def ancestors(pid: int) -> set[int]:
    chain: set[int] = set()
    while pid > 1 and pid not in chain:
        chain.add(pid)
        try:
            pid = int(
                (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except (OSError, ValueError):
            break
    return chain


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Search:
    search = Search(tmp_path_factory.mktemp("unbroken"))
    search.finish("search", "space.yaml", "--out", "run", "--concurrency", "1")
    return search


def check_like_unbroken(search: Search, unbroken: Search) -> None:
    assert search.outcome() == unbroken.outcome()
    ran = Counter(record["key"] for record in search.records("stage") if record["status"] == "run")
    assert max(ran.values()) == 1, "a finished stage ran again"
    assert len(search.records("trial")) == len(unbroken.records("trial"))
    import optuna

    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(search.run / "study.journal"))
    )
    (study,) = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=study.study_name, storage=storage).trials
    assert not [trial for trial in trials if not trial.state.is_finished()]


@pytest.mark.parametrize("after", [0, 3], ids=["in the first trial", "after three trials"])
def test_after_a_kill_of_the_driver_resume_ends_like_the_unbroken_search(
    tmp_path: Path, unbroken: Search, after: int
) -> None:
    search = Search(tmp_path)
    process = search.search()
    if after:
        search.wait_for(process, lambda: search.ended(after))
    else:
        search.wait_for(process, lambda: search.records("trial"))
    process.kill()
    process.communicate()
    search.finish()
    check_like_unbroken(search, unbroken)


def test_ctrl_c_stops_cleanly_says_how_to_go_on_and_resume_does(
    tmp_path: Path, unbroken: Search
) -> None:
    search = Search(tmp_path)
    process = search.search()
    search.wait_for(process, lambda: search.ended(2))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "dmtsearch resume run" in out
    assert "Traceback" not in out
    search.finish()
    check_like_unbroken(search, unbroken)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ray::stage ", id="a stage's worker"),
        pytest.param("ray::Broker", id="the broker"),
        pytest.param("ray::ImplicitFunc", id="a coordinator"),
    ],
)
def test_a_kill_of_a_ray_process_changes_nothing(
    tmp_path: Path, unbroken: Search, name: str
) -> None:
    search = Search(tmp_path)
    process = search.search()
    search.wait_for(process, lambda: search.ended(1))
    (victim, *_) = search.wait_for(process, lambda: processes(name, process.pid))
    os.kill(victim, signal.SIGKILL)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 0, out
    check_like_unbroken(search, unbroken)


def test_resume_with_more_trials_extends_a_finished_run(tmp_path: Path, unbroken: Search) -> None:
    search = Search(tmp_path)
    search.finish("search", "space.yaml", "--out", "run", "--concurrency", "1", "--trials", "3")
    assert len([r for r in search.records("trial") if r["arm"] == "search"]) == 3
    search.finish("resume", "run", "--trials", "5")
    found = [r["values"] for r in search.records("trial") if r["arm"] == "search"]
    assert found == [r["values"] for r in unbroken.records("trial") if r["arm"] == "search"]


def test_a_second_run_in_the_same_store_trains_no_shared_stage_again(
    tmp_path: Path, unbroken: Search
) -> None:
    unbroken.finish("search", "space.yaml", "--out", "again", "--concurrency", "1")
    summary = json.loads((unbroken.folder / "again" / "summary.json").read_text())
    assert summary["sharing"]["stages_run"] == 0
    assert summary["sharing"]["stages_requested"] > 0
