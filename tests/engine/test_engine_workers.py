"""Stages on the GPU of a real Ray (a logical one: nothing here computes on it)."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import untrained
from engine_null import do_nothing, ray_settings, run_null
from engine_runs import is_running, title_of, wait_until

from dmtsearch.engine import Needs

pytestmark = [pytest.mark.engine, pytest.mark.soak]

STILL_S = 6.0


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray with a GPU."""
    from dmtsearch.engine import output_in, ray_at

    with ray_settings(), output_in(tmp_path_factory.mktemp("ray") / "driver.log"):
        import ray

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray, "init", partial(ray.init, num_gpus=1))
            stack = ExitStack()
            stack.enter_context(ray_at("local", num_cpus=2))
        with stack:
            yield


def halts(job: Any, store: Any, setting: Any, on_epoch: Any, tell: Any) -> Any:
    """As `do_nothing`, but the teacher's first start is stopped, and the second of a student."""
    folder = Path(job.marks).parent
    number = len(list(folder.glob(f"{job.name}-*")))
    start = {"process": os.getpid(), "gpu": job.resources.gpu, "title": title_of(os.getpid())}
    note = Path(folder, f"{job.name}-{time.time_ns()}")
    note.write_text(json.dumps(start))
    tell("is here")
    if (job.name, number) in (("teacher", 0), ("student", 1)):
        os.kill(os.getpid(), signal.SIGSTOP)
    outcome = do_nothing(job, store, setting, on_epoch, tell)
    note.write_text(json.dumps({**start, "done": True}))
    return outcome


def needs_of(request: Any) -> Needs:
    """The teacher holds no GPU; of the students some hold a whole one, the others a half."""
    if request.name == "teacher":
        return Needs()
    return Needs(gpu=1.0 if int(request.key[:4], 16) % 2 else 0.5)


def test_workers_keep_their_gpu_give_way_and_end_with_the_run_and_what_hangs_runs_again(
    tmp_path: Path,
) -> None:
    def students() -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(tmp_path.glob("student-*"))]

    killed: list[int] = []

    def kill_an_idle_worker() -> None:
        if len(students()) > 5 and not killed:
            killed.append(len(students()))
            os.kill(students()[-1]["process"], signal.SIGKILL)

    found = run_null(
        tmp_path,
        untrained.chain(untrained.FORTY, sampler="random"),
        trials=12,
        concurrency=1,
        needs=needs_of,
        still_s=STILL_S,
        perform=halts,
        between=kill_an_idle_worker,
    )
    assert found.state.unfinished == ()
    for name in ("teacher", "student"):
        said = f"stage '{name}' has not moved for {STILL_S:g} s: its process was ended; trying"
        assert said in found.log
    assert "was lost" not in found.log, "a worker that died while it was idle costs no start"
    assert re.search("stage student of trial [0-9]+, key [0-9a-f]{12}: is here", found.log)
    starts = students()
    assert re.fullmatch(r"ray::stage student of trial \d+ *", starts[0]["title"])
    kept = [
        before["gpu"] == after["gpu"] and "done" in before and number not in killed
        for number, (before, after) in enumerate(pairwise(starts), start=1)
    ]
    same = [before["process"] == after["process"] for before, after in pairwise(starts)]
    assert same == kept
    assert True in kept
    assert any(before["gpu"] != after["gpu"] for before, after in pairwise(starts))
    wait_until(lambda: not any(is_running(start["process"]) for start in starts))
