"""What a trial costs when its stages do nothing: our engine, and plain Ray Tune.

A trial of ours is proposed by the real searcher (study, ledger and tables on disk), runs as a Tune
trial, asks the broker for two stages (a first one that all share, and one of its own), each a Ray
task that only commits an empty object to a store on disk. Plain Tune's trial is a function
trainable that reports one number. Both run as many trials at once: one for each of the two slots,
then two for each, as a search does of itself; Tune's take the share of a CPU that lets them.

Every measurement is a process of its own with a Ray of its own; the start of Ray is not counted,
that of workers is. Rounds in turn, so that a change in the machine's speed meets all rows.

    python benchmarks/overhead.py               60 trials, 3 rounds each
    python benchmarks/overhead.py --growth      100, 300 and 1,000 trials of ours

Growth is measured with `sampler: random`: what a sampler costs as its history grows is its own
(TPE's row says how much). Memory is the driver's, after the last trial.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nothing import Nothing, do_nothing

from dmtsearch.engine.ledger_lines import RunStarted, StageRequest
from dmtsearch.engine.messages import Needs, Prepare, Prepared, runnable_stages
from dmtsearch.files import sha256_text
from dmtsearch.space import parse_space

SLOTS, ROUNDS, TRIALS = 2, 3, 60
AT_ONCE = (2, 4)
"""Trials: one a slot, and what a search takes of itself."""
GROWTH = (100, 300, 1000)
Row = tuple[str, int, int]
"""What is measured, trials in all, trials at once."""
SPACE = """
dmtsearch: 1
name: nothing
search: {{sampler: {sampler}, trials: {trials}, controls: none}}
data: {{name: digits}}
stages:
  first: {{model: {{family: mlp, hidden: [8]}}}}
  last:
    source: first
    model: {{family: mlp, hidden: [4]}}
    soft: {{temperature: {{float: [1, 9]}}, weight: {{float: [0.1, 0.9]}}}}
"""


class Quiet:
    """Shows nothing."""

    def show(self, state: Any) -> None:
        """Nothing."""

    def tell(self, text: str) -> None:
        """Nothing."""


def prepare(schedule: Any) -> Prepared:
    """A schedule as two stages that do nothing."""
    soft = schedule.stages["last"].soft
    keys = [sha256_text("first"), sha256_text(f"{soft.temperature} {soft.weight}")]
    first = StageRequest("first", keys[0], (), "mlp", 1, 1, 1, 0, 10)
    last = StageRequest("last", keys[1], ("first",), "mlp", 1, 1, 1, 0, 5)
    stages = runnable_stages((first, last), [Nothing(key) for key in keys], [Needs(), Needs()])
    return Prepared(stages, "last", params=1, macs=1, cold_cost=15)


def run_ours(trials: int, sampler: str, at_once: int) -> float:
    """Seconds for so many trials of our engine."""
    started = time.perf_counter()
    state = search(trials, sampler, at_once, do_nothing)
    run = [stage for stage in state.stages if stage.status == "run"]
    assert len(run) == trials + 1, "one stage for each trial, and the first"
    return time.perf_counter() - started


def search(
    trials: int, sampler: str, at_once: int, perform: Any, prepare: Prepare = prepare
) -> Any:
    """Run so many trials of our engine; return what its ledger says of them."""
    from dmtsearch.engine import StageSetting
    from dmtsearch.engine.backend import SearchContext
    from dmtsearch.engine.interrupts import Interrupts
    from dmtsearch.engine.ray_backend import run_trials
    from dmtsearch.engine.run_paths import RunPaths
    from dmtsearch.engine.searcher import Searcher
    from dmtsearch.engine.status import StatusWriter
    from dmtsearch.store import open_store

    with tempfile.TemporaryDirectory() as folder:
        paths = RunPaths(Path(folder))
        space = parse_space(SPACE.format(sampler=sampler, trials=trials))
        searcher = Searcher(space, paths, trials=trials, seed=0, prepare=prepare)
        searcher.record(
            RunStarted(
                *("run", "2000-01-01T00:00:00+00:00", False, 0, trials, at_once),
                {"val_accuracy": "max"},
                {},
                "benchmarks/overhead.py",
            )
        )
        run_trials(
            SearchContext(
                run="run",
                stage=StageSetting("run", None, False, folder, 20.0),
                searcher=searcher,
                store=open_store(str(Path(folder) / "store")),
                status=StatusWriter(paths, Quiet(), lambda text: None),
                stop=Interrupts(lambda: None, leave=False),
                perform=perform,
            ),
            concurrency=at_once,
        )
        searcher.stop()
        done = [end for end in searcher.state.ends.values() if end.status == "done"]
        assert len(done) == trials, f"{len(done)} of {trials} trials are done"
        return searcher.state


def report_one(config: dict[str, Any]) -> None:
    """Plain Tune's trial."""
    from ray import tune

    tune.report({"value": 1.0})


