"""Ten thousand trials on 512 slots, without training: what scheduler and searcher cost.

    python benchmarks/scale.py [--epochs 160]   the scheduler: 10,000 trials on 64 x 8 GPUs
    python benchmarks/scale.py searcher --trials 2000 --sampler tpe [--epochs 160]
    python benchmarks/scale.py tpe          one proposal after 10,000 trials
    python benchmarks/scale.py compare      a real search on two slots, and its simulation
    python benchmarks/scale.py ray --stages 200     so many stages at once on a Ray of this machine

The scheduler is a search's own, by a clock that jumps (as in `dmtsearch plan`); only the stages
are stand-ins, and durations are drawn: log-normal, sigma 0.5, medians below. Every trial passes
through a teacher and an assistant to its student; several trials share teachers and assistants.
All times are of this process's CPU, so that a busy machine changes them little.

Stages of `compare` and `ray` run in Ray's processes under the real scheduler; they sleep, and
import no torch: 200 processes with torch do not fit into this machine.
"""

import argparse
import asyncio
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from overhead import resident_mb

from dmtsearch.engine import (
    ClusterNode,
    EpochCosts,
    Needs,
    Prepared,
    RunnableStage,
    RunnableTrial,
    RunPaths,
    Searcher,
    StageEnded,
    StageOutcome,
    StageRequest,
    StageScheduler,
    TrialOutcome,
    runnable_stages,
)
from dmtsearch.engine.simulation import ClockLoop, EmptyStore, walk
from dmtsearch.files import sha256_text
from dmtsearch.machine import free_memory
from dmtsearch.space import parse_space

MEDIAN_S = {"teacher": 600.0, "assistant": 300.0, "student": 120.0}
SIGMA = 0.5
TEACHERS, ASSISTANTS = 20, 1_000
"""Different ones in 10,000 trials; students are all different."""


class TimedScheduler(StageScheduler):
    """Measures each decision, and how many of the GPUs work."""

    def __init__(self, *args: Any, slots: int, **options: Any) -> None:
        self.decisions: list[float] = []
        self.looked = 0
        self._slots, self._at = slots, 0.0
        self._busy = self._full = 0.0
        self._state = (0, 0)
        super().__init__(*args, **options)

    def _start_what_fits(self) -> None:
        self._account()
        begin = time.process_time()
        super()._start_what_fits()
        self.decisions.append(time.process_time() - begin)
        stages = list(self._pending.values())
        self.looked += len(stages)
        running = sum(stage.running for stage in stages)
        self._state = (running, running + sum(stage.queued for stage in stages))

    def _account(self) -> None:
        """Since the last decision so many stages ran; it counts where enough could run."""
        now = asyncio.get_running_loop().time()
        running, could = self._state
        if could >= self._slots:
            self._busy += running * (now - self._at)
            self._full += self._slots * (now - self._at)
        self._at = now

    @property
    def utilisation(self) -> float:
        """Of the GPUs, while at least as many stages could run."""
        return self._busy / self._full if self._full else float("nan")


def make_trials(trials: int, seed: int) -> Iterator[RunnableTrial]:
    """Chains of three stages."""
    rng = random.Random(seed)
    for number in range(trials):
        teacher = f"teacher-{rng.randrange(TEACHERS)}"
        assistant = f"assistant-{rng.randrange(ASSISTANTS)}-{teacher}"
        keys = {"teacher": teacher, "assistant": assistant, "student": f"student-{number}"}
        names = list(keys)
        stages = tuple(
            stage_of(name, keys[name], tuple(names[max(0, at - 1) : at]), len(names) - at)
            for at, name in enumerate(names)
        )
        yield RunnableTrial(number, "search", stages, "student")


def stage_of(name: str, key: str, sources: tuple[str, ...], rank: int) -> RunnableStage:
    """A stage that wants one GPU."""
    request = StageRequest(name, key, sources, "made", 1, 1, 1, 0, 1)
    return RunnableStage(
        request=request,
        job=b"",
        needs=Needs(cpu=1, gpu=1),
        path_cost=rank,
        snapshots=(),
        costs=EpochCosts(1, 0, 0, False),
    )


def drawn_s(stage: RunnableStage) -> float:
    """How long a stage takes: the same for the same key."""
    return MEDIAN_S[stage.request.name] * random.Random(stage.key).lognormvariate(0, SIGMA)


