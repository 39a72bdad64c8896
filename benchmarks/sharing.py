"""What sharing stages saves: our engine against plain Ray Tune on the same schedules.

A search draws 24 distinct fills of `fashion_mnist_how_to_pass_through` (fewer samples and epochs,
so that it ends today). The same 24 schedules then run as plain Ray Tune function trainables, each
of which trains all of its stages; same slots, one thread each. Exact: every trial has the same
value in both, and the engine ran each distinct stage once. Printed: cost run / cost asked (a
property of the space); the same by the seconds that our stages took (on a CPU small nets take more
seconds a MAC, so that what is shared, large first models above all, is cheaper in seconds than in
MACs); and the ratio of wall-clock times, in turn, over the rounds.

    python benchmarks/sharing.py --rounds 3
    python benchmarks/sharing.py --rounds 1 --train 3000 --widths 4 --size 16

The second gives all nets four times the space's widths, which are those of CNN8 and CNN16, on
smaller images: there a MAC takes much the same time in all of them.
"""

import argparse
import os
import statistics
import tempfile
import time
from operator import truediv
from pathlib import Path
from typing import Any

from dmtsearch.engine.ledger import read_ledger
from dmtsearch.engine.ledger_lines import StageEnded, TrialEnded, TrialProposed
from dmtsearch.space import load_space

os.environ.setdefault("OMP_NUM_THREADS", "1")
SPACE = Path(__file__).parents[1] / "search_spaces" / "fashion_mnist_how_to_pass_through.yaml"


def ours(folder: Path, args: argparse.Namespace) -> tuple[float, Any]:
    """Seconds of a search, and the run."""
    import dmtsearch

    started = time.perf_counter()
    run = dmtsearch.search(
        SPACE,
        out=folder / "run",
        store=str(folder / "store"),
        trials=args.trials,
        concurrency=args.concurrency,
        address="local",
        set={
            "search.controls": "none",
            "search.sampler": "random",
            "search.pruner": "none",
            "data.train": args.train,
            "data.val": 1000,
            "defaults.epochs": args.epochs,
            "stages.assistant.hint_phase.epochs": 1,
            "stages.student.hint_phase.epochs": 1,
            **_widened(args.widths),
            **({} if args.size is None else {"data.size": args.size}),
        },
    )
    return time.perf_counter() - started, run


def _widened(factor: int) -> dict[str, Any]:
    """What gives the space's nets so many times their widths, and the bound that goes with it."""
    if factor == 1:
        return {}
    space = load_space(SPACE)
    stages, largest = space.anchor().stages, space.search.constraints["params"].max
    return {
        "stages.teacher.model.widths": [factor * w for w in stages["teacher"].model.widths],
        "stages.student.model.widths": [factor * w for w in stages["student"].model.widths],
        "search.constraints": {"params": {"max": factor**2 * largest}},
    }


def train_all(config: dict[str, str]) -> None:
    """A plain trainable: every stage of one schedule, nothing shared."""
    import torch
    from ray import tune

    from dmtsearch.deploy.training import train_schedule
    from dmtsearch.schedule import parse_schedule
    from dmtsearch.store import open_store

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        training = train_schedule(
            parse_schedule(config["schedule"]),
            Path(folder) / "out",
            open_store(f"{folder}/store"),
            device="cpu",
        )
    tune.report({"val_accuracy": training.delivered.record["metrics"]["val"]["accuracy"]})


def theirs(schedules: list[str], slots: int) -> tuple[float, dict[str, float]]:
    """Seconds of plain Ray Tune on the same schedules, and each schedule's value."""
    import ray
    from ray import tune

    started = time.perf_counter()
    ray.init(address="local", num_cpus=slots, configure_logging=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(train_all, {"cpu": 1}),
            param_space={"schedule": tune.grid_search(schedules)},
            tune_config=tune.TuneConfig(max_concurrent_trials=slots, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        found = tuner.fit()
    ray.shutdown()
    values = {result.config["schedule"]: result.metrics["val_accuracy"] for result in found}
    return time.perf_counter() - started, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--widths", type=int, default=1, help="times those of the space")
    parser.add_argument("--size", type=int, help="pixels; as stored if not given")
    parser.add_argument("--slots", type=int, default=os.cpu_count())
    args = parser.parse_args()
    args.concurrency = 2 * args.slots
    ratios, by_seconds, bound = [], [], 0.0
    for number in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            our_s, run = ours(Path(folder), args)
            sharing = run.summary["sharing"]
            records = read_ledger(run.paths.ledger)
            trials = [r for r in records if isinstance(r, TrialProposed)]
            ends = {r.trial: r.objectives for r in records if isinstance(r, TrialEnded)}
            keys = {stage.key: stage.cost for record in trials for stage in record.stages}
            assert sharing["stages_run"] == len(keys), (sharing, len(keys))
            # Less where stages that differ have one hint phase, which runs once as well.
            assert sharing["cost_run"] <= sum(keys.values()), "each distinct stage, once"
            seconds = {r.key: r.seconds for r in records if isinstance(r, StageEnded)}
            asked_s = sum(seconds[stage.key] for r in trials for stage in r.stages)
            by_seconds.append(sum(seconds.values()) / asked_s)
            values = {r.schedule: ends[r.trial]["val_accuracy"] for r in trials}
        their_s, found = theirs(list(values), args.slots)
        assert found == values, "every trial has the same value in both"
        bound = sharing["cost_run"] / sharing["cost_requested"]
        ratios.append(our_s / their_s)
        asked, ran = sharing["stages_requested"], sharing["stages_run"]
        print(f"round {number + 1}: {len(trials)} trials equal; {asked} stages asked, {ran} run")
        print(
            f"  ours {our_s:.0f} s, plain Tune {their_s:.0f} s, ratio {ratios[-1]:.2f}; "
            f"of stage seconds {by_seconds[-1]:.2f}",
            flush=True,
        )
    print(
        f"cost run / cost asked {bound:.3f}, in stage seconds "
        f"{statistics.median(by_seconds):.3f}; wall-clock ratio median "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"n = {len(ratios)}), which is {statistics.median(ratios) / bound:.2f} x the cost "
        f"ratio, {statistics.median(map(truediv, ratios, by_seconds)):.2f} x that of stage seconds"
    )


if __name__ == "__main__":
    main()