def run_tune(trials: int, at_once: int) -> float:
    """Seconds for so many trials of plain Tune."""
    from ray import tune

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        results = tune.Tuner(
            tune.with_resources(report_one, {"cpu": SLOTS / at_once}),
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=at_once),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        seconds = time.perf_counter() - started
    assert len(results) == trials
    return seconds


def measure(what: str, trials: int, at_once: int) -> None:
    """Run one measurement in this process, and print it as JSON."""
    from dmtsearch.engine.cluster import ray_at
    from dmtsearch.engine.environment import LOCAL, prepare_environment
    from dmtsearch.engine.redirect import output_in

    if what != "tune":
        prepare_environment(LOCAL, os.environ)
    with (
        tempfile.TemporaryDirectory() as folder,
        output_in(Path(folder) / "log") as (person, _),
        ray_at(LOCAL, num_cpus=SLOTS),
    ):
        import ray

        seconds = run_tune(trials, at_once) if what == "tune" else run_ours(trials, what, at_once)
        logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        found = {
            "seconds": seconds,
            "workers": len(list(logs.glob("worker-*.out"))),
            "memory_mb": resident_mb(),
        }
        person.write(json.dumps(found) + "\n")
        person.flush()


def resident_mb() -> float:
    """Memory of this process as it is now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask(what: str, trials: int, at_once: int) -> dict[str, float]:
    """Measure in a new process."""
    arguments = ["--one", what, "--trials", str(trials), "--at-once", str(at_once)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_rows(rows: list[Row], rounds: int) -> dict[Row, float]:
    """Measure all rows in turn, and print their medians; return seconds a trial."""
    found: dict[Row, list[dict[str, float]]] = {row: [] for row in rows}
    for _ in range(rounds):
        for row in rows:
            found[row].append(ask(*row))
    names = {"tune": "plain Tune", "random": "ours, random", "tpe": "ours, TPE"}
    print(
        f"{'':12} at once  trials  s/trial (median, range; n = {rounds})   "
        "processes started   driver MB"
    )
    medians = {}
    for (what, trials, at_once), measured in found.items():
        each = sorted(one["seconds"] / trials for one in measured)
        medians[what, trials, at_once] = statistics.median(each)
        workers = max(int(one["workers"]) for one in measured)
        memory = statistics.median(one["memory_mb"] for one in measured)
        spread = f"{statistics.median(each):.3f} ({each[0]:.3f} to {each[-1]:.3f})"
        print(
            f"{names[what]:12} {at_once:7}  {trials:6,}  {spread:34} {workers:17} {memory:11.0f}"
        )
    return medians


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--growth", action="store_true")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--trials", type=int, default=TRIALS)
    options.add_argument("--one", choices=("tune", "random", "tpe"), help=argparse.SUPPRESS)
    options.add_argument("--at-once", type=int, default=AT_ONCE[-1], help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        measure(given.one, given.trials, given.at_once)
        return
    print(f"{SLOTS} slots, {os.cpu_count()} CPUs")
    if given.growth:
        _print_growth(given.rounds)
        return
    rows = [(what, given.trials, at_once) for at_once in AT_ONCE for what in ("tpe", "tune")]
    medians = print_rows(rows, given.rounds)
    for at_once in AT_ONCE:
        ours, tunes = (medians[what, given.trials, at_once] for what in ("tpe", "tune"))
        print(
            f"{at_once} at once: plain Tune takes {tunes / ours:.1f} times as long; goal for "
            f"processes started: at most {at_once + SLOTS + 4}"
        )


def _print_growth(rounds: int) -> None:
    at_once = AT_ONCE[-1]
    rows = [("random", trials, at_once) for trials in GROWTH] + [("tpe", GROWTH[-1], at_once)]
    medians = print_rows(rows, rounds)
    last, first = (medians["random", trials, at_once] for trials in (GROWTH[-1], GROWTH[0]))
    print(f"seconds a trial at {GROWTH[-1]:,} to those at {GROWTH[0]}: {last / first:.2f}")


if __name__ == "__main__":
    main()