async def schedule(
    trials: Iterable[RunnableTrial],
    nodes: Sequence[ClusterNode],
    slots: int,
    at_once: int,
    seconds: Callable[[RunnableStage], float],
    epochs: int = 0,
) -> TimedScheduler:
    """Run all trials by the clock; each stage reports so many rows."""

    async def launch(stage: RunnableStage, attempt: str, title: str) -> StageOutcome:
        await asyncio.sleep(seconds(stage))
        return StageOutcome("done", record={"history": drawn_rows(stage.key, epochs)})

    def look() -> list[ClusterNode]:
        return [replace(node, used=[]) for node in nodes]

    scheduler = TimedScheduler(
        EmptyStore(),
        launch,
        look,
        first=0,
        idle_s=None,
        slots=slots,  # type: ignore[arg-type]
    )
    waiting = iter(trials)

    async def coordinate() -> None:
        for trial in waiting:
            await walk(scheduler, trial)
            await scheduler.snapshot(scheduler.life, scheduler._num_events)

    await asyncio.gather(*(coordinate() for _ in range(at_once)))
    return scheduler


def by_clock(*given: Any) -> tuple[TimedScheduler, float]:
    """The same, and the seconds that the clock has run."""
    loop = ClockLoop()
    found = loop.run_until_complete(schedule(*given))
    took = loop.time()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
    return found, took


def run_scheduler(trials: int, nodes: int, gpus: int, epochs: int) -> None:
    """Print what the scheduler costs."""
    begin, slots = time.process_time(), nodes * gpus
    machines = [
        ClusterNode(f"node{number}", cpu=4.0 * gpus, gpu=gpus, memory=float("inf"))
        for number in range(nodes)
    ]
    found, took = by_clock(make_trials(trials, 0), machines, slots, 2 * slots, drawn_s, epochs)
    used = time.process_time() - begin
    decisions = sorted(found.decisions)
    p99 = decisions[int(len(decisions) * 0.99)]
    print(f"{trials:,} trials on {nodes} x {gpus} GPUs, {2 * nodes * gpus:,} trials at once")
    print(f"durations: log-normal, sigma {SIGMA}, medians {MEDIAN_S} s")
    print(f"simulated: {took / 3600:.2f} h; {100 * found.utilisation:.1f} % of GPUs busy while")
    print(f"  at least {nodes * gpus} stages could run")
    median, most = statistics.median(decisions), decisions[-1]
    looked = found.looked / len(decisions)
    print(f"decisions: {len(decisions):,}, {looked:.0f} stages looked at each; of CPU:")
    print(f"  p50 {1e3 * median:.1f} ms, p99 {1e3 * p99:.1f} ms, most {1e3 * most:.1f} ms")
    print(f"scheduler: {used:.0f} s of CPU, {100 * used / took:.2f} % of a core")
    print(f"stages of {epochs} epochs")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


SPACE = """
dmtsearch: 1
name: scale
search: {sampler: SAMPLER}
data: {name: digits}
defaults: {epochs: 10}
stages:
  teacher: {model: {family: plain, widths: [8, 16], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: {float: [1, 8]}, weight: {float: [0.1, 0.9]}}
    optimizer: {lr: {log: [0.0001, 0.1]}, weight_decay: {float: [0, 0.1]}}
"""


def run_searcher(trials: int, sampler: str, epochs: int) -> None:
    """Print what a proposal and an end cost as a search grows; nothing is resolved or trained.

    Args:
        trials: In all.
        sampler: Its name.
        epochs: Of three stages that each trial trained, whose lines the ledger takes; 0 for none.
    """
    space = parse_space(SPACE.replace("SAMPLER", sampler), "scale.yaml")
    number = iter(range(10 * trials))

    def prepare(schedule: Any) -> Prepared:
        stage = stage_of("student", f"student-{next(number)}", (), 1)
        return Prepared((stage,), "student", 1, 1, 1, None)

    print(f"sampler {sampler}: CPU a trial")
    with tempfile.TemporaryDirectory() as folder:
        searcher = Searcher(space, RunPaths(Path(folder)), trials=trials, seed=0, prepare=prepare)
        asks: list[float] = []
        ends: list[float] = []
        for at in range(1, trials + 1):
            begin = time.process_time()
            trial = searcher.next()
            asked = time.process_time()
            assert trial is not None
            value = random.Random(at).random()
            val = {"n": 1, "accuracy": value, "nll": value, "ece": value}
            record = {"metrics": {"val": val}, "latency": {"median_ms": 1.0}, "history": []}
            for line in stage_lines(trial.trial, epochs):
                searcher.record(line)
            searcher.end(trial.trial, TrialOutcome("done", record, epochs=1))
            asks.append(asked - begin)
            ends.append(time.process_time() - asked)
            if at in (100, 250, 500, 1_000, 2_000, 5_000, 10_000):
                last = slice(-50, None)
                print(
                    f"  after {at:6,}: propose {1e3 * statistics.mean(asks[last]):6.1f} ms, "
                    f"end {1e3 * statistics.mean(ends[last]):6.1f} ms, "
                    f"{resident_mb():.0f} MB, "
                    f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} at most",
                    flush=True,
                )


