"""Faults caused for real under a search on three nodes, against one that nobody disturbed.

Each fault is a row of `FAULTS`: a function that begins a search, causes the fault, and returns.
The search is then waited for, resumed where it has stopped, and compared: with one trial at a time
its tables are those of the undisturbed search, with four every file of every stage that both have
is. The space has TPE, a pruner and control arms.

    python benchmarks/faults.py                     all of them, one trial at a time
    python benchmarks/faults.py node broker         these
    python benchmarks/faults.py --concurrency 4     four trials at a time

Prints a line for each fault, in Markdown. Needs Linux; `store full` and `store read-only` mount a
small disk, which takes root.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from marked_stages import CLOCK_S, Start, run_again
from three_nodes import (
    SPACE,
    MarkedSearch,
    ThreeNodes,
    bucket_in,
    inline_twin,
    prepared,
    same_bytes,
    same_tables,
    small_disk,
    wait_until,
)

from dmtsearch.store import open_store

RESUMES = 12
"""A search that has stopped so often is not resumed again."""
TWIN = "twin"
"""In place of a fault: only the undisturbed search."""
WALLTIME_S = 30.0
"""Between Slurm's SIGTERM and its SIGKILL."""
AWAY_S = 60.0
LEASE_S = 75.0
"""A lease that nobody renews has ended by then."""
BEHIND_S = 1800.0
CHANGES = {
    "controls: none": "controls: [scratch]",
    "trials: 4": "trials: 3",
    "convs: {int: [1, 2]}": "convs: 1",
    "convs: 2": "convs: 1",
    "epochs: 12": "epochs: 6",
}
"""In the space of the engine's tests: arms beside its TPE and pruner, and less to learn."""


@dataclass
class Case:
    """One search that is to be disturbed.

    Attributes:
        search: The search; not begun.
        nodes: What it runs on.
        space: What it searches.
        begin: Begins it.
        undo: What must be undone before a resume helps.
        beside: Other searches, which nobody disturbs.
        stack: Left at the end.
    """

    search: MarkedSearch
    nodes: ThreeNodes
    space: Path
    begin: Callable[[], object]
    undo: list[Callable[[], object]] = field(default_factory=list)
    beside: list[MarkedSearch] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)


Cause = Callable[[Case], None]


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        what: What is done, in words.
        cause: Does it, to a search that it begins itself.
        again: Finished stages that are learned again, since their results were destroyed.
    """

    what: str
    cause: Cause
    again: int = 0


# -- processes ---------------------------------------------------------------------------------


def kill_coordinator(case: Case) -> None:
    """Under a student that a pruner follows: no control arm's, which is the first."""
    case.begin()
    wait_until(lambda: len(case.search.state().ends) > 0)
    case.search.held("student", 3)
    os.kill(case.nodes.titled("ray::ImplicitFunc")[-1], signal.SIGKILL)
    case.search.release()


def kill_between(case: Case) -> None:
    """The driver is held still as soon as a trial has ended, so that the kill falls between."""
    case.begin()
    search = case.search
    wait_until(lambda: len(search.state().ends) > 0)
    search.send(signal.SIGSTOP)
    for pid in case.nodes.titled("ray::ImplicitFunc"):
        os.kill(pid, signal.SIGKILL)
    search.send(signal.SIGCONT)


def kill_worker(case: Case) -> None:
    case.search.hold("teacher", 4)
    case.begin()
    os.kill(case.search.held("teacher", 4).pid, signal.SIGKILL)
    case.search.release()


def kill_broker(case: Case) -> None:
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    os.kill(case.nodes.titled("ray::SchedulerActor")[-1], signal.SIGKILL)
    case.search.release()


def kill_driver(case: Case) -> None:
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    case.search.send(signal.SIGKILL)
    case.search.release()


# -- machines ----------------------------------------------------------------------------------


def _lose_node(case: Case, number: signal.Signals) -> None:
    case.search.hold("student", 3)
    case.begin()
    start = case.search.held("student", 3)
    case.search.release()
    case.nodes.lose(case.nodes.node(start.node), number)


