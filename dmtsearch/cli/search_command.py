"""`dmtsearch search`, `resume` and `status`."""

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmtsearch.cli.common_options import (
    Json,
    NewRun,
    Settings,
    StageStore,
    Trials,
    read_settings,
)
from dmtsearch.cli.terminal import console, print_json, say, say_command, table
from dmtsearch.errors import DmtSearchError
from dmtsearch.human import command_line, percent

if TYPE_CHECKING:
    from dmtsearch.engine.driver_options import DriverOptions

TimeBudget = Annotated[
    str | None, typer.Option(help="Propose nothing after so long: 30m, 2h, 1h30m.")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of a Ray cluster: auto, or host:port; else $RAY_ADDRESS, else a Ray of its own."
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(help="Trials at once; else twice what fits into half of free memory."),
]

Log = Annotated[
    str | None,
    typer.Option(help="Write each trial to tensorboard, mlflow, wandb (with commas between)."),
]


class Backend(str, Enum):
    """Where trials run."""

    RAY = "ray"
    INLINE = "inline"


BACKENDS = "inline: without Ray, one stage at a time in this process, to debug or test"
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def search(
    space: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A search space.")],
    out: NewRun = None,
    trials: Trials = None,
    time_budget: TimeBudget = None,
    address: Address = None,
    concurrency: Concurrency = None,
    store: StageStore = None,
    seed: Annotated[int, typer.Option(help="Of proposals and of the trials' schedules.")] = 0,
    set: Settings = None,
    backend: Annotated[Backend, typer.Option(help=f"{BACKENDS}.")] = Backend.RAY,
    log: Log = None,
) -> None:
    """Search a space of switching schedules, and keep the best.

    Ctrl-C once stops cleanly; `dmtsearch resume` goes on, also after a kill.

    Example: `dmtsearch search search_spaces/demo.yaml --out runs/first`
    """
    from dmtsearch.engine.run import search as run_search

    options = options_of(trials, time_budget, address, concurrency, backend, log)
    finish(run_search(space, options, out=out, store=store, seed=seed, set=read_settings(set)))


def resume(
    run: RunFolder,
    trials: Annotated[
        int | None, typer.Option(help="The new total of search trials, to add to a finished run.")
    ] = None,
    time_budget: TimeBudget = None,
    address: Address = None,
    concurrency: Concurrency = None,
    store: Annotated[
        str | None,
        typer.Option(help="Where its finished stages lie now; else where they lay before."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where relative paths and factories start from now; else as before."),
    ] = None,
    train_again: Annotated[
        bool,
        typer.Option("--train-again", help="Go on though no finished stage is in the store."),
    ] = False,
    backend: Annotated[Backend | None, typer.Option(help=f"{BACKENDS}; else as before.")] = None,
    log: Log = None,
) -> None:
    """Go on with a run after any interruption, or add trials to a finished one.

    No finished stage runs again; unfinished trials go first, with the same parameters. A run that
    came from another machine is given its store and its folder.

    Example: `dmtsearch resume runs/first --trials 10`
    """
    from dmtsearch.engine.run import resume as run_resume

    options = options_of(trials, time_budget, address, concurrency, backend, log)
    finish(run_resume(run, options, store=store, folder=folder, train_again=train_again))


def options_of(
    trials: int | None,
    time_budget: str | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    backend: Backend | None = None,
    log: str | None = None,
) -> "DriverOptions":
    """Options of a command that searches: shown on the terminal, and written down as typed."""
    from dmtsearch.cli.search_view import make_view
    from dmtsearch.engine.driver_options import DriverOptions

    return DriverOptions(
        trials=trials,
        time_budget=time_budget,
        address=address,
        concurrency=concurrency,
        backend=backend.value if backend else None,
        view=make_view(),
        command=command_line(*sys.argv[1:]),
        leave=True,
        log=tuple(word.strip() for word in log.split(",")) if log else (),
    )


def status(
    run: RunFolder,
    json: Json = False,
) -> None:
    """Say what is done, running, shared and failed; works while the search runs.

    Example: `dmtsearch status runs/first`
    """
    from dmtsearch.cli.search_view import stage_table
    from dmtsearch.engine.console import describe, describe_state
    from dmtsearch.engine.status import read_status

    found = read_status(run)
    if json:
        print_json(found.as_dict())
        return
    say(f"{run}: {describe_state(found.state)}")
    say(describe(found.live))
    if found.live.running:
        console().print(stage_table(found.live))
    for failure in found.summary.get("failures", []):
        trials = "trial" if failure["count"] == 1 else "trials"
        say(f"failed    {failure['count']} {trials}: {failure['reason']}")
    if found.confirming is not None:
        say(f"confirm   {describe(found.confirming)}")
    elif found.is_confirm_open:
        say("confirm   begun, and not at its end")
    if found.summary.get("answer"):
        say(f"confirm   {found.summary['answer']}")
    if not found.alive:
        goes_on = found.is_confirm_open and found.state not in UNFINISHED
        say_command("Next: ", *(("confirm", run) if goes_on else _next(run, found.state)))


def finish(run: Any, *, advise: bool = True) -> None:
    """Say what came out and, unless something follows by itself, what to do next."""
    summary = run.summary
    if run.ended == "interrupted":
        say(f"Stopped; everything so far is kept in {run.folder}.")
        say_command("Go on with: ", "resume", run.folder)
        raise typer.Exit(130)
    counts = summary["trials"]
    if counts["failed"] and not counts["done"] and not counts["pruned"]:
        first = summary["failures"][0]["reason"]
        raise DmtSearchError(
            f"all {counts['failed']} trials failed; the first cause: {first}\n"
            f"look at {run.folder}/trials.csv and {run.folder}/driver.log"
        )
    rows = [
        row
        for row in (
            _row("best of the search", summary["best"]),
            _row("best control arm", summary["best_control"]),
        )
        if row is not None
    ]
    if rows:
        say()
        numbers = ("trial", "val accuracy", "n", "params", "seed")
        console().print(table(("", "arm", *numbers), rows, numbers=numbers))
    say(f"{describe_end(run.ended)} One seed each: `confirm` gives a verdict on fresh ones.")
    say(f"Wrote {run.folder}.")
    if not advise:
        return
    say_command("Next: ", *_next(run.folder, run.ended))
    if summary["best"] is not None:
        if run.ended not in UNFINISHED:
            say_command("      ", "confirm", run.folder)
        best = run.folder / "best_schedule.yaml"
        say_command("      ", "train", best, "--out", f"out/{run.folder.name}")


def _row(title: str, best: dict[str, Any] | None) -> tuple[str, ...] | None:
    if best is None:
        return None
    accuracy = best["metrics"].get("accuracy")
    return (
        title,
        best["arm"],
        str(best["trial"]),
        percent(accuracy) if accuracy is not None else "",
        f"{best['n']:,}" if best["n"] is not None else "",
        f"{best['params']:,}",
        str(best["seed"]),
    )


ENDS = {
    "trials": "All trials are through.",
    "used_up": "The space is used up: every schedule in it has been tried.",
    "duplicates": "A hundred draws in a row had been tried: the space is as good as used up.",
    "time": "The time is over.",
    "failed": "The search broke off.",
}


def describe_end(reason: str | None) -> str:
    """Why a search ended, in a sentence."""
    return ENDS.get(reason or "", "The search has ended.")


UNFINISHED = ("interrupted", "killed", "failed", "time")
"""Why a search ended that can go on."""


def _next(run: Path, state: str) -> tuple[object, ...]:
    if state in UNFINISHED:
        return ("resume", run)
    return ("report", run)
