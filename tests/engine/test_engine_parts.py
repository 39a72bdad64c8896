"""Parts of the engine that need no Ray: room, settings, spans, orders, names, output."""

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import untrained
from engine_pieces import request_of
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.engine import (
    ClusterNode,
    EpochCosts,
    Heartbeat,
    Interrupts,
    Needs,
    Slots,
    catch_interrupts,
    choose_address,
    output_in,
    prepare_environment,
    ray_at,
    refuse_unreachable,
    runnable_stages,
    watched_ray,
)
from dmtsearch.errors import UsageError

# Room on the nodes


def test_a_stage_fits_only_on_one_node_however_much_all_have_together() -> None:
    slots = Slots(
        [ClusterNode("a", cpu=2, gpu=0, memory=100), ClusterNode("b", cpu=2, gpu=0, memory=100)]
    )
    assert not slots.could_hold(Needs(cpu=3))
    assert slots.count(Needs(cpu=2)) == 2


def test_fractions_of_a_gpu_fill_it_up_and_no_more() -> None:
    slots = Slots([ClusterNode("a", cpu=16, gpu=1, memory=100)])
    quarter = Needs(cpu=1, gpu=0.25)
    taken = [slots.take(str(number), quarter) is not None for number in range(5)]
    assert taken == [True] * 4 + [False]
    slots.free("2")
    assert slots.take("4", quarter)


def test_what_runs_stays_booked_when_the_cluster_is_looked_at_again() -> None:
    slots = Slots([ClusterNode("a", cpu=1, gpu=0, memory=100)])
    assert slots.take("one", Needs())
    slots.refresh([ClusterNode("a", cpu=1, gpu=0, memory=100)])
    assert not slots.take("two", Needs())
    slots.refresh(
        [ClusterNode("a", cpu=1, gpu=0, memory=100), ClusterNode("new", cpu=1, gpu=0, memory=100)]
    )
    assert slots.take("two", Needs())


def test_a_label_is_met_by_name_and_value_or_by_value_alone() -> None:
    slots = Slots([ClusterNode("a", cpu=1, gpu=0, memory=1, labels={"accelerator": "H100"})])
    assert slots.could_hold(Needs(label="accelerator=H100"))
    assert slots.could_hold(Needs(label="H100"))
    assert not slots.could_hold(Needs(label="accelerator=A100"))


# Addresses and settings


def test_the_address_given_comes_before_the_environment_and_local_is_last() -> None:
    assert choose_address("10.0.0.1:6379", {"RAY_ADDRESS": "auto"}) == "10.0.0.1:6379"
    assert choose_address(None, {"RAY_ADDRESS": "10.0.0.2:6379"}) == "10.0.0.2:6379"
    assert choose_address(None, {}) == "local"


def test_an_address_of_ray_client_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(
        UsageError, match=r"head:10001 \(from RAY_ADDRESS\) is one of Ray Client.*--address auto"
    ):
        choose_address(None, {"RAY_ADDRESS": "ray://head:10001"})


def test_a_head_that_does_not_answer_is_refused_within_seconds() -> None:
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 .*ray status"):
        refuse_unreachable("127.0.0.1:1")