def kill_node(case: Case) -> None:
    _lose_node(case, signal.SIGKILL)


def preempt_node(case: Case) -> None:
    _lose_node(case, signal.SIGTERM)


def _lose_head(case: Case, program: str) -> None:
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    os.kill(case.nodes.head_pid(program), signal.SIGKILL)
    case.search.release()
    case.undo.append(case.nodes.stop)
    case.undo.append(case.nodes.start)


def kill_raylet(case: Case) -> None:
    _lose_head(case, "raylet")


def kill_head(case: Case) -> None:
    _lose_head(case, "gcs_server")


def restart_cluster(case: Case) -> None:
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    session = case.nodes.session
    case.undo.append(lambda: shutil.rmtree(session, ignore_errors=True))
    case.nodes.stop(driver=case.search.pid)
    case.search.release()
    case.nodes.start()


def _begin_another(case: Case) -> None:
    other = MarkedSearch(case.search.marks.parent / "b", case.nodes, store=case.search.store)
    case.beside.append(other)
    other.marks = case.search.marks  # so that what either has learned is counted
    other.search(case.space, "--concurrency", "1")
    wait_until(lambda: len(other.state().trials) > 0)


def share_store(case: Case) -> None:
    case.search.hold("teacher", 4)
    case.begin()
    case.search.held("teacher", 4)
    _begin_another(case)
    case.search.release()


def skew_clock(case: Case) -> None:
    """The node whose clock is behind has the lease: it seems to be given up, and is not."""
    for node in case.nodes.workers():
        case.nodes.lose(node)
    case.nodes.add(**{CLOCK_S: str(-BEHIND_S)})
    case.search.hold("teacher", 4)
    case.begin()
    case.search.held("teacher", 4)
    case.nodes.repair()
    _begin_another(case)

    def teachers() -> list[Start]:
        return [start for start in case.search.starts() if start.name == "teacher"]

    wait_until(lambda: len(teachers()) == 2)
    time.sleep(LEASE_S)
    learned = [start.node for start in teachers() if start.epochs]
    assert len(learned) == 1, f"the teacher was learned {len(learned)} times at once"
    case.search.release()


def hang_stage(case: Case) -> None:
    case.search.hold("student", 3)
    case.begin()
    start = case.search.held("student", 3)
    os.kill(start.pid, signal.SIGSTOP)
    case.search.release()


def take_memory(case: Case) -> None:
    """Ray's own monitor kills what runs on a node that it takes for full."""
    case.search.hold("teacher", 4)
    case.begin()
    case.search.held("teacher", 4)
    full = case.nodes.add(RAY_memory_usage_threshold="0.01", RAY_memory_monitor_refresh_ms="100")
    for node in case.nodes.workers():
        if node is not full:
            case.nodes.lose(node)
    case.search.release()
    case.undo.append(lambda: case.nodes.lose(full))
    case.undo.append(case.nodes.repair)


# -- users -------------------------------------------------------------------------------------


def interrupt_everywhere(case: Case) -> None:
    """Ctrl-C while it joins, starts, learns a hint phase, learns, ends a trial, writes tables."""
    search = case.search
    for words in ("reading the data", "joining Ray", "starting worker processes"):
        case.begin()
        wait_until(lambda words=words: words in search.said())
        search.send(signal.SIGINT)
        search.end()
        if search.paths.ledger.exists():
            case.begin = search.resume
    for stage, epoch in (("teacher", 4), ("student", 1), ("student", 5)):
        search.hold(stage, epoch)
        case.begin()
        search.held(stage, epoch)
        search.send(signal.SIGINT)
        wait_until(lambda: "stopping ..." in search.said())
        time.sleep(2.0)  # every stage hears of it, and the rest of the search is for the next one
        search.release()
        search.end()
        case.begin = search.resume
    ends = len(search.state().ends)
    case.begin()
    wait_until(lambda: len(search.state().ends) > ends)
    search.send(signal.SIGINT)