def stage_lines(trial: int, epochs: int) -> Iterable[StageEnded]:
    """Three stages of a trial, each with a row of five drawn figures an epoch."""
    for name in ("teacher", "assistant", "student") if epochs else ():
        rows = drawn_rows(f"{name} {trial}", epochs)
        yield StageEnded(
            *(sha256_text(f"{name} {trial}"), name, "a net", 1, 1, epochs, 0, 1.0, epochs, trial),
            *("run", {}, {"median_ms": 1.0}, rows, None, "2000-01-01T00:00:00+00:00"),
        )


def drawn_rows(name: str, epochs: int) -> tuple[dict[str, Any], ...]:
    """What a stage reports: five drawn figures an epoch."""
    draw = random.Random(name).random
    names = ("loss", "hard", "soft", "val_accuracy", "val_nll")
    return tuple(
        {"phase": "train", "epoch": epoch, **{figure: draw() for figure in names}}
        for epoch in range(1, epochs + 1)
    )


def run_tpe(trials: int) -> None:
    """Print what one proposal of TPE costs after so many trials, which are added to the study."""
    import optuna

    from dmtsearch.engine.study import RunStudy
    from dmtsearch.engine.suggest import distribution_of

    space = parse_space(SPACE.replace("SAMPLER", "tpe"), "scale.yaml")
    kinds = {hole.name: distribution_of(hole) for hole in space.holes}
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        study = RunStudy(RunPaths(Path(folder)), space, space.search)
        added = 0
        for wanted in (size for size in (500, 1_000, 2_000, 5_000, 10_000) if size <= trials):
            study._study.add_trials(
                optuna.trial.create_trial(
                    params=drawn, distributions=kinds, values=[_quality(drawn, rng)]
                )
                for drawn in (space.sample(number) for number in range(added, wanted))
            )
            added = wanted
            study.ask(0)
            begin = time.process_time()
            for seed in range(1, ASKS + 1):
                study.ask(seed)
            each = (time.process_time() - begin) / ASKS
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {added:6,}: {1e3 * each:6.1f} ms of CPU, {memory:.0f} MB", flush=True)


ASKS = 5
"""Proposals of which the mean is taken."""


def _quality(drawn: Any, rng: random.Random) -> float:
    """A made-up accuracy, for which the learning rate matters most."""
    return 1 / (1 + abs(float(drawn["student.optimizer.lr"]) - 0.01)) + 0.01 * rng.random()


@contextmanager
def own_ray(cpus: int) -> Iterator[TextIO]:
    """A Ray of this machine with so many CPUs in name; gives what the user reads."""
    from dmtsearch.engine.cluster import ray_at
    from dmtsearch.engine.environment import LOCAL, prepare_environment
    from dmtsearch.engine.redirect import output_in

    prepare_environment(LOCAL, os.environ)
    with (
        tempfile.TemporaryDirectory() as folder,
        output_in(Path(folder, "log")) as (screen, _),
        ray_at(LOCAL, num_cpus=cpus),
    ):
        yield screen


def resting(widths: int, seconds: Callable[[str], float]) -> Callable[[Any], Prepared]:
    """A schedule as so many stages side by side, each its own, and one that reads all of them.

    Args:
        widths: Stages side by side.
        seconds: How long a stage sleeps, by its key.
    """
    from nothing import Resting

    def prepare(schedule: Any) -> Prepared:
        soft = schedule.stages["last"].soft
        names = tuple(f"part{number}" for number in range(widths))
        keys = {
            name: sha256_text(f"{name} {soft.temperature} {soft.weight}")
            for name in (*names, "last")
        }
        requests = [
            StageRequest(name, keys[name], names if name == "last" else (), "mlp", 1, 1, 1, 0, 5)
            for name in (*names, "last")
        ]
        jobs = [Resting(one.key, seconds=seconds(one.key)) for one in requests]
        stages = runnable_stages(requests, jobs, [Needs()] * len(jobs))
        return Prepared(stages, "last", params=1, macs=1, cold_cost=10)

    return prepare


