"""`cluster/local.sh`: a cluster of three nodes on this machine, started and stopped."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "local.sh"
SPACE = """
dmtsearch: 1
name: small
search: {objectives: {val_accuracy: max}, trials: 2, controls: none, sampler: random}
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 1, optimizer: {batch: 50}}
stages: {net: {model: {family: mlp, hidden: [{choice: [4, 8]}]}}}
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of the commands: the paths of Ray's sockets must be short."""
    folder = tempfile.mkdtemp(dir="/tmp")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    yield {
        **{name: os.environ[name] for name in ("LANG",) if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(tmp_path),
        "DMTSEARCH_LOCAL": f"{folder}/c",
        "DMTSEARCH_STORE": str(tmp_path / "store"),
    }
    shutil.rmtree(folder, ignore_errors=True)


def run(environment: Mapping[str, str], *words: object, code: int = 0) -> str:
    ran = subprocess.run(
        [str(word) for word in words], env=environment, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + (ran.stderr if code else "")


def started(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        return stat.read_text().rpartition(") ")[2].split()[19]
    return run(os.environ, "ps", "-o", "lstart=", "-p", pid).strip()


def test_stop_ends_the_processes_that_start_wrote_down_and_no_other_of_the_same_number(
    environment: dict[str, str],
) -> None:
    own, other = (subprocess.Popen(["sleep", "600"]) for _ in range(2))
    try:
        folder = Path(environment["DMTSEARCH_LOCAL"])
        folder.mkdir()
        lines = f"{own.pid} {started(own.pid)}\n{other.pid} 1\n"
        (folder / "pids").write_text(lines)
        assert "there is a cluster already" in run(environment, SCRIPT, "start", code=1)
        run(environment, SCRIPT, "stop")
        assert own.wait(10) == -15
        assert other.poll() is None
        assert not folder.exists()
        run(environment, SCRIPT, "stop")
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_three_nodes_run_a_search_and_leave_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    dmtsearch = [sys.executable, "-m", "dmtsearch"]
    try:
        address = run(environment, SCRIPT, "start").split()[-1]
        words = [tmp_path / "space.yaml", "--address", address]
        found = json.loads(run(environment, *dmtsearch, "cluster", "check", *words, "--json"))
        assert len(found["nodes"]) == 3
        assert [stage["at_once"] for stage in found["stages"]] == [3]
        assert len({node["data"] for node in found["nodes"]}) == 1
        run(environment, *dmtsearch, "search", *words, "--out", tmp_path / "run")
    finally:
        run(environment, SCRIPT, "stop")
    counts = json.loads((tmp_path / "run" / "summary.json").read_text())["trials"]
    assert counts["done"] == 2
    ends = time.monotonic() + 30
    while left := processes_with(environment["DMTSEARCH_LOCAL"]):
        assert time.monotonic() < ends, left
        time.sleep(0.5)


def processes_with(text: str) -> list[str]:
    lines = run(os.environ, "ps", "-eo", "pid=,args=").splitlines()
    return [line for line in lines if text in line]
