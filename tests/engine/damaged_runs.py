"""A whole run folder of a search that trained nothing, and its files made odd."""

from dataclasses import asdict
from pathlib import Path

from fuzzing import mutate
from untrained import SOFT, Driver, FakeArm, chain

from dmtsearch.engine import LiveState, RunCounts, RunInfo, RunPaths, write_run, write_space
from dmtsearch.files import write_json
from dmtsearch.space import Space

SPACE = chain(SOFT, pruner={"name": "median"})


def made_run(root: Path, *, trials: int = 4, space: Space = SPACE) -> RunPaths:
    """A finished run of `trials` search trials and a control arm, with all of its files."""
    root.mkdir()
    paths = RunPaths(root)
    arms = [FakeArm("scratch", space.anchor())]
    driver = Driver(root, space, trials=trials, arms=arms)
    info = made_info(root, trials)
    driver.run()
    write_run(paths, info)
    write_space(paths, space)
    tally = RunCounts(paths.ledger)
    tally.read()
    running = {"name": "student", "key": "ab", "model": "plain", "trial": 3, "waiters": 1,
               "phase": "train", "epoch": 2, "epochs": 4, "cost": 9, "hint_epochs": 0}  # fmt: skip
    state = LiveState(**{**vars(tally.state(root.name)), "running": (running,), "left_s": 3.5})
    write_json(paths.live, asdict(state))
    return paths


def made_info(root: Path, trials: int) -> RunInfo:
    return RunInfo(
        run_id="0123456789ab",
        created="2026-01-01T00:00:00+00:00",
        name="chain",
        space_file="chain.yaml",
        question=None,
        objectives={"val_accuracy": "max"},
        trials=trials,
        seed=0,
        concurrency=None,
        store=str(root / "store"),
        folder=str(root),
        command="dmtsearch search chain.yaml",
        versions={"python": "3.11"},
        hardware={"cpus": 2},
    )


def damage(whole: RunPaths, name: str, root: Path, seed: int) -> None:
    """Put a copy of one file of `whole`, made odd, into the copy of the folder at `root`."""
    (root / name).write_bytes(mutate((whole.root / name).read_bytes(), seed))