def by_key(key: str) -> float:
    """2 to 4 seconds."""
    return 2 + 2 * int(key[6:12], 16) / 2**24


def run_compare(trials: int) -> None:
    """Print how long a real search on two slots takes, and the simulation of the same trials."""
    import nothing
    import overhead

    with own_ray(2) as screen:
        state = overhead.search(trials, "random", 4, nothing.rest, resting(2, by_key))
        spans = {stage.key: stage.history[0] for stage in state.stages}
        begin, end = _first_and_last(spans)
        plans = [
            RunnableTrial(number, "search", _stages(trial), trial.deliver)
            for number, trial in sorted(state.trials.items())
        ]
        lasted = {key: row["ended"] - row["began"] for key, row in spans.items()}
        node = ClusterNode("here", cpu=2, gpu=0, memory=float("inf"))
        _, took = by_clock(plans, [node], 2, 4, lambda stage: lasted[stage.key])
        print(
            f"{trials} trials, {len(spans)} stages on 2 slots: real {end - begin:.1f} s, "
            f"simulated {took:.1f} s ({100 * (took / (end - begin) - 1):+.0f} %)",
            file=screen,
            flush=True,
        )


SIDE_BY_SIDE = 20
"""Stages of one trial that can run at once in `ray`: a process for each trial costs 200 MB."""

REGISTER = "RAY_worker_register_timeout_seconds"


def run_in_flight(stages: int, seconds: float) -> None:
    """Print how many stages were in flight at once on a Ray with as many CPUs in name."""
    import nothing
    import overhead

    trials, started = stages // SIDE_BY_SIDE, time.time()
    os.environ.setdefault(REGISTER, "900")  # so many start on few cores
    with own_ray(stages) as screen:
        print(f"Ray started after {time.time() - started:.0f} s", file=screen, flush=True)
        prepare = resting(SIDE_BY_SIDE, lambda key: seconds)
        begin = time.time()
        watch = MostMemory()
        state = overhead.search(trials, "random", trials, nothing.rest, prepare)
        spans = {stage.key: stage.history[0] for stage in state.stages}
        first, last = _first_and_last(spans)
        edges = sorted(
            [(row["began"], 1) for row in spans.values()]
            + [(row["ended"], -1) for row in spans.values()]
        )
        running = [sum(step for _, step in edges[: at + 1]) for at in range(len(edges))]
        statuses = Counter(stage.status for stage in state.stages)
        print(
            f"{trials} trials, {len(spans)} stages of {seconds:.0f} s ({dict(statuses)}): at most "
            f"{max(running)} in flight; the first began after {first - begin:.1f} s, the last "
            f"ended after {last - begin:.1f} s; this machine used {watch.stop():.1f} GB more",
            file=screen,
            flush=True,
        )


class MostMemory:
    """What this machine uses more than at the start, at most, in GB; looked at each second."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._start = self._least = free_memory() or 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            self._least = min(self._least, free_memory() or 0)

    def stop(self) -> float:
        """The most that it was."""
        self._over.set()
        self._thread.join()
        return (self._start - self._least) / 1e9


def _first_and_last(spans: Mapping[str, Any]) -> tuple[float, float]:
    rows = spans.values()
    return min(one["began"] for one in rows), max(one["ended"] for one in rows)


def _stages(trial: Any) -> tuple[RunnableStage, ...]:
    return tuple(
        RunnableStage(one, b"", Needs(), (), one.cost, EpochCosts(1, 0, 0, False))
        for one in trial.stages
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ("scheduler", "searcher", "tpe", "compare", "ray")
    parser.add_argument("what", nargs="?", choices=kinds, default="scheduler")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--stages", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    if given.what == "scheduler":
        run_scheduler(given.trials, given.nodes, given.gpus, given.epochs)
    elif given.what == "compare":
        run_compare(min(given.trials, 16))
    elif given.what == "tpe":
        run_tpe(given.trials)
    elif given.what == "ray":
        run_in_flight(given.stages, given.seconds)
    else:
        run_searcher(given.trials, given.sampler, given.epochs)


if __name__ == "__main__":
    sys.exit(main())
