"""Faults under a search on three nodes: starts no Ray in this process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from faults import FAULTS
from marked_stages import Start, run_again

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


def test_the_page_has_a_row_for_each_fault_that_can_be_caused() -> None:
    page = (ROOT / "cluster" / "README.md").read_text().partition("\n## Faults\n")[2]
    section = page.partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", section, re.MULTILINE)
    found = {name: what for name, what in rows if name not in ("fault", "---")}
    assert found == {name: fault.what for name, fault in FAULTS.items()}


@pytest.mark.parametrize(
    ("later", "again"),
    [
        pytest.param(Start("s", "k", 2, "", (5.0, 6.0), (7.0, "done")), 1, id="learned"),
        pytest.param(Start("s", "k", 2, "", (), (7.0, "reused")), 0, id="found in the store"),
        pytest.param(Start("s", "other", 2, "", (5.0,), None), 0, id="another stage"),
        pytest.param(Start("s", "k", 2, "", (3.0,), (4.5, "stopped")), 0, id="at the same time"),
    ],
)
def test_a_stage_runs_again_where_an_epoch_ends_after_the_stage_was_done(
    later: Start, again: int
) -> None:
    killed = Start("s", "k", 1, "", (1.0,), None)
    done = Start("s", "k", 1, "", (2.0, 3.0), (4.0, "done"))
    assert run_again([killed, done, later]) == again


@pytest.mark.soak
def test_a_search_outlives_the_preemption_of_a_node_and_shares_its_store_with_another(
    tmp_path: Path,
) -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "faults.py"), "--keep", str(tmp_path)]
    done = subprocess.run(
        [*words, "preemption", "two drivers"], capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"goes on by itself .* equal .* nothing \|$", done.stdout, re.M)) == 2
