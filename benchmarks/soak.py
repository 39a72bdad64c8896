"""A long search on three nodes under one random fault after the other: what is lost, what is left.

300 trials of quick stages, drawn at random. Every few seconds a fault, drawn from a seed: a
coordinator, a stage's worker, an idle worker, the broker, a node or the driver is killed, a node
is preempted, a worker is stopped for a while, a user presses Ctrl-C. A node that was lost comes
back, and a search that has stopped is resumed. At the end every trial must have the values of an
undisturbed search without Ray, and nothing may be left: no process, actor, lease, shared memory or
temporary folder. Memory is that of driver and broker, as megabytes for each 100 trials.

    python benchmarks/soak.py                                  `make soak`: 20 minutes
    python benchmarks/soak.py --trials 60 --minutes 5 --seed 3

Needs Linux.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from marked_stages import PAUSE_S, run_again
from three_nodes import MarkedSearch, ThreeNodes, inline_twin, prepared, same_bytes, wait_until

EPOCHS, SLOTS, CONCURRENCY = 3, 2, 4
BUSY = 0.5
"""Share of the time in which stages rest: the rest is the engine's, and what faults cost."""
SAMPLE_S = 2.0
STOPPED_S = 4.0
WARM_S = 20.0
"""Of a process's life: what it loads in the meantime is no growth."""
OVERTIME = 4
"""The search may take so many times the minutes."""
SPACE = """
dmtsearch: 1
name: soak
search: {{question: Which softness?, sampler: random, trials: {trials}, controls: none}}
data: {{name: digits, train: 100, val: 100}}
defaults: {{epochs: {epochs}, optimizer: {{name: adam, batch: 50}}}}
stages:
  teacher: {{model: {{family: mlp, hidden: [16]}}}}
  student:
    source: teacher
    model: {{family: mlp, hidden: [8]}}
    soft: {{temperature: {{float: [1, 8]}}, weight: {{float: [0.1, 0.9]}}}}
"""


