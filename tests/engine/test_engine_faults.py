"""What is an answer about a schedule, what a fault of the machine, how a process ended."""

import errno
import os
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from dmtsearch.engine import (
    StageOutcome,
    after_failure,
    failed_outcome,
    lost_outcome,
    processes_of,
    read_end,
    sessions_of,
    sweep,
    sweep_ends,
)
from dmtsearch.errors import (
    DataChangedError,
    DivergedError,
    ModelError,
    SourceMissingError,
    StoreError,
)
from dmtsearch.store import this_process, translate_os_errors


def outcome_of(error: BaseException) -> StageOutcome:
    """Of a stage in which `error` is raised."""
    try:
        raise error
    except BaseException as caught:
        return failed_outcome(caught, "student")


def store_error(number: int) -> StoreError:
    """As the store raises it."""
    with pytest.raises(StoreError) as caught, translate_os_errors("/store", "commit object abc"):
        raise OSError(number, os.strerror(number))
    return caught.value


@pytest.mark.parametrize(
    "error",
    [DivergedError("student", "train", 1, 2, "soft", "nan"), ModelError("no such head")],
)
def test_a_diverged_stage_and_a_refused_model_are_answers_at_once(error: Exception) -> None:
    assert outcome_of(error).certain


@pytest.mark.parametrize(
    ("error", "again", "words"),
    [
        pytest.param(store_error(errno.ENOSPC), False, "is full: could not", id="full"),
        pytest.param(store_error(errno.EDQUOT), False, "is full: could not", id="quota"),
        pytest.param(store_error(errno.EROFS), False, "no permission", id="read-only"),
        pytest.param(store_error(errno.EIO), True, "cannot be reached", id="unreachable"),
        pytest.param(OSError(errno.ENOSPC, "full"), False, "'student': OSError", id="disk"),
        pytest.param(MemoryError(), True, "ran out of memory", id="memory"),
        pytest.param(
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            *(True, r"'student' ran out of memory .*resources: {memory"),
            id="CPU's memory",
        ),
        pytest.param(DataChangedError("node-2: other data"), True, "node-2", id="other data"),
    ],
)
def test_the_machine_is_to_blame_whatever_the_error_is_called(
    error: Exception, again: bool, words: str
) -> None:
    found = outcome_of(error)
    assert (found.certain, found.cause, found.again) == (False, "", again)
    assert found.reason is not None
    assert re.search(words, found.reason)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 9 GB)",
    ],
)
def test_a_gpu_out_of_memory_is_tried_once_more_and_is_then_an_answer(text: str) -> None:
    found = outcome_of(RuntimeError(text))
    assert (found.certain, found.alone, found.again) == (False, True, True)
    assert after_failure(found, [found.cause]) == "again"
    assert after_failure(found, [found.cause, found.cause]) == "answer"
    assert found.reason is not None
    assert "`resources: {gpu: 1}`" in found.reason


def test_a_refused_model_whose_file_could_not_be_read_is_no_answer() -> None:
    error = ModelError("stages.teacher.model.weights: cannot be read")
    error.__cause__ = FileNotFoundError(errno.ENOENT, "no such file")
    assert not outcome_of(error).certain


def test_a_missing_source_says_which_object_is_to_be_made_again() -> None:
    error = SourceMissingError("teacher", "ab" * 32, "is no longer in the store")
    assert outcome_of(error).missing == ("ab" * 32,)


def test_an_unexpected_error_is_known_again_by_its_kind_and_line_not_by_its_text() -> None:
    first, second = (outcome_of(ValueError(f"object at {n}")) for n in ("0x1", "0x2"))
    assert first.cause == second.cause != ""
    assert outcome_of(TypeError("object at 0x1")).cause != first.cause
    assert outcome_of(SystemExit(3)).reason == (
        "stage 'student': its code ended the process (sys.exit(3))"
    )