def test_a_dead_cluster_of_the_environment_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UsageError, match="or leave --address out for a Ray of this machine's own"):
        refuse_unreachable("127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match="`unset RAY_ADDRESS`") as caught:
        refuse_unreachable(choose_address(None, os.environ))
    assert "leave --address out" not in str(caught.value)
    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(UsageError, match=r"'head' \(from RAY_ADDRESS\) is none"):
        refuse_unreachable(choose_address(None, os.environ))


@pytest.mark.parametrize("address", ["head", "head:port", "[::"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is none; give host:port"):
        refuse_unreachable(address)


def test_a_private_ray_waits_longer_for_its_processes_unless_the_user_says_otherwise() -> None:
    environment = {"RAY_raylet_start_wait_time_s": "7"}
    prepare_environment("local", environment)
    assert environment["RAY_gcs_server_port_wait_time_s"] == "120"
    assert environment["RAY_raylet_start_wait_time_s"] == "7"


def test_settings_leave_the_choice_of_authentication_to_the_user() -> None:
    environment = {"RAY_AUTH_MODE": "disabled"}
    prepare_environment("local", environment)
    assert environment["RAY_AUTH_MODE"] == "disabled"
    assert environment["TUNE_DISABLE_SIGINT_HANDLER"] == "1"


def test_a_cluster_is_joined_with_a_token_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    bare = {"HOME": str(tmp_path)}
    prepare_environment("10.0.0.1:6379", bare)
    assert "RAY_AUTH_MODE" not in bare
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    prepare_environment("10.0.0.1:6379", bare)
    assert bare["RAY_AUTH_MODE"] == "token"


@pytest.mark.engine
def test_a_private_ray_starts_where_ray_has_been_imported_before() -> None:
    notebook = """
import os, ray
from dmtsearch.engine.cluster import ray_at
from dmtsearch.engine.environment import prepare_environment
prepare_environment("local", os.environ)
with ray_at("local", num_cpus=1):
    print(ray.cluster_resources()["CPU"])
"""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    ended = subprocess.run(
        [sys.executable, "-c", notebook], env=environment, capture_output=True, timeout=240
    )
    assert ended.stdout.decode().split() == ["1.0"], ended.stderr.decode()


@dataclass(frozen=True)
class Job:
    snapshots: tuple[Any, ...] = ()


def test_the_way_of_a_stage_is_the_dearest_path_to_the_end_of_its_trial() -> None:
    requests = (
        request_of("iris", cost=5),
        request_of("periocular", cost=7),
        request_of("wide", "iris", cost=100),
        request_of("narrow", "iris", "periocular", cost=10),
        request_of("last", "wide", "narrow", cost=1),
    )
    all_alike = [Job()] * len(requests), [Needs()] * len(requests)
    stages = runnable_stages(requests, *all_alike)
    ways = {stage.request.name: stage.path_cost for stage in stages}
    # iris: 5 + 100 + 1; periocular: 7 + 10 + 1.
    assert ways == {"iris": 106, "periocular": 18, "wide": 101, "narrow": 11, "last": 1}


def test_the_cost_of_all_epochs_is_the_cold_cost_and_of_some_their_part() -> None:
    request = request_of("student", cost=1000, epochs=4, hint_epochs=2)
    once = EpochCosts(epoch=150, hint_epoch=100, sources=200, repeated=False)
    assert once.of(request, 4, 2) == 1000
    # By hand: one epoch and two of hints, and the sources' one pass.
    assert once.of(request, 1, 2) == 150 + 200 + 200
    assert once.of(request, 0, 0) == 0
    each = EpochCosts(epoch=150, hint_epoch=100, sources=200, repeated=True)
    # Half of the six passes.
    assert each.of(request, 1, 2) == 150 + 200 + 100


# The function loads only what it needs


def test_a_search_that_ends_in_a_refusal_loads_neither_torch_nor_ray(tmp_path: Path) -> None:
    check = (
        "import dmtsearch, dmtsearch.engine.ledger_lines, sys\n"
        "assert dmtsearch.engine.ledger_lines.StageRequest\n"
        "assert not {'torch', 'ray', 'optuna', 'pandas'} & set(sys.modules), 'too much imported'\n"
        "try:\n    dmtsearch.search('nowhere.yaml', trials=2)\n"
        "except dmtsearch.DmtSearchError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, cwd=tmp_path
    )
    assert "nowhere.yaml" in done.stdout, done.stderr
    assert "no such file" in done.stdout


# Output and interrupts


def test_output_goes_to_the_log_and_the_user_still_reads(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from dmtsearch.engine.redirect import output_in\n"
        "print('before')\n"
        f"with output_in(Path({str(tmp_path / 'log')!r})) as (screen, log):\n"
        "    print('printed')\n"
        "    os.write(2, b'from the core\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"a child\")'], check=True)\n"
        "    screen.write('for you\\n')\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["before", "for you", "after"], done.stderr
    assert done.stderr == ""
    assert sorted((tmp_path / "log").read_text().split("\n")) == [
        *("", "a child", "from the core", "printed"),
    ]


def test_a_notebook_goes_on_reading_its_own_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cell:
        encoding = "utf-8"

        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None: ...

    cell = Cell()
    monkeypatch.setattr(sys, "stdout", cell)
    with output_in(tmp_path / "log") as (screen, _):
        screen.write("a line\n")
    assert sys.stdout is cell
    assert cell.text == "a line\n"


def test_the_first_interrupt_asks_and_the_second_does_not_wait() -> None:
    notes: list[str] = []
    interrupts = Interrupts(lambda: notes.append("stopping"), leave=False)
    interrupts.handle(2, None)
    interrupts.cancel()
    assert (interrupts.asked, notes) == (True, ["stopping"])
    with pytest.raises(KeyboardInterrupt):
        interrupts.handle(2, None)


def test_a_second_ctrl_c_within_the_first_ends_once_that_has_said_how_to_go_on() -> None:
    notes: list[str] = []

    def say() -> None:
        interrupts.handle(2, None)  # as a signal that comes here
        notes.append("stopping")

    interrupts = Interrupts(say, leave=False)
    with pytest.raises(KeyboardInterrupt):
        interrupts.handle(2, None)
    interrupts.cancel()
    assert notes == ["stopping"]


def test_a_command_that_does_not_stop_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr("dmtsearch.engine.interrupts.PATIENCE_S", 0.01)
    interrupts = Interrupts(lambda: None, leave=True)
    interrupts.handle(15, None)
    until = time.monotonic() + 5
    while not left and time.monotonic() < until:
        time.sleep(0.01)
    interrupts.cancel()
    assert left == [130]


def test_a_ray_that_does_not_come_up_is_started_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def fail(address: str, num_cpus: int | None) -> None:
        tries.append(address)
        raise RuntimeError("Failed to start GCS.\nLast 0 lines of error files:")

    monkeypatch.setattr("dmtsearch.engine.cluster._connect", fail)
    monkeypatch.setattr("dmtsearch.engine.cluster.connected", lambda: False)
    with pytest.raises(UsageError, match="Ray cannot start on this machine: Failed to start GCS"):
        ray_at("local").__enter__()
    with pytest.raises(UsageError, match=r"no Ray cluster can be joined at auto.*--address out"):
        ray_at("auto").__enter__()
    assert tries == ["local", "local", "auto"]


def test_a_cluster_of_other_versions_is_refused_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str, num_cpus: int | None) -> None:
        raise RuntimeError(
            "Version mismatch:\n  This process: Ray: 2.60.0\n  Cluster: Ray: 2.50.0"
        )

    monkeypatch.setattr("dmtsearch.engine.cluster._connect", fail)
    monkeypatch.setattr("dmtsearch.engine.cluster.connected", lambda: False)
    with pytest.raises(
        UsageError, match=r"2\.60\.0 .*2\.50\.0; install the same versions on both"
    ):
        ray_at("10.0.0.1:6379").__enter__()


def watching_ray(heard: Heartbeat, notes: list[str], **more: Any) -> AbstractContextManager[None]:
    options = {
        "lost_part": lambda silent_s: None,
        "on_loss": notes.append,
        "leave": False,
        "every_s": 0.01,
    }
    return watched_ray(heard, notes.append, "dmtsearch resume R", **{**options, **more})


def test_a_ray_of_which_a_process_has_died_ends_the_search_once() -> None:
    looks = iter([None, "the raylet", None, *["the raylet"] * 9])
    notes: list[str] = []
    with watching_ray(Heartbeat(), notes, lost_part=lambda silent_s: next(looks), after_s=60):
        until = time.monotonic() + 30
        while not notes and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
    assert notes == ["Ray is lost: the raylet has ended"]
    assert len(list(looks)) == 6, "seen once, it may be a look too early"


def test_a_cluster_that_falls_silent_is_reported_once_with_how_to_go_on() -> None:
    heard, notes = Heartbeat(), []
    with watching_ray(heard, notes, after_s=0.1):
        until = time.monotonic() + 30
        while not notes and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(notes) == 1
        assert "Everything so far is kept; go on with: dmtsearch resume R" in notes[0]
        while len(notes) < 2 and time.monotonic() < until:
            heard.now()
            time.sleep(0.005)
        assert notes[1] == "Ray answers again"


def test_a_cluster_that_answers_is_not_spoken_of() -> None:
    heard, notes = Heartbeat(), []
    with watching_ray(heard, notes, after_s=60):
        time.sleep(0.1)
    assert notes == []


def test_a_store_in_the_memory_of_one_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="memory://here lives in one process, and stages run in"):
        dmtsearch.search(untrained.chain(), out=tmp_path / "r", store="memory://here")
    assert not (tmp_path / "r").exists()


def test_ctrl_c_and_sigterm_are_handled_in_the_same_way_and_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    notes: list[str] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with catch_interrupts(lambda: notes.append("stopping"), leave=False) as stop:
            os.kill(os.getpid(), number)
            assert stop.asked
    assert notes == ["stopping", "stopping"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_search_that_is_refused_at_its_address_leaves_no_folder(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "dmtsearch: 1\ndata: {name: digits}\nstages:\n"
        "  only: {model: {family: mlp, hidden: [{int: [2, 4]}]}}\n"
    )
    words = ["search", str(space), "--out", str(tmp_path / "run"), "--store", str(tmp_path / "s")]
    result = CliRunner().invoke(app, [*words, "--address", "ray://head:10001"])
    assert result.exit_code == 1
    assert isinstance(result.exception, UsageError)
    assert "one of Ray Client" in str(result.exception)
    assert not (tmp_path / "run").exists()