@dataclass
class Soak:
    """The search and what has happened to it.

    Attributes:
        search, nodes: As they are now.
        chance: Draws faults.
        faults: How often each was caused.
        stops: How often the driver ended, by exit code (negative: killed by us).
        memory: Samples of `driver` and `broker`: process, trials that have ended, megabytes.
    """

    search: MarkedSearch
    nodes: ThreeNodes
    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    stops: Counter[int] = field(default_factory=Counter)
    memory: dict[str, list[tuple[int, int, float]]] = field(
        default_factory=lambda: {"driver": [], "broker": []}
    )

    def kill_one(self, *titles: str, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Send one of the cluster's workers a signal; None where there is none."""
        found = self.nodes.titled(*titles)
        if not found:
            return None
        pid = self.chance.choice(found)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return pid

    def stop_one(self) -> bool:
        pid = self.kill_one("ray::stage", number=signal.SIGSTOP)
        if pid is None:
            return False
        time.sleep(STOPPED_S)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return True

    def lose_node(self, number: signal.Signals) -> bool:
        node = self.chance.choice(sorted(self.nodes.workers(), key=lambda node: node.node_id))
        self.nodes.lose(node, number)
        self.nodes.repair()
        return True

    def send(self, number: signal.Signals) -> bool:
        if not self.search.running or not self.search.state().ends:
            return False
        self.search.send(number)
        return True


Act = Callable[[Soak], object]
FAULTS: Mapping[str, tuple[int, Act]] = {
    "coordinator killed": (4, lambda soak: soak.kill_one("ray::ImplicitFunc")),
    "stage worker killed": (4, lambda soak: soak.kill_one("ray::stage")),
    "idle worker killed": (2, lambda soak: soak.kill_one("ray::IDLE")),
    "worker stopped for a while": (2, Soak.stop_one),
    "broker killed": (2, lambda soak: soak.kill_one("ray::SchedulerActor")),
    "node killed": (1, lambda soak: soak.lose_node(signal.SIGKILL)),
    "node preempted": (1, lambda soak: soak.lose_node(signal.SIGTERM)),
    "driver killed": (1, lambda soak: soak.send(signal.SIGKILL)),
    "Ctrl-C": (1, lambda soak: soak.send(signal.SIGINT)),
}
"""How often each is drawn, beside the others, and what does it (None or False: nothing there)."""


def run_soak(soak: Soak, space: Path, *, minutes: float, every_s: float) -> float:
    """Search until it is over; return the seconds that it took."""
    began = time.monotonic()
    until, last = began + 60 * minutes, began + 60 * minutes * OVERTIME
    next_fault = next_sample = began + every_s
    soak.search.search(space, "--concurrency", str(CONCURRENCY))
    while True:
        now = time.monotonic()
        if now > last:
            raise SystemExit(f"not over after {now - began:.0f} s; {describe(soak)}")
        if not soak.search.running:
            code, said = soak.search.end()
            soak.stops[code] += 1
            if code == 0:
                return now - began
            if "Traceback" in said or (code > 0 and "dmtsearch resume" not in said):
                raise SystemExit(f"exit {code}: {said[-2000:]}")
            soak.search.resume()
        if now > next_sample:
            next_sample = now + SAMPLE_S
            sample_memory(soak)
        if next_fault < now < until:
            name = soak.chance.choices(list(FAULTS), [often for often, _ in FAULTS.values()])[0]
            if FAULTS[name][1](soak):
                soak.faults[name] += 1
                print(f"{now - began:.0f} s: {name}", file=sys.stderr, flush=True)
            next_fault = time.monotonic() + soak.chance.uniform(0.5, 1.5) * every_s
        time.sleep(0.1)


def sample_memory(soak: Soak) -> None:
    """Write down how large driver and broker are now."""
    pids = {"broker": soak.nodes.titled("ray::SchedulerActor"), "driver": [soak.search.pid]}
    ends = len(soak.search.state().ends)
    for who, found in pids.items():
        for pid in found:
            with suppress(OSError, ValueError, IndexError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                age_s = float(Path("/proc/uptime").read_text().split()[0]) - (
                    int(stat[19]) / os.sysconf("SC_CLK_TCK")
                )
                if age_s > WARM_S:
                    pages = int(stat[21])
                    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
                    soak.memory[who].append((pid, ends, megabytes))


def slope(samples: list[tuple[int, int, float]]) -> tuple[float, int, int]:
    """Megabytes for each 100 trials within the processes' lives; samples; trials of the longest.

    Least squares, with a level of its own for each process.
    """
    lives: dict[int, list[tuple[int, float]]] = {}
    for pid, ends, megabytes in samples:
        lives.setdefault(pid, []).append((ends, megabytes))
    over = under = 0.0
    for life in lives.values():
        mean_x = sum(x for x, _ in life) / len(life)
        mean_y = sum(y for _, y in life) / len(life)
        over += sum((x - mean_x) * (y - mean_y) for x, y in life)
        under += sum((x - mean_x) ** 2 for x, _ in life)
    longest = max((max(life)[0] - min(life)[0] for life in lives.values()), default=0)
    return (100 * over / under if under else 0.0), len(samples), longest


def describe(soak: Soak) -> str:
    """What was done, in a line."""
    caused = ", ".join(f"{number} {name}" for name, number in sorted(soak.faults.items()))
    stops = ", ".join(f"{number} with {code}" for code, number in sorted(soak.stops.items()))
    return f"{soak.faults.total()} faults ({caused}); drivers ended: {stops}"


def different(soak: Soak, twin: MarkedSearch) -> list[str]:
    """Trials whose values, end or measures are not those of the undisturbed search."""
    mine, theirs = soak.search.state(), twin.state()
    return [
        f"trial {number}"
        for number, trial in theirs.trials.items()
        if number not in mine.ends
        or dict(mine.trials[number].values) != dict(trial.values)
        or mine.ends[number].status != theirs.ends[number].status
        or dict(mine.ends[number].objectives) != dict(theirs.ends[number].objectives)
    ]


def shared_memory() -> set[str]:
    """Files in memory that no process has open: those of other programs here are in use."""
    files = {str(path) for path in Path("/dev/shm").glob("*") if path.is_file()}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            files -= {f"/{line.partition('/')[2]}" for line in maps.read_text().splitlines()}
    return files


@contextmanager
def temporary_folder(folder: Path) -> Iterator[None]:
    """Let the search and its nodes have a temporary folder of their own, but for Ray's session."""
    os.environ["RAY_TMPDIR"] = tempfile.gettempdir()  # names of sockets are short
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        del os.environ["TMPDIR"], os.environ["RAY_TMPDIR"]
        tempfile.tempdir = None


def main() -> None:
    """Soak, and print what was found."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--trials", type=int, default=300)
    options.add_argument("--minutes", type=float, default=20.0, help="in which faults are caused")
    options.add_argument("--every", type=float, default=5.0, help="seconds between two faults")
    options.add_argument("--seed", type=int, default=0, help="of the faults")
    options.add_argument("--keep", type=Path, help="leave everything here, and use its `twin`")
    given = options.parse_args()
    with ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(prepared(root))
        space = root / "space.yaml"
        space.write_text(SPACE.format(trials=given.trials, epochs=EPOCHS))
        rest = BUSY * SLOTS * 60 * given.minutes / (given.trials * EPOCHS)
        os.environ[PAUSE_S] = str(rest)
        nodes = ThreeNodes()
        twin = inline_twin(root / "twin", space, nodes)
        before = shared_memory()
        stack.enter_context(temporary_folder(root / "tmp"))
        nodes.start()
        with ExitStack() as running:
            running.callback(nodes.stop)
            soak = Soak(MarkedSearch(root / "soak", nodes), nodes, random.Random(given.seed))
            took = run_soak(soak, space, minutes=given.minutes, every_s=given.every)
            left = soak.search.left_behind()
            session = nodes.session
        with suppress(AssertionError):
            wait_until(lambda: not nodes.left_of(session))
        left += nodes.left_of(session)
        left += sorted(shared_memory() - before)
        # Torch keeps a folder for each user, whatever runs.
        names = {path.name for path in (root / "tmp").iterdir()}
        left += sorted(name for name in names if not name.startswith("torchinductor_"))
        wrong = different(soak, twin)
        again = run_again(soak.search.starts())
        shared, differing = same_bytes(soak.search, twin)
        ends = Counter(end.status for end in soak.search.state().ends.values())
    print(f"{given.trials} trials in {took:.0f} s, seed {given.seed}: {describe(soak)}")
    print(f"trials: {dict(ends)}; not as undisturbed: {', '.join(wrong) or 'none'}")
    print(f"files of stages equal: {shared - differing} of {shared}")
    print(f"finished stages run again: {again}")
    for who, samples in soak.memory.items():
        grown, count, longest = slope(samples)
        peak = max((megabytes for _, _, megabytes in samples), default=0.0)
        print(
            f"{who}: {grown:+.1f} MB for each 100 trials (n = {count}, the longest life "
            f"{longest} trials), at most {peak:.0f} MB"
        )
    print(f"left behind: {', '.join(left) or 'nothing'}")
    sys.exit(1 if wrong or left or differing or again else 0)


if __name__ == "__main__":
    main()
