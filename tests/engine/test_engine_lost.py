"""A Ray that is killed under a search, a search that is left at once: both end soon, and clean."""

import os
import signal
import time
from pathlib import Path

import pytest
from engine_runs import SPACE, Search, outcome_of

import dmtsearch
from dmtsearch.engine import RunState, read_state

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ONE = ("--concurrency", "1")
QUICK = SPACE.replace("trials: 4", "trials: 2").replace("sampler: tpe", "sampler: random")


def begin(tmp_path: Path, name: str) -> Search:
    space = tmp_path / "tiny.yaml"
    space.write_text(QUICK)
    (tmp_path / name).mkdir()
    return Search(tmp_path / name / "run", tmp_path / name / "store").search(space, *ONE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    """A search that nobody disturbed; inline, where ends are those of Ray."""
    folder = tmp_path_factory.mktemp("whole")
    space = folder / "tiny.yaml"
    space.write_text(QUICK)
    store = str(folder / "store")
    run = dmtsearch.search(space, out=folder / "run", store=store, backend="inline")
    return read_state(run.paths.ledger)


@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_a_search_whose_ray_is_killed_ends_within_a_minute_and_resume_finishes_it(
    tmp_path: Path, whole: RunState, part: str
) -> None:
    search = begin(tmp_path, "killed")
    search.wait_for_process("ray::stage teacher")
    search.wait_for(lambda state: len(state.trials) == 1)
    os.kill(search.wait_for_program(part), signal.SIGKILL)
    killed = time.monotonic()
    code, said = search.end()
    assert time.monotonic() - killed < 60
    assert code == 1, said
    assert "Ray is lost: " in said
    assert f"Go on with: dmtsearch resume {search.folder}\n" in said
    search.gone()

    code, said = search.resume().end()
    assert code == 0, said
    assert outcome_of(search.state())["ends"] == outcome_of(whole)["ends"]
    search.gone()


def test_a_driver_that_is_killed_while_its_ray_starts_leaves_nothing_and_goes_on(
    tmp_path: Path,
) -> None:
    search = begin(tmp_path, "early")
    search.wait_for_program("raylet")
    search.kill()  # and waits until nothing is left
    search.resume().wait_for(lambda state: len(state.trials) == 1)
    search.kill()


def test_a_second_ctrl_c_leaves_neither_a_process_nor_a_folder(tmp_path: Path) -> None:
    search = begin(tmp_path, "left")
    search.wait_for_process("ray::stage teacher")
    search.send(signal.SIGINT)
    search.send(signal.SIGINT)
    code, said = search.end()
    assert code == 130
    assert f"go on with: dmtsearch resume {search.folder}" in said
    search.gone()