def reach_walltime(case: Case) -> None:
    """As Slurm ends a job: SIGTERM, and SIGKILL 30 seconds later; a stage hangs meanwhile."""
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    case.search.send(signal.SIGTERM)
    until = time.monotonic() + WALLTIME_S
    while case.search.running and time.monotonic() < until:
        time.sleep(0.1)
    if case.search.running:
        case.search.send(signal.SIGKILL)
    case.search.release()


# -- the store ---------------------------------------------------------------------------------


def _hurt_teacher(case: Case, hurt: Callable[[Path], None]) -> None:
    """Do something to the teacher's folder, once it is there and a student learns from it."""
    case.search.hold("teacher", 4)
    case.begin()
    case.search.held("teacher", 4)  # a student before it learns from nobody
    case.search.hold("student", 3)
    case.search.release("teacher")
    case.search.held("student", 3)
    store = open_store(str(case.search.store))
    teacher = next(one.key for one in case.search.starts() if one.name == "teacher")
    found = store.get(teacher)
    assert found is not None
    hurt(case.search.store / "objects" / teacher[:2] / teacher)
    case.search.release()


def _weights(folder: Path) -> Path:
    [path] = folder.glob("*/model.safetensors")
    return path


def truncate_object(case: Case) -> None:
    def truncate(folder: Path) -> None:
        path = _weights(folder)
        os.truncate(path, path.stat().st_size // 2)

    _hurt_teacher(case, truncate)


def alter_object(case: Case) -> None:
    def alter(folder: Path) -> None:
        data = bytearray(_weights(folder).read_bytes())
        data[len(data) // 2] ^= 1
        _weights(folder).write_bytes(data)

    _hurt_teacher(case, alter)


def delete_object(case: Case) -> None:
    _hurt_teacher(case, shutil.rmtree)


def _close_disk(case: Case, *, full: bool) -> None:
    case.search.store.mkdir()
    disk = case.stack.enter_context(small_disk(case.search.store / "disk", "16m"))
    case.search.store = disk.folder / "store"
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    if full:
        disk.fill()
    else:
        disk.close()
    case.search.release()
    case.undo.append(disk.clear if full else disk.open)


def fill_store(case: Case) -> None:
    _close_disk(case, full=True)


def close_store(case: Case) -> None:
    _close_disk(case, full=False)


def leave_store(case: Case) -> None:
    """The way to a bucket is cut, as a network's trouble does."""
    case.nodes.stop()
    bucket, line = case.stack.enter_context(bucket_in(case.search.marks.with_name("s3")))
    case.nodes.start()
    case.search.bucket, case.search.still_s = bucket, "300"
    case.search.hold("student", 3)
    case.begin()
    case.search.held("student", 3)
    line.down()
    case.search.release()
    time.sleep(AWAY_S)
    line.up()


FAULTS: Mapping[str, Fault] = {
    "coordinator": Fault("SIGKILL while it follows a stage for the pruner", kill_coordinator),
    "idle coordinator": Fault("SIGKILL between two trials", kill_between),
    "stage worker": Fault("SIGKILL in a stage", kill_worker),
    "hung stage": Fault("SIGSTOP in a stage, for good", hang_stage),
    "broker": Fault("SIGKILL", kill_broker),
    "driver": Fault("SIGKILL", kill_driver),
    "two drivers": Fault("a second search on the same store", share_store),
    "clock skew": Fault("the same, and a node's clock is 30 minutes behind", skew_clock),
    "Ctrl-C": Fault("in seven phases, one after the other", interrupt_everywhere),
    "walltime": Fault("SIGTERM to the driver, a stage hangs, SIGKILL after 30 s", reach_walltime),
    "node": Fault("SIGKILL of the raylet under a stage", kill_node),
    "preemption": Fault("SIGTERM to the raylet under a stage", preempt_node),
    "memory": Fault("Ray's memory monitor kills stages on the only node", take_memory),
    "raylet": Fault("SIGKILL of the driver's own raylet", kill_raylet),
    "head": Fault("SIGKILL of gcs_server; a new cluster", kill_head),
    "cluster": Fault("all processes of it ended; a new cluster", restart_cluster),
    "store truncated": Fault("half of a finished stage's file", truncate_object, again=1),
    "store altered": Fault("a bit of a finished stage's file", alter_object, again=1),
    "store deleted": Fault("a finished stage's object", delete_object, again=1),
    "store full": Fault("in a stage; room again before resume", fill_store),
    "store read-only": Fault("in a stage; writable again before resume", close_store),
    "store unreachable": Fault("S3 away for a minute, in a stage", leave_store),
}


# -- one fault after the other -----------------------------------------------------------------


def finish(case: Case) -> tuple[str, float]:
    """Wait for the search's end, resume it where it stops; return how it went, in words."""
    began, exits = time.monotonic(), []
    while True:
        code, said = case.search.end()
        if not exits:
            stopped_s = time.monotonic() - began
            case.search.marks.with_name("first-said.txt").write_text(said)
        exits.append(code)
        for act in case.undo:
            act()
        case.undo.clear()
        if code == 0:
            break
        if len(exits) > RESUMES or (code > 0 and "Traceback" in said):
            return f"exit {code}: {said.strip().splitlines()[-1][:160]}", stopped_s
        if code > 0 and "dmtsearch resume" not in said:
            return f"exit {code} without advice: {said.strip()[-160:]}", stopped_s
        case.search.resume()
    for other in case.beside:
        other.end()
    if len(exits) == 1:
        return "goes on by itself", stopped_s
    last = "killed" if exits[-2] < 0 else f"exit {exits[-2]}"
    return f"{last}; resume", stopped_s


def run_fault(
    name: str, concurrency: int, nodes: ThreeNodes, folder: Path, space: Path, twin: MarkedSearch
) -> bool:
    """Cause a fault, print its row, and say whether all is as it should be."""
    fault = FAULTS[name]
    search = MarkedSearch(folder / "a", nodes)
    case = Case(
        search, nodes, space, lambda: search.search(space, "--concurrency", str(concurrency))
    )
    with case.stack:
        fault.cause(case)
        went, seconds = finish(case)
        again = run_again(search.starts())
        lost = (
            len(search.state().unfinished) + len(twin.state().trials) - len(search.state().trials)
        )
        all_searches = (search, *case.beside)
        tables = all(same_tables(one, twin) for one in all_searches)
        shared, differing = same_bytes(search, twin)
        left = search.left_behind()
    equal = "equal" if tables else "differ"
    good = again <= fault.again and (lost, differing, left) == (0, 0, [])
    good &= tables or concurrency > 1
    print(
        f"| {name} | {fault.what} | {went} | {seconds:.0f} | {again} | {lost} | "
        f"{equal if concurrency == 1 else '-'} | {shared - differing} of {shared} | "
        f"{'nothing' if not left else ', '.join(left)} |",
        flush=True,
    )
    return good


def changed_space() -> str:
    """The space that is searched."""
    text = SPACE
    for old, new in CHANGES.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def main() -> None:
    """Run the faults that the command line names."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FAULTS))
    options.add_argument("--concurrency", type=int, default=1)
    options.add_argument("--keep", type=Path, help="leave everything here, and use its `twin`")
    given = options.parse_args()
    unknown = [name for name in given.names if name not in (*FAULTS, TWIN)]
    if unknown:
        options.error(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    with ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(prepared(root))
        space = root / "space.yaml"
        space.write_text(changed_space())
        nodes = ThreeNodes()
        twin = inline_twin(root / "twin", space, nodes)
        if given.names == [TWIN]:
            return
        nodes.start()
        stack.callback(nodes.stop)
        print(
            "| fault | what is done | the search | ended after, s | finished stages run again | "
            f"trials lost | tables | files equal | left behind |\n|{' --- |' * 9}",
            flush=True,
        )
        good = True
        for name in given.names or FAULTS:
            folder = root / name.replace(" ", "-")
            shutil.rmtree(folder, ignore_errors=True)
            good &= run_fault(name, given.concurrency, nodes, folder, space, twin)
            nodes.repair()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