def test_a_stage_that_ray_ended_for_want_of_memory_says_how_to_need_less() -> None:
    ray_error = type("OutOfMemoryError", (Exception,), {})
    found = lost_outcome("student", ray_error("1 worker(s) were killed.\nTop 10"), None)
    assert found.reason == (
        "the process of stage 'student' was ended, since its node ran low on memory (1 worker(s) "
        "were killed); give it more (`resources: {memory: ...}`), or run fewer at once "
        "(`--concurrency`)"
    )
    assert (found.again, found.cause) == (True, "")


DYING = """
import ctypes, os, signal, sys
from dmtsearch.engine.crashes import end_noted
def net():
    {how}
with end_noted(sys.argv[1]):
    net()
"""


@pytest.mark.parametrize(
    ("how", "end"),
    [
        ("os._exit(3)", "os._exit(3) in net (<string>:5)"),
        ("ctypes.string_at(0)", "Segmentation fault in net (<string>:5)"),
        ("os.abort()", "Aborted in net (<string>:5)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", None),
        ("os.fork() or os._exit(0); os.wait(); os.kill(os.getpid(), 9)", None),
        ("pass", None),
    ],
)
def test_a_process_that_ended_itself_says_where_and_a_killed_one_says_nothing(
    how: str, end: str | None
) -> None:
    attempt = uuid.uuid4().hex
    code = DYING.format(how=how)
    subprocess.run([sys.executable, "-c", code, attempt], stderr=subprocess.DEVNULL)
    found = read_end(attempt)
    if end is None:
        assert not found
    else:
        assert found is not None
        assert found.startswith(end)
        outcome = lost_outcome("student", RuntimeError("died"), found)
        assert outcome.cause == found
    assert not list(Path(tempfile.gettempdir()).glob(f"*{attempt}*")), "nothing is left behind"


def test_only_sessions_that_this_driver_has_started_are_its_own(tmp_path: Path) -> None:
    for name in (
        "2026-01-01_00-00-00_1_77",
        "2026-01-03_00-00-00_1_77",
        "2026-01-03_00-00-00_1_7",
    ):
        (tmp_path / f"session_{name}").mkdir()
    found = sessions_of(77, tmp_path, "session_2026-01-02_00-00-00_0")
    assert [path.name for path in found] == ["session_2026-01-03_00-00-00_1_77"]


def test_a_dead_driver_s_folder_and_session_are_swept_and_a_living_one_s_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    me = this_process()
    for name, started, text, is_old in (
        ("living", me.started, "", True),
        ("killed", me.started + 1, "", False),
        ("crashed", me.started + 1, "Segmentation fault", False),
        ("unread", me.started + 1, "Segmentation fault", True),
    ):
        end = tmp_path / f"dmtsearch-end-{name}-{me.machine}-{me.pid}-{started}"
        end.write_text(text)
        if is_old:
            os.utime(end, (0, 0))
    sweep_ends()
    left = sorted(path.name.split("-")[2] for path in tmp_path.glob("dmtsearch-end-*"))
    assert left == ["crashed", "living"]
    sessions = {name: tmp_path / f"session_{name}" for name in ("dead", "alive")}
    agents = {}
    for name, session in sessions.items():
        session.mkdir()
        with (session / "agent.log").open("w") as log:  # as Ray's agents hold theirs
            sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
            agents[name] = subprocess.Popen(sleeping, stdout=log)
    try:
        for name, started in (("dead", me.started + 1), ("alive", me.started)):
            folder = tmp_path / f"dmtsearch-tune-{me.machine}-{me.pid}-{started}-{name}"
            folder.mkdir()
            (folder / "ray_session").write_text(str(sessions[name]))
        sweep()
        assert [path.name[-5:] for path in tmp_path.glob("dmtsearch-tune-*")] == ["alive"]
        assert agents["dead"].wait(5) == -9
        assert agents["alive"].poll() is None
        assert list(processes_of(sessions["alive"])) == [agents["alive"].pid]
    finally:
        for agent in agents.values():
            agent.kill()
            agent.wait()
