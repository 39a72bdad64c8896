"""`dmtsearch plan`: what a search would run, and what it costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dmtsearch import api
from dmtsearch.cli.common_options import Json, NoTime, Settings, Trials, read_settings
from dmtsearch.cli.terminal import console, print_json, say, say_command, say_missing, table
from dmtsearch.errors import UsageError
from dmtsearch.human import amount, counted, hours_text

if TYPE_CHECKING:
    from dmtsearch.engine.price import SearchPlan

CONFIRM = {
    "first_look": "confirm, to its first look",
    "last_look": "confirm, to its last look",
    "explained": "confirm, to its last look and explained",
}


def plan(
    space: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A search space.")],
    trials: Trials = None,
    slots: Annotated[
        str, typer.Option(help="Numbers of stages that run at once, for which hours are given.")
    ] = "1,8,64",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    set: Settings = None,
    no_time: NoTime = False,
    json: Json = False,
) -> None:
    """Say what a search would run: stages shared, cost, and hours by slots. Trains nothing.

    The search's own sampler and scheduler run by a clock of their own. Where proposals depend on
    results, made-up results stand in for them.

    Example: `dmtsearch plan search_spaces/demo.yaml --trials 20 --slots 1,2,8`
    """
    found = api.plan(
        space,
        trials=trials,
        slots=_slots(slots),
        seed=seed,
        set=read_settings(set),
        time=not no_time,
    )
    if json:
        print_json(found.as_dict())
        return
    say(f"{space}: {counted(found.trials, 'trial')}, {counted(found.controls, 'control arm')}")
    print_price(found)
    given = ("--trials", str(trials)) if trials else ()
    changed = [word for pair in set or [] for word in ("--set", pair)]
    say()
    say_command("Next: ", "search", space, "--out", f"runs/{space.stem}", *given, *changed)


def _slots(text: str) -> tuple[int, ...]:
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdecimal() and 0 < int(number) <= 100_000 for number in numbers):
        raise UsageError(f"--slots {text}: give numbers of at least 1, like 1,8,64")
    return tuple(dict.fromkeys(int(number) for number in numbers))


def print_price(plan: "SearchPlan") -> None:
    """Print what a search runs, what is shared, and what it and its confirmation cost."""
    size = "no end of" if plan.schedules is None else f"{plan.schedules:,}"
    say(f"schedules {size} in this space")
    if plan.over != "trials":
        say("          so that the search ends before it has as many trials as it may have")
    say(
        f"stages    {plan.stages_requested:,} asked for, {plan.stages_run:,} run; epochs "
        f"{plan.epochs_requested:,} and {plan.epochs_run:,}"
    )
    asked, run = amount(plan.cost_requested), amount(plan.cost_run)
    say(f"cost      {asked} sample-MACs asked for, {run} run")
    rows = [
        (
            f"search: {counted(plan.trials, 'trial')}, {counted(plan.controls, 'control arm')}",
            f"{number:,}",
            run,
            hours_text(hours),
        )
        for number, hours in plan.by_slots.items()
    ]
    for name, price in plan.confirm.items():
        words = f"{CONFIRM[name]}: {price.paths} paths"
        rows.append((words, "here", amount(price.cost), hours_text(price.hours)))
    columns = ("what", "slots", "cost", "time")
    console().print(table(columns, rows, numbers=("slots", "cost", "time")))
    say_missing(plan.missing)
    if plan.stand_ins:
        say("note      the sampler learns from results: made-up ones stood in for them")
    if plan.at_random:
        say(f"note      the last {counted(plan.at_random, 'trial')} were drawn at random instead")
    if plan.prunes:
        say("note      a pruner may stop trials early: this is the most that is run")
